/* The device that a suite runs on: the CPU's, or what the environment's GLOWWORM_TEST_DEVICE names,
 * on the instruction set that GLOWWORM_TEST_ISA names, or the best, with maps of
 * GLOWWORM_TEST_PRECISION, or fp32. CMake's glowworm_on_late(),
 * glowworm_on_cuda(), glowworm_on_each_isa() and
 * glowworm_on_bf16() run suites again with these set. */
#ifndef TESTS_SUPPORT_TEST_DEVICE_H
#define TESTS_SUPPORT_TEST_DEVICE_H

#include "kernels/device.h"
#include <stdlib.h>
#include <string.h>

static inline const char *test_device(void)
{
    const char *named = getenv("GLOWWORM_TEST_DEVICE");
    return named && named[0] ? named : "cpu";
}

static inline enum isa test_isa(void)
{
    const char *named = getenv("GLOWWORM_TEST_ISA");
    enum isa isa = ISA_AUTO;
    if (named && isa_parse(named, &isa) != ERR_OK)
        BUG("GLOWWORM_TEST_ISA: %s", err_text());
    return isa;
}

static inline enum precision test_precision(void)
{
    const char *named = getenv("GLOWWORM_TEST_PRECISION");
    enum precision precision = PRECISION_FP32;
    if (named && precision_parse(named, &precision) != ERR_OK)
        BUG("GLOWWORM_TEST_PRECISION: %s", err_text());
    return precision;
}

/* A GPU that the host emulates: suites leave out what is large. */
static inline bool test_is_emulated(void)
{
    return strstr(test_device(), "-emulated") != NULL;
}

/* A tolerance for what maps of this precision round. */
static inline double test_tolerance(double fp32, double bf16)
{
    return test_precision() == PRECISION_BF16 ? bf16 : fp32;
}

#endif
