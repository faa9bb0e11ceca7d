#include "kernels/cpu/cpu.h"
#include "base/mem.h"
#include "kernels/cpu/gemm.h"
#include "kernels/cpu/processor.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

struct cpu {
    const struct variant *variant;
    struct team *team;
    struct workspace workspace;
    _Atomic(enum err) left; /* the first error that an operation left */
    char left_text[256];    /* written before it, never again */
};

enum { HUGE_PAGE = 2 << 20 };

#define ISA_LIMIT "GLOWWORM_ISA_LIMIT"

typedef struct cpu_need most_needed_fn(const struct workload *workload);

struct variant { /* the operations for one instruction set and type of map */
    const struct device_ops *ops;
    most_needed_fn *most_needed;
};

static const struct variant variants[][2] = {
    [ISA_V2] = {{&cpu_ops_v2_fp32, cpu_most_needed_v2_fp32},
                {&cpu_ops_v2_bf16, cpu_most_needed_v2_bf16}},
    [ISA_V3] = {{&cpu_ops_v3_fp32, cpu_most_needed_v3_fp32},
                {&cpu_ops_v3_bf16, cpu_most_needed_v3_bf16}},
    [ISA_V4] = {{&cpu_ops_v4_fp32, cpu_most_needed_v4_fp32},
                {&cpu_ops_v4_bf16, cpu_most_needed_v4_bf16}},
    [ISA_V4_BF16] = {{&cpu_ops_v4_fp32, cpu_most_needed_v4_fp32},
                     {&cpu_ops_v4_pairs, cpu_most_needed_v4_pairs}},
};

/* What decides the arithmetic: bf16's instructions compute nothing for fp32 maps. */
static enum isa computing_isa(enum isa isa, enum precision precision)
{
    return isa == ISA_V4_BF16 && precision == PRECISION_FP32 ? ISA_V4 : isa;
}

/* As far as a person lets us see it. */
static enum err read_processor(struct processor *processor)
{
    enum err err = ERR_OK;
    enum isa most = ISA_AUTO;
    const char *limit = getenv(ISA_LIMIT);
    processor_read(processor);
    if (limit) {
        err = isa_parse(limit, &most);
        if (err != ERR_OK)
            return err_prefix(err, ISA_LIMIT);
        processor_limit(processor, most);
    }
    return err;
}

enum isa cpu_isa(const struct device_cfg *cfg)
{
    struct processor processor;
    if (read_processor(&processor) != ERR_OK) /* cpu_open() says so */
        return ISA_AUTO;
    return cfg->isa == ISA_AUTO ? processor_best_isa(&processor, cfg->precision)
                                : processor_isa(&processor);
}

static enum err choose_isa(const struct processor *processor, const struct device_cfg *cfg,
                           enum isa *isa)
{
    enum isa wanted = cfg->isa;
    enum isa best = processor_isa(processor);
    if (best == ISA_AUTO)
        return err_set(ERR_UNAVAILABLE, "this processor lacks %s: x86-64-v2 is the least",
                       processor_lacks(processor, ISA_V2));
    if (wanted > best)
        return err_set(ERR_UNAVAILABLE,
                       "isa %s is pinned but this machine has only %s: it lacks %s",
                       isa_name(wanted), isa_name(best), processor_lacks(processor, wanted));
    *isa = wanted == ISA_AUTO ? processor_best_isa(processor, cfg->precision)
                              : computing_isa(wanted, cfg->precision);
    return ERR_OK;
}

static void write_lineage(const struct processor *processor, enum isa isa, enum precision precision,
                          struct device *device)
{
    char library[64], model[128];
    gemm_lineage(library, sizeof library);
    processor_model(processor, model, sizeof model);
    snprintf(device->lineage, sizeof device->lineage, "cpu %s%s %s%s%s", isa_name(isa),
             precision == PRECISION_BF16 ? " bf16" : "", library, DEVICE_LINEAGE_ON, model);
}

enum err cpu_open(const struct device_cfg *cfg, struct device **out)
{
    enum err err = ERR_OK;
    enum isa isa = ISA_AUTO;
    struct device *device = mem_alloc(sizeof *device);
    struct cpu *cpu = mem_alloc(sizeof *cpu);
    struct processor processor;
    device->own = cpu;
    if (cfg->threads < 1)
        BUG("a CPU device of %d threads", cfg->threads);
    TRY(read_processor(&processor));
    TRY(choose_isa(&processor, cfg, &isa));
    cpu->variant = &variants[isa][cfg->precision];
    device->ops = cpu->variant->ops;
    device->map_bytes = precision_map_bytes(cfg->precision);
    TRY(gemm_open(isa));
    write_lineage(&processor, isa, cfg->precision, device);
    TRY(team_create(cfg->threads, &cpu->team));
    workspace_init(&cpu->workspace, cfg->threads);
    *out = device;
    device = NULL;
out:
    if (device)
        cpu_close(device);
    return err;
}

void cpu_close(struct device *device)
{
    struct cpu *cpu = device->own;
    team_destroy(&cpu->team);
    workspace_fini(&cpu->workspace);
    mem_free(cpu);
    mem_free(device);
}

void cpu_run(struct device *device, int jobs, void (*job)(void *context, int i, int thread),
             void *context)
{
    struct cpu *cpu = device->own;
    team_run(cpu->team, jobs, job, context);
}

enum err cpu_prepare(struct device *device, const struct workload *workload)
{
    enum err err = ERR_OK;
    struct cpu *cpu = device->own;
    struct cpu_need need = cpu->variant->most_needed(workload);
    TRY(cpu_sync(device));
    TRY(workspace_grow(&cpu->workspace, &need));
    cpu->workspace.is_prepared = true;
out:
    return err;
}

size_t cpu_scratch_bytes(const struct device_cfg *cfg, const struct workload *workload)
{
    enum isa isa = cfg->isa == ISA_AUTO ? cpu_isa(cfg) : cfg->isa;
    const struct variant *variant = &variants[isa == ISA_AUTO ? ISA_V2 : isa][cfg->precision];
    struct cpu_need need = variant->most_needed(workload);
    return cpu_need_bytes(&need, cfg->threads);
}

static void raise_peak(uint64_t *peak, size_t size_bytes)
{
    if (*peak < size_bytes)
        *peak = size_bytes;
}

/* The first one stays. */
static void leave_error(struct cpu *cpu, const struct work *work, const struct cpu_need *need)
{
    char shape[160];
    if (cpu->left != ERR_OK)
        return;
    work_describe(work, shape, sizeof shape);
    snprintf(cpu->left_text, sizeof cpu->left_text,
             "%s: it needs %zu bytes a thread and %zu shared, the device was prepared for less; "
             "report it",
             shape, need->scratch_bytes, need->shared_bytes);
    cpu->left = ERR_FAILED;
}

/* Where memory was never promised, an operation grows it; there as everywhere small host memory
 * that is not there ends the process. */
static void grow_unprepared(struct workspace *workspace, const struct cpu_need *need)
{
    if (workspace_grow(workspace, need) != ERR_OK)
        BUG("%s, on a device that nobody prepared", err_text());
}

bool cpu_reserve(struct device *device, const struct work *work, const struct cpu_need *need)
{
    struct cpu *cpu = device->own;
    struct device_traffic *traffic = &device->traffic;
    if (!workspace_holds(&cpu->workspace, need)) {
        if (cpu->workspace.is_prepared) {
            leave_error(cpu, work, need);
            return false;
        }
        grow_unprepared(&cpu->workspace, need);
    }
    workspace_guard(&cpu->workspace, need);
    raise_peak(&traffic->scratch_peak_bytes, need->activated_bytes);
    raise_peak(&traffic->working_peak_bytes, need->scratch_bytes);
    raise_peak(&traffic->shared_peak_bytes, need->shared_bytes);
    return true;
}

void *cpu_scratch(const struct device *device, int thread)
{
    const struct cpu *cpu = device->own;
    return cpu->workspace.of_thread[thread].memory;
}

void *cpu_shared(const struct device *device)
{
    const struct cpu *cpu = device->own;
    return cpu->workspace.shared.memory;
}

void cpu_add_partial_sums(int parts, size_t count, const double *partial, double *sums)
{
    memcpy(sums, partial, count * sizeof *sums);
    for (int part = 1; part < parts; part++) {
        const double *row = partial + (size_t)part * count;
        for (size_t i = 0; i < count; i++)
            sums[i] += row[i];
    }
}

/* What an operation left; any thread. */
static enum err left_error(const struct device *device)
{
    const struct cpu *cpu = device->own;
    enum err left = cpu->left;
    return left == ERR_OK ? ERR_OK : err_set(left, "%s", cpu->left_text);
}

enum err cpu_alloc(struct device *device, size_t size_bytes, void **memory)
{
    enum err left = left_error(device);
    if (left != ERR_OK)
        return left;
    size_t padded = cpu_aligned(size_bytes ? size_bytes : 1);
    size_t alignment = padded >= HUGE_PAGE ? HUGE_PAGE : 64;
    padded = (padded + alignment - 1) / alignment * alignment;
    void *block = aligned_alloc(alignment, padded);
    if (!block)
        return err_set(ERR_MEMORY, "no memory for a tensor block of %zu bytes", size_bytes);
    if (alignment == HUGE_PAGE)
        madvise(block, padded, MADV_HUGEPAGE); /* fewer address translations; may be refused */
    memset(block, 0, padded);
    *memory = block;
    return ERR_OK;
}

void cpu_free(struct device *device, void *memory)
{
    (void)device;
    free(memory);
}

void cpu_upload(struct device *device, void *to, const void *host, size_t size_bytes)
{
    (void)device;
    memcpy(to, host, size_bytes);
}

void cpu_download_async(struct device *device, void *host, const void *from, size_t size_bytes)
{
    (void)device;
    memcpy(host, from, size_bytes);
}

enum err cpu_download(struct device *device, void *host, const void *from, size_t size_bytes)
{
    cpu_download_async(device, host, from, size_bytes);
    return left_error(device);
}

void cpu_copy(struct device *device, size_t size_bytes, const void *from, void *to)
{
    (void)device;
    memcpy(to, from, size_bytes);
}

void cpu_set_word(struct device *device, uint64_t value, uint64_t *word)
{
    (void)device;
    *word = value;
}

struct fill {
    char *memory;
    size_t size_bytes;
    int byte;
};

enum { FILL_CHUNK = 1 << 18 };

static void fill_job(void *context, int i, int thread)
{
    const struct fill *op = context;
    size_t start = (size_t)i * FILL_CHUNK, left = op->size_bytes - start;
    (void)thread;
    memset(op->memory + start, op->byte, left < FILL_CHUNK ? left : FILL_CHUNK);
}

static void fill(struct device *device, size_t size_bytes, void *memory, int byte)
{
    struct fill op = {memory, size_bytes, byte};
    cpu_run(device, (int)((size_bytes + FILL_CHUNK - 1) / FILL_CHUNK), fill_job, &op);
}

void cpu_zero(struct device *device, size_t size_bytes, void *memory)
{
    fill(device, size_bytes, memory, 0);
}

void cpu_fill_nan(struct device *device, size_t size_bytes, void *memory)
{
    fill(device, size_bytes, memory, 0xff);
}

enum err cpu_sync(struct device *device)
{
    return left_error(device);
}

/* Every moment has passed: an event is an address and no more. */
enum err cpu_event_create(struct device *device, struct event **event)
{
    *event = (struct event *)device->own;
    return left_error(device);
}

void cpu_event_destroy(struct device *device, struct event *event)
{
    (void)device;
    (void)event;
}

void cpu_event_record(struct device *device, struct event *event)
{
    (void)device;
    (void)event;
}

enum err cpu_event_wait(struct device *device, struct event *event)
{
    (void)event;
    return cpu_sync(device);
}
