/* GPU_EMULATOR_ORDER (emulator.h). */
#include "tests/support/cuda/internal.h"
#include <stdlib.h>

struct order order_read(void)
{
    struct order order = {ORDER_FORWARD, 1};
    const char *wanted = getenv("GPU_EMULATOR_ORDER");
    if (!wanted || !*wanted || !strcmp(wanted, "forward"))
        return order;
    if (!strcmp(wanted, "reversed"))
        order.kind = ORDER_REVERSED;
    else if (!strncmp(wanted, "shuffled", 8) && (wanted[8] == ':' || !wanted[8]))
        order.kind = ORDER_SHUFFLED;
    else
        emulator_refuse("GPU_EMULATOR_ORDER=%s is none of forward, reversed, shuffled[:SEED]",
                        wanted);
    if (order.kind == ORDER_SHUFFLED && wanted[8])
        order.state = strtoull(wanted + 9, NULL, 10);
    return order;
}

/* Steele, Lea and Flood, "Fast splittable pseudorandom number generators" (2014): splitmix64. */
uint32_t order_below(struct order *order, uint32_t bound)
{
    uint64_t z = order->state += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return (uint32_t)(((z ^ z >> 31) >> 32) * bound >> 32);
}

int order_pick(struct order *order, uint32_t bits)
{
    if (order->kind == ORDER_FORWARD)
        return __builtin_ctz(bits);
    if (order->kind == ORDER_REVERSED)
        return 31 - __builtin_clz(bits);
    for (uint32_t skip = order_below(order, (uint32_t)__builtin_popcount(bits)); skip > 0; skip--)
        bits &= bits - 1;
    return __builtin_ctz(bits);
}

void order_fill(struct order *order, uint32_t *numbers, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        numbers[i] = order->kind == ORDER_REVERSED ? count - 1 - i : i;
    if (order->kind != ORDER_SHUFFLED)
        return;
    for (uint32_t i = count; i > 1; i--) {
        uint32_t other = order_below(order, i), number = numbers[i - 1];
        numbers[i - 1] = numbers[other];
        numbers[other] = number;
    }
}
