/* A list of images and their labels, as an import reads it. */
#include "base/mem.h"
#include "tests/fuzz/fuzz.h"
#include "trainer/data/source.h"
#include <string.h>

static void expect_sound(const struct source *source)
{
    uint32_t count = source->train_count + source->test_count;
    FUZZ_EXPECT(source->classes > 0 && source->train_count > 0 && source->item_count == count);
    for (uint32_t i = 0; i < count; i++) {
        const struct source_item *item = &source->items[i];
        FUZZ_EXPECT(item->name[0] && item->label >= 0 && item->label < source->classes);
        FUZZ_EXPECT(item->line > 1);
    }
    for (int i = 0; i < source->classes; i++)
        FUZZ_EXPECT(source_check_class(source->class_names[i]) == ERR_OK);
    for (int i = 1; i < source->classes; i++)
        FUZZ_EXPECT(strcmp(source->class_names[i - 1], source->class_names[i]) < 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    struct import_report report = {0};
    struct source *source = NULL;
    const char *list = fuzz_put("list.csv", bytes, size);
    const struct import_cfg cfg = {.sources = &list, .source_count = 1};
    enum err err = source_open(&cfg, &report, &source);
    FUZZ_EXPECT(err == ERR_OK || err == ERR_DATA);
    if (err == ERR_OK)
        expect_sound(source);
    source_close(&source);
    import_report_fini(&report);
    return 0;
}
