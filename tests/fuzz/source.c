/* What an import of IDX files reads beside the images: their labels, and the names of the classes.
 * The first byte says how many of the others are labels. */
#include "trainer/data/source.h"
#include "base/mem.h"
#include "tests/fuzz/fuzz.h"
#include <string.h>

static const uint8_t images[] = {0, 0, 8, 3, 0, 0, 0, 3, 0, 0, 0, 1, 0, 0, 0, 2, 1, 2, 3, 4, 5, 6};

static void expect_sound(const struct source *source)
{
    FUZZ_EXPECT(source->classes > 0 && source->train_count == 3 && source->test_count == 0);
    for (uint32_t i = 0; i < source->train_count; i++)
        FUZZ_EXPECT(source->labels[i] < source->classes);
    for (int i = 0; i < source->classes; i++)
        FUZZ_EXPECT(source_check_class(source->class_names[i]) == ERR_OK);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    struct import_report report = {0};
    struct source *source = NULL;
    if (size < 1)
        return 0;
    size_t labels = bytes[0] < size - 1 ? bytes[0] : size - 1;
    char *names = mem_string(fuzz_put("names", bytes + 1 + labels, size - 1 - labels));
    fuzz_put("train-images-idx3-ubyte", images, sizeof images);
    fuzz_put("train-labels-idx1-ubyte", bytes + 1, labels);
    const char *folder = fuzz_folder();
    const struct import_cfg cfg = {.sources = &folder, .source_count = 1, .labels_path = names};
    if (source_open(&cfg, &report, &source) == ERR_OK)
        expect_sound(source);
    source_close(&source);
    import_report_fini(&report);
    mem_free(names);
    return 0;
}
