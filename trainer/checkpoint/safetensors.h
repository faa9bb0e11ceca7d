/* .safetensors files. Reading one written by somebody else: 8 bytes with the header's length, the
 * header in JSON (name: type, shape, place), the values. Nothing in the file is believed: lengths
 * are bounded before memory is asked for, places must lie in the file, end to end, and match shape
 * and type. F32, F64, F16 and BF16 become fp32. Any thread may call. */
#ifndef TRAINER_CHECKPOINT_SAFETENSORS_H
#define TRAINER_CHECKPOINT_SAFETENSORS_H

#include "base/text.h"
#include "trainer/checkpoint/checkpoint.h"

/* Counters that PyTorch keeps beside a batch norm (".num_batches_tracked") are left out.
 * ERR_DATA names file, tensor and reason; ERR_NOT_FOUND, ERR_IO, ERR_MEMORY.
 * *tensors: returns owned (safetensors_free), in the order of the file. */
MUST_CHECK enum err safetensors_read(const char *path, struct tensor **tensors, int *count);
void safetensors_free(struct tensor *tensors, int count); /* accepts NULL */

struct safetensors_note { /* goes into "__metadata__" */
    const char *key, *value;
};
/* Appends the first bytes of a file: the values of these tensors (fp32; `values` is not read) are
 * to follow in their order, end to end. Padded, so that they begin at a multiple of 8. */
void safetensors_header(const struct tensor *tensors, int count,
                        const struct safetensors_note *notes, int note_count, struct text *header);

#endif
