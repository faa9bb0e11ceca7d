/* The CPU device's own state, seen by the operations in this folder and nobody else. Operations are
 * compiled once per instruction set, those that touch maps once per type of a map's element on each
 * (map.h): a file names its functions by ISA_NAME(), which appends _v2, _v3 or _v4, or MAP_NAME(),
 * which appends _fp32, _bf16 or _pairs (bf16 by VDPBF16PS) too, and ops.h declares them. A file
 * that is not compiled per type sees the functions for fp32. Rule for every operation: work is cut
 * into jobs by the shape alone, never by the number of threads; each job writes its own part or its
 * own partial sums, and partial sums are added in order of the jobs. */
#ifndef KERNELS_CPU_CPU_H
#define KERNELS_CPU_CPU_H

#include "kernels/cpu/team.h"
#include "kernels/cpu/workspace.h"
#include "kernels/workload.h"

#ifdef ISA_SUFFIX /* set by CMake for the files that are compiled per instruction set */
#define ISA_JOIN_(name, suffix) cpu_##name##suffix
#define ISA_JOIN(name, suffix)  ISA_JOIN_(name, suffix)
#define ISA_NAME(name)          ISA_JOIN(name, ISA_SUFFIX) /* cpu_loss_forward_v4 */
#define MAP_NAME(name)          ISA_JOIN(name, MAP_SUFFIX) /* cpu_pw_forward_v4_bf16 */
#endif

struct cpu;

/* Runs job(context, i, thread) for i in [0, jobs) on the device's team. */
void cpu_run(struct device *device, int jobs, void (*job)(void *context, int i, int thread),
             void *context);

/* Scratch of one operation, called before cpu_run: afterwards every thread owns what the need says
 * at cpu_scratch(), and the operation as a whole (partial sums, padded per-channel numbers) at
 * cpu_shared(). Both are 64-aligned, contents undefined, and last until the next operation asks.
 * False: the device was prepared for less; the error is left, and the operation ends. `work` is the
 * operation's shape, for that error. */
bool cpu_reserve(struct device *device, const struct work *work, const struct cpu_need *need);
void *cpu_scratch(const struct device *device, int thread);
void *cpu_shared(const struct device *device);

/* Such memory in pieces: the need adds up the sizes, then they are carved. */
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
MUST_CHECK enum err cpu_prepare(struct device *device, const struct workload *workload);
enum err cpu_alloc(struct device *device, size_t size_bytes, void **memory);
void cpu_free(struct device *device, void *memory);
void cpu_upload(struct device *device, void *to, const void *host, size_t size_bytes);
void cpu_download_async(struct device *device, void *host, const void *from, size_t size_bytes);
MUST_CHECK enum err cpu_download(struct device *device, void *host, const void *from,
                                 size_t size_bytes);
void cpu_zero(struct device *device, size_t size_bytes, void *memory);
void cpu_fill_nan(struct device *device, size_t size_bytes, void *memory);
void cpu_copy(struct device *device, size_t size_bytes, const void *from, void *to);
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

enum isa cpu_isa(const struct device_cfg *cfg); /* device_isa() */
size_t cpu_scratch_bytes(const struct device_cfg *cfg, const struct workload *workload);

/* What the largest works need on an instruction set: kernels/cpu/table.c. */
struct cpu_need cpu_most_needed_v2_fp32(const struct workload *workload);
struct cpu_need cpu_most_needed_v3_fp32(const struct workload *workload);
struct cpu_need cpu_most_needed_v4_fp32(const struct workload *workload);
struct cpu_need cpu_most_needed_v2_bf16(const struct workload *workload);
struct cpu_need cpu_most_needed_v3_bf16(const struct workload *workload);
struct cpu_need cpu_most_needed_v4_bf16(const struct workload *workload);
struct cpu_need cpu_most_needed_v4_pairs(const struct workload *workload);

extern const struct device_ops cpu_ops_v2_fp32, cpu_ops_v3_fp32, cpu_ops_v4_fp32;
extern const struct device_ops cpu_ops_v2_bf16, cpu_ops_v3_bf16, cpu_ops_v4_bf16;
extern const struct device_ops cpu_ops_v4_pairs; /* bf16 by VDPBF16PS */

#endif
