/* NumPy's .npy files of single-precision floats: dense, little-endian, C order. Files come from
 * anywhere: the header is bounded and checked, sizes must agree to the byte. Any thread. */
#ifndef CLUSTER_NPY_H
#define CLUSTER_NPY_H

#include "base/err.h"
#include <stddef.h>

#define NPY_MAX_RANK 8

struct npy {
    int rank;
    size_t shape[NPY_MAX_RANK];
    size_t count;  /* of values */
    float *values; /* (shape), owned: npy_fini */
};

/* ERR_NOT_FOUND, ERR_IO; ERR_DATA with the reason when it is anything else than described above or
 * larger than the limit. */
MUST_CHECK enum err npy_read(const char *path, size_t limit_bytes, struct npy *npy);
/* The same from memory; `name` is what errors say. */
MUST_CHECK enum err npy_parse(const char *name, const char *bytes, size_t size_bytes,
                              struct npy *npy);
void npy_fini(struct npy *npy); /* accepts a zeroed one */

/* values (rows, columns); all or nothing. ERR_IO, ERR_FULL. */
MUST_CHECK enum err npy_write(const char *path, const float *values, size_t rows, size_t columns);

#endif
