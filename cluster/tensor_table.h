/* A checkpoint's tensors with their statistics, in an order somebody asked for. */
#ifndef CLUSTER_TENSOR_TABLE_H
#define CLUSTER_TENSOR_TABLE_H

#include "trainer/checkpoint/statistics.h"
#include <jansson.h>

enum tensor_order {
    TENSOR_ORDER_STORED, /* as they lie in the checkpoint */
    TENSOR_ORDER_NAME,   /* from a to z */
    TENSOR_ORDER_MIN,    /* lowest first */
    TENSOR_ORDER_SIZE,   /* these: highest first */
    TENSOR_ORDER_MAX,
    TENSOR_ORDER_MEAN,
    TENSOR_ORDER_DEVIATION,
    TENSOR_ORDER_NAN,
    TENSOR_ORDER_INF
};
/* "name", "size", "min", ... ERR_USAGE lists them. */
MUST_CHECK enum err tensor_order_parse(const char *text, enum tensor_order *order);

struct tensor_table { /* borrowed */
    const struct checkpoint *checkpoint;
    const struct statistics *statistics; /* (tensor_count); NULL: names and shapes only */
    enum tensor_order order;
};
void tensor_table_print(const struct tensor_table *table); /* needs statistics */
/* null for a number that there is not (no finite value). Returns owned. */
json_t *tensor_table_json(const struct tensor_table *table);

#endif
