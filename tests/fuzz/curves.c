/* metrics/STAGE.jsonl as the page reads it: whole, or as it grew, it says the same. */
#include "cluster/page/curves.h"
#include "tests/fuzz/fuzz.h"
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static char path[] = "/tmp/glowworm-fuzz-XXXXXX"; /* a file of its own: no link is followed */

static void remove_file(void)
{
    unlink(path);
}

static int open_file(void)
{
    static int file = -1;
    if (file < 0) {
        file = mkstemp(path);
        atexit(remove_file);
    }
    FUZZ_EXPECT(file >= 0 && ftruncate(file, 0) == 0);
    return file;
}

static void read_all(struct curves *curves)
{
    bool is_all = false;
    FUZZ_EXPECT(curves_read(curves, &is_all) == ERR_OK && is_all);
}

static json_t *json_of(struct curves *curves)
{
    json_t *json = curves_json(curves);
    char *text = json_dumps(json, JSON_COMPACT); /* an answer can be made of it */
    FUZZ_EXPECT(text);
    free(text);
    return json;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    int file = open_file();
    struct curves *grown = curves_create(path), *whole = curves_create(path);
    FUZZ_EXPECT(write(file, bytes, size / 2) == (ssize_t)(size / 2));
    read_all(grown);
    FUZZ_EXPECT(pwrite(file, bytes, size, 0) == (ssize_t)size);
    read_all(grown);
    read_all(whole);
    json_t *left = json_of(grown), *right = json_of(whole);
    FUZZ_EXPECT(json_equal(left, right));
    json_decref(left);
    json_decref(right);
    curves_destroy(&grown);
    curves_destroy(&whole);
    FUZZ_EXPECT(lseek(file, 0, SEEK_SET) == 0);
    return 0;
}
