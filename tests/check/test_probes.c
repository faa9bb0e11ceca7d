/* A folder of probes: bundles that `glowworm check` knows for what they are, an index, and one
 * command that tries them. */
#include "base/file.h"
#include "base/mem.h"
#include "cluster/check/check_run.h"
#include "cluster/probes.h"
#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define CHECK(call)                                                                                \
    do {                                                                                           \
        if ((call) != ERR_OK)                                                                      \
            fail_msg("%s: %s", #call, err_text());                                                 \
    } while (0)

static char folder[] = "/tmp/glowworm-probes-XXXXXX", probes[64];
static struct camera_device device;

static int write_probes(void **state)
{
    (void)state;
    assert_non_null(mkdtemp(folder));
    snprintf(probes, sizeof probes, "%s/probes", folder);
    CHECK(camera_device_load("firefly-dl-colour", &device));
    CHECK(probes_write(&device, probes));
    return 0;
}

static int remove_probes(void **state)
{
    (void)state;
    return file_remove_folder(folder) != ERR_OK;
}

static char *read_text(const char *name)
{
    char *path = file_join(probes, name), *bytes = NULL;
    size_t size = 0;
    CHECK(file_read(path, 1 << 20, &bytes, &size));
    mem_free(path);
    return bytes;
}

static void expect(const char *text, const char *words)
{
    if (!strstr(text, words))
        fail_msg("\"%s\" is not in:\n%s", words, text);
}

static int count_failures(const char *name, const char *words)
{
    struct bundle_check found;
    struct bundle_check_cfg cfg = {.images = 4, .threads = 1, .loss_max = 100};
    char *bundle = file_join(probes, name);
    size_t i = 0;
    int count = 0;
    json_t *sentence = NULL;
    cfg.bundle = bundle;
    CHECK(bundle_check_run(&cfg, &found));
    json_array_foreach(found.failures, i, sentence) count +=
        strstr(json_string_value(sentence), words) != NULL;
    assert_int_equal(found.frames, 4);
    bundle_check_fini(&found);
    mem_free(bundle);
    return count;
}

static void
a_check_finds_in_each_probe_the_rule_that_it_breaks_and_none_in_the_baseline(void **state)
{
    (void)state;
    char *text = read_text("probes.json");
    json_t *rows = json_loads(text, 0, NULL), *row = NULL;
    size_t i = 0;
    assert_true(json_array_size(rows) > 8);
    json_array_foreach(rows, i, row)
    {
        const char *name = json_string_value(json_object_get(row, "name"));
        const char *rule = json_string_value(json_object_get(row, "rule"));
        char words[64] = "";
        if (json_string_value(json_object_get(row, "left_out"))[0])
            continue;
        snprintf(words, sizeof words, ": rule %s", rule ? rule : "");
        if (rule && count_failures(name, words) < 1)
            fail_msg("%s: the check does not find rule %s broken", name, rule);
        if (!rule)
            assert_int_equal(count_failures(name, ""), 0);
    }
    json_decref(rows);
    mem_free(text);
}

static void the_index_says_what_breaks_what_is_expected_and_how_to_try(void **state)
{
    (void)state;
    char *readme = read_text("README.txt");
    expect(readme, "\nbaseline\n  expected   accepted, and its answers are right\n");
    expect(readme,
           "\ndepthwise-kernels-kernel-depthwise\n  rule       depthwise-kernels, documented (");
    expect(readme, "breaks it  layer block1_depthwise is a depthwise convolution of 5x5");
    expect(readme, "nobody tried: accepted and right, accepted and wrong, or refused");
    expect(readme, "mvNCCompile -s 12 -in=input -on=probabilities -o tensorflow.graph network.pb");
    expect(readme, "answer     to samples/00 in fp16/fp32: class ");
    expect(readme, "\ngraph-weights\n  rule       graph, documented (");
    expect(readme, "left out   a network that breaks it has a map or weights of ");
    expect(readme, "mvNCCompile -s 12 -in=input -on=probabilities -o tensorflow.graph misread.pb");
    mem_free(readme);
}

/* What the exporter refuses to write for the converter is still what it says: OpenCV answers so. */
static void networks_that_the_converter_misreads_are_read_rightly_by_others(void **state)
{
    (void)state;
    char command[256];
    snprintf(command, sizeof command,
             "/usr/bin/python3 tests/check/read_misread.py %s/operations-squeeze-excite "
             "%s/operations-h-swish",
             probes, probes);
    assert_int_equal(system(command), 0);
}

/* A converter that knows 3x3 only, found first on the path. */
static void one_command_tries_all_of_them(void **state)
{
    (void)state;
    static const char converter[] = "#!/bin/sh\ncase $(pwd) in *kernel*) echo no; exit 1;; esac\n";
    char path[128], command[256];
    snprintf(path, sizeof path, "%s/mvNCCompile", folder);
    CHECK(file_write(path, converter, sizeof converter - 1));
    assert_int_equal(chmod(path, 0755), 0);
    snprintf(command, sizeof command, "PATH=%s:$PATH %s/try-all.sh > /dev/null", folder, probes);
    assert_int_equal(system(command), 0);
    char *results = read_text("results.txt");
    expect(results, "baseline tensorflow accepted\n");
    expect(results, "baseline caffe accepted\n");
    expect(results, "depthwise-kernels-kernel-depthwise tensorflow refused\n");
    mem_free(results);
}

static void probes_replace_probes_and_nothing_else(void **state)
{
    (void)state;
    char other[128];
    CHECK(probes_write(&device, probes));
    snprintf(other, sizeof other, "%s/mine/letters", folder);
    CHECK(file_make_folders(other));
    snprintf(other, sizeof other, "%s/mine", folder);
    assert_int_equal(probes_write(&device, other), ERR_CONFIG);
    expect(err_text(), "mine exists and holds no probes");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(
            a_check_finds_in_each_probe_the_rule_that_it_breaks_and_none_in_the_baseline),
        cmocka_unit_test(the_index_says_what_breaks_what_is_expected_and_how_to_try),
        cmocka_unit_test(networks_that_the_converter_misreads_are_read_rightly_by_others),
        cmocka_unit_test(one_command_tries_all_of_them),
        cmocka_unit_test(probes_replace_probes_and_nothing_else),
    };
    return cmocka_run_group_tests(tests, write_probes, remove_probes);
}
