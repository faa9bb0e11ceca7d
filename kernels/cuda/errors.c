#include "kernels/cuda/host.h"
#include <stdarg.h>
#include <stdio.h>

/* CUDA Runtime API, "enum cudaError": what makes every later call of the process fail alike, for no
 * fault of the program's. */
static bool is_lost(cudaError_t error)
{
    switch (error) {
    case cudaErrorNoDevice:
    case cudaErrorDevicesUnavailable:
    case cudaErrorECCUncorrectable:
    case cudaErrorNvlinkUncorrectable:
    case cudaErrorHardwareStackError:
    case cudaErrorSystemNotReady:
    case cudaErrorSystemDriverMismatch:
    case cudaErrorUnknown:
        return true;
    default:
        return false;
    }
}

enum err cuda_code(cudaError_t error)
{
    if (error == cudaSuccess)
        return ERR_OK;
    if (error == cudaErrorMemoryAllocation)
        return ERR_MEMORY;
    return is_lost(error) ? ERR_UNAVAILABLE : ERR_FAILED;
}

static const char *cure(cudaError_t error)
{
    if (error == cudaErrorDevicesUnavailable)
        return "; another process has the GPU to itself: \"nvidia-smi -q -d COMPUTE\" tells its "
               "mode, \"nvidia-smi\" which process";
    if (is_lost(error))
        return "; the GPU is lost to this process: the kernel's log (dmesg, lines with Xid) says "
               "why";
    return error == cudaErrorMemoryAllocation ? "" : "; report it";
}

enum err cuda_error(cudaError_t error, const char *call)
{
    if (error == cudaSuccess)
        return ERR_OK;
    (void)cudaGetLastError(); /* said here, so no later call finds it */
    return err_set(cuda_code(error), "%s: %s%s", call, cudaGetErrorString(error), cure(error));
}

/* Two threads leave errors: the one that calls operations, and the watchdog over exchanges. The
 * first counts. Who waits reads the code first. */
void cuda_leave(struct cuda *cuda, enum err code, const char *format, ...)
{
    va_list arguments;
    if (__atomic_exchange_n(&cuda->is_troubled, true, __ATOMIC_RELAXED))
        return;
    va_start(arguments, format);
    vsnprintf(cuda->trouble, sizeof cuda->trouble, format, arguments);
    va_end(arguments);
    __atomic_store_n(&cuda->err, code, __ATOMIC_RELEASE);
}

enum err cuda_peek(const struct cuda *cuda)
{
    enum err left = __atomic_load_n(&cuda->err, __ATOMIC_ACQUIRE);
    return left == ERR_OK ? ERR_OK : err_set(left, "%s", cuda->trouble);
}

enum err cuda_left(struct cuda *cuda)
{
    enum err left = cuda_peek(cuda);
    if (left != ERR_OK)
        __atomic_store_n(&cuda->is_told, true, __ATOMIC_RELAXED);
    return left;
}

bool cuda_is_told(const struct cuda *cuda)
{
    return __atomic_load_n(&cuda->is_told, __ATOMIC_RELAXED);
}

void cuda_note(struct cuda *cuda, const char *name, cudaError_t error)
{
    if (error == cudaSuccess)
        return;
    (void)cudaGetLastError();
    cuda_leave(cuda, cuda_code(error), "%s: %s%s", name, cudaGetErrorString(error), cure(error));
}
