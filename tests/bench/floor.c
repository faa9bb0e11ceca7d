/* bench_floor SPACE SUBNET... [--teacher] [--batch 64] [--threads 2] [--isa auto] [--device FILE]
 * [--json]: the most images/s of a training step that this machine allows, with fp32 and with bf16
 * maps: the step's arithmetic and bytes, counted operation by operation (counted_device.h says what
 * counts and what does not), over rates that are measured on the spot (ceilings.h), or those of a
 * GPU that a file describes (gpu_ceilings.h). A step is forward, loss and backward of each SUBNET
 * at the resolution of the first, and one update of all weights; the full network's forward, too,
 * with --teacher. With --device also the floor of a step without expanded maps (virtual_expand.h).
 *
 * Two floors: arithmetic and memory at the same time, and one after the other. 1x1 convolutions of
 * bf16 maps run at the rate of VDPBF16PS where that is the faster, all other arithmetic at fp32's.
 * Maps count as memory's, whatever a cache keeps: a step whose maps stay in one may spend less time
 * on memory than is said here. */
#include "base/mem.h"
#include "tests/bench/ceilings.h"
#include "tests/bench/counted_device.h"
#include "tests/bench/gpu_ceilings.h"
#include "tests/bench/options.h"
#include "tests/bench/passes.h"
#include "tests/bench/virtual_expand.h"
#include <stdio.h>

enum { MAX_SUBNETS = 16 };

struct step { /* what is counted */
    const char *space_file;
    struct space space;
    struct subnet subnets[MAX_SUBNETS];
    int subnet_count, N;
    bool has_teacher;
};

struct seconds {
    double arithmetic, memory;
};

struct machine {
    bool is_gpu;
    struct gpu_ceilings gpu;
    int threads;
    struct ceilings ceilings;
};

static enum err read_subnets(const struct bench_options *options, struct step *step)
{
    enum err err = ERR_OK;
    step->space_file = options->words[0];
    step->subnet_count = options->word_count - 1;
    if (step->subnet_count > MAX_SUBNETS)
        TRY(err_set(ERR_USAGE, "%d sub-networks, at most %d", step->subnet_count, MAX_SUBNETS));
    TRY(space_load(step->space_file, 1.0, BENCH_CLASSES, BENCH_CHANNELS, &step->space));
    for (int i = 0; i < step->subnet_count; i++) {
        struct subnet *subnet = &step->subnets[i];
        TRY(subnet_parse(&step->space, options->words[1 + i], subnet));
        if (i > 0)
            subnet->resolution = step->subnets[0].resolution;
        if (subnet->resolution == 0)
            TRY(err_set(ERR_USAGE, "say the resolution: \"r=128 %s\"", options->words[1]));
    }
out:
    return err;
}

static enum err count_step(const struct step *step, size_t map_bytes, struct counts *counts)
{
    enum err err = ERR_OK;
    struct device device;
    struct passes passes;
    *counts = (struct counts){0};
    counted_device_init(&device, map_bytes, counts);
    TRY(passes_open(step->space_file, step->N, step->subnets[0].resolution, &device, &passes));
    if (step->has_teacher)
        TRY(passes_teach(&passes));
    for (int i = 0; i < step->subnet_count; i++)
        TRY(passes_train(&passes, &step->subnets[i]));
    TRY(passes_update(&passes));
out:
    passes_close(&passes);
    return err;
}

static struct seconds seconds_of(const struct count *count, size_t map_bytes,
                                 const struct ceilings *ceilings)
{
    bool has_pairs = map_bytes == 2 && ceilings->bf16 > ceilings->fma;
    double product_rate = has_pairs ? ceilings->bf16 : ceilings->fma;
    return (struct seconds){
        .arithmetic =
            count->products / product_rate + (count->macs + count->elementwise) / ceilings->fma,
        .memory = count->read_bytes / ceilings->read + count->written_bytes / ceilings->write};
}

static void print_gpu(const struct gpu_ceilings *gpu)
{
    printf("%s: fp32 %.0f TFLOP/s, bf16 %.0f TFLOP/s, copy %.0f GB/s; %s\n", gpu->name, gpu->fp32,
           gpu->bf16, gpu->copy, gpu->source);
}

static void print_ceilings(const struct ceilings *ceilings, int threads)
{
    printf("%s, %d threads: fp32 %.1f GFLOP/s, ", isa_name(ceilings->isa), threads,
           2e-9 * ceilings->fma);
    if (ceilings->has_bf16)
        printf("bf16 %.1f GFLOP/s, ", 2e-9 * ceilings->bf16);
    printf("read %.1f GB/s, streaming write %.1f GB/s over %zu MiB\n", 1e-9 * ceilings->read,
           1e-9 * ceilings->write, ceilings->memory_bytes >> 20);
}

static void print_row(const char *name, const struct count *count, struct seconds seconds)
{
    printf("%-18s %6.0f %11.2f %11.2f %11.2f %9.2f %9.2f %9.3f %9.3f\n", name, count->calls,
           1e-6 * count->products, 1e-6 * count->macs, 1e-6 * count->elementwise,
           1e-6 * count->read_bytes, 1e-6 * count->written_bytes, 1e3 * seconds.arithmetic,
           1e3 * seconds.memory);
}

static double floor_max(const struct step *step, struct seconds seconds)
{
    return step->N / (seconds.arithmetic > seconds.memory ? seconds.arithmetic : seconds.memory);
}

static double floor_sum(const struct step *step, struct seconds seconds)
{
    return step->N / (seconds.arithmetic + seconds.memory);
}

static const char *precision_name(size_t map_bytes)
{
    return map_bytes == 2 ? "bf16" : "fp32";
}

static void print_table(const struct step *step, size_t map_bytes, const struct counts *counts,
                        const struct ceilings *ceilings)
{
    struct count total = counts_total(counts);
    struct seconds seconds = seconds_of(&total, map_bytes, ceilings);
    printf("\n%-18s %6s %11s %11s %11s %9s %9s %9s %9s\n", precision_name(map_bytes), "calls",
           "1x1 M", "others M", "views M", "MB read", "written", "ms", "ms memory");
    for (int kind = 0; kind < COUNT_KINDS; kind++) {
        const struct count *count = &counts->kinds[kind];
        if (count->calls > 0)
            print_row(count_name((enum count_kind)kind), count,
                      seconds_of(count, map_bytes, ceilings));
    }
    print_row("all", &total, seconds);
    printf("floor: %.0f images/s with perfect overlap, %.0f without\n", floor_max(step, seconds),
           floor_sum(step, seconds));
}

static void print_json_row(const char *comma, const char *name, const struct count *count,
                           struct seconds seconds)
{
    printf("%s{\"operation\": \"%s\", \"calls\": %.0f, \"products\": %.0f, \"macs\": %.0f, "
           "\"elementwise\": %.0f, \"read_bytes\": %.0f, \"written_bytes\": %.0f, "
           "\"arithmetic_seconds\": %.6g, \"memory_seconds\": %.6g}",
           comma, name, count->calls, count->products, count->macs, count->elementwise,
           count->read_bytes, count->written_bytes, seconds.arithmetic, seconds.memory);
}

static void print_json_floor(const struct step *step, size_t map_bytes, const struct counts *counts,
                             const struct ceilings *ceilings)
{
    struct count total = counts_total(counts);
    struct seconds seconds = seconds_of(&total, map_bytes, ceilings);
    printf(", \"%s\": {\"max_images_per_second\": %.1f, \"sum_images_per_second\": %.1f, "
           "\"operations\": [",
           precision_name(map_bytes), floor_max(step, seconds), floor_sum(step, seconds));
    for (int kind = 0; kind < COUNT_KINDS; kind++)
        print_json_row(kind ? ", " : "", count_name((enum count_kind)kind), &counts->kinds[kind],
                       seconds_of(&counts->kinds[kind], map_bytes, ceilings));
    printf("]}");
}

static void print_json_ceilings(const struct ceilings *ceilings)
{
    printf("\"ceilings\": {\"fp32_gflop_per_second\": %.1f, \"bf16_gflop_per_second\": %.1f, "
           "\"has_bf16\": %s, \"read_gb_per_second\": %.2f, \"write_gb_per_second\": %.2f}",
           2e-9 * ceilings->fma, 2e-9 * ceilings->bf16, ceilings->has_bf16 ? "true" : "false",
           1e-9 * ceilings->read, 1e-9 * ceilings->write);
}

static void print_json_head(const struct step *step, const struct machine *machine)
{
    printf("{\"batch\": %d, ", step->N);
    if (machine->is_gpu)
        printf("\"device\": \"%s\", ", machine->gpu.name);
    else
        printf("\"threads\": %d, \"isa\": \"%s\", ", machine->threads,
               isa_name(machine->ceilings.isa));
    print_json_ceilings(&machine->ceilings);
}

static void print_head(const struct machine *machine)
{
    if (machine->is_gpu)
        print_gpu(&machine->gpu);
    else
        print_ceilings(&machine->ceilings, machine->threads);
}

static struct count count_virtual(const struct step *step, size_t map_bytes,
                                  const struct counts *counts)
{
    struct count count = counts_total(counts);
    for (int i = 0; i < step->subnet_count; i++)
        virtual_expand_count(&step->space, &step->subnets[i], step->N, map_bytes, &count);
    return count;
}

static void print_json_virtual(const struct step *step, size_t map_bytes,
                               const struct counts *counts, const struct ceilings *ceilings)
{
    struct count count = count_virtual(step, map_bytes, counts);
    struct seconds seconds = seconds_of(&count, map_bytes, ceilings);
    printf(", \"%s_no_expanded_maps\": {\"max_images_per_second\": %.1f, "
           "\"sum_images_per_second\": %.1f, \"read_bytes\": %.0f, \"written_bytes\": %.0f}",
           precision_name(map_bytes), floor_max(step, seconds), floor_sum(step, seconds),
           count.read_bytes, count.written_bytes);
}

/* The step as it is, and on a GPU one without expanded maps. */
static void print_step(const struct step *step, size_t map_bytes, const struct counts *counts,
                       const struct machine *machine)
{
    print_table(step, map_bytes, counts, &machine->ceilings);
    if (!machine->is_gpu)
        return;
    struct count count = count_virtual(step, map_bytes, counts);
    struct seconds seconds = seconds_of(&count, map_bytes, &machine->ceilings);
    print_row("no expanded maps", &count, seconds);
    printf("floor: %.0f images/s with perfect overlap, %.0f without\n", floor_max(step, seconds),
           floor_sum(step, seconds));
}

static enum err print_floors(const struct step *step, const struct bench_options *options,
                             const struct machine *machine)
{
    enum err err = ERR_OK;
    struct counts *counts = mem_alloc(sizeof *counts);
    if (options->has_json)
        print_json_head(step, machine);
    else
        print_head(machine);
    for (size_t map_bytes = 4; map_bytes >= 2; map_bytes -= 2) {
        TRY(count_step(step, map_bytes, counts));
        if (options->has_json)
            print_json_floor(step, map_bytes, counts, &machine->ceilings);
        if (options->has_json && machine->is_gpu)
            print_json_virtual(step, map_bytes, counts, &machine->ceilings);
        if (!options->has_json)
            print_step(step, map_bytes, counts, machine);
    }
    if (options->has_json)
        puts("}");
out:
    mem_free(counts);
    return err;
}

static enum err know_machine(const struct bench_options *options, struct machine *machine)
{
    enum err err = ERR_OK;
    struct device_cfg cfg;
    *machine = (struct machine){.is_gpu = options->device != NULL, .threads = options->threads};
    if (machine->is_gpu) {
        TRY(gpu_ceilings_read(options->device, &machine->gpu));
        machine->ceilings = gpu_ceilings_rates(&machine->gpu);
        return ERR_OK;
    }
    TRY(bench_options_device(options, &cfg));
    TRY(ceilings_measure(cfg.threads, cfg.isa, &machine->ceilings));
out:
    return err;
}

int main(int argc, char **argv)
{
    enum err err = ERR_OK;
    struct bench_options options = {.batch = 64, .threads = 2, .isa = "auto", .precision = "fp32"};
    struct machine machine;
    struct step step = {0};
    TRY(bench_options_read(argc, argv, " teacher batch threads isa device json ", &options));
    if (options.word_count < 2)
        TRY(err_set(ERR_USAGE, "usage: bench_floor SPACE SUBNET... [--teacher] [--batch 64] "
                               "[--threads 2] [--isa auto] [--device FILE] [--json]"));
    step.N = options.batch;
    step.has_teacher = options.has_teacher;
    TRY(read_subnets(&options, &step));
    TRY(know_machine(&options, &machine));
    TRY(print_floors(&step, &options, &machine));
out:
    if (err != ERR_OK)
        fprintf(stderr, "bench_floor: %s\n", err_text());
    return err_exit_code(err);
}
