/* Bytes from elsewhere for one of our readers: whatever they are, an answer and no crash. A harness
 * is one file with one function; built with libFuzzer it looks for inputs by itself
 * (tests/fuzz.sh), otherwise replay.c feeds it the inputs that were kept. */
#ifndef TESTS_FUZZ_FUZZ_H
#define TESTS_FUZZ_FUZZ_H

#include <stddef.h>
#include <stdint.h>

/* libFuzzer's name for it. Returns 0. */
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

/* For a reader that takes a path: a file in memory with these bytes. The path lasts until the next
 * call. */
const char *fuzz_file(const uint8_t *bytes, size_t size);

/* For one that follows no link, or looks into a folder: a folder of this process, removed at its
 * end, and a file in it with these bytes, of mode 0600. The path lasts until the next call. */
const char *fuzz_folder(void);
const char *fuzz_put(const char *name, const void *bytes, size_t size);

/* What has to hold for any input: else the process dies, which is what is looked for. */
#define FUZZ_EXPECT(condition)                                                                     \
    do {                                                                                           \
        if (!(condition))                                                                          \
            __builtin_trap();                                                                      \
    } while (0)

#endif
