/* The device that a suite runs on: the CPU's, or what the environment's GLOWWORM_TEST_DEVICE names.
 * CMake's glowworm_on_late() runs suites a second time, on tests/support/late_device. */
#ifndef TESTS_SUPPORT_TEST_DEVICE_H
#define TESTS_SUPPORT_TEST_DEVICE_H

#include <stdlib.h>

static inline const char *test_device(void)
{
    const char *named = getenv("GLOWWORM_TEST_DEVICE");
    return named && named[0] ? named : "cpu";
}

#endif
