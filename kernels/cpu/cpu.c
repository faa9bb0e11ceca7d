#include "kernels/cpu/cpu.h"
#include "base/mem.h"
#include "kernels/cpu/gemm.h"
#include "kernels/cpu/processor.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

struct block { /* grows, never shrinks */
    void *memory;
    size_t size_bytes;
};

struct cpu {
    struct team *team;
    struct block *scratch; /* one per thread */
    struct block shared;
};

enum { HUGE_PAGE = 2 << 20 };

static const char *const isa_names[] = {"auto", "x86-64-v2", "x86-64-v3", "x86-64-v4"};

static const struct device_ops *const isa_ops[] = {NULL, &cpu_ops_v2, &cpu_ops_v3, &cpu_ops_v4};

static enum err choose_isa(const struct processor *processor, enum isa wanted, enum isa *isa)
{
    enum isa best = processor_isa(processor);
    if (best == ISA_AUTO)
        return err_set(ERR_UNAVAILABLE, "this processor lacks %s: x86-64-v2 is the least",
                       processor_lacks(processor, ISA_V2));
    if (wanted > best)
        return err_set(ERR_UNAVAILABLE,
                       "isa %s is pinned but this machine has only %s: it lacks %s",
                       isa_names[wanted], isa_names[best], processor_lacks(processor, wanted));
    *isa = wanted == ISA_AUTO ? best : wanted;
    return ERR_OK;
}

static void write_lineage(const struct processor *processor, enum isa isa, struct device *device)
{
    char library[64], model[128];
    gemm_lineage(library, sizeof library);
    processor_model(processor, model, sizeof model);
    snprintf(device->lineage, sizeof device->lineage, "cpu %s %s%s%s", isa_names[isa], library,
             DEVICE_LINEAGE_ON, model);
}

enum err cpu_open(const struct device_cfg *cfg, struct device **out)
{
    enum err err = ERR_OK;
    enum isa isa = ISA_AUTO;
    struct device *device = mem_alloc(sizeof *device);
    struct cpu *cpu = mem_alloc(sizeof *cpu);
    struct processor processor;
    device->own = cpu;
    processor_read(&processor);
    if (cfg->threads < 1)
        BUG("a CPU device of %d threads", cfg->threads);
    TRY(choose_isa(&processor, cfg->isa, &isa));
    device->ops = isa_ops[isa];
    device->map_bytes = sizeof(float);
    TRY(gemm_open(isa));
    write_lineage(&processor, isa, device);
    TRY(team_create(cfg->threads, &cpu->team));
    cpu->scratch = mem_array((size_t)cfg->threads, sizeof *cpu->scratch);
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
    int threads = cpu->team ? team_threads(cpu->team) : 0;
    team_destroy(&cpu->team);
    for (int t = 0; cpu->scratch && t < threads; t++)
        mem_free(cpu->scratch[t].memory);
    mem_free(cpu->scratch);
    mem_free(cpu->shared.memory);
    mem_free(cpu);
    mem_free(device);
}

void cpu_run(struct device *device, int jobs, void (*job)(void *context, int i, int thread),
             void *context)
{
    struct cpu *cpu = device->own;
    team_run(cpu->team, jobs, job, context);
}

static void block_reserve(struct block *block, size_t size_bytes)
{
    if (block->size_bytes >= size_bytes)
        return;
    mem_free(block->memory);
    block->memory = mem_alloc(size_bytes);
    block->size_bytes = size_bytes;
}

static void raise_peak(uint64_t *peak, size_t size_bytes)
{
    if (*peak < size_bytes)
        *peak = size_bytes;
}

void cpu_reserve_scratch(struct device *device, size_t size_bytes, size_t activated_bytes)
{
    struct cpu *cpu = device->own;
    for (int t = 0; t < team_threads(cpu->team); t++)
        block_reserve(&cpu->scratch[t], size_bytes);
    raise_peak(&device->traffic.scratch_peak_bytes, activated_bytes);
    raise_peak(&device->traffic.working_peak_bytes, size_bytes);
}

void *cpu_scratch(const struct device *device, int thread)
{
    const struct cpu *cpu = device->own;
    return cpu->scratch[thread].memory;
}

void *cpu_reserve_shared(struct device *device, size_t size_bytes)
{
    struct cpu *cpu = device->own;
    block_reserve(&cpu->shared, size_bytes);
    raise_peak(&device->traffic.shared_peak_bytes, size_bytes);
    return cpu->shared.memory;
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

enum err cpu_alloc(struct device *device, size_t size_bytes, void **memory)
{
    (void)device;
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
    return ERR_OK;
}

void cpu_copy(struct device *device, size_t size_bytes, const void *from, void *to)
{
    (void)device;
    memcpy(to, from, size_bytes);
}

void cpu_cast(struct device *device, size_t count, const float *w, void *to)
{
    if (to != w)
        cpu_copy(device, count * sizeof *w, w, to);
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
    (void)device;
    return ERR_OK;
}

/* Every moment has passed: an event is an address and no more. */
enum err cpu_event_create(struct device *device, struct event **event)
{
    *event = (struct event *)device->own;
    return ERR_OK;
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
