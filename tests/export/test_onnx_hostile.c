/* Networks that no writer of ours makes, built from ONNX's own messages: each is refused in words
 * that name what is wrong, and none crashes the reader or makes it take what memory it likes. */
#include "base/rng.h"
#include "tests/export/tiny_net.h"
#include "tests/yaml/mutate.h"
#include "trainer/export/onnx_check.h"
#include "trainer/export/onnx_run.h"
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

/* Opened and run, as predict does; answers: logits, then probabilities, of CLASSES classes. */
static enum err try_bytes(const void *bytes, size_t size, float *answers)
{
    enum err err = ERR_OK;
    struct onnx_net *opened = NULL;
    float *image = NULL;
    TRY(onnx_open(bytes, size, &opened));
    struct onnx_shape shape = onnx_net_shape(opened);
    if (shape.classes != CLASSES)
        TRY(err_set(ERR_DATA, "the test has no room for %d classes", shape.classes));
    size_t values = (size_t)shape.channels * (size_t)shape.height * (size_t)shape.width;
    image = mem_array(values, sizeof *image);
    for (size_t i = 0; i < values; i++)
        image[i] = (float)(i % 5);
    TRY(onnx_run(opened, image, answers, answers + CLASSES));
    TRY(onnx_run(opened, image, answers, answers + CLASSES)); /* a run leaves nothing behind */
out:
    onnx_close(&opened);
    mem_free(image);
    return err;
}

static enum err try_net(struct net *net, float *answers)
{
    size_t size = onnx__model_proto__get_packed_size(&net->model);
    uint8_t *bytes = mem_alloc(size);
    onnx__model_proto__pack(&net->model, bytes);
    enum err err = try_bytes(bytes, size, answers);
    mem_free(bytes);
    net_free(net);
    return err;
}

static void the_network_that_is_spoilt_below_is_sound(void **state)
{
    float answers[2 * CLASSES];
    (void)state;
    assert_int_equal(try_net(net_make(), answers), ERR_OK);
    assert_true(answers[1] > answers[0]);
    assert_float_equal(answers[CLASSES] + answers[CLASSES + 1], 1.0, 1e-6);
}

/* What is done to it: a name, the damage, and words of the answer. */
#define CASES                                                                                      \
    CASE(no_second_output_name, n->outputs[1]->name = NULL, "output 1 ('') has no name")           \
    CASE(no_output_name, n->outputs[0]->name = NULL, "output 0 ('') has no name")                  \
    CASE(no_input_name, n->inputs[0]->name = NULL, "the input has no name")                        \
    CASE(empty_input_name, n->inputs[0]->name = net_word(n, ""), "the input has no name")          \
    CASE(unwritten_output, n->outputs[1]->name = net_word(n, "nobody"),                            \
         "output 1 ('nobody') has no name, or no node writes it")                                  \
    CASE(no_node_name, n->nodes[RELU]->name = NULL, "node ?: operator Relu")                       \
    CASE(no_operator, n->nodes[RELU]->op_type = NULL, "node relu: operator ?")                     \
    CASE(strange_operator, n->nodes[RELU]->op_type = net_word(n, "LSTM"),                          \
         "node relu: operator LSTM is not one glowworm reads")                                     \
    CASE(no_inputs, n->nodes[RELU]->n_input = 0, "node relu: Relu has 0 inputs, not 1")            \
    CASE(too_many_inputs, n->nodes[RELU]->n_input = 2, "node relu: Relu has 2 inputs, not 1")      \
    CASE(no_bias, n->nodes[CONV]->n_input = 2, "node conv: Conv has 2 inputs, not 3")              \
    CASE(no_node_output, n->nodes[RELU]->n_output = 0, "node relu has 0 outputs, not one")         \
    CASE(two_node_outputs, n->nodes[RELU]->n_output = 2, "node relu has 2 outputs, not one")       \
    CASE(empty_node_output, n->nodes[RELU]->output[0] = net_word(n, ""),                           \
         "node relu: its output '' has no name")                                                   \
    CASE(undefined_input, n->nodes[RELU]->input[0] = net_word(n, "nowhere"),                       \
         "node relu reads 'nowhere', which no earlier node wrote")                                 \
    CASE(cycle, n->nodes[RELU]->input[0] = net_word(n, "pool"),                                    \
         "node relu reads 'pool', which no earlier node wrote")                                    \
    CASE(own_output, n->nodes[RELU]->input[0] = net_word(n, "relu"),                               \
         "node relu reads 'relu', which no earlier node wrote")                                    \
    CASE(written_twice, n->nodes[RELU]->output[0] = net_word(n, "conv"),                           \
         "node relu: its output 'conv' has no name, or another's")                                 \
    CASE(writes_the_input, n->nodes[RELU]->output[0] = net_word(n, "input"),                       \
         "node relu: its output 'input' has no name, or another's")                                \
    CASE(writes_a_tensor, n->nodes[RELU]->output[0] = net_word(n, "w"),                            \
         "node relu: its output 'w' has no name, or another's")                                    \
    CASE(no_tensor, n->nodes[CONV]->input[1] = net_word(n, "nowhere"),                             \
         "node conv: there is no tensor 'nowhere'")                                                \
    CASE(map_as_tensor, n->nodes[CONV]->input[1] = net_word(n, "input"),                           \
         "node conv: there is no tensor 'input'")                                                  \
    CASE(tensor_as_map, n->nodes[RELU]->input[0] = net_word(n, "w"),                               \
         "node relu reads 'w', which no earlier node wrote")                                       \
    CASE(unnamed_tensor, n->tensors[0]->name = NULL, "node conv: there is no tensor 'w'")          \
    CASE(negative_dim, n->tensors[0]->dims[0] = -2, "tensor w has a dimension of -2")              \
    CASE(zero_dim, n->tensors[0]->dims[1] = 0, "tensor w has a dimension of 0")                    \
    CASE(huge_dim, n->tensors[0]->dims[0] = INT64_MAX,                                             \
         "tensor w has a dimension of 9223372036854775807")                                        \
    CASE(other_rank, n->tensors[0]->n_dims = 3, "tensor w is missing or is not float of rank 4")   \
    CASE(other_type, n->tensors[0]->data_type = 11,                                                \
         "tensor w is missing or is not float of rank 4")                                          \
    CASE(no_type, n->tensors[0]->has_data_type = 0,                                                \
         "tensor w is missing or is not float of rank 4")                                          \
    CASE(short_data, n->tensors[0]->raw_data.len = 8, "tensor w holds 8 bytes, its shape says 72") \
    CASE(no_data, n->tensors[0]->has_raw_data = 0, "tensor w holds 0 bytes, its shape says 72")    \
    CASE(no_attribute_name, n->nodes[CONV]->attribute[1]->name = NULL,                             \
         "node conv: attribute '' is not one glowworm reads")                                      \
    CASE(no_attribute_type, n->nodes[CONV]->attribute[1]->has_type = 0,                            \
         "node conv: attribute strides is of another type or length")                              \
    CASE(empty_strides, n->nodes[CONV]->attribute[1]->n_ints = 0,                                  \
         "node conv: attribute strides is of another type or length")                              \
    CASE(long_strides, n->nodes[CONV]->attribute[1]->n_ints = 3,                                   \
         "node conv: attribute strides is of another type or length")                              \
    CASE(uneven_strides, n->nodes[CONV]->attribute[1]->ints[1] = 2,                                \
         "the shapes of convolution conv do not fit")                                              \
    CASE(huge_stride,                                                                              \
         n->nodes[CONV]->attribute[1]->ints[0] = n->nodes[CONV]->attribute[1]->ints[1] =           \
             INT64_MAX,                                                                            \
         "the shapes of convolution conv do not fit")                                              \
    CASE(no_groups, n->nodes[CONV]->attribute[4]->i = 0,                                           \
         "the shapes of convolution conv do not fit")                                              \
    CASE(negative_groups, n->nodes[CONV]->attribute[4]->i = INT64_MIN,                             \
         "the shapes of convolution conv do not fit")                                              \
    CASE(dilated,                                                                                  \
         n->nodes[CONV]->attribute[3]->ints[0] = n->nodes[CONV]->attribute[3]->ints[1] = 2,        \
         "convolution conv is dilated")                                                            \
    CASE(other_kernel,                                                                             \
         n->nodes[CONV]->attribute[0]->ints[0] = n->nodes[CONV]->attribute[0]->ints[1] = 5,        \
         "convolution conv is dilated, or of another kernel than its tensor")                      \
    CASE(strange_attribute, net_add_int(n, n->nodes[CONV], "auto_pad", 1),                         \
         "node conv: attribute 'auto_pad' is not one glowworm reads")                              \
    CASE(attribute_of_another_type,                                                                \
         n->nodes[FLATTEN]->attribute[0]->type = ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__FLOAT,     \
         "node logits: attribute axis is of another type")                                         \
    CASE(other_axis, n->nodes[SOFTMAX]->attribute[0]->i = 0,                                       \
         "node probabilities is along another axis")                                               \
    CASE(no_nodes, n->graph.n_node = 0, "1 inputs, 2 outputs and 0 nodes")                         \
    CASE(one_output, n->graph.n_output = 1, "1 inputs, 1 outputs and 5 nodes")                     \
    CASE(no_graph, n->model.graph = NULL, "not an ONNX file")                                      \
    CASE(no_shape, n->inputs[0]->type->tensor_type->shape = NULL,                                  \
         "input is not a tensor of rank 4")                                                        \
    CASE(no_value_type, n->outputs[1]->type = NULL, "probabilities is not a tensor of rank 2")     \
    CASE(negative_side, *net_dim(n->inputs[0], 2) = -4,                                            \
         "input has a dimension that is open or out of range")                                     \
    CASE(batch_of_two, *net_dim(n->inputs[0], 0) = 2,                                              \
         "input has a dimension that is open or out of range")                                     \
    CASE(other_classes, *net_dim(n->outputs[1], 1) = 3,                                            \
         "logits is of 2 classes, probabilities of 3")                                             \
    CASE(not_pooled, n->nodes[FLATTEN]->input[0] = net_word(n, "relu"),                            \
         "the output logits is 32 x 1 x 1, not 2 classes")                                         \
    CASE(not_finite, ((float *)(void *)n->tensors[1]->raw_data.data)[0] = INFINITY,                \
         "the output logits of class 0 is not a finite number")

#define CASE(name, damage, words)                                                                  \
    static void name(struct net *n)                                                                \
    {                                                                                              \
        damage;                                                                                    \
    }
CASES
#undef CASE

#define CASE(name, damage, words) {#name, name, words},
static const struct {
    const char *name;
    void (*spoil)(struct net *net);
    const char *words;
} cases[] = {CASES};
#undef CASE

static void each_of_its_damages_is_refused_in_words(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        float answers[2 * CLASSES];
        struct net *net = net_make();
        cases[i].spoil(net);
        enum err err = try_net(net, answers);
        if (err != ERR_DATA || !strstr(err_text(), cases[i].words))
            fail_msg("%s: %s: %s; expected \"%s\"", cases[i].name, err_name(err),
                     err ? err_text() : "", cases[i].words);
    }
}

static void a_product_of_dimensions_beyond_the_bound_is_refused(void **state)
{
    float answers[2 * CLASSES];
    struct net *net = net_make();
    (void)state;
    for (int i = 0; i < 4; i++) /* 2^68: the product would wrap round to nothing */
        net->tensors[0]->dims[i] = 1 << 17;
    assert_int_equal(try_net(net, answers), ERR_DATA);
    assert_non_null(strstr(err_text(), "tensor w has a dimension of 131072"));
}

/* An input of 4096 x 4096, 128 MiB as double; the nodes are still to be added. */
static struct net *net_of_big_maps(void)
{
    struct net *net = net_make();
    net->graph.n_node = 0;
    *net_dim(net->inputs[0], 2) = *net_dim(net->inputs[0], 3) = 4096;
    return net;
}

static void add_tail(struct net *net, const char *input)
{
    net_add(net, "GlobalAveragePool", "pool", input, NULL);
    net_add(net, "Flatten", "logits", "pool", NULL);
    net_add(net, "Softmax", "probabilities", "logits", NULL);
}

/* Seven channels of it take 896 MiB: alone they fit, with their own input they just do, but not
 * with the network's, which is read again behind them. */
static void the_sum_of_the_maps_that_are_read_is_bounded(void **state)
{
    float answers[2 * CLASSES];
    struct net *net = net_of_big_maps();
    (void)state;
    net_add(net, "Relu", "relu", "input", NULL);
    Onnx__NodeProto *conv = net_add(net, "Conv", "big", "relu", "w");
    conv->n_input = 3;
    conv->input[2] = net_word(net, "b");
    net->tensors[0]->dims[0] = net->tensors[1]->dims[0] = 7;
    net->tensors[0]->dims[2] = net->tensors[0]->dims[3] = 1;
    net->tensors[0]->raw_data.len = net->tensors[1]->raw_data.len = 7 * sizeof(float);
    net->tensors[1]->raw_data.data = net->tensors[0]->raw_data.data;
    net_add(net, "Add", "sum", "big", "input");
    add_tail(net, "sum");
    assert_int_equal(try_net(net, answers), ERR_DATA);
    assert_non_null(strstr(err_text(), "big is a map of 7 x 4096 x 4096; with the others that are "
                                       "still read it takes more than 1024 MiB"));
}

/* Ten of them one behind the other are more than that, but two are alive at a time. The answer is
 * of one class, so the run ends with that. */
static void maps_that_nobody_reads_any_more_are_given_back(void **state)
{
    float answers[2 * CLASSES];
    struct net *net = net_of_big_maps();
    char name[16], last[16] = "input";
    (void)state;
    for (int i = 0; i < 10; i++) {
        snprintf(name, sizeof name, "map%d", i);
        net_add(net, "Relu", name, last, NULL);
        memcpy(last, name, sizeof last);
    }
    add_tail(net, last);
    assert_int_equal(try_net(net, answers), ERR_DATA);
    assert_non_null(strstr(err_text(), "the output logits is 1 x 1 x 1, not 2 classes"));
}

/* Two bytes a node in the file, a hundred in memory. */
static void a_file_that_would_take_far_more_memory_than_its_size_is_refused(void **state)
{
    enum { COUNT = 2 << 20 };
    struct onnx_net *opened = NULL;
    size_t size = 2 * (size_t)COUNT + 5;
    uint8_t *bytes =
        mem_alloc(size); /* field 7 (graph), its length, then field 1 (node) of 0 bytes */
    (void)state;
    bytes[0] = 7 << 3 | 2;
    for (int i = 0; i < 4; i++)
        bytes[1 + i] = (uint8_t)((2 * COUNT >> (7 * i) & 0x7f) | (i < 3 ? 0x80 : 0));
    for (size_t i = 5; i < size; i += 2)
        bytes[i] = 1 << 3 | 2;
    assert_int_equal(onnx_open(bytes, size, &opened), ERR_DATA);
    assert_non_null(strstr(err_text(), "far more memory than its size"));
    mem_free(bytes);
}

static void more_nodes_than_any_network_has_are_refused(void **state)
{
    float answers[2 * CLASSES];
    struct net *net = net_make();
    (void)state;
    Onnx__NodeProto **nodes = arena_alloc(net->arena, (ONNX_MAX_NODES + 1) * sizeof *nodes);
    for (int i = 0; i <= ONNX_MAX_NODES; i++)
        nodes[i] = net->nodes[RELU];
    net->graph.node = nodes;
    net->graph.n_node = ONNX_MAX_NODES + 1;
    assert_int_equal(try_net(net, answers), ERR_DATA);
    assert_non_null(strstr(err_text(), "8193 nodes and 2 tensors; at most 8192"));
}

/* Puts a field of one message in front of what lies in [at, end); returns where it begins. */
static uint8_t *wrap(uint8_t *at, const uint8_t *end, int field)
{
    size_t size = (size_t)(end - at);
    *--at = (uint8_t)(size >> 21);
    for (int shift = 14; shift >= 0; shift -= 7)
        *--at = (uint8_t)((size >> shift & 0x7f) | 0x80);
    *--at = (uint8_t)(field << 3 | 2);
    return at;
}

/* Graphs in attributes of nodes of graphs: what is unpacked by recursion would overrun the stack.
 */
static void messages_in_messages_without_end_are_refused(void **state)
{
    enum { DEPTH = 30000, STEP = 3 * 5 };
    static const int fields[] = {6, 5, 1}; /* a graph in an attribute, in a node, in a graph */
    float answers[2 * CLASSES];
    uint8_t *bytes = mem_alloc(DEPTH * STEP + 5), *end = bytes + DEPTH * STEP + 5, *at = end;
    (void)state;
    for (int i = 0; i < 3 * DEPTH; i++)
        at = wrap(at, end, fields[i % 3]);
    at = wrap(at, end, 7);
    assert_int_equal(try_bytes(at, (size_t)(end - at), answers), ERR_DATA);
    assert_non_null(strstr(err_text(), "nested more than 16 deep"));
    mem_free(bytes);
}

static void mutated_files_are_answered_in_words(void **state)
{
    enum { SEED = 20200428, ROUNDS = 4000 };
    struct net *net = net_make();
    uint8_t packed[2048], bytes[4096];
    float answers[2 * CLASSES];
    int taken = 0;
    (void)state;
    size_t size = onnx__model_proto__get_packed_size(&net->model);
    assert_in_range(size, 1, sizeof packed);
    onnx__model_proto__pack(&net->model, packed);
    for (uint64_t round = 0; round < ROUNDS; round++) {
        memcpy(bytes, packed, size);
        size_t mutated = size;
        if (round % 2) /* the lengths around it mostly stay right */
            bytes[rng_below(rng(SEED, RNG_TEST, 1, round, 0), (uint32_t)size)] =
                (uint8_t)rng_below(rng(SEED, RNG_TEST, 1, round, 1), 256);
        else
            mutated = mutate_bytes(SEED, round, (char *)bytes, size);
        enum err err = try_bytes(bytes, mutated, answers);
        if (err != ERR_OK && err != ERR_DATA)
            fail_msg("seed %d, round %llu: %s: %s", SEED, (unsigned long long)round, err_name(err),
                     err_text());
        taken += err == ERR_OK;
    }
    assert_in_range(taken, ROUNDS / 50, ROUNDS / 2); /* both answers occur */
    net_free(net);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_network_that_is_spoilt_below_is_sound),
        cmocka_unit_test(each_of_its_damages_is_refused_in_words),
        cmocka_unit_test(a_product_of_dimensions_beyond_the_bound_is_refused),
        cmocka_unit_test(more_nodes_than_any_network_has_are_refused),
        cmocka_unit_test(a_file_that_would_take_far_more_memory_than_its_size_is_refused),
        cmocka_unit_test(messages_in_messages_without_end_are_refused),
        cmocka_unit_test(mutated_files_are_answered_in_words),
        cmocka_unit_test(maps_that_nobody_reads_any_more_are_given_back),
        cmocka_unit_test(the_sum_of_the_maps_that_are_read_is_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
