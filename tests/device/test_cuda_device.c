/* The CUDA device from the host's side, on the emulated GPU: what opening it says of a host that
 * lacks something, memory, copies, what a lost card leaves. tests/kernels has the operations. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "kernels/device_module.h"
#include "kernels/workload.h"
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define DEVICE   "cuda-emulated"
#define MEGABYTE ((size_t)1 << 20)

enum { CLASSES = 10 };

static const struct device_cfg fp32 = {DEVICE, 1, ISA_AUTO, PRECISION_FP32};

static void must(enum err err)
{
    if (err != ERR_OK)
        fail_msg("%s", err_text());
}

static void check_error(enum err err, enum err code, const char *text)
{
    if (err != code || !strstr(err_text(), text))
        fail_msg("error %d, no %d with \"%s\": %s", err, code, text, err_text());
}

static struct device *open_device(void)
{
    struct device *device = NULL;
    must(device_open(&fp32, &device));
    return device;
}

static void *allocate(struct device *device, size_t size_bytes)
{
    void *memory = NULL;
    must(device->ops->alloc(device, size_bytes, &memory));
    return memory;
}

static void a_host_that_lacks_something_says_what_and_the_cure(void **state)
{
    static const struct {
        const char *variable, *value, *text;
    } hosts[] = {
        {"GPU_EMULATOR_DRIVER", "0", "no NVIDIA driver is loaded"},
        {"GPU_EMULATOR_DRIVER", "0", "install version 580 or later"},
        {"GPU_EMULATOR_DRIVER", "12080",
         "driver has CUDA 12.8, this module was built with CUDA 13.0"},
        {"GPU_EMULATOR_DEVICES", "0", "no GPU that this process may use"},
        {"GPU_EMULATOR_CAPABILITY", "75", "has compute capability 7.5; 8.0 (Ampere) is the least"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof hosts / sizeof *hosts; i++) {
        struct device *device = NULL;
        setenv(hosts[i].variable, hosts[i].value, 1);
        enum err err = device_open(&fp32, &device);
        unsetenv(hosts[i].variable);
        check_error(err, ERR_UNAVAILABLE, hosts[i].text);
        assert_null(device);
    }
}

static void a_rank_takes_the_card_of_its_place_on_the_host(void **state)
{
    struct device *device = NULL;
    (void)state;
    setenv("GPU_EMULATOR_DEVICES", "4", 1);
    setenv("GPU_EMULATOR_CAPABILITY", "75", 1); /* its card is named where it is refused */
    setenv("SLURM_LOCALID", "1", 1);
    check_error(device_open(&fp32, &device), ERR_UNAVAILABLE, "GPU 1, ");
    setenv("OMPI_COMM_WORLD_LOCAL_RANK", "6", 1);
    check_error(device_open(&fp32, &device), ERR_UNAVAILABLE, "GPU 2, ");
    setenv("OMPI_COMM_WORLD_LOCAL_RANK", "", 1);
    check_error(device_open(&fp32, &device), ERR_UNAVAILABLE, "GPU 1, ");
    unsetenv("OMPI_COMM_WORLD_LOCAL_RANK");
    unsetenv("SLURM_LOCALID");
    check_error(device_open(&fp32, &device), ERR_UNAVAILABLE, "GPU 0, ");
    unsetenv("GPU_EMULATOR_DEVICES");
    unsetenv("GPU_EMULATOR_CAPABILITY");
}

/* Kernels are cut for what blocks of a card may share, and so results go with its capability. */
static void cards_of_every_capability_from_8_0_on_open_and_are_told_apart(void **state)
{
    static const char *const capabilities[] = {"80", "86", "89", "90", "120"};
    (void)state;
    for (size_t i = 0; i < sizeof capabilities / sizeof *capabilities; i++) {
        char start[32];
        setenv("GPU_EMULATOR_CAPABILITY", capabilities[i], 1);
        struct device *device = open_device();
        unsetenv("GPU_EMULATOR_CAPABILITY");
        snprintf(start, sizeof start, "cuda sm_%s ", capabilities[i]);
        assert_ptr_equal(strstr(device->lineage, start), device->lineage);
        device_close(&device);
    }
}

static void it_says_what_its_results_depend_on(void **state)
{
    (void)state;
    struct device_cfg bf16 = fp32;
    struct device *device = NULL;
    bf16.precision = PRECISION_BF16;
    setenv("GPU_EMULATOR_CAPABILITY", "90", 1);
    must(device_open(&bf16, &device));
    unsetenv("GPU_EMULATOR_CAPABILITY");
    assert_string_equal(device->lineage, "cuda sm_90 toolkit 13.0 bf16 on Emulated GPU");
    assert_string_equal(device->ops->name, DEVICE);
    assert_int_equal(device->map_bytes, 2);
    device_close(&device);
}

static void memory_that_is_not_there_says_how_much_there_is(void **state)
{
    (void)state;
    struct device *device = open_device();
    void *memory = NULL, *block = allocate(device, 40 * MEGABYTE);
    check_error(device->ops->alloc(device, 40 * MEGABYTE, &memory), ERR_MEMORY,
                "no memory for a block of 41943040 bytes: of the 67108864 bytes of GPU 0 ");
    assert_null(memory);
    device->ops->free(device, block);
    device->ops->free(device, allocate(device, 40 * MEGABYTE)); /* and nothing has stuck */
    must(device->ops->sync(device));
    device_close(&device);
}

static unsigned char *pattern(size_t size_bytes, unsigned salt)
{
    unsigned char *bytes = malloc(size_bytes);
    for (size_t i = 0; i < size_bytes; i++)
        bytes[i] = (unsigned char)((i * 2654435761u + salt) >> 13);
    return bytes;
}

/* Small ones, and more than is kept at once of what was read. */
static void what_is_uploaded_has_been_read_when_the_call_returns(void **state)
{
    static const size_t sizes[] = {1, 24, 1000, 3 * MEGABYTE + 17, 5, MEGABYTE, MEGABYTE - 1, 64};
    enum { COUNT = sizeof sizes / sizeof *sizes };
    (void)state;
    struct device *device = open_device();
    void *memory[COUNT];
    unsigned char back[4 * MEGABYTE / 4];
    for (int i = 0; i < COUNT; i++) {
        unsigned char *host = pattern(sizes[i], (unsigned)i);
        memory[i] = allocate(device, sizes[i]);
        device->ops->fill_nan(device, sizes[i], memory[i]);
        device->ops->upload(device, memory[i], host, sizes[i]);
        memset(host, 0, sizes[i]);
        free(host);
    }
    for (int i = 0; i < COUNT; i++) {
        unsigned char *want = pattern(sizes[i], (unsigned)i);
        for (size_t at = 0; at < sizes[i]; at += sizeof back) {
            size_t count = sizes[i] - at < sizeof back ? sizes[i] - at : sizeof back;
            must(device->ops->download(device, back, (char *)memory[i] + at, count));
            assert_memory_equal(back, want + at, count);
        }
        free(want);
        device->ops->free(device, memory[i]);
    }
    device_close(&device);
}

static void copies_and_operations_run_in_the_order_of_calls(void **state)
{
    enum { COUNT = 1000 };
    (void)state;
    struct device *device = open_device();
    const struct device_ops *ops = device->ops;
    float *x = allocate(device, COUNT * sizeof *x), *sum = allocate(device, COUNT * sizeof *sum);
    float *host = NULL, *back = NULL;
    struct event *uploaded = NULL, *downloaded = NULL;
    must(ops->pin(device, COUNT * sizeof *host, (void **)&host));
    must(ops->pin(device, COUNT * sizeof *back, (void **)&back));
    must(ops->event_create(device, &uploaded));
    must(ops->event_create(device, &downloaded));
    for (int round = 1; round <= 3; round++) {
        must(ops->event_wait(device, uploaded));
        for (int i = 0; i < COUNT; i++)
            host[i] = (float)round;
        ops->upload_async(device, x, host, COUNT * sizeof *host);
        ops->event_record(device, uploaded);
        ops->fold(device, COUNT, x, sum);
        must(ops->event_wait(device, downloaded));
        ops->download_async(device, back, sum, COUNT * sizeof *back);
        ops->event_record(device, downloaded);
        ops->zero(device, sizeof *sum, sum + round); /* behind the download */
    }
    must(ops->event_wait(device, downloaded));
    for (int i = 0; i < COUNT; i++) {
        float want = i == 1 ? 5 : i == 2 ? 3 : 6;
        if (back[i] != want)
            fail_msg("sum[%d] is %g, should be %g", i, (double)back[i], (double)want);
    }
    ops->event_destroy(device, uploaded);
    ops->event_destroy(device, downloaded);
    ops->unpin(device, host);
    ops->unpin(device, back);
    ops->free(device, x);
    ops->free(device, sum);
    device_close(&device);
}

/* What crosses the bus ahead of its turn is seen by nobody before it, and is what the host's memory
 * held then: an upload behind a download has what that brought. */
static void a_long_upload_overtakes_nothing(void **state)
{
    enum { COUNT = 1 << 19 };
    (void)state;
    struct device *device = open_device();
    const struct device_ops *ops = device->ops;
    size_t bytes = COUNT * sizeof(float);
    float *x = allocate(device, bytes), *sum = allocate(device, bytes), *pinned[3];
    for (int i = 0; i < 3; i++) {
        must(ops->pin(device, bytes, (void **)&pinned[i]));
        for (int k = 0; k < COUNT; k++)
            pinned[i][k] = (float)(i + 1);
    }
    for (int i = 0; i < 2; i++) {
        ops->upload_async(device, x, pinned[i], bytes);
        ops->fold(device, COUNT, x, sum);
    }
    ops->download_async(device, pinned[2], sum, bytes);
    ops->upload_async(device, x, pinned[2], bytes);
    ops->fold(device, COUNT, x, sum);
    for (int k = 0; k < COUNT; k += COUNT / 4 - 1) {
        float got = 0;
        must(ops->download(device, &got, sum + k, sizeof got));
        assert_true(got == 6);
    }
    for (int i = 0; i < 3; i++)
        ops->unpin(device, pinned[i]);
    ops->free(device, x);
    ops->free(device, sum);
    device_close(&device);
}

static void memory_is_freed_behind_what_was_queued(void **state)
{
    (void)state;
    struct device *device = open_device();
    for (int i = 0; i < 10; i++) {
        void *memory = allocate(device, MEGABYTE);
        device->ops->zero(device, MEGABYTE, memory);
        device->ops->free(device, memory);
        device->ops->free(device, NULL);
    }
    must(device->ops->sync(device));
    device_close(&device);
}

static enum err prepare_for_loss(struct device *device, int N)
{
    struct workload workload = {0};
    workload_add(&workload,
                 &(struct work){.kind = WORK_LOSS_FORWARD, .conv = {.in = {.N = N}, .K = CLASSES}});
    enum err err = device->ops->prepare(device, &workload);
    workload_fini(&workload);
    return err;
}

/* Of N images, all of class 0, whose logits are 0: how many images its sums say that there were. */
static double run_loss(struct device *device, int N)
{
    const struct device_ops *ops = device->ops;
    double sums[LOSS_SUMS] = {0};
    struct loss loss = {.N = N, .K = CLASSES, .label_weight = 1, .divisor = 1};
    loss.logits = allocate(device, (size_t)(N * CLASSES) * sizeof(float));
    loss.labels = allocate(device, (size_t)N * sizeof(int32_t));
    loss.sums = allocate(device, sizeof sums);
    ops->loss_forward(device, &loss, NULL);
    if (ops->download(device, sums, loss.sums, sizeof sums) != ERR_OK)
        sums[LOSS_IMAGES] = -1;
    ops->free(device, (void *)loss.logits);
    ops->free(device, (void *)loss.labels);
    ops->free(device, loss.sums);
    return sums[LOSS_IMAGES];
}

static void what_it_was_prepared_for_runs_and_what_is_beyond_leaves_an_error(void **state)
{
    (void)state;
    struct device *device = open_device();
    void *memory = NULL;
    must(prepare_for_loss(device, 256));
    must(prepare_for_loss(device, 64)); /* it still holds what the largest needs */
    assert_true(run_loss(device, 256) == 256);
    assert_true(run_loss(device, 64) == 64);
    check_error(prepare_for_loss(device, 1 << 24), ERR_MEMORY, "no memory for a block of ");
    assert_true(run_loss(device, 256) == 256);
    assert_true(run_loss(device, 257) == -1);
    const char *shape = "loss_forward of ";
    check_error(device->ops->sync(device), ERR_FAILED, shape);
    check_error(device->ops->alloc(device, 1, &memory), ERR_FAILED, shape);
    check_error(prepare_for_loss(device, 257), ERR_FAILED, shape);
    print_message("%s\n", err_text());
    device_close(&device);
}

static void what_it_holds_and_has_is_said_without_opening_one(void **state)
{
    (void)state;
    struct device *device = open_device();
    struct workload workload = {0};
    workload_add(&workload, &(struct work){.kind = WORK_LOSS_FORWARD,
                                           .conv = {.in = {.N = 256}, .K = CLASSES}});
    assert_true(run_loss(device, 256) == 256);
    assert_int_equal(device_scratch_bytes(&fp32, &workload), device->traffic.working_peak_bytes);
    workload_fini(&workload);
    device_close(&device);
    struct device_cards cards = {0};
    setenv("GPU_EMULATOR_DEVICES", "3", 1);
    must(device_module_cards(DEVICE, &cards));
    assert_int_equal(cards.count, 3);
    assert_int_equal(cards.least_bytes, 64 * MEGABYTE);
    setenv("GPU_EMULATOR_DEVICES", "0", 1);
    check_error(device_module_cards(DEVICE, &cards), ERR_UNAVAILABLE,
                "no GPU that this process may use");
    unsetenv("GPU_EMULATOR_DEVICES");
    assert_int_equal(cards.count, 3);
}

static void *zeros(struct device *device, int count, size_t element_bytes)
{
    void *memory = allocate(device, (size_t)count * element_bytes);
    device->ops->zero(device, (size_t)count * element_bytes, memory);
    return memory;
}

static void run_pointwise(struct device *device, const struct conv *conv)
{
    int rows = (int)dims_pixels(conv->in);
    struct norm_forward norm = {.kind = NORM_BATCH,
                                .sums = zeros(device, 2 * conv->K, sizeof(double))};
    struct view x = {.z = zeros(device, rows * conv->in.C, device->map_bytes)};
    void *w = zeros(device, conv->K * conv->ld, device->map_bytes);
    void *z = zeros(device, rows * conv->K, device->map_bytes);
    device->ops->pw_forward(device, conv, x, w, z, &norm);
    device->ops->free(device, norm.sums);
    device->ops->free(device, (void *)x.z);
    device->ops->free(device, w);
    device->ops->free(device, z);
}

/* A shape of which a card whose blocks share little needs more. */
static void what_it_holds_is_enough_on_cards_of_every_capability(void **state)
{
    static const char *const capabilities[] = {"80", "86"};
    const struct conv conv = {.in = {2, 14, 14, 1416}, .K = 264, .R = 1, .S = 1, .ld = 1416};
    struct device_cfg bf16 = fp32;
    struct workload workload = {0};
    size_t used[2];
    (void)state;
    bf16.precision = PRECISION_BF16;
    workload_add(&workload, &(struct work){.kind = WORK_PW_FORWARD, .conv = conv});
    for (size_t i = 0; i < 2; i++) {
        struct device *device = NULL;
        setenv("GPU_EMULATOR_CAPABILITY", capabilities[i], 1);
        must(device_open(&bf16, &device));
        must(device->ops->prepare(device, &workload));
        run_pointwise(device, &conv);
        must(device->ops->sync(device));
        used[i] = device->traffic.working_peak_bytes;
        device_close(&device);
    }
    unsetenv("GPU_EMULATOR_CAPABILITY");
    assert_true(used[0] < used[1] && used[1] == device_scratch_bytes(&bf16, &workload));
    workload_fini(&workload);
}

static void a_device_that_nobody_prepared_grows(void **state)
{
    (void)state;
    struct device *device = open_device();
    for (int N = 64; N <= 512; N *= 2)
        assert_true(run_loss(device, N) == N);
    assert_true(run_loss(device, 64) == 64);
    assert_true(device->traffic.working_peak_bytes > 512 * sizeof(double));
    device_close(&device);
}

struct waiting {
    struct device *device;
    struct event *event;
    enum err err;
    char text[256];
};

static void *wait_elsewhere(void *argument)
{
    struct waiting *waiting = argument;
    waiting->err = waiting->device->ops->event_wait(waiting->device, waiting->event);
    snprintf(waiting->text, sizeof waiting->text, "%s", err_text());
    return NULL;
}

static void wait_in_a_thread(struct waiting *waiting)
{
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, wait_elsewhere, waiting), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
}

/* In a process of its own: the card does not come back. */
static void lose_the_card(void)
{
    struct device *device = open_device();
    const struct device_ops *ops = device->ops;
    float *x = allocate(device, 64), *sum = allocate(device, 64), word = 0;
    struct waiting waiting = {.device = device};
    void *memory = NULL;
    must(ops->event_create(device, &waiting.event));
    ops->event_record(device, waiting.event);
    wait_in_a_thread(&waiting);
    assert_int_equal(waiting.err, ERR_OK);
    setenv("GPU_EMULATOR_LOST", "fold", 1);
    ops->fold(device, 16, x, sum);
    ops->event_record(device, waiting.event);
    wait_in_a_thread(&waiting);
    assert_int_equal(waiting.err, ERR_UNAVAILABLE);
    assert_non_null(strstr(waiting.text, "uncorrectable ECC error"));
    ops->zero(device, 64, x);
    check_error(ops->sync(device), ERR_UNAVAILABLE, "the GPU is lost to this process");
    check_error(ops->download(device, &word, x, sizeof word), ERR_UNAVAILABLE, "ECC");
    check_error(ops->alloc(device, 64, &memory), ERR_UNAVAILABLE, "ECC");
    check_error(ops->pin(device, 64, &memory), ERR_UNAVAILABLE, "ECC");
    wait_in_a_thread(&waiting);
    assert_int_equal(waiting.err, ERR_UNAVAILABLE);
    ops->event_destroy(device, waiting.event);
    ops->free(device, x);
    ops->free(device, sum);
    device_close(&device);
}

static void a_lost_card_is_told_to_whoever_calls_or_waits(void **state)
{
    int status = 0;
    (void)state;
    pid_t child = fork();
    if (child == 0) {
        lose_the_card();
        _exit(0);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

int main(void)
{
    static const char *const orders[] = {"forward", "reversed", "shuffled:1"};
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_host_that_lacks_something_says_what_and_the_cure),
        cmocka_unit_test(a_rank_takes_the_card_of_its_place_on_the_host),
        cmocka_unit_test(cards_of_every_capability_from_8_0_on_open_and_are_told_apart),
        cmocka_unit_test(it_says_what_its_results_depend_on),
        cmocka_unit_test(memory_that_is_not_there_says_how_much_there_is),
        cmocka_unit_test(what_is_uploaded_has_been_read_when_the_call_returns),
        cmocka_unit_test(copies_and_operations_run_in_the_order_of_calls),
        cmocka_unit_test(a_long_upload_overtakes_nothing),
        cmocka_unit_test(memory_is_freed_behind_what_was_queued),
        cmocka_unit_test(what_it_was_prepared_for_runs_and_what_is_beyond_leaves_an_error),
        cmocka_unit_test(what_it_holds_and_has_is_said_without_opening_one),
        cmocka_unit_test(what_it_holds_is_enough_on_cards_of_every_capability),
        cmocka_unit_test(a_device_that_nobody_prepared_grows),
        cmocka_unit_test(a_lost_card_is_told_to_whoever_calls_or_waits),
    };
    int failures = 0;
    for (size_t i = 0; i < sizeof orders / sizeof *orders; i++) {
        setenv("GPU_EMULATOR_ORDER", orders[i], 1);
        failures += cmocka_run_group_tests_name(orders[i], tests, NULL, NULL);
    }
    return failures;
}
