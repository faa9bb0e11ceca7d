/* The CPU device's own state, seen by the operations in this folder and nobody else. Operations are
 * compiled once per instruction set: a file names its functions by ISA_NAME(), which appends _v2,
 * _v3 or _v4, and ops.h declares them. Rule for every operation: work is cut into jobs by the shape
 * alone, never by the number of threads; each job writes its own part or its own partial sums, and
 * partial sums are added in order of the jobs. */
#ifndef KERNELS_CPU_CPU_H
#define KERNELS_CPU_CPU_H

#include "kernels/cpu/team.h"
#include "kernels/device.h"

#ifdef ISA_SUFFIX /* set by CMake for the files that are compiled per instruction set */
#define ISA_JOIN_(name, suffix) cpu_##name##suffix
#define ISA_JOIN(name, suffix)  ISA_JOIN_(name, suffix)
#define ISA_NAME(name)          ISA_JOIN(name, ISA_SUFFIX) /* cpu_pw_forward_v4 */
#endif

struct cpu;

/* Runs job(context, i, thread) for i in [0, jobs) on the device's team. */
void cpu_run(struct device *device, int jobs, void (*job)(void *context, int i, int thread),
             void *context);

/* Scratch of one operation. Called before cpu_run: afterwards every thread owns at least
 * `size_bytes` at cpu_scratch(), 64-aligned, contents undefined. `activated_bytes` of it hold
 * normalised or activated map values (counted in traffic.scratch_peak_bytes; at most 1 MiB). Grows
 * at most a few times in a process. */
void cpu_reserve_scratch(struct device *device, size_t size_bytes, size_t activated_bytes);
void *cpu_scratch(const struct device *device, int thread);

/* One block for the operation as a whole: partial sums and padded per-channel numbers. Contents
 * undefined, 64-aligned; the next call invalidates it. */
void *cpu_reserve_shared(struct device *device, size_t size_bytes);

/* cpu_reserve_shared's block in pieces: first add up the sizes, then carve. */
static inline size_t cpu_aligned(size_t size_bytes)
{
    return (size_bytes + 63) / 64 * 64;
}

static inline void *cpu_carve(char **block, size_t size_bytes)
{
    void *piece = *block;
    *block += cpu_aligned(size_bytes);
    return piece;
}

/* sums[i] = partial[0][i] + partial[1][i] + ..., in that order; partial (parts,count). */
void cpu_add_partial_sums(int parts, size_t count, const double *partial, double *sums);

/* Element `at` of a map, whose elements are floats here. */
static inline const float *map_at(const void *map, size_t at)
{
    return (const float *)map + at;
}

static inline float *map_to(void *map, size_t at)
{
    return (float *)map + at;
}

/* Does this convolution have to take sums? */
static inline bool cpu_takes_sums(const struct norm_forward *norm)
{
    return norm && norm->kind == NORM_BATCH;
}

/* *word = min(*word, code); nothing where nobody asks. */
static inline void cpu_note_flaw(const struct flaw *flaw, uint64_t index)
{
    if (flaw->word && flaw->code + index < *flaw->word)
        *flaw->word = flaw->code + index;
}

/* The device_ops entries that need no vectors (cpu.c). Every operation is done when it returns, so
 * that nothing ever has to be waited for. */
void cpu_image_forward(struct device *device, const struct image_batch *batch, void *images);
enum err cpu_alloc(struct device *device, size_t size_bytes, void **memory);
void cpu_free(struct device *device, void *memory);
void cpu_upload(struct device *device, void *to, const void *host, size_t size_bytes);
void cpu_download_async(struct device *device, void *host, const void *from, size_t size_bytes);
MUST_CHECK enum err cpu_download(struct device *device, void *host, const void *from,
                                 size_t size_bytes);
void cpu_zero(struct device *device, size_t size_bytes, void *memory);
void cpu_fill_nan(struct device *device, size_t size_bytes, void *memory);
void cpu_copy(struct device *device, size_t size_bytes, const void *from, void *to);
void cpu_cast(struct device *device, size_t count, const float *w, void *to);
void cpu_set_word(struct device *device, uint64_t value, uint64_t *word);
MUST_CHECK enum err cpu_sync(struct device *device);
enum err cpu_event_create(struct device *device, struct event **event);
void cpu_event_destroy(struct device *device, struct event *event);
void cpu_event_record(struct device *device, struct event *event);
MUST_CHECK enum err cpu_event_wait(struct device *device, struct event *event);
void cpu_close(struct device *device);

/* Opens the CPU device (device_open's only door). ERR_UNAVAILABLE when the instruction set is not
 * there. */
MUST_CHECK enum err cpu_open(const struct device_cfg *cfg, struct device **device);

extern const struct device_ops cpu_ops_v2, cpu_ops_v3, cpu_ops_v4;

#endif
