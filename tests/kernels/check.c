#include "tests/kernels/check.h"
#include "base/err.h"
#include "base/rng.h"
#include "tests/kernels/host_copies.h"
#include "tests/kernels/host_face.h"
#include "tests/support/test_device.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static enum isa process_isa = ISA_AUTO;
static enum precision process_precision = PRECISION_FP32;

bool check_is_host(void)
{
    return device_is_host(test_device());
}

static int run_one(const char *isa, const char *precision, int (*run_group)(void))
{
    struct device *device = NULL;
    if (isa_parse(isa, &process_isa) != ERR_OK ||
        precision_parse(precision, &process_precision) != ERR_OK) {
        fprintf(stderr, "%s\n", err_text());
        return 1;
    }
    struct device_cfg cfg = {test_device(), 1, process_isa, process_precision};
    if (device_open(&cfg, &device) != ERR_OK) {
        fprintf(stderr, "%s: %s\n", check_is_host() ? "skipped" : "failed", err_text());
        return check_is_host() ? 0 : 1;
    }
    fprintf(stderr, "device: %s\n", device->lineage);
    device_close(&device);
    return run_group() == 0 ? 0 : 1;
}

static int run_apart(const char *isa, const char *precision, int (*run_group)(void))
{
    int status = 0;
    fflush(NULL);
    pid_t child = fork();
    if (child == 0)
        exit(run_one(isa, precision, run_group));
    if (child > 0 && waitpid(child, &status, 0) == child && WIFEXITED(status) &&
        WEXITSTATUS(status) == 0)
        return 0;
    fprintf(stderr, "%s %s failed, wait status %d\n", isa, precision, status);
    return 1;
}

/* Whether a machine's time is worth this one: for fp32 the last instruction set is the one before,
 * and under a sanitizer bf16 is looked at where its code is its own, by the vectors that are
 * narrowest, and by pairs. */
static bool is_worth(int isa, int precision)
{
    enum { NARROWEST = 0, PAIRS = 3 };
    if (precision == PRECISION_FP32)
        return isa < PAIRS;
#if defined __SANITIZE_ADDRESS__ || defined __SANITIZE_THREAD__
    return isa == NARROWEST || isa == PAIRS;
#else
    return true;
#endif
}

static int run_all(int argc, char **argv, int (*run_group)(void), int precisions)
{
    static const char *const isas[] = {"x86-64-v2", "x86-64-v3", "x86-64-v4", "x86-64-v4-bf16"};
    static const char *const names[] = {"fp32", "bf16"};
    int failures = 0;
    if (argc > 1)
        return run_one(argv[1], argc > 2 ? argv[2] : "fp32", run_group);
    if (!check_is_host()) {
        for (int precision = 0; precision < precisions; precision++)
            failures += run_apart("auto", names[precision], run_group);
        return failures;
    }
    for (size_t i = 0; i < sizeof isas / sizeof *isas; i++)
        for (int precision = 0; precision < precisions; precision++)
            if (is_worth((int)i, precision))
                failures += run_apart(isas[i], names[precision], run_group);
    return failures;
}

int check_main(int argc, char **argv, int (*run_group)(void))
{
    return run_all(argc, argv, run_group, 1);
}

int check_main_maps(int argc, char **argv, int (*run_group)(void))
{
    return run_all(argc, argv, run_group, 2);
}

static float as_held(float value)
{
    return process_precision == PRECISION_BF16 ? narrow_widened(narrow_value(value)) : value;
}

double check_tolerance(double fp32, double bf16)
{
    return process_precision == PRECISION_BF16 ? bf16 : fp32;
}

void check_round_operands(double *values, size_t count)
{
    for (size_t i = 0; process_precision == PRECISION_BF16 && i < count; i++)
        values[i] = (double)as_held((float)values[i]);
}

/* In which order an emulated GPU runs what may run in any. */
static void set_order(int threads)
{
    static const char *const orders[CHECK_THREADS] = {"forward", "reversed", "shuffled"};
    setenv("GPU_EMULATOR_ORDER", orders[(threads - 1) % CHECK_THREADS], 1);
}

struct device *check_open(int threads)
{
    struct device *device = NULL;
    set_order(threads);
    struct device_cfg cfg = {test_device(), threads, process_isa, process_precision};
    if (device_open(&cfg, &device) != ERR_OK)
        fail_msg("device of %d threads: %s", threads, err_text());
    host_face_wrap(device);
    return device;
}

void check_scratch(const struct device *device, bool has_some)
{
    uint64_t peak = device->traffic.scratch_peak_bytes;
    assert_in_range(peak, has_some && check_is_host() ? 1 : 0, 1 << 20);
}

static void *allocate(size_t size_bytes)
{
    void *memory = malloc(size_bytes ? size_bytes : 1);
    if (!memory)
        abort();
    return memory;
}

float *check_random(size_t count, uint64_t seed, double mean, double deviation)
{
    float *values = allocate(count * sizeof *values);
    for (size_t i = 0; i < count; i++) {
        double normal =
            rng_normal(rng(seed, RNG_TEST, 0, 0, 2 * i), rng(seed, RNG_TEST, 0, 0, 2 * i + 1));
        values[i] = as_held((float)(mean + deviation * normal));
    }
    return values;
}

float *check_filled(size_t count, float value)
{
    float *values = allocate(count * sizeof *values);
    for (size_t i = 0; i < count; i++)
        values[i] = value;
    return values;
}

double *check_filled_double(size_t count, double value)
{
    double *values = allocate(count * sizeof *values);
    for (size_t i = 0; i < count; i++)
        values[i] = value;
    return values;
}

float *check_copy(const float *from, size_t count)
{
    float *values = allocate(count * sizeof *values);
    memcpy(values, from, count * sizeof *values);
    return values;
}

void check_near_double(const char *what, const double *got, const double *want, size_t count,
                       double tolerance)
{
    double largest = 1e-30, worst = -1;
    size_t at = 0;
    for (size_t i = 0; i < count; i++)
        largest = fmax(largest, fabs(want[i]));
    for (size_t i = 0; i < count; i++) {
        double difference = isnan(got[i]) || isnan(want[i]) ? INFINITY : fabs(got[i] - want[i]);
        if (difference > worst) {
            worst = difference;
            at = i;
        }
    }
    if (worst > tolerance * largest)
        fail_msg("%s: element %zu of %zu is %.9g, should be %.9g (largest %.9g, tolerance %g)",
                 what, at, count, got[at], want[at], largest, tolerance);
}

void check_near(const char *what, const float *got, const double *want, size_t count,
                double tolerance)
{
    double *wide = allocate(count * sizeof *wide);
    for (size_t i = 0; i < count; i++)
        wide[i] = got[i];
    check_near_double(what, wide, want, count, tolerance);
    free(wide);
}

/* Half the distance of two bf16 numbers at this value. */
static double half_step(double value)
{
    return value == 0 || process_precision != PRECISION_BF16 ? 0 : ldexp(1, ilogb(value) - 8);
}

void check_near_map(const char *what, const float *got, const double *want, size_t count,
                    double tolerance)
{
    double largest = 1e-30;
    for (size_t i = 0; i < count; i++)
        largest = fmax(largest, fabs(want[i]));
    for (size_t i = 0; i < count; i++)
        if (!(fabs((double)got[i] - want[i]) <= tolerance * largest + half_step(want[i])))
            fail_msg("%s: element %zu of %zu is %.9g, should be %.9g (largest %.9g, tolerance %g)",
                     what, i, count, (double)got[i], want[i], largest, tolerance);
}

void check_same(const char *what, const void *got, const void *want, size_t size_bytes)
{
    const unsigned char *left = got, *right = want;
    for (size_t i = 0; i < size_bytes; i++) {
        if (left[i] != right[i])
            fail_msg("%s: byte %zu of %zu is %02x, should be %02x", what, i, size_bytes, left[i],
                     right[i]);
    }
}
