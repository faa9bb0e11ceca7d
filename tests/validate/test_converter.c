/* The maker's converter, played by a script: what it gets, and what becomes of what it makes. */
#include "base/file.h"
#include "base/mem.h"
#include "cluster/validate/conversion_record.h"
#include "cluster/validate/converter.h"
#include "tests/scratch.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

static void put(const char *folder, const char *name, const char *text)
{
    char *path = file_join(folder, name);
    assert_int_equal(file_write(path, text, strlen(text)), ERR_OK);
    assert_int_equal(chmod(path, 0755), 0);
    mem_free(path);
}

/* Runs the script as a converter of a bundle with one file. */
static enum err convert(const char *folder, const char *script, const char *word)
{
    char *program = file_join(folder, "converter");
    const char *argv[] = {program, word, NULL};
    put(folder, "converter", script);
    put(folder, "network.pb", "graphdef");
    enum err err = converter_run(&(struct converter_cfg){.bundle = folder, .argv = argv});
    mem_free(program);
    return err;
}

static bool has(const char *folder, const char *name)
{
    char *path = file_join(folder, name);
    bool is_there = file_exists(path);
    mem_free(path);
    return is_there;
}

static void the_graph_comes_into_the_bundle_and_nothing_else(void **state)
{
    char *path = file_join(*state, "converted.graph"), *bytes = NULL;
    size_t size = 0;
    assert_int_equal(
        convert(*state,
                "#!/bin/sh\n[ \"$1\" = '$(id)' ] || exit 3\ncat network.pb >firefly.graph\n"
                "echo more >>firefly.graph\ntouch litter\n",
                "$(id)"),
        ERR_OK);
    assert_int_equal(file_read(path, 100, &bytes, &size), ERR_OK);
    assert_string_equal(bytes, "graphdefmore\n");
    assert_false(has(*state, "litter"));
    assert_false(has(*state, "firefly.graph")); /* which would be a person's */
    mem_free(bytes);
    mem_free(path);
}

static void one_that_fails_is_told_by_its_last_words(void **state)
{
    assert_int_equal(
        convert(*state, "#!/bin/sh\necho step 1\necho '[Error 5] Stage' >&2\nexit 5\n", "x"),
        ERR_FAILED);
    assert_non_null(strstr(err_text(), "[Error 5] Stage"));
    assert_false(has(*state, "converted.graph"));
}

static void a_graph_is_believed_for_its_own_words_and_files_only(void **state)
{
    char *program = file_join(*state, "converter");
    const char *words[] = {program, "x", NULL}, *others[] = {program, "x", "-s", NULL},
               *none[] = {NULL};
    assert_false(conversion_record_holds(*state, none));
    assert_int_equal(convert(*state, "#!/bin/sh\ncat network.pb >firefly.graph\n", "x"), ERR_OK);
    assert_true(conversion_record_holds(*state, words));
    assert_true(conversion_record_holds(*state, none)); /* a bundle that was carried elsewhere */
    assert_false(conversion_record_holds(*state, others));
    put(*state, "network.pb", "another");
    assert_false(conversion_record_holds(*state, words));
    put(*state, "network.pb", "graphdef");
    assert_true(conversion_record_holds(*state, words));
    put(*state, "converted.graph", "somebody's");
    assert_false(conversion_record_holds(*state, words));
    mem_free(program);
}

static void one_that_writes_no_graph_is_told(void **state)
{
    assert_int_equal(convert(*state, "#!/bin/sh\ntouch graph\n", "x"), ERR_FAILED);
    assert_non_null(strstr(err_text(), "compile.converter"));
}

static void one_that_is_not_installed_waits_for_a_person(void **state)
{
    const char *argv[] = {"mvNCCompile-that-nobody-has", NULL};
    assert_int_equal(converter_run(&(struct converter_cfg){.bundle = *state, .argv = argv}),
                     ERR_HELD);
    assert_non_null(strstr(err_text(), "put firefly.graph into the bundle"));
}

#define IN_FOLDER(test) cmocka_unit_test_setup_teardown(test, scratch_make, scratch_remove)

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_FOLDER(the_graph_comes_into_the_bundle_and_nothing_else),
        IN_FOLDER(a_graph_is_believed_for_its_own_words_and_files_only),
        IN_FOLDER(one_that_fails_is_told_by_its_last_words),
        IN_FOLDER(one_that_writes_no_graph_is_told),
        IN_FOLDER(one_that_is_not_installed_waits_for_a_person),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
