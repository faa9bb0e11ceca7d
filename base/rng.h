/* Randomness is a function: rng(seed, stream, epoch, step, index) has no state, so nothing needs
 * saving and every rank computes the same value without a message. The mixing is SplitMix64's
 * finaliser over the five words. Any thread may call everything here. */
#ifndef BASE_RNG_H
#define BASE_RNG_H

#include <stdint.h>

/* One stream per purpose: two purposes never share draws. The numbers are part of the results:
 * never renumber. */
enum rng_stream {
    RNG_INIT = 1, /* initial weights: epoch 0, step = parameter, index = element */
    RNG_SUBNET =
        2, /* sub-network of a step: step = global step, index = (sub-network << 16) + gene */
    RNG_RESOLUTION = 3, /* resolution of a step */
    RNG_SHUFFLE = 4,    /* permutation of an epoch's images */
    RNG_CROP = 5,       /* step = image, index = draw */
    RNG_FLIP = 6,
    RNG_COLOUR = 7,
    RNG_DROPOUT = 8, /* step = global step, index = element */
    RNG_HOLDOUT = 9, /* which images are held out */
    RNG_CALIBRATION = 10,
    RNG_SEARCH = 11,         /* epoch = generation, step = candidate, index = draw */
    RNG_CAMERA_LATENCY = 20, /* the simulated camera: step = inference, index = draw */
    RNG_CAMERA_PACKETS = 21, /* step = packet, index = what may happen to it */
    RNG_PROBE = 22,          /* index = weight; epoch 1 and up: pictures */
    RNG_TEST = 100           /* tests only */
};

uint64_t rng(uint64_t seed, enum rng_stream stream, uint64_t epoch, uint64_t step, uint64_t index);

/* Shapes of a draw. `bits` is what rng() returned. */
double rng_unit(uint64_t bits);                      /* uniform in [0, 1), 53 bits */
uint32_t rng_below(uint64_t bits, uint32_t bound);   /* uniform in [0, bound), bound > 0 */
double rng_normal(uint64_t bits_1, uint64_t bits_2); /* standard normal by Box-Muller */

/* Fisher-Yates: order[0..n) becomes a permutation of 0..n-1, a function of (seed, stream, epoch)
 * only. */
void rng_permute(uint64_t seed, enum rng_stream stream, uint64_t epoch, uint32_t n,
                 uint32_t *order);

#endif
