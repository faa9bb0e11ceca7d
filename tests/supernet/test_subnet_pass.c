/* A sub-network is a prefix: it computes what a network of its own with the same weights computes,
 * its gradient lands in the prefix, and which one is active matters. */
#include "base/mem.h"
#include "tests/supernet/rig.h"
#include "tests/support/test_device.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

enum { N = 4, R = 32 };

/* The space that has exactly one sub-network: kernel k, expansion e, depth d everywhere. blocks[i]:
 * where its dynamic block i stands in the full space. */
static struct space alone(const struct space *full, int k, int e, int d, int *blocks)
{
    struct space space = *full;
    space.kernels = (struct choices){1, {k}};
    space.expansions = (struct choices){1, {e}};
    space.depths = (struct choices){1, {d}};
    space.block_count = 0;
    space.elastic_stage_count = 0;
    for (int b = 0; b < full->block_count; b++) {
        const struct block_spec *spec = &full->blocks[b];
        if (full->stages[spec->stage].is_elastic && spec->index_in_stage >= d)
            continue;
        if (spec->index_in_stage == 0)
            space.stages[spec->stage].first_block = space.block_count;
        blocks[space.block_count] = b;
        space.blocks[space.block_count++] = *spec;
    }
    for (int s = 0; s < space.stage_count; s++) {
        if (space.stages[s].is_elastic)
            space.stages[s].block_count = d;
        space.stages[s].is_elastic = false;
    }
    return space;
}

/* Name of the same tensor in the full net. */
static void full_name(const char *name, const int *blocks, char full[112])
{
    int block = 0, length = 0;
    if (sscanf(name, "blocks.%d%n", &block, &length) == 1 && block > 0)
        snprintf(full, 112, "blocks.%d%.80s", blocks[block - 1] + 1, name + length);
    else
        snprintf(full, 112, "%.100s", name);
}

static size_t flat(const int *shape, const int *at, int rank, const int *shift)
{
    size_t index = 0;
    for (int i = 0; i < rank; i++)
        index = index * (size_t)shape[i] + (size_t)(at[i] + shift[i]);
    return index;
}

/* small = the first elements of every axis of big; a kernel is the centre instead. */
static void cut_prefix(const struct param *param, const struct param *from, const float *big,
                       float *small)
{
    int shift[4] = {0}, at[4] = {0};
    if (param->kind == PARAM_DEPTHWISE)
        shift[2] = shift[3] = (from->shape[2] - param->shape[2]) / 2;
    for (size_t i = 0; i < param->count; i++) {
        small[i] = big[flat(from->shape, at, param->rank, shift)];
        for (int axis = param->rank - 1; axis >= 0 && ++at[axis] == param->shape[axis]; axis--)
            at[axis] = 0;
    }
}

/* The active kernel as the reference defines it, from host tensors: crop, matrix, crop, matrix. */
static void transform_kernels(const struct rig *rig, const char *name, int side, int channels,
                              float *w)
{
    char matrix_name[112];
    float m75[625], m53[81];
    const char *tail = strstr(name, "conv.weight");
    const struct param *param = supernet_find(rig->net, name);
    if (!tail || param->shape[2] == side)
        return;
    snprintf(matrix_name, sizeof matrix_name, "%.*s7to5_matrix", (int)(tail - name), name);
    must(
        supernet_get_param(rig->net, rig->net->weights, supernet_find(rig->net, matrix_name), m75));
    snprintf(matrix_name, sizeof matrix_name, "%.*s5to3_matrix", (int)(tail - name), name);
    must(
        supernet_get_param(rig->net, rig->net->weights, supernet_find(rig->net, matrix_name), m53));
    float *w7 = mem_array(param->count, sizeof *w7);
    must(supernet_get_param(rig->net, rig->net->weights, param, w7));
    for (int c = 0; c < channels; c++) {
        double w5[25] = {0}, w3[9] = {0};
        for (int o = 0; o < 25; o++)
            for (int i = 0; i < 25; i++)
                w5[o] += m75[o * 25 + i] * w7[c * 49 + (i / 5 + 1) * 7 + i % 5 + 1];
        for (int o = 0; o < 9; o++)
            for (int i = 0; i < 9; i++)
                w3[o] += m53[o * 9 + i] * w5[(i / 3 + 1) * 5 + i % 3 + 1];
        for (int o = 0; o < side * side; o++)
            w[c * side * side + o] = (float)(side == 5 ? w5[o] : w3[o]);
    }
    mem_free(w7);
}

static void copy_weights(struct rig *small, struct rig *full, const int *blocks)
{
    for (int p = 0; p < small->net->param_count; p++) {
        const struct param *param = &small->net->params[p];
        char name[112];
        full_name(param->name, blocks, name);
        const struct param *from = supernet_find(full->net, name);
        assert_non_null(from);
        float *big = mem_array(from->count, sizeof *big);
        float *cut = mem_array(param->count, sizeof *cut);
        must(supernet_get_param(full->net, full->net->weights, from, big));
        cut_prefix(param, from, big, cut);
        if (param->kind == PARAM_DEPTHWISE)
            transform_kernels(full, name, param->shape[2], param->shape[0], cut);
        supernet_set_param(small->net, small->net->weights, param, cut);
        mem_free(big);
        mem_free(cut);
    }
}

static void compare_gradients(struct rig *small, struct rig *full, const int *blocks, int side)
{
    for (int p = 0; p < small->net->param_count; p++) {
        const struct param *param = &small->net->params[p];
        if (param->kind == PARAM_DEPTHWISE && param->shape[2] == side && side != 7 &&
            strncmp(param->name, "blocks.0.", 9) != 0)
            continue; /* behind the matrices: not the same tensor */
        char name[112];
        full_name(param->name, blocks, name);
        const struct param *from = supernet_find(full->net, name);
        float *mine = rig_gradient(small, param), *big = rig_gradient(full, from);
        float *cut = mem_array(param->count, sizeof *cut);
        cut_prefix(param, from, big, cut);
        double off = distance(mine, cut, param->count), most = largest(mine, param->count);
        if (off > 1e-3 * most + 1e-5)
            fail_msg("%s: largest gradient %.4g, off by %.3g", param->name, most, off);
        double outside = 0, inside = 0; /* nothing lands outside the prefix */
        for (size_t i = 0; i < from->count; i++)
            outside += big[i] != 0;
        for (size_t i = 0; i < param->count; i++)
            inside += cut[i] != 0;
        if (outside != inside)
            fail_msg("%s: %g elements of the gradient, %g in the prefix", name, outside, inside);
        mem_free(mine);
        mem_free(big);
        mem_free(cut);
    }
}

static void check_alone(const char *file, int k, int e, int d)
{
    struct rig full, small;
    int blocks[SPACE_MAX_BLOCKS];
    struct space space = rig_space(file, 3);
    struct space one = alone(&space, k, e, d, blocks);
    struct subnet inside, itself;
    if (test_precision() == PRECISION_BF16 && space.has_kernel_transform && k < 7)
        return; /* the host's products of kernels round to other bf16 */
    rig_open(&full, &space, N, R, 2);
    rig_open(&small, &one, N, R, 2);
    copy_weights(&small, &full, blocks);
    subnet_uniform(&full.space, k, e, d, R, &inside);
    subnet_biggest(&small.space, R, &itself);
    struct forward there = rig_forward(&full, &inside, PASS_TRAIN);
    struct forward here = rig_forward(&small, &itself, PASS_TRAIN);
    float *expected = rig_logits(&small, &here), *logits = rig_logits(&full, &there);
    double off = distance(expected, logits, 10 * N), most = largest(expected, 10 * N);
    print_message("k=%d e=%d d=%d: off by %.2g of the largest logit\n", k, e, d, off / most);
    if (!(most > 0 && off <= 1e-4 * most))
        fail_msg("k=%d e=%d d=%d: largest logit %.4g, off by %.3g", k, e, d, most, off);
    rig_step(&small, &here);
    rig_step(&full, &there);
    compare_gradients(&small, &full, blocks, k);
    mem_free(expected);
    mem_free(logits);
    rig_close(&small);
    rig_close(&full);
}

static void a_subnet_computes_what_its_own_network_computes(void **state)
{
    (void)state;
    check_alone("configs/spaces/firefly-tiny.yaml", 3, 2, 1);
    check_alone("configs/spaces/firefly-tiny.yaml", 5, 3, 2);
    check_alone("configs/spaces/firefly-tiny.yaml", 7, 4, 3);
    check_alone("configs/spaces/mbv3.yaml", 3, 3, 2);
    check_alone("configs/spaces/mbv3.yaml", 5, 4, 3);
    check_alone("configs/spaces/proxyless.yaml", 7, 3, 2);
    check_alone("tests/spaces/odd.yaml", 3, 2, 1);
    check_alone("tests/spaces/odd-gated.yaml", 5, 2, 2);
    check_alone("tests/spaces/tf.yaml", 7, 2, 1);
}

static void identity_matrices_are_a_plain_crop(void **state)
{
    (void)state;
    struct rig with, without;
    struct space space = rig_space("configs/spaces/firefly-tiny.yaml", 3);
    rig_open(&with, &space, N, R, 2);
    space.has_kernel_transform = false;
    rig_open(&without, &space, N, R, 2);
    for (int p = 0; p < with.net->param_count; p++) {
        const struct param *param = &with.net->params[p];
        const struct param *twin = supernet_find(without.net, param->name);
        float *host = mem_array(param->count, sizeof *host);
        must(supernet_get_param(with.net, with.net->weights, param, host));
        if (twin)
            supernet_set_param(without.net, without.net->weights, twin, host);
        else
            for (size_t i = 0; i < param->count; i++)
                host[i] = i % ((size_t)param->shape[0] + 1) == 0;
        supernet_set_param(with.net, with.net->weights, param, host);
        mem_free(host);
    }
    for (int k = 3; k <= 5; k += 2) {
        struct subnet subnet;
        subnet_uniform(&with.space, k, 3, 2, R, &subnet);
        struct forward here = rig_forward(&with, &subnet, PASS_TRAIN);
        struct forward there = rig_forward(&without, &subnet, PASS_TRAIN);
        float *one = rig_logits(&with, &here), *two = rig_logits(&without, &there);
        double off = distance(one, two, 10 * N), most = largest(one, 10 * N);
        if (!(most > 0 && off <= 1e-5 * most))
            fail_msg("k=%d: largest logit %.4g, off by %.3g", k, most, off);
        mem_free(one);
        mem_free(two);
    }
    rig_close(&with);
    rig_close(&without);
}

static void which_subnet_is_active_changes_the_output(void **state)
{
    (void)state;
    struct rig rig;
    struct space space = rig_space("configs/spaces/firefly-tiny.yaml", 3);
    rig_open(&rig, &space, N, R, 2);
    struct subnet subnets[8];
    subnet_biggest(&rig.space, R, &subnets[0]);
    for (int i = 1; i < 8; i++)
        subnets[i] = subnets[0];
    subnets[1].kernel[0] = 3;
    subnets[2].kernel[5] = 5;
    subnets[3].expansion[0] = 2;
    subnets[4].expansion[4] = 3;
    subnets[5].depth[0] = 1;
    subnets[6].depth[1] = 2;
    subnets[7].resolution = 24;
    float *logits[8];
    for (int i = 0; i < 8; i++) {
        struct forward forward = rig_forward(&rig, &subnets[i], PASS_BATCH_NORM);
        logits[i] = rig_logits(&rig, &forward);
        for (int j = 0; j < i; j++)
            if (!(distance(logits[i], logits[j], 10 * N) > 1e-4 * largest(logits[i], 10 * N)))
                fail_msg("sub-networks %d and %d compute the same", i, j);
    }
    for (int i = 0; i < 8; i++)
        mem_free(logits[i]);
    rig_close(&rig);
}

static void genes_of_skipped_blocks_do_not_matter(void **state)
{
    (void)state;
    struct rig rig;
    struct space space = rig_space("configs/spaces/firefly-tiny.yaml", 3);
    rig_open(&rig, &space, N, R, 2);
    struct subnet one, two;
    subnet_uniform(&rig.space, 5, 3, 1, R, &one);
    two = one;
    two.kernel[1] = 3;
    two.expansion[2] = 4;
    struct forward first = rig_forward(&rig, &one, PASS_TRAIN);
    struct forward second = rig_forward(&rig, &two, PASS_TRAIN);
    float *here = rig_logits(&rig, &first), *there = rig_logits(&rig, &second);
    assert_memory_equal(here, there, 10 * N * sizeof *here);
    mem_free(here);
    mem_free(there);
    rig_close(&rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_subnet_computes_what_its_own_network_computes),
        cmocka_unit_test(identity_matrices_are_a_plain_crop),
        cmocka_unit_test(which_subnet_is_active_changes_the_output),
        cmocka_unit_test(genes_of_skipped_blocks_do_not_matter),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
