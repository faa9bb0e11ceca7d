/* A checkpoint's weights for other programs: a .safetensors file under the reference
 * implementation's names and in its shapes. The inverse of trainer/weights/import_weights.h,
 * through the same table of tensors (supernet_tensor_at): importing the file gives the same bits.
 * What only training needs (momentum) stays behind. One thread. */
#ifndef TRAINER_WEIGHTS_EXPORT_WEIGHTS_H
#define TRAINER_WEIGHTS_EXPORT_WEIGHTS_H

#include "base/file.h"
#include "trainer/checkpoint/checkpoint.h"
#include "trainer/supernet/supernet.h"

struct exported {
    struct hash content; /* of the checkpoint */
    char space[64];      /* its name */
    double width_multiplier;
    int classes, channels;
    int tensors;
    int left_out;        /* tensors that are not the supernet's */
    bool has_statistics; /* running means and variances are among them */
    uint64_t bytes;      /* of the file */
};

/* Appends the whole file to `update`; values pass through in pieces. ERR_DATA: the space inside the
 * checkpoint is damaged, or a tensor it needs is missing or of another shape (all are listed).
 * Otherwise errors as checkpoint_load() and file_append(). The device is asked for the table only.
 */
MUST_CHECK enum err export_weights(struct checkpoint_store *store, const char *name,
                                   struct device *device, struct file_update *update,
                                   struct exported *exported);

#endif
