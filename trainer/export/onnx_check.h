/* Is a network's graph one that onnx_run.h can walk: operators and attributes it knows, of the
 * right types, every name there and written once, before it is read. What only the shapes tell is
 * found when it runs. Pure. */
#ifndef TRAINER_EXPORT_ONNX_CHECK_H
#define TRAINER_EXPORT_ONNX_CHECK_H

#include "base/err.h"
#include "trainer/export/onnx.pb-c.h"
#include <stdbool.h>
#include <stddef.h>

enum { ONNX_MAX_NODES = 8192, ONNX_MAX_TENSORS = 16384 };

/* ERR_DATA names the node, the tensor or the value. Afterwards: one input and at least two outputs,
 * all with names; every node with a name, an operator and one output; every input of a node is the
 * graph's input, an earlier node's output, or a tensor where the operator takes one. */
MUST_CHECK enum err onnx_check_graph(const Onnx__GraphProto *graph);

/* The tensor of this name, or NULL. */
const Onnx__TensorProto *onnx_find_tensor(const Onnx__GraphProto *graph, const char *name);

#endif
