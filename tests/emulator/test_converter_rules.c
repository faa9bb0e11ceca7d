/* What the camera's converter was seen to take, held against the files as they are written: node by
 * node of the GraphDef, layer by layer of the prototxt. It walks a file in order, and reads several
 * things otherwise than they are meant. */
#include "base/mem.h"
#include "tests/emulator/tiny_folded.h"
#include "trainer/emulator/prototxt.h"
#include "trainer/export/caffe.pb-c.h"
#include "trainer/export/tensorflow.pb-c.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { LONGEST_NAME = 99 }; /* it cuts names there */

struct graph { /* a GraphDef that was read back */
    struct folded folded;
    struct tiny_files files;
    Tf__Graph *read;
};

static void open_graph(enum pad pad, enum act act, struct graph *graph)
{
    tiny_folded(pad, act, &graph->folded);
    tiny_write(&graph->folded, &graph->files);
    graph->read = tf__graph__unpack(NULL, graph->files.graphdef.size, graph->files.graphdef.data);
    assert_non_null(graph->read);
}

static void close_graph(struct graph *graph)
{
    tf__graph__free_unpacked(graph->read, NULL);
    tiny_files_fini(&graph->files);
    folded_fini(&graph->folded);
}

static bool is_op(const Tf__Node *node, const char *op)
{
    return strcmp(node->op, op) == 0;
}

static const Tf__Value *attribute(const Tf__Node *node, const char *key)
{
    for (size_t i = 0; i < node->n_attr; i++)
        if (strcmp(node->attr[i]->key, key) == 0)
            return node->attr[i]->value;
    return NULL;
}

static bool is_word(const Tf__Node *node, const char *key, const char *word)
{
    const Tf__Value *value = attribute(node, key);
    return value && value->s.len == strlen(word) && memcmp(value->s.data, word, value->s.len) == 0;
}

static int find(const Tf__Graph *graph, const char *name)
{
    for (size_t i = 0; i < graph->n_node; i++)
        if (strcmp(graph->node[i]->name, name) == 0)
            return (int)i;
    fail_msg("there is no node %s", name);
    return -1;
}

/* The node in front that is a stage: constants are none. */
static const Tf__Node *before(const Tf__Graph *graph, int at)
{
    while (--at >= 0 && is_op(graph->node[at], "Const"))
        ;
    return at < 0 ? NULL : graph->node[at];
}

static void for_every_graph(void (*expect)(const Tf__Graph *graph))
{
    static const enum pad pads[] = {PAD_SYMMETRIC, PAD_SAME};
    static const enum act acts[] = {ACT_RELU, ACT_RELU6};
    for (int i = 0; i < 4; i++) {
        struct graph graph;
        open_graph(pads[i / 2], acts[i % 2], &graph);
        expect(graph.read);
        close_graph(&graph);
    }
}

static void expect_operations(const Tf__Graph *graph)
{
    static const char *const known[] = {"Placeholder", "Const", "Conv2D",  "DepthwiseConv2dNative",
                                        "BiasAdd",     "Relu",  "Relu6",   "Add",
                                        "AvgPool",     "Pad",   "Reshape", "Softmax"};
    for (size_t i = 0; i < graph->n_node; i++) {
        bool is_known = false;
        for (size_t k = 0; k < sizeof known / sizeof *known; k++)
            is_known = is_known || is_op(graph->node[i], known[k]);
        if (!is_known)
            fail_msg("%s is a %s", graph->node[i]->name, graph->node[i]->op);
        assert_null(attribute(graph->node[i], "dilations")); /* they are not read */
        if (attribute(graph->node[i], "data_format"))
            assert_true(is_word(graph->node[i], "data_format", "NHWC"));
    }
    assert_true(graph->versions->producer <= 26);
}

static void only_operations_that_it_knows_are_written(void **state)
{
    (void)state;
    for_every_graph(expect_operations);
}

static void expect_order(const Tf__Graph *graph)
{
    const Tf__Value *shape = attribute(graph->node[0], "shape");
    assert_string_equal(graph->node[0]->op, "Placeholder");
    assert_int_equal(shape->shape->n_dim, 4);
    assert_int_equal(shape->shape->dim[0]->size, 1);
    assert_int_equal(shape->shape->dim[1]->size, shape->shape->dim[2]->size);
    for (size_t i = 0; i < graph->n_node; i++) {
        assert_true(strlen(graph->node[i]->name) <= LONGEST_NAME);
        assert_int_equal(find(graph, graph->node[i]->name), i); /* no name twice */
        for (size_t k = 0; k < graph->node[i]->n_input; k++)
            assert_true(find(graph, graph->node[i]->input[k]) < (int)i);
    }
}

static void
the_input_with_its_whole_shape_is_first_and_nothing_is_read_before_it_is_made(void **state)
{
    (void)state;
    for_every_graph(expect_order);
}

/* Biases and activations become part of the stage that was read last, whatever they name. */
static void expect_contiguous(const Tf__Graph *graph)
{
    int seen = 0;
    for (size_t i = 0; i < graph->n_node; i++) {
        const Tf__Node *node = graph->node[i];
        if (!is_op(node, "BiasAdd") && !is_op(node, "Relu") && !is_op(node, "Relu6"))
            continue;
        assert_string_equal(before(graph, (int)i)->name, node->input[0]);
        seen++;
    }
    assert_int_equal(seen, 5 + 3); /* convolutions and the logits; activations */
}

static void biases_and_activations_stand_right_behind_what_they_read(void **state)
{
    (void)state;
    for_every_graph(expect_contiguous);
}

static void expect_weights(const Tf__Graph *graph)
{
    for (size_t i = 0; i < graph->n_node; i++) {
        const Tf__Node *node = graph->node[i];
        bool is_depthwise = is_op(node, "DepthwiseConv2dNative");
        if (!is_depthwise && !is_op(node, "Conv2D"))
            continue;
        const Tf__Node *weights = graph->node[find(graph, node->input[1])];
        const Tf__Shape *shape = attribute(weights, "value")->tensor->shape;
        assert_int_equal(shape->n_dim, 4);
        assert_int_equal(shape->dim[0]->size, shape->dim[1]->size); /* HWIO, square */
        assert_true(!is_depthwise || shape->dim[3]->size == 1);     /* multiplier */
    }
}

static void kernels_are_square_and_depthwise_ones_multiply_no_channels(void **state)
{
    (void)state;
    for_every_graph(expect_weights);
}

/* It is remembered and merged into the convolution behind it, with the amounts in front alone. */
static void expect_pads(const Tf__Graph *graph)
{
    for (size_t i = 0; i < graph->n_node; i++) {
        if (!is_op(graph->node[i], "Pad"))
            continue;
        const Tf__Node *amounts = graph->node[find(graph, graph->node[i]->input[1])];
        int32_t zeros[8];
        size_t next = i + 1;
        memcpy(zeros, attribute(amounts, "value")->tensor->content.data, sizeof zeros);
        assert_true(zeros[2] == zeros[3] && zeros[4] == zeros[5] && zeros[2] == zeros[4]);
        while (is_op(graph->node[next], "Const"))
            next++;
        assert_string_equal(graph->node[next]->input[0], graph->node[i]->name);
        assert_true(is_word(graph->node[next], "padding", "VALID"));
    }
}

static int count(const Tf__Graph *graph, const char *op)
{
    int found = 0;
    for (size_t i = 0; i < graph->n_node; i++)
        found += is_op(graph->node[i], op);
    return found;
}

static void
a_pad_is_even_and_right_before_its_convolution_and_tensorflow_s_padding_has_none(void **state)
{
    (void)state;
    struct graph symmetric, tf;
    for_every_graph(expect_pads);
    open_graph(PAD_SYMMETRIC, ACT_RELU, &symmetric);
    open_graph(PAD_SAME, ACT_RELU, &tf);
    assert_int_equal(count(symmetric.read, "Pad"), 1); /* the stem's, of stride 2 */
    assert_int_equal(count(tf.read, "Pad"), 0);
    close_graph(&symmetric);
    close_graph(&tf);
}

static void expect_tail(const Tf__Graph *graph)
{
    const Tf__Node *pool = graph->node[find(graph, "pool")];
    const Tf__Node *last = graph->node[graph->n_node - 1];
    const int64_t *window = attribute(pool, "ksize")->list->i;
    assert_string_equal(pool->op, "AvgPool"); /* no Mean, whose axes have to be these */
    assert_true(is_word(pool, "padding", "VALID"));
    assert_true(window[1] == TINY_SIDE / 2 && window[2] == TINY_SIDE / 2);
    assert_string_equal(last->op, "Softmax");
    assert_string_equal(last->name, "probabilities");
    assert_string_equal(before(graph, (int)graph->n_node - 1)->op, "Reshape"); /* two dimensions */
    assert_int_equal(count(graph, "MatMul"), 0); /* the logits are a convolution of 1x1 */
}

static void the_mean_is_a_pool_and_a_softmax_of_two_dimensions_is_last(void **state)
{
    (void)state;
    for_every_graph(expect_tail);
}

static const char *field(const struct prototxt *of, const char *name)
{
    const struct prototxt *found = prototxt_find(of, name);
    return found && !found->is_message ? found->text : "";
}

static const struct prototxt *message(const struct prototxt *of, const char *name)
{
    const struct prototxt *found = prototxt_find(of, name);
    return found ? found->first : NULL;
}

static void expect_layer(const struct prototxt *layer)
{
    const char *type = field(layer, "type"), *name = field(layer, "name");
    const struct prototxt *conv = message(layer, "convolution_param");
    assert_true(strlen(name) <= LONGEST_NAME);
    if (strcmp(type, "Convolution") == 0) {
        const char *group = field(conv, "group");
        assert_string_equal(field(conv, "bias_term"), "true"); /* two blobs, as the model has */
        assert_true(strcmp(group, "1") == 0 || strcmp(group, field(conv, "num_output")) == 0);
    } else if (strcmp(type, "Eltwise") == 0) {
        assert_string_equal(field(layer, "top"), name); /* others are not linked */
    } else if (strcmp(type, "ReLU") == 0) {
        assert_string_equal(field(layer, "top"), field(layer, "bottom"));
    } else if (strcmp(type, "Softmax") == 0) {
        assert_string_equal(field(message(layer, "softmax_param"), "axis"), "1");
    } else if (strcmp(type, "Pooling") == 0) {
        assert_string_equal(field(message(layer, "pooling_param"), "global_pooling"), "true");
    } else {
        fail_msg("%s is of type %s", name, type);
    }
}

static void a_prototxt_has_the_input_and_the_layers_that_it_takes(void **state)
{
    (void)state;
    struct graph graph;
    struct prototxt *file = NULL;
    struct arena *arena = arena_create();
    int layers = 0;
    open_graph(PAD_SYMMETRIC, ACT_RELU, &graph);
    assert_int_equal(
        prototxt_parse(text_get(&graph.files.prototxt), graph.files.prototxt.size, arena, &file),
        ERR_OK);
    assert_string_equal(field(file, "input"), "data");
    assert_string_equal(field(message(file, "input_shape"), "dim"), "1");
    for (const struct prototxt *at = prototxt_find(file, "layer"); at;
         at = prototxt_find(at->next, "layer")) {
        expect_layer(at->first);
        layers++;
    }
    assert_int_equal(layers, TINY_LAYERS + 3 + 1); /* activations, softmax */
    arena_destroy(arena);
    close_graph(&graph);
}

static void a_caffemodel_has_two_blobs_for_each_convolution_of_its_prototxt(void **state)
{
    (void)state;
    struct graph graph;
    open_graph(PAD_SYMMETRIC, ACT_RELU, &graph);
    Caffe__Net *net =
        caffe__net__unpack(NULL, graph.files.caffemodel.size, graph.files.caffemodel.data);
    assert_non_null(net);
    assert_int_equal(net->n_layer, 5);
    for (size_t l = 0; l < net->n_layer; l++) {
        char line[128];
        snprintf(line, sizeof line, "  name: \"%s\"\n  type: \"Convolution\"\n",
                 net->layer[l]->name);
        assert_int_equal(net->layer[l]->n_blobs, 2);
        assert_int_equal(net->layer[l]->blobs[0]->shape->n_dim, 4);
        assert_non_null(strstr(text_get(&graph.files.prototxt), line));
    }
    caffe__net__free_unpacked(net, NULL);
    close_graph(&graph);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_operations_that_it_knows_are_written),
        cmocka_unit_test(
            the_input_with_its_whole_shape_is_first_and_nothing_is_read_before_it_is_made),
        cmocka_unit_test(biases_and_activations_stand_right_behind_what_they_read),
        cmocka_unit_test(kernels_are_square_and_depthwise_ones_multiply_no_channels),
        cmocka_unit_test(
            a_pad_is_even_and_right_before_its_convolution_and_tensorflow_s_padding_has_none),
        cmocka_unit_test(the_mean_is_a_pool_and_a_softmax_of_two_dimensions_is_last),
        cmocka_unit_test(a_prototxt_has_the_input_and_the_layers_that_it_takes),
        cmocka_unit_test(a_caffemodel_has_two_blobs_for_each_convolution_of_its_prototxt),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
