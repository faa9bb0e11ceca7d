/* A training step whose expanded maps are never in memory, as a change of one that writes them: an
 * expansion is linear in its narrow input, so its batch norm follows from that input's Gram matrix,
 * and whoever reads the wide map computes it anew, with a halo of three tenths. The forward of the
 * depthwise convolution and its backward do; the backward also makes the gradient of its own output
 * anew, from the narrow one behind the projection, and hands on two narrow products in place of the
 * wide gradient. */
#ifndef TESTS_BENCH_VIRTUAL_EXPAND_H
#define TESTS_BENCH_VIRTUAL_EXPAND_H

#include "tests/bench/counted_device.h"
#include "trainer/spec/subnet.h"

/* *count, of a forward and backward of N images, becomes that of one without expanded maps. */
void virtual_expand_count(const struct space *space, const struct subnet *subnet, int N,
                          size_t map_bytes, struct count *count);

#endif
