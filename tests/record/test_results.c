/* Results are written by whoever owns the run. */
#include "base/fence.h"
#include "tests/scratch.h"
#include "trainer/record/results.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h> /* needs the four above */

static void must(enum err err)
{
    if (err != ERR_OK)
        fail_msg("%s: %s", err_name(err), err_text());
}

static void an_owner_that_was_replaced_writes_no_result(void **state)
{
    struct text mixed;
    text_init(&mixed);
    struct run_record record = {.folder = *state, .claim = 4, .lineage = "cpu", .mixed = &mixed};
    char *claim = fence_path(*state, 5, ""), *result = file_join(*state, "results/search.json");
    char *published = file_join(*state, "published"), *bytes = NULL;
    size_t size = 0;
    must(file_make_folders(published));
    must(results_write(&record, "search", json_pack("{s:i}", "round", 1)));
    must(file_write(claim, "", 0));
    assert_int_equal(results_write(&record, "search", json_pack("{s:i}", "round", 2)), ERR_AGAIN);
    must(file_read(result, 4096, &bytes, &size));
    assert_non_null(strstr(bytes, "\"round\": 1"));
    record.claim = 5;
    must(results_write(&record, "search", json_pack("{s:i}", "round", 3)));
    mem_free(bytes), mem_free(published), mem_free(result), mem_free(claim);
}

static void a_run_without_claims_is_asked_nothing(void **state)
{
    struct text mixed;
    text_init(&mixed);
    const struct run_record record = {.folder = *state, .lineage = "cpu", .mixed = &mixed};
    char *claim = fence_path(*state, 1, ""), *published = file_join(*state, "published");
    must(file_make_folders(published));
    must(file_write(claim, "", 0));
    must(results_write(&record, "search", json_pack("{s:i}", "round", 1)));
    mem_free(published), mem_free(claim);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define A_TEST(name) cmocka_unit_test_setup_teardown(name, scratch_make, scratch_remove)
        A_TEST(an_owner_that_was_replaced_writes_no_result),
        A_TEST(a_run_without_claims_is_asked_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
