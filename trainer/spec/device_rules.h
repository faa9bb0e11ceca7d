/* What a device takes, as a table of rules that its file brings (configs/devices/<name>.yaml):
 * which operations, and within which bounds; each with where it is known from, whether that is
 * documented or inferred, and what to do about it. A new device is a new file. Plain data, pure
 * functions. */
#ifndef TRAINER_SPEC_DEVICE_RULES_H
#define TRAINER_SPEC_DEVICE_RULES_H

#include "trainer/spec/layer_walk.h"
#include <stdbool.h>

#define DEVICE_MAX_RULES 24

enum rule_basis { RULE_DOCUMENTED, RULE_INFERRED };
/* What is known to come of a network that breaks a rule. */
enum rule_outcome { RULE_UNTESTED, RULE_REFUSED, RULE_WRONG };

struct device_rule {
    char name[32];
    bool of[6];      /* by enum layer_op: the layers it is about; none set: all */
    bool refuses[9]; /* layers by enum layer_op, then activations from ACT_RELU on */
    struct choices kernels, strides; /* those it takes; count 0: any */
    int channel_multiple;            /* of a layer's output; 1: any */
    int least_channels;              /* of a layer's output; 1: any */
    int most_groups;                 /* of a convolution; 0: any */
    double most_map_bytes;           /* of a layer's output in fp16; 0: any */
    double most_weight_bytes;        /* of the whole network in fp16; 0: any */
    int basis;                       /* enum rule_basis */
    int outcome;                     /* enum rule_outcome */
    char source[200];
    char cure[160];
};

struct device_rules {
    struct device_rule rule[DEVICE_MAX_RULES];
    int count;
};

/* The first rule that a sub-network breaks, and the layer that breaks it (its logits are taken as
 * the export pads them, device_outputs()); NULL: none. */
const struct device_rule *device_rules_broken(const struct device_rules *rules,
                                              const struct space *space,
                                              const struct subnet *subnet,
                                              struct layer_shape *layer);
/* The same of each layer for itself: bounds of the whole network are left out. */
const struct device_rule *device_rules_broken_by_layer(const struct device_rules *rules,
                                                       const struct space *space,
                                                       const struct subnet *subnet,
                                                       struct layer_shape *layer);
/* One sentence: the layer, what of it breaks the rule, where the rule is from, and the cure. */
void device_rule_explain(const struct device_rule *rule, const struct layer_shape *layer,
                         struct text *text);
/* Whether one layer breaks a rule; weight_bytes: of its network in fp16, up to this layer and with
 * it. Of a layer that came from elsewhere than a space `part` and `block` mean nothing. */
bool device_rule_is_broken(const struct device_rule *rule, const struct layer_shape *layer,
                           double weight_bytes);
/* Its beginning, "layer stem is a ...": what of the layer breaks the rule. */
void device_rule_breach(const struct device_rule *rule, const char *name,
                        const struct layer_shape *layer, struct text *text);
/* The same sentence for a layer with a name of its own. */
void device_rule_explain_as(const struct device_rule *rule, const char *name,
                            const struct layer_shape *layer, struct text *text);
/* Outputs of a network of so many classes on this device: more, where a rule wants that many. */
int device_outputs(const struct device_rules *rules, int classes);
/* Everything results depend on. */
void device_rules_lines(const struct device_rules *rules, struct text *lines);

#endif
