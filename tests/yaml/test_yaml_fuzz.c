/* Mutated configuration files: whatever the bytes, an answer in words and no crash. */
#include "base/file.h"
#include "base/mem.h"
#include "base/yaml/schema.h"
#include "tests/spec/spec_test.h"
#include "tests/yaml/mutate.h"
#include "trainer/spec/campaign.h"
#include <stdio.h>
#include <string.h>

#define SEED   20200426
#define ROUNDS 12000

static const char *const files[] = {"configs/quickstart.yaml", "configs/fashion.yaml",
                                    "configs/spaces/mbv3.yaml",
                                    "configs/devices/firefly-dl-mono.yaml"};

/* Reads and walks the bytes; returns whether they were taken. */
static bool try_bytes(const char *bytes, size_t size, struct campaign *into, uint64_t round)
{
    struct yaml *yaml = NULL;
    err_set(ERR_OK, "%s", "");
    enum err err = yaml_parse("fuzz.yaml", bytes, size, &yaml);
    if (err == ERR_OK) {
        struct yaml_errors *errors = yaml_errors_create();
        schema_fill(campaign_schema(), yaml_root(yaml), errors, into);
        err = yaml_errors_end(errors);
        yaml_errors_destroy(errors);
    }
    yaml_close(&yaml);
    if (err != ERR_OK && (err != ERR_CONFIG || strncmp(err_text(), "fuzz.yaml", 9) != 0))
        fail_msg("seed %d, round %llu: %s: %s", SEED, (unsigned long long)round, err_name(err),
                 err_text());
    return err == ERR_OK;
}

static void mutated_files_are_answered_in_words(void **state)
{
    (void)state;
    char *bytes = mem_alloc(MUTATE_ROOM);
    struct campaign *campaign = mem_alloc(sizeof *campaign);
    int taken = 0, refused = 0;
    for (uint64_t round = 0; round < ROUNDS; round++) {
        char *original = NULL;
        size_t size = 0;
        assert_ok(file_read(files[round % 4], MUTATE_ROOM / 2, &original, &size));
        memcpy(bytes, original, size);
        mem_free(original);
        size = mutate_bytes(SEED, round, bytes, size);
        *(try_bytes(bytes, size, campaign, round) ? &taken : &refused) += 1;
    }
    mem_free(campaign);
    mem_free(bytes);
    /* Both answers must occur, or the mutation tests nothing. */
    if (taken < 200 || refused < ROUNDS / 2)
        fail_msg("seed %d: %d taken, %d refused", SEED, taken, refused);
}

static void every_cut_of_a_file_is_answered_in_words(void **state)
{
    (void)state;
    char *bytes = NULL;
    size_t size = 0;
    struct campaign *campaign = mem_alloc(sizeof *campaign);
    assert_ok(file_read(files[0], MUTATE_ROOM, &bytes, &size));
    assert_true(try_bytes(bytes, size, campaign, 0));
    for (size_t cut = 0; cut < size; cut++)
        try_bytes(bytes, cut, campaign, cut);
    mem_free(campaign);
    mem_free(bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(mutated_files_are_answered_in_words),
        cmocka_unit_test(every_cut_of_a_file_is_answered_in_words),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
