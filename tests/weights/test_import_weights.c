/* glowworm checkpoint import: weights under the reference's names, from a .safetensors file to a
 * supernet, and every way in which they may not fit. */
#include "base/text.h"
#include "cluster/command.h"
#include "tests/golden/formula.h"
#include "tests/scratch.h"
#include "tests/support/test_device.h"
#include "trainer/weights/model.h"
#include <fcntl.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h> /* needs the four above */

#define SPACE "firefly-tiny"

static void must(enum err err)
{
    if (err != ERR_OK)
        fail_msg("%s: %s", err_name(err), err_text());
}

struct rig { /* a supernet with the formula's weights */
    struct device *device;
    struct space space;
    struct supernet *net;
};

static void rig_open(struct rig *rig)
{
    const struct device_cfg cfg = {
        .name = test_device(), .threads = 1, .isa = ISA_AUTO, .precision = test_precision()};
    *rig = (struct rig){0};
    must(space_load("configs/spaces/" SPACE ".yaml", 1.0, 10, 1, &rig->space));
    must(device_open(&cfg, &rig->device));
    must(supernet_create(&rig->space, rig->device, &rig->net));
    formula_fill(rig->net, 1);
}

static void rig_close(struct rig *rig)
{
    supernet_destroy(&rig->net);
    device_close(&rig->device);
}

enum spelling { SPELLING_PLAIN, SPELLING_OLD, SPELLING_FIXED };

struct change { /* how the file differs from what is wanted */
    enum spelling spelling;
    const char *left_out; /* tensors whose name holds this */
    const char *renamed;  /* gets an x behind its name */
    const char *reshaped; /* gets rank 1 */
    const char *poisoned; /* its second element is NaN */
    const char *negative; /* its first element is below zero */
    int foreign;          /* so many tensors of other names */
};

static void replace_in(char *name, size_t room, const char *old, const char *by)
{
    char copy[200];
    char *at = strstr(name, old);
    if (!at)
        return;
    int length =
        snprintf(copy, sizeof copy, "%.*s%s%s", (int)(at - name), name, by, at + strlen(old));
    assert_true(length < (int)room);
    memcpy(name, copy, (size_t)length + 1);
}

static void spell(enum spelling spelling, char *name, size_t room)
{
    if (spelling == SPELLING_OLD) {
        char *conv = strncmp(name, "blocks.", 7) == 0 ? strstr(name, ".conv.") : NULL;
        if (conv)
            replace_in(name, room, ".conv.", ".mobile_inverted_conv.");
    } else if (spelling == SPELLING_FIXED) {
        replace_in(name, room, ".conv.conv.weight", ".conv.weight");
        replace_in(name, room, ".bn.bn.", ".bn.");
    }
}

static bool holds(const char *name, const char *piece)
{
    return piece && strstr(name, piece);
}

static void add_tensor(const struct supernet_tensor *tensor, float *host,
                       const struct change *change, struct text *header, struct text *values)
{
    char name[200];
    snprintf(name, sizeof name, "%s%s", tensor->name,
             holds(tensor->name, change->renamed) ? "x" : "");
    spell(change->spelling, name, sizeof name);
    if (holds(tensor->name, change->poisoned))
        host[1] = NAN;
    if (holds(tensor->name, change->negative))
        host[0] = -0.5f;
    text_add(header, "%s\"%s\":{\"dtype\":\"F32\",\"shape\":[", header->size > 1 ? "," : "", name);
    if (holds(tensor->name, change->reshaped))
        text_add(header, "%zu", tensor->count);
    else
        for (int d = 0; d < tensor->rank; d++)
            text_add(header, "%s%d", d ? "," : "", tensor->shape[d]);
    text_add(header, "],\"data_offsets\":[%zu,%zu]}", values->size,
             values->size + tensor->count * sizeof(float));
    text_add_bytes(values, host, tensor->count * sizeof(float));
}

static void write_weights(const char *path, const struct supernet *net, const struct change *change)
{
    struct text header, values, file;
    text_init(&header);
    text_init(&values);
    text_init(&file);
    text_add(&header, "{");
    for (int i = 0; i < supernet_tensor_count(net); i++) {
        struct supernet_tensor tensor;
        supernet_tensor_at(net, i, &tensor);
        float *host = mem_array(tensor.count, sizeof *host);
        must(supernet_get_tensor(net, &tensor, host));
        if (!holds(tensor.name, change->left_out))
            add_tensor(&tensor, host, change, &header, &values);
        mem_free(host);
    }
    for (int i = 0; i < change->foreign; i++)
        text_add(&header,
                 ",\"foreign.%d\":{\"dtype\":\"F32\",\"shape\":[0],"
                 "\"data_offsets\":[%zu,%zu]}",
                 i, values.size, values.size);
    text_add(&header, "}");
    unsigned char length[8] = {0};
    for (int i = 0; i < 8; i++)
        length[i] = (unsigned char)((uint64_t)header.size >> (8 * i));
    text_add_bytes(&file, length, sizeof length);
    text_add_bytes(&file, header.bytes, header.size);
    text_add_bytes(&file, values.bytes, values.size);
    must(file_write(path, file.bytes, file.size));
    text_fini(&header);
    text_fini(&values);
    text_fini(&file);
}

/* The command, its results thrown away. */
static enum err run_import(const char *file, const char *dest)
{
    char *argv[] = {"checkpoint import",
                    (char *)(uintptr_t)file,
                    "--space",
                    SPACE,
                    "--classes",
                    "10",
                    "--channels",
                    "1",
                    (char *)(uintptr_t)dest,
                    NULL};
    fflush(stdout);
    int kept = dup(STDOUT_FILENO), nothing = open("/dev/null", O_WRONLY);
    dup2(nothing, STDOUT_FILENO);
    enum err err = cmd_checkpoint_import(9, argv);
    fflush(stdout);
    dup2(kept, STDOUT_FILENO);
    close(kept);
    close(nothing);
    return err;
}

static enum err import_changed(const char *folder, const struct change *change)
{
    struct rig rig;
    char *file = file_join(folder, "weights.safetensors"), *dest = file_join(folder, "store");
    rig_open(&rig);
    write_weights(file, rig.net, change);
    rig_close(&rig);
    enum err err = run_import(file, dest);
    mem_free(file);
    mem_free(dest);
    return err;
}

/* Tensor by tensor; kernel matrices as `matrices` says. */
static void assert_same(const struct supernet *left, const struct supernet *right,
                        bool has_identities)
{
    for (int i = 0; i < supernet_tensor_count(left); i++) {
        struct supernet_tensor tensor;
        supernet_tensor_at(left, i, &tensor);
        float *a = mem_array(tensor.count, sizeof *a), *b = mem_array(tensor.count, sizeof *b);
        must(supernet_get_tensor(left, &tensor, a));
        must(supernet_get_tensor(right, &tensor, b));
        bool is_matrix = tensor.param && tensor.param->kind == PARAM_MATRIX;
        for (size_t e = 0; has_identities && is_matrix && e < tensor.count; e++)
            a[e] = e / (size_t)tensor.shape[1] == e % (size_t)tensor.shape[1] ? 1.0f : 0.0f;
        if (memcmp(a, b, tensor.count * sizeof *a) != 0)
            fail_msg("%s has other values", tensor.name);
        mem_free(a);
        mem_free(b);
    }
}

static void assert_imported(const char *folder, bool has_statistics, bool has_identities)
{
    struct rig rig;
    struct model *model = NULL;
    char *reference = file_join(folder, "store@import");
    rig_open(&rig);
    must(model_open(reference, rig.device, &model));
    assert_int_equal(model->net->has_statistics, has_statistics);
    if (has_statistics)
        assert_same(rig.net, model->net, has_identities);
    model_close(&model);
    rig_close(&rig);
    mem_free(reference);
}

static void weights_and_statistics_arrive(void **state)
{
    must(import_changed(*state, &(struct change){0}));
    assert_imported(*state, true, false);
}

static void older_spellings_are_understood(void **state)
{
    must(import_changed(*state, &(struct change){.spelling = SPELLING_OLD}));
    assert_imported(*state, true, false);
    must(import_changed(*state, &(struct change){.spelling = SPELLING_FIXED}));
    assert_imported(*state, true, false);
}

static void missing_kernel_matrices_are_the_identity(void **state)
{
    must(import_changed(*state, &(struct change){.left_out = "_matrix"}));
    assert_imported(*state, true, true);
}

static void without_statistics_there_are_none(void **state)
{
    must(import_changed(*state, &(struct change){.left_out = ".running_"}));
    assert_imported(*state, false, false);
}

static void assert_refused(const char *folder, const struct change *change, const char *expected)
{
    enum err err = import_changed(folder, change);
    if (err != ERR_DATA || !strstr(err_text(), expected))
        fail_msg("expected a refusal with \"%s\", got %s: %s", expected, err_name(err), err_text());
    char *store = file_join(folder, "store");
    assert_false(file_exists(store)); /* nothing is begun */
    mem_free(store);
}

static void every_misfit_is_named(void **state)
{
    assert_refused(*state, &(struct change){.left_out = "first_conv.conv.weight"},
                   "1 tensor missing:\n    first_conv.conv.weight");
    assert_refused(*state, &(struct change){.left_out = "first_conv.bn.running_var"},
                   "1 tensor missing:\n    first_conv.bn.running_var");
    assert_refused(*state, &(struct change){.reshaped = "classifier.linear.weight"},
                   "1 tensor of another shape:\n    classifier.linear.weight is (");
    assert_refused(*state,
                   &(struct change){.poisoned = "blocks.2.conv.depth_conv.conv.conv.weight"},
                   "element 1 is not finite");
    assert_refused(*state, &(struct change){.negative = "first_conv.bn.running_var"},
                   "element 0 is a negative variance");
    assert_refused(*state, &(struct change){.foreign = 1},
                   "1 tensor that the space does not have:\n    foreign.0");
}

static void all_misfits_are_told_at_once(void **state)
{
    const struct change change = {.renamed = "first_conv.conv.weight",
                                  .reshaped = "classifier.linear.weight",
                                  .poisoned = "classifier.linear.bias",
                                  .foreign = 30};
    assert_refused(*state, &change, "31 tensors that the space does not have");
    assert_non_null(strstr(err_text(), "first_conv.conv.weightx"));
    assert_non_null(strstr(err_text(), "and 11 more"));
    assert_non_null(strstr(err_text(), "1 tensor missing:\n    first_conv.conv.weight"));
    assert_non_null(strstr(err_text(), "1 tensor of another shape"));
    assert_non_null(strstr(err_text(), "1 tensor with impossible values"));
    assert_non_null(strstr(err_text(), "weights.safetensors"));
}

static void a_file_that_is_something_else_is_refused(void **state)
{
    char *file = file_join(*state, "weights.safetensors"), *dest = file_join(*state, "store");
    must(file_write(file, "PK\003\004 this is a zip file, as torch.save makes them", 50));
    assert_int_equal(run_import(file, dest), ERR_DATA);
    assert_false(file_exists(dest));
    mem_free(file);
    mem_free(dest);
}

#define T(name) cmocka_unit_test_setup_teardown(name, scratch_make, scratch_remove)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(weights_and_statistics_arrive),
        T(older_spellings_are_understood),
        T(missing_kernel_matrices_are_the_identity),
        T(without_statistics_there_are_none),
        T(every_misfit_is_named),
        T(all_misfits_are_told_at_once),
        T(a_file_that_is_something_else_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
