/* What the nodes of a GraphDef that were read so far put out, and what a node asks for: maps,
 * constants, attributes. The file may be anybody's. For read_tensorflow.c; one thread. */
#ifndef TRAINER_EMULATOR_GRAPHDEF_H
#define TRAINER_EMULATOR_GRAPHDEF_H

#include "trainer/emulator/exported.h"
#include "trainer/export/tensorflow.pb-c.h"
#include <stdbool.h>
#include <stddef.h>

enum { GRAPHDEF_FLOAT = 1, GRAPHDEF_INT32 = 3 }; /* types of constants */

struct graphdef_value {         /* what a node puts out */
    const char *name;           /* the node's */
    const Tf__Tensor *constant; /* NULL: a map */
    int layer;                  /* that it is the output of */
    bool is_padded;             /* pads stand in front of the next convolution */
    bool wants_bias;            /* of a convolution that may still get one */
    bool is_taken;              /* its bias was added: what it was without is no more */
    int pads[4];
};

struct graphdef {
    struct exported *net; /* borrowed */
    size_t file_bytes;
    struct graphdef_value *values; /* (count) */
    int count;
};

struct graphdef_value *graphdef_value(const struct graphdef *graph, const char *name); /* or NULL */
/* The layer behind an input that is an earlier node's map, without padding to come: ERR_DATA
 * otherwise. */
MUST_CHECK enum err graphdef_map(const struct graphdef *graph, const Tf__Node *node, int input,
                                 int *layer);
/* Input 1, a constant of this type and rank: dims (rank), and as many values as they say, borrowed.
 * ERR_DATA. */
MUST_CHECK enum err graphdef_constant(const struct graphdef *graph, const Tf__Node *node, int type,
                                      size_t rank, int *dims, const void **content);

const Tf__Value *graphdef_attribute(const Tf__Node *node, const char *key); /* or NULL */
bool graphdef_is_word(const Tf__Node *node, const char *key, const char *word);
/* strides or ksize, {1, height, width, 1}: window[0] and [1]. ERR_DATA. */
MUST_CHECK enum err graphdef_window(const Tf__Node *node, const char *key, int window[2]);

#endif
