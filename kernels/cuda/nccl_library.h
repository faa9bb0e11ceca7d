/* What is used of NCCL, the library that exchanges memory between cards: its C interface declared
 * once more, so that a machine without nccl.h builds this device and one without the library runs
 * it. nccl_header.c holds it against NVIDIA's header where there is one. Source: NCCL User Guide,
 * "NCCL API"; of ncclConfig_t the fields of 2.14, which later ones take for what it is by its size
 * and version. */
#ifndef KERNELS_CUDA_NCCL_LIBRARY_H
#define KERNELS_CUDA_NCCL_LIBRARY_H

#include "base/err.h"
#include <cuda_runtime_api.h>
#include <stddef.h>

enum nccl_result { /* an error of ours has no value here */
                   NCCL_SUCCESS = 0,
                   NCCL_UNHANDLED_CUDA_ERROR = 1,
                   NCCL_SYSTEM_ERROR = 2,
                   NCCL_INTERNAL_ERROR = 3,
                   NCCL_INVALID_ARGUMENT = 4,
                   NCCL_INVALID_USAGE = 5,
                   NCCL_REMOTE_ERROR = 6,
                   NCCL_IN_PROGRESS = 7
};
enum nccl_type { NCCL_UINT8 = 1, NCCL_UINT64 = 5 };
enum nccl_reduction { NCCL_MIN = 3 };

struct nccl_id { /* of a communicator to be made: passed by value */
    char bytes[128];
};

enum { NCCL_CONFIG_VERSION = 21400, NCCL_LEAST_VERSION = 21400 };
#define NCCL_CONFIG_MAGIC 0xcafebeefu
struct nccl_config {
    size_t size_bytes; /* of this */
    unsigned magic, version;
    int is_blocking;
};

typedef struct ncclComm *nccl_comm; /* opaque */

struct nccl_library {
    int version; /* 22809 for 2.28.9 */
    enum nccl_result (*get_version)(int *version);
    enum nccl_result (*get_unique_id)(struct nccl_id *id);
    enum nccl_result (*comm_init_rank_config)(nccl_comm *comm, int size, struct nccl_id id,
                                              int rank, struct nccl_config *config);
    enum nccl_result (*comm_get_async_error)(nccl_comm comm, enum nccl_result *result);
    enum nccl_result (*comm_abort)(nccl_comm comm);
    enum nccl_result (*comm_finalize)(nccl_comm comm);
    enum nccl_result (*comm_destroy)(nccl_comm comm);
    enum nccl_result (*group_start)(void);
    enum nccl_result (*group_end)(void);
    enum nccl_result (*send)(const void *from, size_t count, enum nccl_type type, int to_rank,
                             nccl_comm comm, cudaStream_t stream);
    enum nccl_result (*recv)(void *to, size_t count, enum nccl_type type, int from_rank,
                             nccl_comm comm, cudaStream_t stream);
    enum nccl_result (*all_reduce)(const void *from, void *to, size_t count, enum nccl_type type,
                                   enum nccl_reduction how, nccl_comm comm, cudaStream_t stream);
    const char *(*get_error_string)(enum nccl_result result);
    const char *(*get_last_error)(nccl_comm comm);
};

/* The environment's GLOWWORM_NCCL names another library than libnccl.so.2, or says "none".
 * ERR_UNAVAILABLE: why there is none, and the cure. Stays loaded for ever: NCCL has threads. */
MUST_CHECK enum err nccl_library_load(struct nccl_library *library);
/* What NCCL says of a result, with its own words about where; the jail's translation. comm may be
 * NULL. ERR_PEER where another try may go better, ERR_UNAVAILABLE where it was asked wrongly. */
MUST_CHECK enum err nccl_check(const struct nccl_library *library, nccl_comm comm,
                               enum nccl_result result, const char *call);

#endif
