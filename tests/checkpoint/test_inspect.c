/* Statistics and differences of tensors, on values whose answers are known beforehand. */
#include "tests/checkpoint/fixture.h"
#include "trainer/checkpoint/compare.h"
#include "trainer/checkpoint/safetensors.h"
#include "trainer/checkpoint/statistics.h"
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h> /* needs the four above */

static void must(enum err err)
{
    if (err != ERR_OK)
        fail_msg("%s: %s", err_name(err), err_text());
}

/* One tensor of rank 1; values are copied. */
static void set_tensor(struct tensor *tensor, const char *name, const float *values, int64_t count)
{
    *tensor = (struct tensor){.rank = 1, .shape = {count}, .count = (uint64_t)count};
    snprintf(tensor->name, sizeof tensor->name, "%s", name);
    tensor->values = mem_array((size_t)count, sizeof *values);
    for (int64_t i = 0; i < count; i++)
        tensor->values[i] = values[i];
}

struct given {
    const char *name;
    const float *values;
    int64_t count;
};

/* Saves these tensors under their own stage and closes the store. */
static void save(const char *path, const char *stage, const struct given *given, int count)
{
    struct checkpoint_store *store = NULL;
    struct checkpoint checkpoint;
    make_checkpoint(stage, 1, &checkpoint);
    for (int i = 0; i < TENSORS; i++)
        mem_free(checkpoint.tensors[i].values);
    checkpoint.tensor_count = count;
    for (int i = 0; i < count; i++)
        set_tensor(&checkpoint.tensors[i], given[i].name, given[i].values, given[i].count);
    must(open_at(path, true, 5, &store));
    must(checkpoint_save(store, &checkpoint));
    must(checkpoint_wait(store));
    checkpoint_store_close(&store);
    checkpoint_fini(&checkpoint);
}

static void assert_statistics(const struct statistics *of, const double expected[4])
{
    const double got[] = {of->minimum, of->maximum, of->mean, of->deviation};
    for (int i = 0; i < 4; i++)
        if (isnan(expected[i]) ? !isnan(got[i]) : fabs(got[i] - expected[i]) > 1e-12)
            fail_msg("number %d is %.17g, expected %.17g", i, got[i], expected[i]);
}

static void statistics_are_of_the_finite_values_and_count_the_others(void **state)
{
    const float mixed[] = {1, NAN, 4, -INFINITY, -2, INFINITY, NAN, NAN};
    const float lost[] = {NAN, NAN};
    const struct given given[] = {{"mixed", mixed, 8}, {"lost", lost, 2}, {"empty", lost, 0}};
    struct checkpoint_store *store = NULL;
    struct checkpoint checkpoint = {0};
    struct statistics *statistics = NULL;
    save(*state, "odd", given, 3);
    must(open_at(*state, false, 1, &store));
    must(checkpoint_statistics(store, "latest", &checkpoint, &statistics));
    assert_int_equal(checkpoint.tensor_count, 3);
    assert_statistics(&statistics[0], (double[]){-2, 4, 1, sqrt(6)});
    assert_int_equal(statistics[0].count, 8);
    assert_int_equal(statistics[0].nan, 3);
    assert_int_equal(statistics[0].infinite, 2);
    assert_statistics(&statistics[1], (double[]){NAN, NAN, NAN, NAN});
    assert_int_equal(statistics[1].nan, 2);
    assert_statistics(&statistics[2], (double[]){NAN, NAN, NAN, NAN});
    assert_int_equal(statistics[2].count, 0);
    mem_free(statistics);
    checkpoint_fini(&checkpoint);
    checkpoint_store_close(&store);
}

/* A sum of squares would lose every digit of the deviation: 1e14 against 1/4, a million times. */
static void values_far_from_zero_keep_their_deviation(void **state)
{
    enum { COUNT = 3000000, PIECE = 7001 };
    float *values = mem_array(PIECE, sizeof *values);
    struct statistics_sum sum = {0};
    (void)state;
    for (int done = 0; done < COUNT;) {
        int count = COUNT - done < PIECE ? COUNT - done : PIECE;
        for (int i = 0; i < count; i++)
            values[i] = (done + i) % 2 ? 8388608.0f : 8388607.0f; /* neighbours */
        statistics_add(&sum, values, (size_t)count);
        done += count;
    }
    struct statistics of = statistics_of(&sum);
    mem_free(values);
    assert_int_equal(of.count, COUNT);
    assert_true(fabs(of.mean - 8388607.5) < 1e-6);
    assert_true(fabs(of.deviation - 0.5) < 1e-9);
}

static const struct difference *find_difference_of(const struct comparison *comparison,
                                                   const char *name)
{
    for (int i = 0; i < comparison->count; i++) {
        const struct difference *one = &comparison->differences[i];
        const struct tensor *tensor = one->left >= 0 ? &comparison->left.tensors[one->left]
                                                     : &comparison->right.tensors[one->right];
        if (strcmp(tensor->name, name) == 0)
            return one;
    }
    fail_msg("nothing is said of %s", name);
    return NULL;
}

static void assert_kind(const struct comparison *comparison, const char *name,
                        enum difference_kind kind)
{
    assert_int_equal(find_difference_of(comparison, name)->kind, kind);
}

static void assert_compared(const struct comparison *comparison)
{
    const struct difference *moved = find_difference_of(comparison, "moved");
    assert_int_equal(comparison->count, 6);
    assert_kind(comparison, "same", DIFFERENCE_NONE); /* NaN of the same bits among them */
    assert_kind(comparison, "moved", DIFFERENCE_VALUES);
    assert_kind(comparison, "grown", DIFFERENCE_SHAPE);
    assert_kind(comparison, "old", DIFFERENCE_ONLY_LEFT);
    assert_kind(comparison, "late", DIFFERENCE_ONLY_RIGHT);
    assert_int_equal(moved->changed, 4);
    assert_int_equal(moved->nonfinite, 1);
    assert_true(moved->norm == 5); /* of 3, 4 and zeros */
    assert_true(moved->distance == 2.5);
    assert_true(moved->largest == 2);
    assert_true(difference_relative(moved) == 0.5);
    const struct difference *from_zero = find_difference_of(comparison, "zero");
    assert_true(isinf(difference_relative(from_zero)));
}

static void two_checkpoints_are_compared_by_name_whichever_stores_they_lie_in(void **state)
{
    const float same[] = {1, NAN}, zero[] = {0}, one[] = {1};
    const float moved[] = {3, 4, 0, 0.0f, 0}, after[] = {3, 5.5f, -2, -0.0f, NAN};
    const struct given left[] = {{"same", same, 2},
                                 {"moved", moved, 5},
                                 {"grown", same, 1},
                                 {"old", one, 1},
                                 {"zero", zero, 1}};
    const struct given right[] = {{"late", one, 1},
                                  {"grown", same, 2},
                                  {"moved", after, 5},
                                  {"zero", one, 1},
                                  {"same", same, 2}};
    char *apart = file_join(*state, "apart"), *both = file_join(*state, "both");
    save(both, "left", left, 5);
    save(both, "right", right, 5);
    save(apart, "right", right, 5);
    struct checkpoint_store *store = NULL, *other = NULL;
    must(open_at(both, false, 1, &store));
    must(open_at(apart, false, 1, &other));
    struct checkpoint_store *const seconds[] = {store, other};
    for (int i = 0; i < 2; i++) {
        struct comparison comparison = {0};
        must(checkpoint_compare(store, "left/latest", seconds[i], "right/latest", &comparison));
        assert_compared(&comparison);
        comparison_fini(&comparison);
    }
    checkpoint_store_close(&other);
    checkpoint_store_close(&store);
    mem_free(apart);
    mem_free(both);
}

/* The largest tensor of the fixture has three chunks. */
static void tensors_of_many_chunks_are_compared_to_the_last_value(void **state)
{
    struct checkpoint_store *store = NULL;
    struct comparison comparison = {0};
    must(open_at(*state, true, 5, &store));
    must(save_step(store, "first", 3, false, NULL));
    must(save_step(store, "second", 4, false, NULL));
    must(checkpoint_compare(store, "first/latest", store, "second/latest", &comparison));
    double squares = 0, distance = 0;
    for (uint64_t e = 0; e < elements_of(3); e++) {
        double a = value_of(3, 3, e), b = value_of(4, 3, e);
        squares += a * a;
        distance += (b - a) * (b - a);
    }
    assert_true(fabs(comparison.differences[3].norm - sqrt(squares)) < 1e-9);
    assert_true(fabs(comparison.differences[3].distance - sqrt(distance)) < 1e-9);
    assert_int_equal(comparison.differences[TENSORS - 1].kind, DIFFERENCE_NONE);
    assert_int_equal(comparison.differences[4].kind, DIFFERENCE_NONE); /* empty */
    comparison_fini(&comparison);
    must(checkpoint_compare(store, "first/latest", store, "first/latest", &comparison));
    for (int i = 0; i < comparison.count; i++)
        assert_int_equal(comparison.differences[i].kind, DIFFERENCE_NONE);
    comparison_fini(&comparison);
    assert_int_equal(checkpoint_compare(store, "first/latest", store, "third/latest", &comparison),
                     ERR_NOT_FOUND);
    assert_non_null(strstr(err_text(), "third/latest"));
    checkpoint_store_close(&store);
}

/* One byte of the stored file that holds the wanted pattern of values is changed. */
static void spoil(const char *folder, const float *pattern, size_t size_bytes)
{
    char *path = file_join(folder, "data.mdb"), *bytes = NULL;
    size_t size = 0;
    must(file_read(path, 1 << 30, &bytes, &size));
    char *found = memmem(bytes, size, pattern, size_bytes);
    assert_non_null(found);
    for (; found; found = memmem(found, size - (size_t)(found - bytes), pattern, size_bytes))
        found[0] ^= 1;
    must(file_write(path, bytes, size));
    mem_free(bytes);
    mem_free(path);
}

static void damaged_values_are_named_and_no_numbers_are_told(void **state)
{
    const float values[] = {11.25f, 12.5f, 13.75f, 14.125f}, other[] = {1, 2, 3, 4};
    const struct given given[] = {{"layer.weight", values, 4}},
                       right[] = {{"layer.weight", other, 4}};
    struct checkpoint_store *store = NULL;
    struct checkpoint checkpoint = {0};
    struct statistics *statistics = NULL;
    struct comparison comparison = {0};
    save(*state, "left", given, 1);
    save(*state, "right", right, 1);
    spoil(*state, values, sizeof values);
    must(open_at(*state, false, 1, &store));
    assert_int_equal(checkpoint_statistics(store, "left/latest", &checkpoint, &statistics),
                     ERR_DATA);
    assert_non_null(strstr(err_text(), "layer.weight"));
    assert_null(statistics);
    assert_int_equal(checkpoint_compare(store, "right/latest", store, "left/latest", &comparison),
                     ERR_DATA);
    assert_non_null(strstr(err_text(), "layer.weight of checkpoint \"left/latest\""));
    checkpoint_store_close(&store);
}

static void a_name_that_a_terminal_would_obey_is_refused(void **state)
{
    struct checkpoint_store *store = NULL;
    struct checkpoint checkpoint;
    make_checkpoint("left", 1, &checkpoint);
    snprintf(checkpoint.tensors[2].name, sizeof checkpoint.tensors[2].name, "layer\033[2J");
    must(open_at(*state, true, 1, &store));
    must(checkpoint_save(store, &checkpoint));
    assert_int_equal(checkpoint_wait(store),
                     ERR_DATA); /* what was written is read before it counts */
    assert_non_null(strstr(err_text(), "unprintable"));
    checkpoint_store_close(&store);
    checkpoint_fini(&checkpoint);
}

static void a_written_header_reads_back_as_what_it_describes(void **state)
{
    const float values[] = {1, 2, 3, 4, 5, 6, NAN};
    struct tensor given[3] = {{.name = "a.weight", .rank = 2, .shape = {2, 3}, .count = 6},
                              {.name = "b", .rank = 0, .count = 1},
                              {.name = "empty", .rank = 1, .shape = {0}}};
    const struct safetensors_note notes[] = {{"space", "name: \"x\"\n"}, {"format", "pt"}};
    struct tensor *read = NULL;
    struct text file;
    char *path = file_join(*state, "file.safetensors");
    int count = 0;
    text_init(&file);
    safetensors_header(given, 3, notes, 2, &file);
    assert_int_equal(file.size % 8, 0);
    text_add_bytes(&file, values, sizeof values);
    must(file_write(path, file.bytes, file.size));
    must(safetensors_read(path, &read, &count));
    assert_int_equal(count, 3);
    for (int i = 0; i < 3; i++) {
        assert_string_equal(read[i].name, given[i].name);
        assert_int_equal(read[i].rank, given[i].rank);
        assert_memory_equal(read[i].shape, given[i].shape, sizeof read[i].shape);
    }
    assert_memory_equal(read[0].values, values, 6 * sizeof *values);
    assert_memory_equal(read[1].values, values + 6, sizeof *values);
    safetensors_free(read, count);
    text_fini(&file);
    mem_free(path);
}

#define T(name) cmocka_unit_test_setup_teardown(name, scratch_make, scratch_remove)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(statistics_are_of_the_finite_values_and_count_the_others),
        cmocka_unit_test(values_far_from_zero_keep_their_deviation),
        T(two_checkpoints_are_compared_by_name_whichever_stores_they_lie_in),
        T(tensors_of_many_chunks_are_compared_to_the_last_value),
        T(damaged_values_are_named_and_no_numbers_are_told),
        T(a_name_that_a_terminal_would_obey_is_refused),
        T(a_written_header_reads_back_as_what_it_describes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
