/* The readers of exported files: the three formats of one network are one network again, with every
 * number as it was; damaged files of each are refused in words. */
#include "base/rng.h"
#include "tests/emulator/tiny_folded.h"
#include "tests/yaml/mutate.h"
#include "trainer/emulator/readers.h"
#include "trainer/export/caffe.pb-c.h"
#include "trainer/export/tensorflow.pb-c.h"
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define CHECK(call)                                                                                \
    do {                                                                                           \
        if ((call) != ERR_OK)                                                                      \
            fail_msg("%s: %s", #call, err_text());                                                 \
    } while (0)

enum { SEED = 20261130, ROUNDS = 3000 };

static enum err read_caffe_files(const struct tiny_files *files, struct exported *net)
{
    return caffe_read(text_get(&files->prototxt), files->prototxt.size, files->caffemodel.data,
                      files->caffemodel.size, net);
}

static void check_conv(const struct folded_layer *expected, const struct exported_layer *found)
{
    int inner = expected->C / expected->groups, taps = expected->R * expected->R;
    assert_int_equal(found->K, expected->K);
    assert_int_equal(found->R, expected->R);
    assert_int_equal(found->S, expected->S);
    assert_int_equal(found->groups, expected->groups);
    assert_int_equal(found->pads[0],
                     pad_before(expected->pad, expected->H, expected->R, expected->S));
    for (int k = 0; k < expected->K; k++)
        for (int i = 0; i < inner * taps; i++) {
            float w = expected->w[k * inner * taps + i];
            int c = i / taps, t = i % taps;
            assert_memory_equal(&found->w[(t * inner + c) * expected->K + k], &w, sizeof w);
        }
    assert_memory_equal(found->b, expected->b, (size_t)expected->K * sizeof(float));
}

static void check_layer(const struct folded_layer *expected, const struct exported_layer *found)
{
    double high = expected->act == ACT_RELU6 ? 6 : INFINITY;
    assert_int_equal(found->in.C, expected->C);
    assert_int_equal(found->in.H, expected->H);
    assert_int_equal(found->out.H, folded_side(expected));
    assert_int_equal(found->out.C, folded_channels(expected));
    assert_true(found->clip_low == (expected->act == ACT_NONE ? -INFINITY : 0));
    assert_true(found->clip_high == high);
    if (expected->kind == FOLDED_CONV || expected->kind == FOLDED_LINEAR)
        check_conv(expected, found);
}

/* Layer by layer what was written, and a softmax. */
static void check_net(const struct folded *folded, const struct exported *net)
{
    static const enum exported_kind kinds[] = {EXPORTED_CONV, EXPORTED_ADD, EXPORTED_MUL,
                                               EXPORTED_POOL, EXPORTED_CONV};
    assert_int_equal(net->count, folded->count + 1);
    assert_int_equal(net->logits, folded->count - 1);
    for (int l = 0; l < folded->count; l++) {
        assert_int_equal(net->layers[l].kind, kinds[folded->layers[l].kind]);
        assert_int_equal(net->layers[l].input == folded->layers[l].input ||
                             net->layers[l].other == folded->layers[l].input,
                         1);
        check_layer(&folded->layers[l], &net->layers[l]);
    }
    assert_int_equal(net->layers[folded->count].kind, EXPORTED_SOFTMAX);
    assert_string_equal(net->layers[TINY_STEM].name + (net->layers[0].name[4] == '/' ? 5 : 0),
                        net->layers[0].name[4] == '/' ? "conv" : "stem");
}

static void every_format_gives_the_network_that_was_written(void **state)
{
    static const struct {
        enum pad pad;
        enum act act;
    } nets[] = {{PAD_SYMMETRIC, ACT_RELU}, {PAD_SYMMETRIC, ACT_RELU6}, {PAD_SAME, ACT_RELU6}};
    (void)state;
    for (int n = 0; n < 3; n++) {
        struct folded folded;
        struct tiny_files files;
        struct exported net;
        tiny_folded(nets[n].pad, nets[n].act, &folded);
        tiny_write(&folded, &files);
        CHECK(tensorflow_read(files.graphdef.data, files.graphdef.size, &net));
        check_net(&folded, &net);
        exported_fini(&net);
        CHECK(onnx_read(files.onnx.data, files.onnx.size, &net));
        check_net(&folded, &net);
        exported_fini(&net);
        if (files.caffemodel.data) {
            CHECK(read_caffe_files(&files, &net));
            check_net(&folded, &net);
            exported_fini(&net);
        }
        tiny_files_fini(&files);
        folded_fini(&folded);
    }
}

/* h-swish and squeeze-excite are layers of their own; the gate's clip is its convolution's. */
static void a_gated_network_comes_back_from_onnx(void **state)
{
    struct folded folded;
    struct tiny_files files;
    struct exported net;
    int muls = 0, acts = 0;
    (void)state;
    tiny_gated(&folded);
    tiny_write(&folded, &files);
    CHECK(onnx_read(files.onnx.data, files.onnx.size, &net));
    for (int l = 0; l < net.count; l++) {
        muls += net.layers[l].kind == EXPORTED_MUL;
        acts += net.layers[l].kind == EXPORTED_ACT;
    }
    assert_int_equal(muls, 3);
    assert_int_equal(acts, 2); /* the two hard sigmoids of h-swish */
    exported_fini(&net);
    tiny_files_fini(&files);
    folded_fini(&folded);
}

/* prototxt: the first `from` becomes `to`. */
static const struct {
    const char *from, *to, *words;
} spoilt_texts[] = {
    {"input: \"data\"", "", "input and input_shape are missing"},
    {"dim: 3 dim: 8", "dim: 3", "line 3: input_shape is not 1, channels, height, width"},
    {"dim: 8", "dim: 8000", "an input of 8000 x 8"},
    {"dim: 8", "dim: eight", "line 3: dim is no number"},
    {"Convolution", "DepthwiseConvolution", "line 4: glowworm reads no layer of type Depthwise"},
    {"stride: 2", "stride: 2 dilation: 2", "glowworm does not read dilation of convolution_param"},
    {"stride: 2", "stride: 2 stride: 1", "stride stands twice in one convolution_param"},
    {"stride: 2", "stride: 0", "stem: a kernel of 3, stride 0"},
    {"pad: 1", "pad: 3", "a kernel of 3"},
    {"kernel_size: 3", "kernel_size: 5", "the two files belong to different networks"},
    {"num_output: 8", "num_output: 16", "layer stem has no 2 blobs of 16 x 3 x 3 x 3"},
    {"bias_term: true", "bias_term: false", "layer stem has no 1 blobs"},
    {"group: 8", "group: 3", "different networks"},
    {"name: \"stem\"", "name: \"stern\"", "caffemodel: layer stern has no 2 blobs"},
    {"name: \"stem_relu\"", "name: \"stem\"", "two layers stem"},
    {"name: \"stem\"", "name: \"\"", "a layer has no name of 1 to 99 printable characters"},
    {"bottom: \"data\"", "bottom: \"nowhere\"", "bottom is no blob of an earlier layer"},
    {"operation: SUM", "operation: MAX", "only sums of two blobs are read"},
    {"pool: AVE", "pool: MAX", "only the mean over a whole map is read"},
    {"axis: 1", "axis: 2", "a softmax along axis 2"},
    {"input_shape {", "input_shape ", "a colon or a brace is missing behind input_shape"},
    {"softmax_param { axis: 1 }\n}", "softmax_param { axis: 1 }\n", "is never closed"},
    {"layer {", "} layer {", "line 4: a brace that closes nothing"},
    {"\"stem\"", "\"stem", "line 5: an escape or an unprintable character in a string"},
    {"type: \"ReLU\"", "type: \"ReLU\"\n  relu_param { negative_slope: 0.1 }",
     "glowworm does not read relu_param of layer"},
    {"layer {\n  name: \"pool\"",
     "layer {\n  name: \"sink\"\n  type: \"Pooling\"\n  bottom: "
     "\"head\"\n  top: \"sink\"\n  pooling_param { pool: AVE global_pooling: true }\n}\nlayer {\n"
     "  name: \"pool\"",
     "sink: nothing reads this layer"},
};

static void spoil_text(const struct text *from, size_t which, struct text *to)
{
    const char *at = strstr(text_get(from), spoilt_texts[which].from);
    if (!at)
        fail_msg("the prototxt has no %s", spoilt_texts[which].from);
    text_init(to);
    text_add(to, "%.*s%s%s", (int)(at - text_get(from)), text_get(from), spoilt_texts[which].to,
             at + strlen(spoilt_texts[which].from));
}

static void each_damage_of_a_prototxt_is_refused_in_words(void **state)
{
    struct folded folded;
    struct tiny_files files;
    (void)state;
    tiny_folded(PAD_SYMMETRIC, ACT_RELU, &folded);
    tiny_write(&folded, &files);
    for (size_t i = 0; i < sizeof spoilt_texts / sizeof *spoilt_texts; i++) {
        struct exported net;
        struct text spoilt;
        spoil_text(&files.prototxt, i, &spoilt);
        enum err err = caffe_read(text_get(&spoilt), spoilt.size, files.caffemodel.data,
                                  files.caffemodel.size, &net);
        if (err != ERR_DATA || !strstr(err_text(), spoilt_texts[i].words))
            fail_msg("%s: %s, %s; expected \"%s\"", spoilt_texts[i].to, err_name(err),
                     err ? err_text() : "", spoilt_texts[i].words);
        exported_fini(&net);
        text_fini(&spoilt);
    }
    tiny_files_fini(&files);
    folded_fini(&folded);
}

static Tf__Node *node_of(Tf__Graph *graph, const char *name)
{
    for (size_t i = 0; i < graph->n_node; i++)
        if (strcmp(graph->node[i]->name, name) == 0)
            return graph->node[i];
    fail_msg("the GraphDef has no node %s", name);
    return NULL;
}

static Tf__Value *value_of(Tf__Graph *graph, const char *name, const char *key)
{
    Tf__Node *node = node_of(graph, name);
    for (size_t i = 0; i < node->n_attr; i++)
        if (strcmp(node->attr[i]->key, key) == 0)
            return node->attr[i]->value;
    fail_msg("node %s has no %s", name, key);
    return NULL;
}

/* Damages a node's word in place: it keeps its length. */
static void write_over(char *word, const char *with)
{
    assert_int_equal(strlen(word), strlen(with));
    memcpy(word, with, strlen(with));
}

static void pad_rows(Tf__Graph *graph, int32_t above, int32_t below)
{
    uint8_t *paddings = value_of(graph, "stem/paddings", "value")->tensor->content.data;
    memcpy(paddings + 2 * sizeof above, &above, sizeof above);
    memcpy(paddings + 3 * sizeof below, &below, sizeof below);
}

enum { COPIES = 100 };

/* The stem's convolution again and again, a node of fewer bytes than the filter that all read. */
static void read_filter_often(Tf__Graph *graph)
{
    static Tf__Node copies[COPIES], *nodes[COPIES + 64];
    static char names[COPIES][16];
    size_t before = 0;
    while (strcmp(graph->node[before]->name, "stem/conv") != 0)
        before++;
    for (size_t i = 0; i < COPIES; i++) {
        copies[i] = *graph->node[before];
        snprintf(names[i], sizeof names[i], "again%zu", i);
        copies[i].name = names[i];
        nodes[before + i] = &copies[i];
    }
    assert_in_range(graph->n_node, 1, 64);
    memcpy(nodes, graph->node, before * sizeof *nodes);
    memcpy(nodes + before + COPIES, graph->node + before, (graph->n_node - before) * sizeof *nodes);
    graph->node = nodes;
    graph->n_node += COPIES;
}

#define GRAPH_CASES                                                                                \
    CASE(unknown_op, write_over(node_of(g, "stem/act")->op, "Selu"),                               \
         "node stem/act: an operation")                                                            \
    CASE(other_format, memcpy(value_of(g, "stem", "data_format")->s.data, "NCHW", 4),              \
         "node stem: data_format is not NHWC")                                                     \
    CASE(unknown_padding, memcpy(value_of(g, "stem/conv", "padding")->s.data, "FULLY", 5),         \
         "node stem/conv: padding is neither SAME nor VALID")                                      \
    CASE(uneven_strides, value_of(g, "stem/conv", "strides")->list->i[1] = 1,                      \
         "node stem/conv: strides of 1 and 2")                                                     \
    CASE(huge_strides,                                                                             \
         value_of(g, "stem/conv", "strides")->list->i[1] =                                         \
             value_of(g, "stem/conv", "strides")->list->i[2] = 4096,                               \
         "stem/conv: a kernel of 3, stride 4096")                                                  \
    CASE(other_batch, value_of(g, "input", "shape")->shape->dim[0]->size = 2,                      \
         "the input input has no shape 1")                                                         \
    CASE(open_side, value_of(g, "input", "shape")->shape->dim[1]->size = -1,                       \
         "an input of 0 x 8 and 3 channels is out of range")                                       \
    CASE(short_weights, value_of(g, "stem/weights", "value")->tensor->content.len -= 4,            \
         "node stem/conv: its constant holds 860 bytes")                                           \
    CASE(huge_weights,                                                                             \
         value_of(g, "stem/weights", "value")->tensor->shape->dim[0]->size = 1 << 16,              \
         "node stem/conv: its constant holds 864 bytes")                                           \
    CASE(other_filter, value_of(g, "stem/weights", "value")->tensor->shape->dim[2]->size = 8;      \
         value_of(g, "stem/weights", "value")->tensor->shape->dim[3]->size = 3,                    \
         "node stem/conv: a filter of 3 x 3 x 8 x 3 on 3 channels")                                \
    CASE(other_type, value_of(g, "stem/bias", "value")->tensor->dtype = 3,                         \
         "node stem: input 1 is no constant of type 1 and rank 1")                                 \
    CASE(short_bias, value_of(g, "stem/bias", "value")->tensor->shape->dim[0]->size = 4;           \
         value_of(g, "stem/bias", "value")->tensor->content.len = 16,                              \
         "node stem: 4 numbers for 8 channels")                                                    \
    CASE(not_read_yet, write_over(node_of(g, "stem/conv")->input[0], "stem/acx"),                  \
         "node stem/conv: input 0 is no map of an earlier node")                                   \
    CASE(two_of_a_name, write_over(node_of(g, "stem/bias")->name, "stem/conv"),                    \
         "two nodes stem/conv")                                                                    \
    CASE(unprintable_name, node_of(g, "stem")->name[0] = '\033',                                   \
         "a node has no name of 1 to 99 printable characters")                                     \
    CASE(padded_channels,                                                                          \
         ((int32_t *)(void *)value_of(g, "stem/paddings", "value")->tensor->content.data)[6] = 1,  \
         "node stem/pad pads images or channels")                                                  \
    CASE(padded_backwards, pad_rows(g, -1, -1), "a kernel of 3")                                   \
    CASE(padded_without_bound, pad_rows(g, INT32_MAX, INT32_MAX), "a kernel of 3")                 \
    CASE(padded_unevenly, pad_rows(g, 0, 1), "node stem/pad pads 0 and 1 rows, 1 and 1 columns")   \
    CASE(clip_of_an_earlier_layer, write_over(node_of(g, "head/act")->input[0], "stem"),           \
         "node head/act: the camera's converter would clip the layer read last")                   \
    CASE(one_filter_for_many, read_filter_often(g),                                                \
         "the filters of all layers are larger than the file")                                     \
    CASE(no_node_behind, g->n_node = 1, "a network without layers")                                \
    CASE(no_softmax, g->n_node -= 1, "the last layer of a network is its only softmax")            \
    CASE(no_input_first, memmove(g->node, g->node + 1, (g->n_node -= 1) * sizeof *g->node),        \
         "stands in front of the input")                                                           \
    CASE(partial_pool, value_of(g, "pool", "ksize")->list->i[1] = 2,                               \
         "node pool: only the mean over a whole map is read")                                      \
    CASE(unknown_attribute, write_over(node_of(g, "stem/act")->attr[0]->key, "U"),                 \
         "node stem/act: an attribute of Relu that glowworm does not read")

#define CASE(name, damage, words)                                                                  \
    static void name(Tf__Graph *g)                                                                 \
    {                                                                                              \
        damage;                                                                                    \
    }
GRAPH_CASES
#undef CASE

#define CASE(name, damage, words) {#name, name, words},
static const struct {
    const char *name;
    void (*spoil)(Tf__Graph *graph);
    const char *words;
} graph_cases[] = {GRAPH_CASES};
#undef CASE

static void *take_from_arena(void *arena, size_t size_bytes)
{
    return arena_alloc(arena, size_bytes);
}

static void leave_to_arena(void *arena, void *pointer)
{
    (void)arena, (void)pointer;
}

/* What comes of a GraphDef that was spoilt between unpacking and packing. */
static enum err read_spoilt(const struct bytes *graphdef, void (*spoil)(Tf__Graph *))
{
    struct exported net;
    struct arena *arena = arena_create();
    ProtobufCAllocator allocator = {take_from_arena, leave_to_arena, arena};
    Tf__Graph *graph = tf__graph__unpack(&allocator, graphdef->size, graphdef->data);
    spoil(graph);
    size_t size = tf__graph__get_packed_size(graph);
    uint8_t *packed = arena_alloc(arena, size);
    tf__graph__pack(graph, packed);
    enum err err = tensorflow_read(packed, size, &net);
    exported_fini(&net);
    arena_destroy(arena);
    return err;
}

static void each_damage_of_a_graphdef_is_refused_in_words(void **state)
{
    struct folded folded;
    struct tiny_files files;
    (void)state;
    tiny_folded(PAD_SYMMETRIC, ACT_RELU, &folded);
    tiny_write(&folded, &files);
    for (size_t i = 0; i < sizeof graph_cases / sizeof *graph_cases; i++) {
        enum err err = read_spoilt(&files.graphdef, graph_cases[i].spoil);
        if (err != ERR_DATA || !strstr(err_text(), graph_cases[i].words))
            fail_msg("%s: %s, %s; expected \"%s\"", graph_cases[i].name, err_name(err),
                     err ? err_text() : "", graph_cases[i].words);
    }
    tiny_files_fini(&files);
    folded_fini(&folded);
}

static void a_caffemodel_of_another_network_is_refused(void **state)
{
    struct folded folded;
    struct tiny_files files;
    struct exported net;
    (void)state;
    tiny_folded(PAD_SYMMETRIC, ACT_RELU, &folded);
    tiny_write(&folded, &files);
    Caffe__Net *weights = caffe__net__unpack(NULL, files.caffemodel.size, files.caffemodel.data);
    weights->layer[1]->name[0] = 'z';
    caffe__net__pack(weights, files.caffemodel.data);
    assert_int_equal(read_caffe_files(&files, &net), ERR_DATA);
    assert_non_null(strstr(err_text(), "caffemodel: layer block1_depthwise has no 2 blobs"));
    exported_fini(&net);
    caffe__net__free_unpacked(weights, NULL);
    tiny_files_fini(&files);
    folded_fini(&folded);
}

static void files_of_another_kind_are_refused(void **state)
{
    static const char text[] = "name: \"tiny\"\n";
    struct exported net;
    (void)state;
    assert_int_equal(tensorflow_read(text, sizeof text - 1, &net), ERR_DATA);
    assert_non_null(strstr(err_text(), "this is no GraphDef"));
    exported_fini(&net);
    assert_int_equal(onnx_read(text, sizeof text - 1, &net), ERR_DATA);
    assert_non_null(strstr(err_text(), "this is no ONNX file"));
    exported_fini(&net);
    assert_int_equal(caffe_read(text, sizeof text - 1, text, sizeof text - 1, &net), ERR_DATA);
    assert_non_null(strstr(err_text(), "this is no caffemodel"));
    exported_fini(&net);
    assert_int_equal(tensorflow_read("", 0, &net), ERR_DATA);
    assert_non_null(strstr(err_text(), "a network without layers"));
    exported_fini(&net);
    assert_int_equal(caffe_read("", 0, "", 0, &net), ERR_DATA);
    assert_non_null(strstr(err_text(), "input and input_shape are missing"));
    exported_fini(&net);
}

enum format { GRAPHDEF, PROTOTXT, CAFFEMODEL, ONNX, FORMATS };

static enum err read_mutated(const struct tiny_files *files, enum format format,
                             const uint8_t *bytes, size_t size)
{
    struct exported net;
    enum err err =
        format == GRAPHDEF ? tensorflow_read(bytes, size, &net)
        : format == ONNX   ? onnx_read(bytes, size, &net)
        : format == PROTOTXT
            ? caffe_read(bytes, size, files->caffemodel.data, files->caffemodel.size, &net)
            : caffe_read(text_get(&files->prototxt), files->prototxt.size, bytes, size, &net);
    exported_fini(&net);
    return err;
}

static void mutate_format(const struct tiny_files *files, enum format format,
                          const struct bytes *sound)
{
    int taken = 0;
    uint8_t *bytes = mem_alloc(MUTATE_ROOM);
    for (uint64_t round = 0; round < ROUNDS; round++) {
        size_t size = sound->size;
        memcpy(bytes, sound->data, size);
        if (round % 2)
            bytes[rng_below(rng(SEED, RNG_TEST, format, round, 0), (uint32_t)size)] =
                (uint8_t)rng_below(rng(SEED, RNG_TEST, format, round, 1), 256);
        else
            size = mutate_bytes(SEED, round, (char *)bytes, size);
        enum err err = read_mutated(files, format, bytes, size);
        if (err != ERR_OK && err != ERR_DATA)
            fail_msg("format %d, round %llu: %s: %s", format, (unsigned long long)round,
                     err_name(err), err_text());
        taken += err == ERR_OK;
    }
    mem_free(bytes);
    assert_in_range(taken, ROUNDS / 50, ROUNDS - ROUNDS / 50); /* both answers occur */
}

static void mutated_files_are_answered_in_words(void **state)
{
    struct folded folded;
    struct tiny_files files;
    (void)state;
    tiny_folded(PAD_SYMMETRIC, ACT_RELU, &folded);
    tiny_write(&folded, &files);
    struct bytes prototxt = {(uint8_t *)files.prototxt.bytes, files.prototxt.size};
    const struct bytes *sound[FORMATS] = {&files.graphdef, &prototxt, &files.caffemodel,
                                          &files.onnx};
    for (enum format format = 0; format < FORMATS; format++)
        mutate_format(&files, format, sound[format]);
    tiny_files_fini(&files);
    folded_fini(&folded);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_format_gives_the_network_that_was_written),
        cmocka_unit_test(a_gated_network_comes_back_from_onnx),
        cmocka_unit_test(each_damage_of_a_prototxt_is_refused_in_words),
        cmocka_unit_test(each_damage_of_a_graphdef_is_refused_in_words),
        cmocka_unit_test(a_caffemodel_of_another_network_is_refused),
        cmocka_unit_test(files_of_another_kind_are_refused),
        cmocka_unit_test(mutated_files_are_answered_in_words),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
