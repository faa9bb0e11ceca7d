/* A bundle of somebody else, but for its network (onnx.c): camera.json, and behind a line of its
 * own,
 * "---", the labels. */
#include "cluster/opened_bundle.h"
#include "tests/fuzz/fuzz.h"
#include <math.h>
#include <string.h>

static void split(const uint8_t *bytes, size_t size)
{
    static const char between[] = "\n---\n";
    const uint8_t *found = size > 0 ? memmem(bytes, size, between, sizeof between - 1) : NULL;
    size_t first = found ? (size_t)(found - bytes) : size;
    size_t behind = found ? first + sizeof between - 1 : size;
    fuzz_put("camera.json", bytes, first);
    fuzz_put("labels.txt", bytes + behind, size - behind);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    struct opened_bundle opened = {.shape = {.channels = 3, .classes = 2}};
    split(bytes, size);
    if (opened_bundle_read_camera(fuzz_folder(), &opened) == ERR_OK)
        for (int c = 0; c < 3; c++)
            FUZZ_EXPECT(isfinite(opened.dataset.mean[c]) && opened.dataset.deviation[c] > 0);
    if (opened_bundle_read_labels(fuzz_folder(), &opened) == ERR_OK)
        for (int i = 0; i < 2; i++)
            for (const char *at = opened.labels[i]; *at; at++)
                FUZZ_EXPECT((unsigned char)*at >= ' ');
    opened_bundle_fini(&opened);
    return 0;
}
