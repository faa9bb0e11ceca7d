/* Inputs that were kept, once more: every file of the folders that are named, and files. */
#include "base/err.h"
#include "base/file.h"
#include "base/mem.h"
#include "tests/fuzz/fuzz.h"
#include <dirent.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define MAX_BYTES ((size_t)16 << 20)

static bool replay(const char *path)
{
    char *bytes = NULL;
    size_t size = 0;
    if (file_read(path, MAX_BYTES, &bytes, &size) != ERR_OK) {
        fprintf(stderr, "%s\n", err_text());
        return false;
    }
    LLVMFuzzerTestOneInput((const uint8_t *)bytes, size);
    mem_free(bytes);
    return true;
}

static int replay_folder(const char *path)
{
    int count = 0;
    struct dirent *entry;
    DIR *folder = opendir(path);
    while (folder && (entry = readdir(folder))) {
        char *file = file_join(path, entry->d_name);
        count += entry->d_name[0] != '.' && replay(file);
        mem_free(file);
    }
    if (folder)
        closedir(folder);
    return count;
}

/* A folder without a single input replays nothing, which is no success. */
int main(int argc, char **argv)
{
    bool is_whole = argc > 1;
    for (int i = 1; i < argc; i++) {
        struct stat status;
        bool is_folder = stat(argv[i], &status) == 0 && S_ISDIR(status.st_mode);
        int count = is_folder ? replay_folder(argv[i]) : replay(argv[i]);
        printf("%s: %d inputs\n", argv[i], count);
        is_whole = is_whole && count > 0;
    }
    return is_whole ? 0 : 1;
}
