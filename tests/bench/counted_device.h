/* A device that computes nothing and counts what each operation it is asked for must at least do:
 * arithmetic, and bytes between memory and processor. Its memory is no memory (as that of
 * kernels/dry_device.h), so that a whole training step is counted in no time, by the very calls
 * that a real one makes.
 *
 * Arithmetic is counted in lanes of the fused multiply-add: a multiply-add is one, and so is an
 * addition, a product, a minimum or a masked move, each of which takes its place. `products` are
 * the multiply-adds of 1x1 convolutions, which bf16 instructions can do; `macs` all others of
 * convolutions, linear layers, squeeze-excite and kernel matrices, with the taps of a convolution
 * that lie in the map alone; `elementwise` is the arithmetic of views, gradients, batch norm's
 * sums, pools, residual sums, the loss and the update, and with maps of two bytes one lane for each
 * element of a map that is read or written and one for each rounded operand of a product.
 *
 * Bytes: a map that an operation reads or writes crosses once, whatever caches hold; weights,
 * gradients, momentum and vectors of a batch likewise. Not counted: numbers per channel, memory
 * that an operation keeps to itself (packed weights, partial sums), divisions and roots, copies,
 * and what lies outside the passes: images on their way, the tree of gradients.
 *
 * What operations return is none of this device's business: downloads leave host memory as it is.
 */
#ifndef TESTS_BENCH_COUNTED_DEVICE_H
#define TESTS_BENCH_COUNTED_DEVICE_H

#include "kernels/device.h"

enum count_kind { /* operations of struct device_ops */
                  COUNT_STEM_FORWARD,
                  COUNT_STEM_BACKWARD,
                  COUNT_PW_FORWARD,
                  COUNT_PW_BACKWARD,
                  COUNT_DW_FORWARD,
                  COUNT_DW_BACKWARD,
                  COUNT_RESIDUAL_FORWARD,
                  COUNT_POOL_FORWARD,
                  COUNT_POOL_BACKWARD,
                  COUNT_EXCITE_FORWARD,
                  COUNT_EXCITE_BACKWARD,
                  COUNT_LINEAR_FORWARD,
                  COUNT_LINEAR_BACKWARD,
                  COUNT_KERNEL_FORWARD,
                  COUNT_KERNEL_BACKWARD,
                  COUNT_LOSS_FORWARD,
                  COUNT_SGD_STEP,
                  COUNT_ZERO,
                  COUNT_KINDS
};

struct count {
    double calls;
    double products, macs, elementwise; /* lanes */
    double padded_macs;                 /* products and macs, taps outside the map among them */
    double read_bytes, written_bytes;
};

struct counts {
    struct count kinds[COUNT_KINDS];
    size_t next; /* where the next block of no memory lies, bytes */
    struct device_ops ops;
};

/* `device` adds to `counts`, which is zeroed and borrowed. There is nothing to close. */
void counted_device_init(struct device *device, size_t map_bytes, struct counts *counts);
const char *count_name(enum count_kind kind); /* "pw_forward" */
struct count counts_total(const struct counts *counts);

#endif
