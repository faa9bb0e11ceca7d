/* A small sound ONNX network out of ONNX's own messages, to be spoilt: input 1x4x4 > Conv 3x3 >
 * Relu > GlobalAveragePool > Flatten "logits" > Softmax "probabilities". Everything lies in one
 * arena. */
#ifndef TESTS_EXPORT_TINY_NET_H
#define TESTS_EXPORT_TINY_NET_H

#include "base/mem.h"
#include "trainer/export/onnx.pb-c.h"

enum { SIDE = 4, CLASSES = 2, MOST_NODES = 64 };
enum node { CONV, RELU, POOL, FLATTEN, SOFTMAX };

struct net {
    struct arena *arena;
    Onnx__ModelProto model;
    Onnx__GraphProto graph;
    Onnx__NodeProto *nodes[MOST_NODES];
    Onnx__TensorProto *tensors[2]; /* "w" and "b" of the convolution */
    Onnx__ValueInfoProto *inputs[1], *outputs[2];
};

struct net *net_make(void); /* returns owned */
void net_free(struct net *net);
/* A copy in the network's arena. */
char *net_word(struct net *net, const char *text);
/* Appends a node with one output that has its name; `second`: another input, or NULL. Room for four
 * inputs, two outputs and eight attributes. */
Onnx__NodeProto *net_add(struct net *net, const char *op, const char *output, const char *first,
                         const char *second);
void net_add_int(struct net *net, Onnx__NodeProto *node, const char *name, int64_t value);
/* The i-th dimension of an input or output. */
int64_t *net_dim(Onnx__ValueInfoProto *value, int i);

#endif
