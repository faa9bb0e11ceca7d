/* glowworm evaluate from end to end: a checkpoint on disk with the golden formula's weights, images
 * in a .npy file, and the reference's logits out; and what it refuses. */
#include "base/text.h"
#include "cluster/command.h"
#include "cluster/npy.h"
#include "tests/golden/formula.h"
#include "tests/scratch.h"
#include "tests/support/test_device.h"
#include "trainer/weights/model.h"
#include <jansson.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

enum { MAX_ARGUMENTS = 16, SPACE_BYTES = 1 << 16 };

struct fixture {
    char *folder, *store, *images, *logits;
    json_t *golden;
};

static void must(enum err err)
{
    if (err != ERR_OK)
        fail_msg("%s: %s", err_name(err), err_text());
}

/* Every tensor of a net, as a checkpoint with that space. */
static void fill_checkpoint(struct supernet *net, bool has_statistics,
                            struct checkpoint *checkpoint)
{
    size_t size = 0;
    *checkpoint = (struct checkpoint){.tensor_count = supernet_tensor_count(net)};
    must(file_read("configs/spaces/mbv3.yaml", SPACE_BYTES, &checkpoint->meta.space, &size));
    checkpoint->meta.width_multiplier = 1;
    checkpoint->meta.classes = 10;
    checkpoint->meta.channels = 3;
    checkpoint->meta.has_statistics = has_statistics;
    snprintf(checkpoint->position.stage, sizeof checkpoint->position.stage, "%s",
             has_statistics ? "import" : "bare");
    checkpoint->position.is_final = true;
    checkpoint->tensors = mem_array((size_t)checkpoint->tensor_count, sizeof(struct tensor));
    for (int i = 0; i < checkpoint->tensor_count; i++) {
        struct tensor *tensor = &checkpoint->tensors[i];
        struct supernet_tensor from;
        supernet_tensor_at(net, i, &from);
        snprintf(tensor->name, sizeof tensor->name, "%s", from.name);
        tensor->rank = from.rank;
        for (int axis = 0; axis < from.rank; axis++)
            tensor->shape[axis] = from.shape[axis];
        tensor->count = from.count;
        tensor->values = mem_array(from.count, sizeof(float));
        must(supernet_get_tensor(net, &from, tensor->values));
    }
}

static void save(struct checkpoint_store *store, struct supernet *net, bool has_statistics)
{
    struct checkpoint checkpoint;
    fill_checkpoint(net, has_statistics, &checkpoint);
    must(checkpoint_save(store, &checkpoint));
    must(checkpoint_wait(store));
    checkpoint_fini(&checkpoint);
}

static void make_store(const char *path, uint64_t seed)
{
    struct device *device = NULL;
    struct supernet *net = NULL;
    struct checkpoint_store *store = NULL;
    struct space space;
    must(space_load("configs/spaces/mbv3.yaml", 1.0, 10, 3, &space));
    must(device_open(
        &(struct device_cfg){
            .name = test_device(), .threads = 1, .isa = ISA_AUTO, .precision = test_precision()},
        &device));
    must(supernet_create(&space, device, &net));
    formula_fill(net, seed);
    struct checkpoint_store_cfg cfg = {.path = path, .is_writer = true, .keep = 3};
    must(checkpoint_store_open(&cfg, &store));
    save(store, net, true);
    save(store, net, false);
    checkpoint_store_close(&store);
    supernet_destroy(&net);
    device_close(&device);
}

static int open_fixture(void **state)
{
    struct fixture *fixture = mem_alloc(sizeof *fixture);
    void *folder = NULL;
    if (scratch_make(&folder) != 0)
        return -1;
    fixture->folder = folder;
    fixture->store = file_join(folder, "store");
    fixture->images = file_join(folder, "images.npy");
    fixture->logits = file_join(folder, "logits.npy");
    fixture->golden = json_load_file("tests/golden/data/ofa_mbv3_w1.0.json", 0, NULL);
    assert_non_null(fixture->golden);
    make_store(fixture->store, 1);
    *state = fixture;
    return 0;
}

static int close_fixture(void **state)
{
    struct fixture *fixture = *state;
    void *folder = fixture->folder;
    json_decref(fixture->golden);
    mem_free(fixture->store);
    mem_free(fixture->images);
    mem_free(fixture->logits);
    mem_free(fixture);
    return scratch_remove(&folder);
}

/* The formula's images as (N,3,R,R). */
static void write_images(const char *path, int N, int channels, int R)
{
    struct text file, header;
    text_init(&file);
    text_init(&header);
    text_add(&header, "{'descr': '<f4', 'fortran_order': False, 'shape': (%d, %d, %d, %d), }\n", N,
             channels, R, R);
    const char start[10] = {'\x93', 'N', 'U', 'M', 'P', 'Y', 1, 0, (char)header.size, 0};
    text_add_bytes(&file, start, sizeof start);
    text_add_bytes(&file, header.bytes, header.size);
    for (size_t i = 0; i < (size_t)N * (size_t)channels * (size_t)R * (size_t)R; i++) {
        float value = (float)formula_unit("images", 1, i);
        text_add_bytes(&file, &value, sizeof value);
    }
    must(file_write(path, file.bytes, file.size));
    text_fini(&file);
    text_fini(&header);
}

/* glowworm evaluate STORE@name --subnet .. --input .. --mode .. --output .. */
static enum err evaluate(struct fixture *fixture, const char *name, const char *subnet,
                         const char *mode)
{
    char reference[600], genes[400], mode_name[16], device[32];
    snprintf(reference, sizeof reference, "%s@%s", fixture->store, name);
    snprintf(genes, sizeof genes, "%s", subnet);
    snprintf(mode_name, sizeof mode_name, "%s", mode);
    snprintf(device, sizeof device, "%s", test_device());
    char *argv[MAX_ARGUMENTS] = {
        "evaluate", reference,  "--subnet",      genes,    "--input",  fixture->images, "--mode",
        mode_name,  "--output", fixture->logits, "--json", "--device", device};
    return cmd_evaluate(13, argv);
}

static void list_genes(const json_t *subnet, const char *key, const char *name, struct text *text)
{
    const json_t *list = json_object_get(subnet, key);
    for (size_t i = 0; i < json_array_size(list); i++)
        text_add(text, "%s%d", i ? "," : name, (int)json_integer_value(json_array_get(list, i)));
}

static void check_logits(struct fixture *fixture, const json_t *expected)
{
    struct npy npy = {0};
    must(npy_read(fixture->logits, 1 << 20, &npy));
    assert_int_equal(npy.rank, 2);
    assert_int_equal(npy.shape[0], json_array_size(expected));
    assert_int_equal(npy.shape[1], 10);
    double most = 0, off = 0;
    for (size_t i = 0; i < npy.count; i++) {
        double value = json_real_value(json_array_get(json_array_get(expected, i / 10), i % 10));
        most = fmax(most, fabs(value));
        off = fmax(off, fabs(value - npy.values[i]));
    }
    if (!(off <= 1e-3 * most))
        fail_msg("largest logit %.6g, off by %.3g", most, off);
    npy_fini(&npy);
}

static void logits_of_a_checkpoint_are_the_reference_s(void **state)
{
    struct fixture *fixture = *state;
    const json_t *forward = json_object_get(fixture->golden, "forward");
    for (size_t i = 0; i < 4; i++) {
        const json_t *entry = json_array_get(forward, i);
        const json_t *subnet = json_object_get(entry, "subnet");
        int R = (int)json_integer_value(json_object_get(entry, "resolution"));
        struct text genes;
        text_init(&genes);
        list_genes(subnet, "ks", "k=", &genes);
        list_genes(subnet, "e", " e=", &genes);
        list_genes(subnet, "d", " d=", &genes);
        write_images(fixture->images, (int)json_integer_value(json_object_get(entry, "batch")), 3,
                     R);
        must(evaluate(fixture, "import/final", text_get(&genes), "eval"));
        check_logits(fixture, json_object_get(entry, "logits_eval"));
        must(evaluate(fixture, "bare/final", text_get(&genes), "train"));
        check_logits(fixture, json_object_get(entry, "logits_train"));
        text_fini(&genes);
    }
}

static void check_refused(struct fixture *fixture, const char *name, const char *subnet,
                          const char *mode, enum err expected, const char *reason)
{
    enum err err = evaluate(fixture, name, subnet, mode);
    if (err != expected || !strstr(err_text(), reason))
        fail_msg("%s (%s) where %s (%s) was expected", err_name(err), err_text(),
                 err_name(expected), reason);
    assert_false(file_exists(fixture->logits));
}

static void what_does_not_fit_is_refused(void **state)
{
    struct fixture *fixture = *state;
    write_images(fixture->images, 2, 3, 32);
    check_refused(fixture, "bare/final", "k=3 e=3 d=2", "eval", ERR_DATA, "calibrate");
    check_refused(fixture, "import/final", "r=64 k=3 e=3 d=2", "eval", ERR_DATA, "r=64");
    check_refused(fixture, "import/final", "k=4 e=3 d=2", "eval", ERR_CONFIG, "k=4");
    check_refused(fixture, "import/final", "k=3 e=3 d=2", "test", ERR_USAGE, "eval");
    check_refused(fixture, "nothing", "k=3 e=3 d=2", "eval", ERR_NOT_FOUND, "import/final");
    write_images(fixture->images, 2, 1, 32);
    check_refused(fixture, "import/final", "k=3 e=3 d=2", "eval", ERR_DATA, "(N, 3, R, R)");
    must(file_write(fixture->images, "not numpy", 9));
    check_refused(fixture, "import/final", "k=3 e=3 d=2", "eval", ERR_DATA, ".npy");
}

/* A checkpoint whose tensors do not fit its own space text. */
static void a_checkpoint_that_is_not_whole_is_refused(void **state)
{
    (void)state;
    struct device *device = NULL;
    struct supernet *net = NULL;
    struct model *model = NULL;
    struct checkpoint checkpoint;
    struct space space;
    must(space_load("configs/spaces/mbv3.yaml", 1.0, 10, 3, &space));
    must(device_open(
        &(struct device_cfg){
            .name = test_device(), .threads = 1, .isa = ISA_AUTO, .precision = test_precision()},
        &device));
    must(supernet_create(&space, device, &net));
    fill_checkpoint(net, true, &checkpoint);
    checkpoint.meta.classes = 11;
    assert_int_equal(model_create(&checkpoint, device, &model), ERR_DATA);
    assert_non_null(strstr(err_text(), "classifier.linear.weight"));
    checkpoint.meta.classes = 10;
    checkpoint.tensors[3].name[0] = 'X';
    assert_int_equal(model_create(&checkpoint, device, &model), ERR_DATA);
    assert_non_null(strstr(err_text(), "no tensor"));
    assert_null(model);
    checkpoint_fini(&checkpoint);
    supernet_destroy(&net);
    device_close(&device);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(logits_of_a_checkpoint_are_the_reference_s, open_fixture,
                                        close_fixture),
        cmocka_unit_test_setup_teardown(what_does_not_fit_is_refused, open_fixture, close_fixture),
        cmocka_unit_test(a_checkpoint_that_is_not_whole_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
