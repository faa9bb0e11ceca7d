/* What the tests of the planning data share: loading a space, counting a file's sub-networks. */
#ifndef TESTS_SPEC_SPEC_TEST_H
#define TESTS_SPEC_SPEC_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/err.h"

/* Fails with the recorded text, so that the reason is on the page. */
#define assert_ok(call)                                                                            \
    do {                                                                                           \
        enum err assert_err = (call);                                                              \
        if (assert_err != ERR_OK)                                                                  \
            fail_msg("%s: %s: %s", #call, err_name(assert_err), err_text());                       \
    } while (0)

/* Fails unless the call returns the code and its text contains the words. */
#define assert_refused(call, code, words)                                                          \
    do {                                                                                           \
        enum err refused_err = (call);                                                             \
        if (refused_err != (code) || !strstr(err_text(), (words)))                                 \
            fail_msg("%s: %s, \"%s\"; expected %s with \"%s\"", #call, err_name(refused_err),      \
                     refused_err ? err_text() : "", err_name(code), (words));                      \
    } while (0)

#endif
