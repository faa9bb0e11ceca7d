/* Accesses to device memory, told to whoever wants to know. */
#include "tests/support/cuda/internal.h"

void watch_begin_launch(void)
{
    counters_begin_launch();
    races_begin_launch();
    gpu_space.is_watched = counters_are_on() || races_are_on();
}

void watch_begin_block(void)
{
    counters_begin_block();
    races_begin_block();
}

void watch_access(enum gpu_access access, const void *at, size_t size_bytes, const void *code)
{
    uint64_t from = (uintptr_t)at - gpu_space.base;
    if (races_are_on())
        races_note(access, from, size_bytes);
    if (counters_are_on() && access != GPU_ATOMIC)
        counters_note(access == GPU_STORE ? WATCHED_STORE : WATCHED_LOAD, from, size_bytes, code);
}

void gpu_watch_access(enum gpu_access access, const void *at, size_t size_bytes)
{
    watch_access(access, at, size_bytes, __builtin_return_address(0));
}
