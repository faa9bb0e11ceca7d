/* Holds nccl_library.h against NVIDIA's own header, where the compiler finds one. */
#include "kernels/cuda/nccl_library.h"

#if !defined(GPU_EMULATED) && defined(__has_include)
#if __has_include(<nccl.h>)
#include <nccl.h>
#define HAS_HEADER
#endif
#endif

#ifdef HAS_HEADER
#define IS_SAME(ours, theirs) _Static_assert((int)(ours) == (int)(theirs), #ours " is " #theirs)

IS_SAME(NCCL_SUCCESS, ncclSuccess);
IS_SAME(NCCL_UNHANDLED_CUDA_ERROR, ncclUnhandledCudaError);
IS_SAME(NCCL_SYSTEM_ERROR, ncclSystemError);
IS_SAME(NCCL_INTERNAL_ERROR, ncclInternalError);
IS_SAME(NCCL_INVALID_ARGUMENT, ncclInvalidArgument);
IS_SAME(NCCL_INVALID_USAGE, ncclInvalidUsage);
IS_SAME(NCCL_REMOTE_ERROR, ncclRemoteError);
IS_SAME(NCCL_IN_PROGRESS, ncclInProgress);
IS_SAME(NCCL_UINT8, ncclUint8);
IS_SAME(NCCL_UINT64, ncclUint64);
IS_SAME(NCCL_MIN, ncclMin);
IS_SAME(sizeof(struct nccl_id), sizeof(ncclUniqueId));
IS_SAME(offsetof(struct nccl_config, size_bytes), offsetof(ncclConfig_t, size));
IS_SAME(offsetof(struct nccl_config, magic), offsetof(ncclConfig_t, magic));
IS_SAME(offsetof(struct nccl_config, version), offsetof(ncclConfig_t, version));
IS_SAME(offsetof(struct nccl_config, is_blocking), offsetof(ncclConfig_t, blocking));
IS_SAME(sizeof(enum nccl_result), sizeof(ncclResult_t));
IS_SAME(sizeof(enum nccl_type), sizeof(ncclDataType_t));
IS_SAME(sizeof(enum nccl_reduction), sizeof(ncclRedOp_t));
#else
_Static_assert(sizeof(struct nccl_id) == 128, "as NCCL's guide has it");
#endif
