/* Fault points for tests: FAULT("ckpt.commit") is ERR_OK unless the environment arms it.
 * GLOWWORM_FAULT="ckpt.commit:3" makes the third call fail with ERR_IO; ":3:kill" sends SIGKILL to
 * the process instead, ":3:stop" SIGSTOP, after which it goes on; ":3:full" fails with ERR_FULL,
 * ":3:again" with ERR_AGAIN; several rules are separated by commas. Any thread may call. */
#ifndef BASE_FAULT_H
#define BASE_FAULT_H

#include "base/err.h"

MUST_CHECK enum err fault_check(const char *name);
#define FAULT(name) fault_check(name)

/* Reads the rules again (tests that change the environment). */
void fault_reset(void);

#endif
