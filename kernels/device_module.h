/* A device that is no part of the programs: a shared object glowworm-device-NAME.so, loaded when a
 * device of that name is opened and never unloaded. It lies in one of the folders of the
 * environment's GLOWWORM_DEVICES (colons between them), or in ../lib/glowworm beside the folder of
 * the running program; the first that has the file counts.
 *
 * A module links the libraries of its hardware, and nothing of ours: base/err.h, base/mem.h,
 * base/log.h, base/rng.h and the functions of kernels/device.h and work_describe() are the
 * program's (the list is kernels/module_symbols.list), so that errors, the log and the CPU device
 * are one in a process. It exports one function:
 *
 *     const struct device_module *glowworm_device_module(void);
 *
 * and keeps everything else to itself; CMake's glowworm_device() builds it so. Any thread may open
 * a device. */
#ifndef KERNELS_DEVICE_MODULE_H
#define KERNELS_DEVICE_MODULE_H

#include "kernels/device_comm.h"

/* Raised by hand whenever what a module sees changes its meaning: device.h, workload.h,
 * device_comm.h, this page, the headers of base named above. */
enum { DEVICE_BORDER = 8 };
/* The sizes make an operation or a field that somebody forgot to raise it for another border. */
#define DEVICE_ABI                                                                                 \
    ((uint32_t)DEVICE_BORDER << 20 | (uint32_t)(sizeof(struct device_ops) + sizeof(struct device)))

/* What a module needs of the gang to make a communicator of its own. */
struct device_gang {
    int rank, size;
    double deadline_s; /* how long a rank waits for the others; 0: for ever */
    char node[64];     /* name of this rank's machine; "": it does not matter */
    void *own;
    /* Both collective, of host memory; ERR_PEER after the gang's deadline. broadcast: rank 0's to
     * all; gather: `size_bytes` of every rank to all of them, in order of ranks. */
    MUST_CHECK enum err (*broadcast)(void *own, void *bytes, size_t size_bytes);
    MUST_CHECK enum err (*gather)(void *own, const void *mine, void *all, size_t size_bytes);
};

/* is_missing: several ranks would do without it; then the sentence has the cure. */
typedef void device_found_fn(void *own, bool is_missing, const char *text);

struct device_cards { /* of its hardware, that this process sees */
    int count;
    size_t least_bytes; /* the memory of the one that has least */
};

struct device_module {
    uint32_t abi;     /* DEVICE_ABI; first, whatever else changes */
    const char *name; /* as in the file's name */
    /* As device_open(), whose errors these are: ERR_UNAVAILABLE with what is missing. */
    MUST_CHECK enum err (*open)(const struct device_cfg *, struct device **);
    /* Collective. Exchanges of its own for a device that it opened. NULL: it has none, and
     * trainer/gang/comm_staged.c does; so it does where *comm stays NULL, since this gang cannot
     * use them: all ranks see that alike, and rank 0 logs why. Borrows the device; returns owned
     * (device_comm_close). */
    MUST_CHECK enum err (*open_comm)(struct device *, const struct device_gang *,
                                     struct device_comm **);
    /* For people ("glowworm doctor"): a sentence to `found` for each thing of its hardware and
     * libraries, in front of any device_open(), which says what is amiss for one rank. NULL:
     * nothing to say. */
    void (*survey)(device_found_fn *found, void *own);
    /* As device_scratch_bytes(), without any of the hardware. NULL: it does not say. */
    size_t (*scratch_bytes)(const struct device_cfg *, const struct workload *);
    /* Opens none. ERR_UNAVAILABLE: there is none. NULL: it does not say. */
    MUST_CHECK enum err (*cards)(struct device_cards *);
};

#define DEVICE_MODULE_EXPORT __attribute__((visibility("default")))
DEVICE_MODULE_EXPORT const struct device_module *glowworm_device_module(void);

/* Opens the device of the module of that name. ERR_UNAVAILABLE naming the file, or the folders that
 * were looked through, and the cure: there is none, it cannot be loaded, it is no device module, it
 * was built for another border. Returns owned. */
MUST_CHECK enum err device_module_open(const struct device_cfg *cfg, struct device **device);
/* What that module says of its hardware; errors as those of device_module_open(). */
MUST_CHECK enum err device_module_survey(const char *name, device_found_fn *found, void *own);
/* Of that module; 0 where it is not there, or does not say. */
size_t device_module_scratch_bytes(const struct device_cfg *cfg, const struct workload *workload);
/* ERR_UNAVAILABLE, too, where the module does not say. */
MUST_CHECK enum err device_module_cards(const char *name, struct device_cards *cards);

#endif
