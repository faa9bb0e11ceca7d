/* A prototxt says what the layers are, the caffemodel what they weigh; they meet by name. */
#include "base/text.h"
#include "trainer/emulator/prototxt.h"
#include "trainer/emulator/readers.h"
#include "trainer/export/caffe.pb-c.h"
#include "trainer/export/unpack.h"
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

enum { MAX_PROTOTXT = 1 << 20 }; /* its tree takes fifty times as much */

struct blob { /* a named map; an in-place layer writes it anew */
    const char *name;
    int layer;
};

struct caffe {
    struct exported *net;
    struct arena *arena; /* of the text */
    const Caffe__Net *weights;
    size_t model_bytes;
    size_t weights_read;
    struct blob *blobs; /* (count) */
    int count;
};

/* None but those that are read: one that is passed over would change what the layer means. */
static enum err check_fields(const struct prototxt *message, const char *known)
{
    char wanted[32];
    for (const struct prototxt *field = message->first; field; field = field->next) {
        int size = snprintf(wanted, sizeof wanted, " %s ", field->name);
        if ((size_t)size >= sizeof wanted || !strstr(known, wanted))
            return err_set(ERR_DATA, "prototxt: line %d: glowworm does not read %.40s of %.40s",
                           field->line, field->name, message->name);
        if (prototxt_find(field->next, field->name) && strcmp(field->name, "bottom") != 0 &&
            strcmp(field->name, "dim") != 0)
            return err_set(ERR_DATA, "prototxt: line %d: %.40s stands twice in one %.40s",
                           field->line, field->name, message->name);
    }
    return ERR_OK;
}

/* "" where there is none. */
static const char *get_word(const struct prototxt *message, const char *name)
{
    const struct prototxt *field = message ? prototxt_find(message->first, name) : NULL;
    return field && field->text ? field->text : "";
}

static bool is_word(const struct prototxt *message, const char *name, const char *word)
{
    return strcmp(get_word(message, name), word) == 0;
}

static enum err to_int(const struct prototxt *field, int most, int *value)
{
    long number = 0;
    if (!field->text || text_to_int(field->text, 0, most, &number) != ERR_OK)
        return err_set(ERR_DATA, "prototxt: line %d: %.40s is no number from 0 to %d", field->line,
                       field->name, most);
    *value = (int)number;
    return ERR_OK;
}

static enum err get_int(const struct prototxt *message, const char *name, int missing, int *value)
{
    const struct prototxt *field = prototxt_find(message->first, name);
    *value = missing;
    return field ? to_int(field, EXPORTED_MAX_CHANNELS, value) : ERR_OK;
}

static enum err find_blob(const struct caffe *caffe, const struct prototxt *bottom, int *layer)
{
    for (int i = caffe->count - 1; bottom && bottom->text && i >= 0; i--)
        if (strcmp(caffe->blobs[i].name, bottom->text) == 0) {
            *layer = caffe->blobs[i].layer;
            return ERR_OK;
        }
    return err_set(ERR_DATA, "prototxt: line %d: bottom is no blob of an earlier layer",
                   bottom ? bottom->line : 0);
}

static const Caffe__Layer *find_weights(const struct caffe *caffe, const char *name)
{
    for (size_t i = 0; i < caffe->weights->n_layer; i++)
        if (caffe->weights->layer[i]->name && strcmp(caffe->weights->layer[i]->name, name) == 0)
            return caffe->weights->layer[i];
    return NULL;
}

static bool has_shape(const Caffe__Blob *blob, size_t rank, const int *dims)
{
    size_t count = 1;
    if (!blob->shape || blob->shape->n_dim != rank)
        return false;
    for (size_t i = 0; i < rank; i++) {
        if (blob->shape->dim[i] != dims[i])
            return false;
        count *= (size_t)dims[i];
        if (count > blob->n_data)
            return false;
    }
    return blob->n_data == count;
}

/* Two blobs, (K, C / groups, R, R) and (K), unless the layer has no bias. */
static enum err set_weights(struct caffe *caffe, struct exported_layer *layer, bool has_bias)
{
    enum err err = ERR_OK;
    const Caffe__Layer *found = find_weights(caffe, layer->name);
    int C = exported_output(caffe->net, layer->input)->C;
    int dims[4] = {layer->K, C / layer->groups, layer->R, layer->R};
    size_t blobs = has_bias ? 2 : 1;
    if (!found || found->n_blobs != blobs || !has_shape(found->blobs[0], 4, dims) ||
        (has_bias && !has_shape(found->blobs[1], 1, dims)))
        TRY(err_set(ERR_DATA,
                    "caffemodel: layer %s has no %zu blobs of %d x %d x %d x %d weights and %d "
                    "biases, as the prototxt says: the two files belong to different networks",
                    layer->name, blobs, dims[0], dims[1], dims[2], dims[3],
                    has_bias ? layer->K : 0));
    caffe->weights_read++;
    TRY(exported_reserve(caffe->net, layer, dims[1]));
    exported_fill(layer, found->blobs[0]->data, dims[1]);
    if (has_bias)
        memcpy(layer->b, found->blobs[1]->data, (size_t)layer->K * sizeof(float));
out:
    return err;
}

static enum err read_conv(struct caffe *caffe, const struct prototxt *message,
                          struct exported_layer *layer)
{
    enum err err = ERR_OK;
    int pad;
    const struct prototxt *param = prototxt_find(message->first, "convolution_param");
    if (!param)
        TRY(err_set(ERR_DATA, "prototxt: line %d: a Convolution without convolution_param",
                    message->line));
    TRY(check_fields(param, " num_output bias_term kernel_size pad stride group "));
    TRY(get_int(param, "num_output", 0, &layer->K));
    TRY(get_int(param, "kernel_size", 0, &layer->R));
    TRY(get_int(param, "stride", 1, &layer->S));
    TRY(get_int(param, "group", 1, &layer->groups));
    TRY(get_int(param, "pad", 0, &pad));
    for (int i = 0; i < 4; i++)
        layer->pads[i] = pad;
    if (layer->K < 1 || layer->groups < 1 || layer->R < 1 || layer->R > EXPORTED_MAX_KERNEL)
        TRY(err_set(
            ERR_DATA,
            "prototxt: line %d: num_output, group or kernel_size is missing or out of range",
            param->line));
    TRY(set_weights(caffe, layer, !is_word(param, "bias_term", "false")));
out:
    return err;
}

static enum err read_relu(struct caffe *caffe, const struct prototxt *message,
                          struct exported_layer *layer)
{
    (void)caffe, (void)message;
    layer->clip_low = 0;
    return ERR_OK;
}

static enum err read_pool(struct caffe *caffe, const struct prototxt *message,
                          struct exported_layer *layer)
{
    enum err err = ERR_OK;
    const struct prototxt *param = prototxt_find(message->first, "pooling_param");
    (void)caffe, (void)layer;
    if (param)
        TRY(check_fields(param, " pool global_pooling "));
    if (!is_word(param, "pool", "AVE") || !is_word(param, "global_pooling", "true"))
        TRY(err_set(ERR_DATA, "prototxt: line %d: only the mean over a whole map is read",
                    message->line));
out:
    return err;
}

static enum err read_sum(struct caffe *caffe, const struct prototxt *message,
                         struct exported_layer *layer)
{
    enum err err = ERR_OK;
    const struct prototxt *param = prototxt_find(message->first, "eltwise_param");
    const struct prototxt *first = prototxt_find(message->first, "bottom");
    const struct prototxt *second = first ? prototxt_find(first->next, "bottom") : NULL;
    if (param)
        TRY(check_fields(param, " operation "));
    if (!second || prototxt_find(second->next, "bottom") ||
        (param && !is_word(param, "operation", "SUM")))
        TRY(err_set(ERR_DATA, "prototxt: line %d: only sums of two blobs are read", message->line));
    TRY(find_blob(caffe, second, &layer->other));
out:
    return err;
}

static enum err read_softmax(struct caffe *caffe, const struct prototxt *message,
                             struct exported_layer *layer)
{
    enum err err = ERR_OK;
    int axis = 1;
    const struct prototxt *param = prototxt_find(message->first, "softmax_param");
    (void)caffe, (void)layer;
    if (param) {
        TRY(check_fields(param, " axis "));
        TRY(get_int(param, "axis", 1, &axis));
    }
    if (axis != 1)
        TRY(err_set(ERR_DATA, "prototxt: line %d: a softmax along axis %d, not 1", param->line,
                    axis));
out:
    return err;
}

static const struct caffe_type {
    const char *type;
    enum exported_kind kind;
    const char *fields; /* besides what every layer has, a blank around each */
    enum err (*read)(struct caffe *, const struct prototxt *, struct exported_layer *);
} types[] = {
    {"Convolution", EXPORTED_CONV, " name type bottom top convolution_param ", read_conv},
    {"ReLU", EXPORTED_ACT, " name type bottom top ", read_relu},
    {"Pooling", EXPORTED_POOL, " name type bottom top pooling_param ", read_pool},
    {"Eltwise", EXPORTED_ADD, " name type bottom top eltwise_param ", read_sum},
    {"Softmax", EXPORTED_SOFTMAX, " name type bottom top softmax_param ", read_softmax},
};

static enum err find_type(const struct prototxt *message, const struct caffe_type **type)
{
    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        if (is_word(message, "type", types[i].type)) {
            *type = &types[i];
            return ERR_OK;
        }
    return err_set(ERR_DATA, "prototxt: line %d: glowworm reads no layer of type %.40s",
                   message->line, get_word(message, "type"));
}

/* Two layers may share a blob, never a name. */
static enum err check_name(const struct caffe *caffe, const struct prototxt *message)
{
    const char *name = get_word(message, "name");
    for (int l = 0; l < caffe->net->count; l++)
        if (strcmp(caffe->net->layers[l].name, name) == 0)
            return err_set(ERR_DATA, "prototxt: line %d: two layers %s", message->line, name);
    return exported_name("prototxt: a layer", name);
}

static enum err read_layer(struct caffe *caffe, const struct prototxt *message)
{
    enum err err = ERR_OK;
    const struct caffe_type *type = NULL;
    int input = EXPORTED_INPUT;
    const struct prototxt *bottom = prototxt_find(message->first, "bottom");
    const struct prototxt *top = prototxt_find(message->first, "top");
    TRY(find_type(message, &type));
    TRY(check_fields(message, type->fields));
    TRY(check_name(caffe, message));
    TRY(find_blob(caffe, bottom, &input));
    if (!top || !top->text || (type->kind != EXPORTED_ADD && prototxt_find(bottom->next, "bottom")))
        TRY(err_set(ERR_DATA, "prototxt: line %d: a layer without top, or with a bottom too many",
                    message->line));
    struct exported_layer layer = exported_layer(type->kind, input);
    snprintf(layer.name, sizeof layer.name, "%s", get_word(message, "name"));
    TRY(type->read(caffe, message, &layer));
    err = exported_add(caffe->net, &layer);
    if (err != ERR_OK)
        TRY(err_prefix(err, "prototxt: line %d", message->line));
    caffe->blobs[caffe->count++] = (struct blob){top->text, caffe->net->count - 1};
out:
    return err;
}

/* input: "data" input_shape { dim: 1 dim: C dim: H dim: W } */
static enum err read_input(struct caffe *caffe, const struct prototxt *first)
{
    enum err err = ERR_OK;
    const struct prototxt *name = prototxt_find(first, "input");
    const struct prototxt *shape = prototxt_find(first, "input_shape");
    int dims[4] = {0}, count = 0;
    if (!name || !name->text || !shape)
        TRY(err_set(ERR_DATA, "prototxt: input and input_shape are missing"));
    TRY(check_fields(shape, " dim "));
    for (const struct prototxt *dim = shape->first; dim; dim = dim->next) {
        if (count < 4)
            TRY(to_int(dim, EXPORTED_MAX_CHANNELS, &dims[count]));
        count++;
    }
    if (count != 4 || dims[0] != 1)
        TRY(err_set(ERR_DATA, "prototxt: line %d: input_shape is not 1, channels, height, width",
                    shape->line));
    TRY(exported_begin(caffe->net, (struct exported_map){dims[2], dims[3], dims[1]},
                       caffe->model_bytes));
    caffe->blobs[caffe->count++] = (struct blob){name->text, EXPORTED_INPUT};
out:
    return err;
}

static enum err read_layers(struct caffe *caffe, const struct prototxt *first)
{
    enum err err = ERR_OK;
    int most = 1;
    for (const struct prototxt *field = first; field; field = field->next) {
        if (strcmp(field->name, "layer") == 0) {
            most++;
            continue;
        }
        if (strcmp(field->name, "name") != 0 && strcmp(field->name, "input") != 0 &&
            strcmp(field->name, "input_shape") != 0)
            TRY(err_set(ERR_DATA, "prototxt: line %d: glowworm does not read %.40s", field->line,
                        field->name));
    }
    caffe->blobs = arena_alloc(caffe->arena, (size_t)most * sizeof *caffe->blobs);
    TRY(read_input(caffe, first));
    for (const struct prototxt *field = first; field; field = field->next)
        if (strcmp(field->name, "layer") == 0)
            TRY(read_layer(caffe, field));
    if (caffe->weights_read != caffe->weights->n_layer)
        TRY(err_set(ERR_DATA,
                    "caffemodel: %zu layers, of which the prototxt knows %zu: the two "
                    "files belong to different networks",
                    caffe->weights->n_layer, caffe->weights_read));
    err = exported_finish(caffe->net);
    if (err != ERR_OK)
        TRY(err_prefix(err, "prototxt"));
out:
    return err;
}

enum err caffe_read(const void *prototxt, size_t prototxt_bytes, const void *model,
                    size_t model_bytes, struct exported *net)
{
    enum err err = ERR_OK;
    struct unpacked unpacked = {0};
    struct prototxt *first = NULL;
    struct caffe caffe = {.net = net, .arena = arena_create(), .model_bytes = model_bytes};
    memset(net, 0, sizeof *net);
    TRY(unpack(&caffe__net__descriptor, "caffemodel", model, model_bytes, &unpacked));
    caffe.weights = (const Caffe__Net *)unpacked.message;
    if (prototxt_bytes > MAX_PROTOTXT)
        TRY(err_set(ERR_DATA, "prototxt: longer than %d bytes", MAX_PROTOTXT));
    err = prototxt_parse(prototxt, prototxt_bytes, caffe.arena, &first);
    if (err != ERR_OK)
        TRY(err_prefix(err, "prototxt"));
    TRY(read_layers(&caffe, first));
out:
    arena_destroy(caffe.arena);
    unpacked_fini(&unpacked);
    return err;
}
