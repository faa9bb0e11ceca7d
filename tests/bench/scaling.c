/* bench_scaling SPACE SUBNET [--batch 64] [--seconds 2] [--isa auto] [--precision fp32] [--json]:
 * how far a training step can be shared out. The step runs on one thread with each job of each
 * round of the team timed by itself, the fastest of all steps; the jobs are then dealt out to 1, 2,
 * 4 ... threads as kernels/cpu/team.c deals them. What is no job is the caller's alone. Not in it:
 * memory and caches that threads share, and what opening a round costs; so it is what the jobs
 * allow, an upper bound. Linked with --wrap=team_run. */
#include "base/clock.h"
#include "base/mem.h"
#include "kernels/cpu/team.h"
#include "tests/bench/layers.h"
#include "tests/bench/options.h"
#include "tests/bench/passes.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_THREADS = 64, NAME = 48, OPERATIONS = 256, SHOWN = 12, LEAST_STEPS = 3 };

struct round {       /* one call of team_run, always the same one in every step */
    char name[NAME]; /* of its operation */
    int jobs;
    double *seconds; /* of each job */
};

struct operation { /* of one shape, all its calls in a step */
    char name[NAME];
    double caller; /* seconds in no job, the fewest of all steps */
    double now;    /* in this step */
};

/* Static: team_run has no room for a pointer of ours. */
static struct {
    struct round *list;
    int count, capacity;
    int at;           /* in this step */
    int unnamed;      /* the first since the last operation ended */
    double unclaimed; /* seconds of jobs since then */
    struct operation operations[OPERATIONS];
    int operation_count;
    bool is_timed;
} rounds;

void __wrap_team_run(struct team *team, int jobs, void (*job)(void *context, int i, int thread),
                     void *context);

static void run_all(int jobs, void (*job)(void *context, int i, int thread), void *context)
{
    for (int i = 0; i < jobs; i++)
        job(context, i, 0);
}

static struct round *next_round(int jobs)
{
    if (rounds.at == rounds.capacity) {
        int capacity = rounds.capacity ? 2 * rounds.capacity : 256;
        rounds.list = mem_grow(rounds.list, (size_t)rounds.capacity * sizeof *rounds.list,
                               (size_t)capacity * sizeof *rounds.list);
        rounds.capacity = capacity;
    }
    struct round *round = &rounds.list[rounds.at++];
    if (rounds.at > rounds.count) {
        rounds.count = rounds.at;
        round->jobs = jobs;
        round->seconds = mem_array((size_t)jobs + 1, sizeof *round->seconds);
        for (int i = 0; i < jobs; i++)
            round->seconds[i] = INFINITY;
    }
    if (round->jobs != jobs)
        BUG("round %d has %d jobs, it had %d", rounds.at, jobs, round->jobs);
    return round;
}

void __wrap_team_run(struct team *team, int jobs, void (*job)(void *context, int i, int thread),
                     void *context)
{
    (void)team;
    if (!rounds.is_timed) {
        run_all(jobs, job, context);
        return;
    }
    struct round *round = next_round(jobs);
    for (int i = 0; i < jobs; i++) {
        double start = clock_seconds();
        job(context, i, 0);
        double seconds = clock_seconds() - start;
        rounds.unclaimed += seconds;
        round->seconds[i] = fmin(round->seconds[i], seconds);
    }
}

static struct operation *operation_of(const char *name)
{
    int i = 0;
    while (i < rounds.operation_count && strcmp(rounds.operations[i].name, name) != 0)
        i++;
    if (i == OPERATIONS)
        BUG("more than %d operations and shapes", OPERATIONS);
    struct operation *operation = &rounds.operations[i];
    if (i == rounds.operation_count) {
        rounds.operation_count++;
        snprintf(operation->name, NAME, "%s", name);
        operation->caller = INFINITY;
    }
    return operation;
}

/* The rounds since the last operation belong to this one. */
static void end_operation(const char *name, double seconds)
{
    operation_of(name)->now += seconds - rounds.unclaimed;
    rounds.unclaimed = 0;
    for (; rounds.unnamed < rounds.at; rounds.unnamed++)
        snprintf(rounds.list[rounds.unnamed].name, NAME, "%s", name);
}

struct bench {
    struct bench_options options;
    struct subnet subnet;
    struct device *device;
    struct passes passes;
    int steps;
};

static enum err step(struct bench *bench)
{
    enum err err = ERR_OK;
    rounds.at = rounds.unnamed = 0;
    TRY(passes_train(&bench->passes, &bench->subnet));
    TRY(passes_update(&bench->passes));
    for (int i = 0; i < rounds.operation_count; i++) {
        struct operation *operation = &rounds.operations[i];
        operation->caller = fmin(operation->caller, operation->now);
        operation->now = 0;
    }
    bench->steps++;
out:
    return err;
}

static enum err measure(struct bench *bench)
{
    enum err err = ERR_OK;
    TRY(step(bench)); /* warms up */
    rounds.is_timed = true;
    bench->steps = 0;
    layers_begin(bench->device, end_operation);
    double start = clock_seconds();
    while (bench->steps < LEAST_STEPS || clock_seconds() - start < bench->options.seconds)
        TRY(step(bench));
out:
    return err;
}

/* The thread whose turn to ask for a job comes first. */
static int first_free(const double *busy, int threads)
{
    int first = 0;
    for (int t = 1; t < threads; t++)
        if (busy[t] < busy[first])
            first = t;
    return first;
}

/* When the last of a round's jobs ends: each thread takes those of its own range, then helps. */
static double makespan(const struct round *round, int threads)
{
    int next[MAX_THREADS], end[MAX_THREADS];
    double busy[MAX_THREADS] = {0}, last = 0;
    for (int t = 0; t < threads; t++) {
        next[t] = (int)((long)round->jobs * t / threads);
        end[t] = (int)((long)round->jobs * (t + 1) / threads);
    }
    for (int left = round->jobs; left > 0; left--) {
        int thread = first_free(busy, threads), range = thread;
        while (next[range] == end[range])
            range = (range + 1) % threads;
        busy[thread] += round->seconds[next[range]++];
        last = fmax(last, busy[thread]);
    }
    return last;
}

static double caller_seconds(void)
{
    double seconds = 0;
    for (int i = 0; i < rounds.operation_count; i++)
        seconds += rounds.operations[i].caller;
    return seconds;
}

static double step_seconds(int threads)
{
    double seconds = caller_seconds();
    for (int i = 0; i < rounds.count; i++)
        seconds += makespan(&rounds.list[i], threads);
    return seconds;
}

static void print_json(const struct bench *bench, const char *subnet)
{
    double alone = step_seconds(1);
    printf("{\"space\": \"%s\", \"subnet\": \"%s\", \"batch\": %d, \"precision\": \"%s\", "
           "\"device\": \"%s\", \"steps\": %d, \"step_ms\": %.2f, \"caller_ms\": %.3f, "
           "\"speed_up\": {",
           bench->passes.space.name, subnet, bench->passes.N, bench->options.precision,
           bench->device->lineage, bench->steps, alone * 1e3, caller_seconds() * 1e3);
    for (int threads = 1; threads <= MAX_THREADS; threads *= 2)
        printf("%s\"%d\": %.2f", threads > 1 ? ", " : "", threads, alone / step_seconds(threads));
    printf("}}\n");
}

struct share { /* of one operation on many threads */
    const struct operation *operation;
    int jobs;    /* of its largest round */
    double lost; /* seconds beyond equal shares of its jobs */
};

static struct share share_of(const struct operation *operation, int threads)
{
    struct share share = {.operation = operation};
    for (int i = 0; i < rounds.count; i++) {
        const struct round *round = &rounds.list[i];
        if (strcmp(round->name, operation->name) != 0)
            continue;
        share.lost += makespan(round, threads) - makespan(round, 1) / threads;
        share.jobs = round->jobs > share.jobs ? round->jobs : share.jobs;
    }
    return share;
}

static double waited(const struct share *share)
{
    return share->lost + share->operation->caller;
}

static int worst_first(const void *left, const void *right)
{
    double l = waited(left), r = waited(right);
    return (l < r) - (l > r);
}

static void print_shares(int threads)
{
    struct share shares[OPERATIONS];
    for (int i = 0; i < rounds.operation_count; i++)
        shares[i] = share_of(&rounds.operations[i], threads);
    qsort(shares, (size_t)rounds.operation_count, sizeof *shares, worst_first);
    printf("what %d threads wait for, ms a step: the caller, unequal shares of jobs\n", threads);
    for (int i = 0; i < rounds.operation_count && i < SHOWN; i++)
        printf("%-44s %8.3f %8.3f  %d jobs\n", shares[i].operation->name,
               shares[i].operation->caller * 1e3, shares[i].lost * 1e3, shares[i].jobs);
}

static void print_table(void)
{
    double alone = step_seconds(1);
    printf("step %.2f ms on one thread, %.3f ms of it in no job; %d rounds\n", alone * 1e3,
           caller_seconds() * 1e3, rounds.count);
    for (int threads = 2; threads <= MAX_THREADS; threads *= 2)
        printf("%2d threads: at most %.2f times as fast\n", threads, alone / step_seconds(threads));
    print_shares(32);
}

static void close_bench(struct bench *bench)
{
    for (int i = 0; i < rounds.count; i++)
        mem_free(rounds.list[i].seconds);
    mem_free(rounds.list);
    passes_close(&bench->passes);
    device_close(&bench->device);
}

int main(int argc, char **argv)
{
    enum err err = ERR_OK;
    struct bench bench = {
        .options = {.batch = 64, .threads = 1, .seconds = 2, .isa = "auto", .precision = "fp32"}};
    TRY(bench_options_read(argc, argv, " batch seconds isa precision json ", &bench.options));
    if (bench.options.word_count != 2)
        TRY(err_set(ERR_USAGE, "usage: bench_scaling SPACE SUBNET [--batch 64] [--seconds 2] "
                               "[--isa auto] [--precision fp32] [--json]"));
    char **words = bench.options.words;
    TRY(passes_open_subnet(&bench.options, words[0], words[1], &bench.device, &bench.subnet,
                           &bench.passes));
    TRY(measure(&bench));
    if (bench.options.has_json)
        print_json(&bench, words[1]);
    else
        print_table();
out:
    if (err != ERR_OK)
        fprintf(stderr, "bench_scaling: %s\n", err_text());
    close_bench(&bench);
    return err_exit_code(err);
}
