/* Where a convolution puts its zeros, for planners that must not see a device. Pure. */
#ifndef BASE_PAD_H
#define BASE_PAD_H

/* out = ceil(in / S) either way. They differ where the stride is 2 and the side even: SAME puts the
 * odd one of the zeros behind. */
enum pad {
    PAD_SYMMETRIC, /* R / 2 on every side, as PyTorch's models are written */
    PAD_SAME /* TensorFlow's: max((out - 1) S + R - in, 0) in all, the smaller half in front */
};

static inline int pad_out(int in, int S)
{
    return (in - 1) / S + 1;
}

/* Zeros in front of `in` rows or columns. */
static inline int pad_before(enum pad pad, int in, int R, int S)
{
    int all = (pad_out(in, S) - 1) * S + R - in;
    return pad == PAD_SYMMETRIC ? R / 2 : all > 0 ? all / 2 : 0;
}

/* Zeros behind them that a window reaches. */
static inline int pad_behind(enum pad pad, int in, int R, int S)
{
    int reached = (pad_out(in, S) - 1) * S + R - in - pad_before(pad, in, R, S);
    return pad == PAD_SYMMETRIC ? R / 2 : reached > 0 ? reached : 0;
}

#endif
