#include "trainer/export/onnx_check.h"
#include <string.h>

enum {
    MAX_ATTRIBUTES = 5,
    INT = ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__INT,
    INTS = ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__INTS,
    FLOAT = ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__FLOAT
};

struct rule { /* an attribute an operator may have */
    const char *name;
    int type;
    size_t count; /* of a list */
};

static const struct operator_rule {
    const char *op;
    size_t maps, tensors; /* inputs: maps first */
    struct rule attributes[MAX_ATTRIBUTES];
} rules[] = {
    {"Conv",
     1,
     2,
     {{"kernel_shape", INTS, 2},
      {"strides", INTS, 2},
      {"pads", INTS, 4},
      {"dilations", INTS, 2},
      {"group", INT, 0}}},
    {"Relu", 1, 0, {{0}}},
    {"Clip", 1, 0, {{"min", FLOAT, 0}, {"max", FLOAT, 0}}},
    {"HardSigmoid", 1, 0, {{"alpha", FLOAT, 0}, {"beta", FLOAT, 0}}},
    {"Add", 2, 0, {{0}}},
    {"Mul", 2, 0, {{0}}},
    {"Flatten", 1, 0, {{"axis", INT, 0}}},
    {"Softmax", 1, 0, {{"axis", INT, 0}}},
    {"GlobalAveragePool", 1, 0, {{0}}},
};

const Onnx__TensorProto *onnx_find_tensor(const Onnx__GraphProto *graph, const char *name)
{
    for (size_t i = 0; i < graph->n_initializer; i++)
        if (graph->initializer[i]->name && strcmp(graph->initializer[i]->name, name) == 0)
            return graph->initializer[i];
    return NULL;
}

static const struct operator_rule *find_rule(const char *op)
{
    for (size_t i = 0; i < sizeof rules / sizeof *rules; i++)
        if (strcmp(rules[i].op, op) == 0)
            return &rules[i];
    return NULL;
}

static enum err check_attributes(const Onnx__NodeProto *node, const struct operator_rule *rule)
{
    for (size_t i = 0; i < node->n_attribute; i++) {
        const Onnx__AttributeProto *attribute = node->attribute[i];
        const char *name = attribute->name ? attribute->name : "";
        const struct rule *found = NULL;
        for (int k = 0; k < MAX_ATTRIBUTES && rule->attributes[k].name; k++)
            if (strcmp(rule->attributes[k].name, name) == 0)
                found = &rule->attributes[k];
        if (!found)
            return err_set(ERR_DATA, "ONNX: node %s: attribute '%s' is not one glowworm reads",
                           node->name, name);
        if ((int)attribute->type != found->type ||
            (found->count && attribute->n_ints != found->count))
            return err_set(ERR_DATA, "ONNX: node %s: attribute %s is of another type or length",
                           node->name, name);
    }
    return ERR_OK;
}

/* Is the name written before node `end`? */
static bool is_written(const Onnx__GraphProto *graph, const char *name, size_t end)
{
    if (strcmp(graph->input[0]->name, name) == 0)
        return true;
    for (size_t i = 0; i < end; i++)
        if (strcmp(graph->node[i]->output[0], name) == 0)
            return true;
    return false;
}

static enum err check_names(const Onnx__GraphProto *graph, size_t at,
                            const struct operator_rule *rule)
{
    const Onnx__NodeProto *node = graph->node[at];
    const char *output = node->output[0];
    if (node->n_input != rule->maps + rule->tensors)
        return err_set(ERR_DATA, "ONNX: node %s: %s has %zu inputs, not %zu", node->name, rule->op,
                       node->n_input, rule->maps + rule->tensors);
    for (size_t i = 0; i < rule->maps; i++)
        if (!is_written(graph, node->input[i], at))
            return err_set(ERR_DATA, "ONNX: node %s reads '%s', which no earlier node wrote",
                           node->name, node->input[i]);
    for (size_t i = rule->maps; i < node->n_input; i++)
        if (!onnx_find_tensor(graph, node->input[i]))
            return err_set(ERR_DATA, "ONNX: node %s: there is no tensor '%s'", node->name,
                           node->input[i]);
    if (output[0] == '\0' || is_written(graph, output, at) || onnx_find_tensor(graph, output))
        return err_set(ERR_DATA, "ONNX: node %s: its output '%s' has no name, or another's",
                       node->name, output);
    return ERR_OK;
}

static enum err check_node(const Onnx__GraphProto *graph, size_t at)
{
    enum err err = ERR_OK;
    const Onnx__NodeProto *node = graph->node[at];
    const struct operator_rule *rule = node->op_type ? find_rule(node->op_type) : NULL;
    if (!rule || !node->name)
        TRY(err_set(ERR_DATA, "ONNX: node %s: operator %s is not one glowworm reads",
                    node->name ? node->name : "?", node->op_type ? node->op_type : "?"));
    if (node->n_output != 1)
        TRY(err_set(ERR_DATA, "ONNX: node %s has %zu outputs, not one", node->name,
                    node->n_output));
    TRY(check_names(graph, at, rule));
    TRY(check_attributes(node, rule));
out:
    return err;
}

enum err onnx_check_graph(const Onnx__GraphProto *graph)
{
    enum err err = ERR_OK;
    if (graph->n_input != 1 || graph->n_output < 2 || graph->n_node == 0)
        TRY(err_set(ERR_DATA,
                    "ONNX: a network of %zu inputs, %zu outputs and %zu nodes is not one "
                    "that glowworm compiled",
                    graph->n_input, graph->n_output, graph->n_node));
    if (graph->n_node > ONNX_MAX_NODES || graph->n_initializer > ONNX_MAX_TENSORS)
        TRY(err_set(ERR_DATA, "ONNX: %zu nodes and %zu tensors; at most %d and %d are read",
                    graph->n_node, graph->n_initializer, ONNX_MAX_NODES, ONNX_MAX_TENSORS));
    if (!graph->input[0]->name || graph->input[0]->name[0] == '\0')
        TRY(err_set(ERR_DATA, "ONNX: the input has no name"));
    for (size_t i = 0; i < graph->n_node; i++)
        TRY(check_node(graph, i));
    for (size_t i = 0; i < 2; i++) {
        const char *name = graph->output[i]->name;
        if (!name || !is_written(graph, name, graph->n_node))
            TRY(err_set(ERR_DATA, "ONNX: output %zu ('%s') has no name, or no node writes it", i,
                        name ? name : ""));
    }
out:
    return err;
}
