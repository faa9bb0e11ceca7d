/* The device that a suite runs on: the CPU's, or what the environment's GLOWWORM_TEST_DEVICE names,
 * on the instruction set that GLOWWORM_TEST_ISA names, or the best. CMake's glowworm_on_late() and
 * glowworm_on_each_isa() run suites again with these set. */
#ifndef TESTS_SUPPORT_TEST_DEVICE_H
#define TESTS_SUPPORT_TEST_DEVICE_H

#include "kernels/device.h"
#include <stdlib.h>

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

#endif
