#include "tests/bench/ceilings.h"
#include "base/clock.h"
#include "base/mem.h"
#include "kernels/cpu/processor.h"
#include "kernels/cpu/team.h"
#include "tests/bench/ceiling_loops.h"
#include <stdlib.h>
#include <string.h>

enum { RUNS = 7, ROUNDS = 20000000, MAX_THREADS = 1024 };

struct bench { /* each job of the team is one thread's part */
    struct team *team;
    const struct ceiling_loops *loops;
    float *memory; /* (floats) */
    size_t floats; /* whole blocks for every thread */
    int bf16_choice;
    double done[MAX_THREADS];
};

static void fma_job(void *context, int i, int thread)
{
    struct bench *bench = context;
    (void)thread;
    bench->done[i] = bench->loops->fma(ROUNDS);
}

static void bf16_job(void *context, int i, int thread)
{
    struct bench *bench = context;
    (void)thread;
    bench->done[i] = ceiling_bf16(ROUNDS / CEILING_BF16_CHOICES, bench->bf16_choice);
}

static void read_job(void *context, int i, int thread)
{
    struct bench *bench = context;
    size_t part = bench->floats / (size_t)team_threads(bench->team);
    (void)thread;
    bench->done[i] = (double)(part * sizeof(float));
    if (bench->loops->read(bench->memory + (size_t)i * part, part) < 0)
        BUG("a sum of ones below 0");
}

static void write_job(void *context, int i, int thread)
{
    struct bench *bench = context;
    size_t part = bench->floats / (size_t)team_threads(bench->team);
    (void)thread;
    bench->done[i] = (double)(part * sizeof(float));
    bench->loops->write(bench->memory + (size_t)i * part, part);
}

/* The best run's, a second. */
static double rate(struct bench *bench, void (*job)(void *context, int i, int thread))
{
    double best = 0;
    int threads = team_threads(bench->team);
    for (int run = 0; run < RUNS; run++) {
        double start = clock_seconds(), done = 0;
        team_run(bench->team, threads, job, bench);
        double seconds = clock_seconds() - start;
        for (int i = 0; i < threads; i++)
            done += bench->done[i];
        best = done / seconds > best ? done / seconds : best;
    }
    return best;
}

static double bf16_rate(struct bench *bench)
{
    double best = 0;
    for (bench->bf16_choice = 0; bench->bf16_choice < CEILING_BF16_CHOICES; bench->bf16_choice++) {
        double one = rate(bench, bf16_job);
        best = one > best ? one : best;
    }
    return best;
}

static const struct ceiling_loops *loops_of(enum isa isa)
{
    return isa >= ISA_V4   ? &ceiling_loops_v4
           : isa == ISA_V3 ? &ceiling_loops_v3
                           : &ceiling_loops_v2;
}

static enum err choose_isa(const struct processor *processor, enum isa wanted, enum isa *isa)
{
    enum isa best = processor_isa(processor);
    if (best == ISA_AUTO || wanted > best)
        return err_set(ERR_UNAVAILABLE, "this machine lacks %s",
                       processor_lacks(processor, wanted == ISA_AUTO ? ISA_V2 : wanted));
    *isa = wanted == ISA_AUTO ? best : wanted;
    return ERR_OK;
}

/* Beyond every cache, in whole blocks of every thread. */
static size_t floats_beyond_caches(const struct processor *processor, int threads)
{
    size_t least_bytes = (size_t)256 << 20, blocks = (size_t)threads * CEILING_BLOCK;
    for (int i = 0; i < PROCESSOR_CACHES; i++)
        if (2 * (size_t)processor->caches[i] > least_bytes)
            least_bytes = 2 * (size_t)processor->caches[i];
    return (least_bytes / sizeof(float) + blocks - 1) / blocks * blocks;
}

static enum err open_bench(struct bench *bench, int threads, const struct processor *processor)
{
    enum err err = ERR_OK;
    bench->floats = floats_beyond_caches(processor, threads);
    bench->memory = aligned_alloc(64, bench->floats * sizeof(float));
    if (!bench->memory)
        TRY(err_set(ERR_MEMORY, "no %zu bytes to read and write", bench->floats * sizeof(float)));
    TRY(team_create(threads, &bench->team));
out:
    return err;
}

enum err ceilings_measure(int threads, enum isa isa, struct ceilings *ceilings)
{
    enum err err = ERR_OK;
    struct processor processor;
    struct bench *bench = mem_alloc(sizeof *bench);
    *bench = (struct bench){0};
    if (threads < 1 || threads > MAX_THREADS)
        TRY(err_set(ERR_USAGE, "%d threads", threads));
    processor_read(&processor);
    TRY(choose_isa(&processor, isa, &ceilings->isa));
    TRY(open_bench(bench, threads, &processor));
    bench->loops = loops_of(ceilings->isa);
    ceilings->memory_bytes = bench->floats * sizeof(float);
    ceilings->write = rate(bench, write_job); /* first: reads want pages of their own */
    ceilings->read = rate(bench, read_job);
    ceilings->fma = rate(bench, fma_job);
    ceilings->has_bf16 = ceilings->isa == ISA_V4_BF16;
    ceilings->bf16 = ceilings->has_bf16 ? bf16_rate(bench) : 0;
out:
    team_destroy(&bench->team);
    free(bench->memory);
    mem_free(bench);
    return err;
}
