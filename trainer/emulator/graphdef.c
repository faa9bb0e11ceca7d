#include "trainer/emulator/graphdef.h"
#include <string.h>

struct graphdef_value *graphdef_value(const struct graphdef *graph, const char *name)
{
    for (int i = 0; name && i < graph->count; i++)
        if (strcmp(graph->values[i].name, name) == 0)
            return &graph->values[i];
    return NULL;
}

enum err graphdef_map(const struct graphdef *graph, const Tf__Node *node, int input, int *layer)
{
    const struct graphdef_value *value = graphdef_value(graph, node->input[input]);
    if (!value || value->constant || value->is_padded || value->is_taken)
        return err_set(ERR_DATA, "GraphDef: node %s: input %d is no map of an earlier node",
                       node->name, input);
    *layer = value->layer;
    return ERR_OK;
}

const Tf__Value *graphdef_attribute(const Tf__Node *node, const char *key)
{
    for (size_t i = 0; i < node->n_attr; i++)
        if (node->attr[i]->key && strcmp(node->attr[i]->key, key) == 0)
            return node->attr[i]->value;
    return NULL;
}

bool graphdef_is_word(const Tf__Node *node, const char *key, const char *word)
{
    const Tf__Value *value = graphdef_attribute(node, key);
    return value && value->has_s && value->s.len == strlen(word) &&
           memcmp(value->s.data, word, value->s.len) == 0;
}

enum err graphdef_constant(const struct graphdef *graph, const Tf__Node *node, int type,
                           size_t rank, int *dims, const void **content)
{
    const struct graphdef_value *value = graphdef_value(graph, node->input[1]);
    const Tf__Tensor *tensor = value ? value->constant : NULL;
    size_t count = 1;
    if (!tensor || tensor->dtype != type || !tensor->shape || tensor->shape->n_dim != rank)
        return err_set(ERR_DATA,
                       "GraphDef: node %s: input 1 is no constant of type %d and rank %zu",
                       node->name, type, rank);
    for (size_t i = 0; i < rank; i++) {
        int64_t size = tensor->shape->dim[i]->size;
        if (size < 1 || size > EXPORTED_MAX_CHANNELS)
            return err_set(ERR_DATA, "GraphDef: node %s: its constant has a dimension of %lld",
                           node->name, (long long)size);
        dims[i] = (int)size;
        count = count <= tensor->content.len ? count * (size_t)size : count;
    }
    if (count > tensor->content.len || tensor->content.len != count * sizeof(float))
        return err_set(ERR_DATA,
                       "GraphDef: node %s: its constant holds %zu bytes, not what its "
                       "shape says",
                       node->name, tensor->content.len);
    *content = tensor->content.data;
    return ERR_OK;
}

enum err graphdef_window(const Tf__Node *node, const char *key, int window[2])
{
    const Tf__Value *value = graphdef_attribute(node, key);
    const Tf__List *list = value ? value->list : NULL;
    if (!list || list->n_i != 4 || list->i[0] != 1 || list->i[3] != 1 || list->i[1] < 1 ||
        list->i[2] < 1 || list->i[1] > EXPORTED_MAX_SIDE || list->i[2] > EXPORTED_MAX_SIDE)
        return err_set(ERR_DATA, "GraphDef: node %s: %s is not 1, height, width, 1", node->name,
                       key);
    window[0] = (int)list->i[1], window[1] = (int)list->i[2];
    return ERR_OK;
}
