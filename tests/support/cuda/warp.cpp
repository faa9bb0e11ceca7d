/* Shuffles and votes. Source: CUDA C++ Programming Guide, "Warp Shuffle Functions", "Warp Vote
 * Functions". */
#include "tests/support/cuda/internal.h"

struct shuffle {
    enum gpu_shuffle kind;
    uint64_t value, got;
    unsigned by, width;
};

/* The lane that is read; one outside its part of `width` lanes gives the lane's own. */
static unsigned shuffle_from(const struct shuffle *shuffle, unsigned lane)
{
    unsigned width = shuffle->width, first = lane & ~(width - 1), end = first + width;
    unsigned from = lane;
    if (shuffle->kind == GPU_SHUFFLE_INDEX)
        return first + (shuffle->by & (width - 1));
    if (shuffle->kind == GPU_SHUFFLE_UP)
        return lane - first >= shuffle->by ? lane - shuffle->by : lane;
    from = shuffle->kind == GPU_SHUFFLE_DOWN ? lane + shuffle->by : lane ^ shuffle->by;
    return from < end ? from : lane;
}

static void run_shuffle(struct warp *warp, const struct meeting *meeting, uint32_t lanes)
{
    (void)meeting;
    for (uint32_t left = lanes; left; left &= left - 1) {
        unsigned lane = (unsigned)__builtin_ctz(left);
        struct shuffle *mine = static_cast<struct shuffle *>(warp->threads[lane].operand);
        unsigned from = shuffle_from(mine, lane);
        mine->got = UINT64_MAX; /* undefined: of a lane that is not there */
        if (lanes >> from & 1)
            mine->got = static_cast<struct shuffle *>(warp->threads[from].operand)->value;
    }
}

uint64_t gpu_shuffle(enum gpu_shuffle kind, uint32_t lanes, uint64_t value, unsigned by,
                     unsigned width)
{
    static const struct meeting meetings[] = {{"__shfl_sync", run_shuffle},
                                              {"__shfl_up_sync", run_shuffle},
                                              {"__shfl_down_sync", run_shuffle},
                                              {"__shfl_xor_sync", run_shuffle}};
    struct shuffle mine = {kind, value, 0, by, width};
    if (width == 0 || width > LANES || (width & (width - 1)))
        block_refuse("a shuffle among %u lanes: not a power of 2 up to 32", width);
    block_meet(&meetings[kind], lanes, &mine);
    return mine.got;
}

struct vote {
    bool says_yes;
    uint32_t yes;
};

static void run_vote(struct warp *warp, const struct meeting *meeting, uint32_t lanes)
{
    (void)meeting;
    uint32_t yes = 0;
    for (uint32_t left = lanes; left; left &= left - 1) {
        int lane = __builtin_ctz(left);
        if (static_cast<struct vote *>(warp->threads[lane].operand)->says_yes)
            yes |= UINT32_C(1) << lane;
    }
    for (uint32_t left = lanes; left; left &= left - 1)
        static_cast<struct vote *>(warp->threads[__builtin_ctz(left)].operand)->yes = yes;
}

uint32_t gpu_vote(uint32_t lanes, bool says_yes)
{
    static const struct meeting vote = {"a vote", run_vote};
    struct vote mine = {says_yes, 0};
    block_meet(&vote, lanes, &mine);
    return mine.yes;
}
