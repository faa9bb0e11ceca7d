#include "base/file.h"
#include "tests/fuzz/fuzz.h"
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

const char *fuzz_file(const uint8_t *bytes, size_t size)
{
    static int file = -1;
    static char path[64];
    if (file < 0)
        file = memfd_create("input", MFD_CLOEXEC);
    FUZZ_EXPECT(file >= 0 && ftruncate(file, 0) == 0);
    FUZZ_EXPECT(pwrite(file, bytes, size, 0) == (ssize_t)size);
    snprintf(path, sizeof path, "/proc/self/fd/%d", file);
    return path;
}

static char folder[] = "/dev/shm/glowworm-fuzz-XXXXXX"; /* memory: some readers write, durably */

static void remove_folder(void)
{
    FUZZ_EXPECT(file_remove_folder(folder) == ERR_OK);
}

const char *fuzz_folder(void)
{
    static bool is_made = false;
    if (!is_made) {
        FUZZ_EXPECT(mkdtemp(folder) && atexit(remove_folder) == 0);
        is_made = true;
    }
    return folder;
}

const char *fuzz_put(const char *name, const void *bytes, size_t size)
{
    static char path[256];
    snprintf(path, sizeof path, "%s/%s", fuzz_folder(), name);
    FUZZ_EXPECT(file_write_private(path, bytes, size) == ERR_OK);
    return path;
}
