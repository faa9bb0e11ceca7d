/* Images imported from a list of paths and labels. */
#include "tests/data/fixture.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

/* Writes source/list.csv and makes it the source. Returns what is to be freed. */
static char *use_list(struct scene *scene, const char *text, const char **source)
{
    char *list = file_join(scene->source, "list.csv");
    write_file(scene->source, "list.csv", text, strlen(text));
    *source = list;
    scene->cfg.sources = source;
    scene->cfg.replaces = true;
    return list;
}

static void expect_record(const struct dataset *dataset, uint32_t record, const char *name,
                          int32_t label)
{
    char found[256];
    struct image image = {.room = 0};
    assert_int_equal(dataset_record_name(dataset, record, found, sizeof found), ERR_OK);
    assert_string_equal(found, name);
    assert_int_equal(dataset_read(dataset, record, &image), ERR_OK);
    assert_int_equal(image.label, label);
    mem_free(image.pixels);
}

static void labels_of_a_list_in_the_order_of_their_bytes_are_the_classes(void **state)
{
    struct scene *scene = *state;
    const char *source;
    write_picture(scene->source, "shots/1.png", 20, 30, 1, 1);
    write_picture(scene->source, "shots/2, \"left\".png", 20, 30, 1, 2);
    write_picture(scene->source, "3.png", 20, 30, 1, 3);
    char *list = use_list(scene,
                          "\xEF\xBB\xBFlabel,operator,path\r\n"
                          "zinc,\"A,\r\nB\",shots/1.png\r\n"
                          "caf\xc3\xa9,,\"shots/2, \"\"left\"\".png\"\r\n"
                          "Zinc,C,3.png\r\n",
                          &source);
    struct dataset *dataset = must_import(&scene->cfg);
    const struct dataset_info *info = dataset_info(dataset);
    assert_int_equal(info->classes, 3);
    assert_string_equal(info->class_names[0], "Zinc");
    assert_string_equal(info->class_names[1], "caf\xc3\xa9");
    assert_string_equal(info->class_names[2], "zinc");
    assert_int_equal(info->train_count, 3);
    assert_int_equal(info->test_count, 0);
    expect_record(dataset, 0, "3.png", 0);
    expect_record(dataset, 1, "shots/1.png", 2);
    expect_record(dataset, 2, "shots/2, \"left\".png", 1);
    dataset_close(&dataset);
    mem_free(list);
}

static void rows_are_split_into_training_and_test_images(void **state)
{
    struct scene *scene = *state;
    const char *source;
    struct import_report report;
    for (int i = 1; i <= 4; i++) {
        char name[16];
        snprintf(name, sizeof name, "%d.png", i);
        write_picture(scene->source, name, 20, 20, 1, (uint64_t)i);
    }
    char *list = use_list(scene,
                          "path,label,split\n1.png,good,test\n2.png,good,train\n"
                          "3.png,bad,train\n4.png,odd,test\n",
                          &source);
    assert_int_equal(dataset_import(&scene->cfg, &report), ERR_OK);
    assert_int_equal(report.train_count, 2);
    assert_int_equal(report.test_count, 1);
    assert_int_equal(report.classes, 2);
    const char *reason = skip_reason(&report, "4.png", SKIP_MISPLACED);
    assert_non_null(reason);
    assert_string_equal(reason, "line 5: a class without training images");
    import_report_fini(&report);
    struct dataset *dataset = NULL;
    assert_int_equal(dataset_open(scene->destination, &dataset), ERR_OK);
    expect_record(dataset, 2, "1.png", 1);
    dataset_close(&dataset);
    mem_free(list);
}

static void images_that_are_not_there_are_skipped_with_their_line(void **state)
{
    struct scene *scene = *state;
    const char *source;
    struct import_report report;
    write_picture(scene->source, "1.png", 20, 20, 1, 1);
    write_picture(scene->source, "2.png", 20, 20, 1, 1);
    write_file(scene->source, "text.png", "words", 5);
    char *list =
        use_list(scene, "path,label\n1.png,a\ngone.png,a\ntext.png,b\n2.png,b\n1.png,a\n", &source);
    assert_int_equal(dataset_import(&scene->cfg, &report), ERR_OK);
    assert_int_equal(report.train_count, 1);
    const char *reason = skip_reason(&report, "gone.png", SKIP_UNREADABLE);
    assert_non_null(reason);
    assert_string_equal(reason, "line 3: cannot be opened and read");
    reason = skip_reason(&report, "text.png", SKIP_WRONG_TYPE);
    assert_non_null(reason);
    assert_non_null(strstr(reason, "line 4: neither"));
    assert_non_null(skip_reason(&report, "1.png", SKIP_DUPLICATE));
    assert_non_null(skip_reason(&report, "2.png", SKIP_CONFLICT));
    import_report_fini(&report);
    mem_free(list);
}

static void the_order_of_rows_changes_nothing(void **state)
{
    struct scene *scene = *state;
    const char *source;
    char name[16];
    for (int i = 0; i < 6; i++) {
        snprintf(name, sizeof name, "%d.png", i);
        write_picture(scene->source, name, 20, 20, 1, (uint64_t)i);
    }
    char *list = use_list(scene,
                          "path,label,split\n0.png,a,train\n1.png,b,train\n2.png,c,train\n"
                          "3.png,a,test\n4.png,b,test\n5.png,c,test\n0.png,a,train\n",
                          &source);
    struct hash first = must_hash(&scene->cfg);
    mem_free(list);
    list = use_list(scene,
                    "split,label,path\ntest,c,5.png\ntest,a,3.png\ntrain,a,0.png\ntrain,c,2.png\n"
                    "train,b,1.png\ntest,b,4.png\ntrain,a,0.png\n",
                    &source);
    struct hash second = must_hash(&scene->cfg);
    assert_memory_equal(first.bytes, second.bytes, HASH_BYTES);
    mem_free(list);
}

static void paths_may_be_absolute(void **state)
{
    struct scene *scene = *state;
    const char *source;
    struct text text;
    write_picture(scene->folder, "elsewhere/1.png", 20, 20, 1, 1);
    text_init(&text);
    text_add(&text, "path,label\n%s/elsewhere/1.png,a\n", (const char *)scene->folder);
    char *list = use_list(scene, text_get(&text), &source);
    struct dataset *dataset = must_import(&scene->cfg);
    assert_int_equal(dataset_info(dataset)->train_count, 1);
    dataset_close(&dataset);
    text_fini(&text);
    mem_free(list);
}

static void rows_that_are_none_are_refused_by_line_and_column(void **state)
{
    static const char *const cases[][2] = {
        {"", "is empty: neither a folder"},
        {"path,class\n", "list.csv:1:1: a list of images begins with"},
        {"1.png,a\n2.png,b\n", "list.csv:1:1: a list of images begins with"},
        {"path,label,path\n", "list.csv:1:12: this column is there twice"},
        {"path,label\n", "lists no training image"},
        {"path,label,split\n1.png,a,test\n", "lists no training image"},
        {"path,label\n1.png\n", "list.csv:2:1: 1 columns; the header has 2"},
        {"path,label\n1.png,a\n,a\n", "list.csv:3:1: a path is 1 to 4095 bytes"},
        {"path,label\n1.png,\n", "list.csv:2:7: an image without a label"},
        {"path,label\n1.png,\"a\nb\"\n", "list.csv:2:8: the class name"},
        {"path,label\n1.png,caf\xe9\n", "is not UTF-8 at its byte 4 (0xe9): rename it"},
        {"path;label\n1.png;a\n", "list.csv:1:1: columns are separated by commas here"},
        {"path,label,split\n1.png,a,train\n2.png,b,train\n1.png,b,test\n",
         "list.csv:4: 1.png is of class \"b\" here and of \"a\" in line 2"},
        {"path,label,split\n1.png,a,val\n", "list.csv:2:9: a split is train or test"},
        {"path,label\n\"1.png,a\n", "list.csv:2:2: a quote is not closed"},
    };
    struct scene *scene = *state;
    write_picture(scene->source, "1.png", 20, 20, 1, 1);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct import_report report;
        const char *source;
        char *list = use_list(scene, cases[i][0], &source);
        assert_int_equal(dataset_import(&scene->cfg, &report), ERR_DATA);
        if (!strstr(err_text(), cases[i][1]))
            fail_msg("\"%s\" instead of \"%s\"", err_text(), cases[i][1]);
        assert_false(file_exists(scene->destination));
        import_report_fini(&report);
        mem_free(list);
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, scene_make, scene_remove)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(labels_of_a_list_in_the_order_of_their_bytes_are_the_classes),
        TEST(rows_are_split_into_training_and_test_images),
        TEST(images_that_are_not_there_are_skipped_with_their_line),
        TEST(the_order_of_rows_changes_nothing),
        TEST(paths_may_be_absolute),
        TEST(rows_that_are_none_are_refused_by_line_and_column),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
