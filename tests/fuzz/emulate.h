/* A network that a reader took, run in every arithmetic where it is small enough to wait for. */
#ifndef TESTS_FUZZ_EMULATE_H
#define TESTS_FUZZ_EMULATE_H

#include "trainer/emulator/exported.h"

void fuzz_emulate(const struct exported *net);

#endif
