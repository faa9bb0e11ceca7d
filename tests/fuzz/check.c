/* The lists of a bundle of somebody else that `glowworm check` reads: bundle.json, and behind a
 * line of its own, "---", samples.json. */
#include "cluster/check/check_files.h"
#include "cluster/json_file.h"
#include "tests/fuzz/fuzz.h"
#include <stdio.h>
#include <string.h>

enum { MOST = 1 << 20 };

static void split(const uint8_t *bytes, size_t size)
{
    static const char between[] = "\n---\n";
    const uint8_t *found = size > 0 ? memmem(bytes, size, between, sizeof between - 1) : NULL;
    size_t first = found ? (size_t)(found - bytes) : size;
    size_t behind = found ? first + sizeof between - 1 : size;
    fuzz_put("bundle.json", bytes, first);
    fuzz_put("samples.json", bytes + behind, size - behind);
}

static void read_list(void)
{
    char path[256];
    json_t *list = NULL;
    snprintf(path, sizeof path, "%s/bundle.json", fuzz_folder());
    if (json_file_read(path, MOST, &list) == ERR_OK)
        FUZZ_EXPECT(check_hashes(fuzz_folder(), list) == ERR_OK || err_text()[0]);
    json_decref(list);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    struct check_images images = {0};
    struct opened_bundle opened = {.shape = {.channels = 1, .height = 8, .width = 8, .classes = 2},
                                   .classes = 2};
    split(bytes, size);
    read_list();
    FUZZ_EXPECT(check_images_open(fuzz_folder(), &opened, NULL, 8, &images) == ERR_OK ||
                err_text()[0]);
    check_images_close(&images);
    return 0;
}
