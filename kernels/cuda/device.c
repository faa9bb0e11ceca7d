#include "base/mem.h"
#include "kernels/cuda/host.h"
#include <stdio.h>
#include <stdlib.h>

enum { LEAST_CAPABILITY = 80 }; /* bf16 products, asynchronous copies to shared memory */

/* CUDA counts versions as 1000 major + 10 minor. */
enum { MAJOR = 1000, MINOR = 10 };

struct cuda *cuda_of(struct device *device)
{
    struct cuda *cuda = device->own;
    if (cudaSetDevice(cuda->ordinal) != cudaSuccess)
        (void)cudaGetLastError(); /* the call that follows says what the matter is */
    return cuda;
}

/* NVIDIA, CUDA Toolkit Release Notes: "Minimum Required Driver Version for CUDA Minor Version
 * Compatibility". A program built with one major version of CUDA runs with any driver that has that
 * version, whatever the minor one. */
static int least_driver(int runtime)
{
    return runtime / MAJOR == 12 ? 525 : 580;
}

static enum err check_driver(void)
{
    enum err err = ERR_OK;
    int driver = 0, runtime = 0;
    TRY(CUDA(cudaRuntimeGetVersion(&runtime)));
    TRY(CUDA(cudaDriverGetVersion(&driver)));
    if (driver == 0)
        TRY(err_set(ERR_UNAVAILABLE,
                    "no NVIDIA driver is loaded on this host (nvidia-smi would say the same); "
                    "install version %d or later, or use device cpu",
                    least_driver(runtime)));
    if (driver / MAJOR < runtime / MAJOR)
        TRY(err_set(ERR_UNAVAILABLE,
                    "this host's NVIDIA driver has CUDA %d.%d, this module was built with CUDA "
                    "%d.%d; install driver %d or later, or build with a toolkit of CUDA %d",
                    driver / MAJOR, driver % MAJOR / MINOR, runtime / MAJOR,
                    runtime % MAJOR / MINOR, least_driver(runtime), driver / MAJOR));
out:
    return err;
}

/* The rank among those of its host, as what started it says; 0 where nothing did. mpirun comes
 * first: beneath Slurm it starts one task per host, whose number its ranks inherit. */
static int local_rank(void)
{
    static const char *const names[] = {"OMPI_COMM_WORLD_LOCAL_RANK", "MPI_LOCALRANKID",
                                        "SLURM_LOCALID"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        const char *said = getenv(names[i]);
        char *end = NULL;
        long rank = said ? strtol(said, &end, 10) : -1;
        if (rank >= 0 && end != said && *end == '\0' && rank < 1 << 20)
            return (int)rank;
    }
    return 0;
}

static enum err count_cards(int *count)
{
    cudaError_t error = cudaGetDeviceCount(count);
    if (error == cudaErrorNoDevice || (error == cudaSuccess && *count == 0)) {
        (void)cudaGetLastError();
        return err_set(ERR_UNAVAILABLE,
                       "there is a driver but no GPU that this process may use; look at "
                       "nvidia-smi, and at CUDA_VISIBLE_DEVICES, which may hide them");
    }
    return cuda_error(error, "cudaGetDeviceCount");
}

enum err cuda_cards(struct device_cards *cards)
{
    enum err err = ERR_OK;
    struct device_cards found = {0, SIZE_MAX};
    TRY(check_driver());
    TRY(count_cards(&found.count));
    for (int i = 0; i < found.count; i++) {
        struct cudaDeviceProp card;
        TRY(CUDA(cudaGetDeviceProperties(&card, i)));
        if (card.totalGlobalMem < found.least_bytes)
            found.least_bytes = card.totalGlobalMem;
    }
    *cards = found;
out:
    return err;
}

static void write_lineage(struct cuda *cuda, const struct cudaDeviceProp *card)
{
    snprintf(cuda->face.lineage, sizeof cuda->face.lineage, "cuda sm_%d%d toolkit %d.%d%s%s%.127s",
             card->major, card->minor, CUDART_VERSION / MAJOR, CUDART_VERSION % MAJOR / MINOR,
             cuda->precision == PRECISION_BF16 ? " bf16" : "", DEVICE_LINEAGE_ON, card->name);
}

static enum err check_card(struct cuda *cuda)
{
    enum err err = ERR_OK;
    struct cudaDeviceProp card;
    TRY(CUDA(cudaGetDeviceProperties(&card, cuda->ordinal)));
    if (card.major * 10 + card.minor < LEAST_CAPABILITY)
        TRY(err_set(ERR_UNAVAILABLE,
                    "GPU %d, %s, has compute capability %d.%d; 8.0 (Ampere) is the least; choose "
                    "another card with CUDA_VISIBLE_DEVICES, or use device cpu",
                    cuda->ordinal, card.name, card.major, card.minor));
    cuda->shared_bytes = card.sharedMemPerBlockOptin < CUDA_SHARED_BYTES ? CUDA_LITTLE_SHARED_BYTES
                                                                         : CUDA_SHARED_BYTES;
    write_lineage(cuda, &card);
out:
    return err;
}

static enum err take_resources(struct cuda *cuda)
{
    enum err err = ERR_OK;
    enum { LEAST_SCRATCH = 256 };
    size_t tickets_bytes = CUDA_TICKETS * sizeof *cuda->tickets;
    TRY(CUDA(cudaSetDevice(cuda->ordinal)));
    TRY(CUDA(cudaStreamCreateWithFlags(&cuda->stream, cudaStreamNonBlocking)));
    TRY(CUDA(cudaStreamCreateWithFlags(&cuda->copies, cudaStreamNonBlocking)));
    TRY(cuda_uploads_create(&cuda->uploads));
    TRY(cuda_take(cuda, tickets_bytes, (void **)&cuda->tickets));
    TRY(CUDA(cudaMemsetAsync(cuda->tickets, 0, tickets_bytes, cuda->stream)));
    TRY(cuda_take(cuda, LEAST_SCRATCH, &cuda->scratch));
    cuda->scratch_bytes = LEAST_SCRATCH;
out:
    return err;
}

enum err cuda_open(const struct device_cfg *cfg, struct device **device)
{
    enum err err = ERR_OK;
    int count = 0;
    struct cuda *cuda = mem_alloc(sizeof *cuda);
    cuda->face.own = cuda;
    cuda->face.ops = &cuda_ops;
    cuda->face.map_bytes = precision_map_bytes(cfg->precision);
    cuda->precision = cfg->precision;
    TRY(check_driver());
    TRY(count_cards(&count));
    cuda->ordinal = local_rank() % count;
    TRY(check_card(cuda));
    TRY(take_resources(cuda));
    *device = &cuda->face;
    cuda = NULL;
out:
    if (cuda)
        cuda_close(&cuda->face);
    return err;
}

void cuda_close(struct device *device)
{
    struct cuda *cuda = device->own;
    if (cuda->stream) {
        (void)cuda_of(device);
        (void)cudaStreamSynchronize(cuda->stream);
        cuda_uploads_destroy(&cuda->uploads);
        (void)cudaFree(cuda->scratch);
        (void)cudaFree(cuda->tickets);
        (void)cudaStreamDestroy(cuda->stream);
        if (cuda->copies)
            (void)cudaStreamDestroy(cuda->copies);
    }
    mem_free(cuda);
}
