/* The late device itself: it is late, its memory is nobody's, and it catches what it is there for.
 */
#include "base/mem.h"
#include "kernels/workload.h"
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

enum { COUNT = 8, BYTES = COUNT * sizeof(float) };

struct bench {
    struct device *device;
    const struct device_ops *ops;
    float *memory; /* device (COUNT) */
    float *pinned; /* (COUNT) */
};

static void must(enum err err)
{
    if (err != ERR_OK)
        fail_msg("%s", err_text());
}

static int open_bench(void **state)
{
    struct bench *bench = mem_alloc(sizeof *bench);
    must(device_open(&(struct device_cfg){.name = "late", .threads = 1}, &bench->device));
    bench->ops = bench->device->ops;
    must(bench->ops->alloc(bench->device, BYTES, (void **)&bench->memory));
    must(bench->ops->pin(bench->device, BYTES, (void **)&bench->pinned));
    *state = bench;
    return 0;
}

static int close_bench(void **state)
{
    struct bench *bench = *state;
    bench->ops->free(bench->device, bench->memory);
    must(bench->ops->sync(bench->device));
    bench->ops->unpin(bench->device, bench->pinned);
    device_close(&bench->device);
    mem_free(bench);
    return 0;
}

static void fill(float *values, float first)
{
    for (int i = 0; i < COUNT; i++)
        values[i] = first + (float)i;
}

static void check_memory(const struct bench *bench, float first)
{
    float wanted[COUNT], got[COUNT];
    fill(wanted, first);
    must(bench->ops->download(bench->device, got, bench->memory, BYTES));
    assert_memory_equal(got, wanted, BYTES);
}

/* Runs the act in a process of its own: it must die of the signal, with this text on its standard
 * error. */
static void check_dies(struct bench *bench, void (*act)(struct bench *), int signal,
                       const char *text)
{
    char said[1024] = "";
    int pipes[2], status = 0;
    assert_int_equal(pipe(pipes), 0);
    fflush(NULL);
    pid_t child = fork();
    if (child == 0) {
        dup2(pipes[1], STDERR_FILENO);
        struct sigaction action = {.sa_handler = SIG_DFL};
        sigaction(SIGSEGV, &action, NULL);
        sigaction(SIGABRT, &action, NULL);
        act(bench);
        _exit(0);
    }
    close(pipes[1]);
    for (size_t size = 0; size < sizeof said - 1;) {
        ssize_t more = read(pipes[0], said + size, sizeof said - 1 - size);
        if (more <= 0)
            break;
        size += (size_t)more;
    }
    close(pipes[0]);
    assert_int_equal(waitpid(child, &status, 0), child);
    if (!WIFSIGNALED(status) || WTERMSIG(status) != signal || !strstr(said, text))
        fail_msg("status %d, not signal %d with \"%s\": %s", status, signal, text, said);
}

static void read_handle(struct bench *bench)
{
    if (*(volatile float *)bench->memory == 1)
        fill(bench->pinned, 0);
}

static void write_handle(struct bench *bench)
{
    *(volatile float *)bench->memory = 1;
}

static void the_host_can_neither_read_nor_write_device_memory(void **state)
{
    check_dies(*state, read_handle, SIGSEGV, "");
    check_dies(*state, write_handle, SIGSEGV, "");
}

static void new_memory_is_zero(void **state)
{
    struct bench *bench = *state;
    float zero[COUNT] = {0}, got[COUNT];
    must(bench->ops->download(bench->device, got, bench->memory, BYTES));
    assert_memory_equal(got, zero, BYTES);
}

static void an_upload_has_read_the_host_when_it_returns(void **state)
{
    struct bench *bench = *state;
    fill(bench->pinned, 1);
    bench->ops->upload(bench->device, bench->memory, bench->pinned, BYTES);
    fill(bench->pinned, 100);
    check_memory(bench, 1);
}

static void an_asynchronous_upload_reads_what_is_there_when_it_runs(void **state)
{
    struct bench *bench = *state;
    fill(bench->pinned, 1);
    bench->ops->upload_async(bench->device, bench->memory, bench->pinned, BYTES);
    fill(bench->pinned, 100); /* too early: it shows */
    check_memory(bench, 100);
}

static void an_asynchronous_download_is_not_there_before_its_event(void **state)
{
    struct bench *bench = *state;
    struct event *event = NULL;
    float wanted[COUNT];
    fill(wanted, 5);
    must(bench->ops->event_create(bench->device, &event));
    must(bench->ops->event_wait(bench->device, event)); /* passed when it is new */
    bench->ops->upload(bench->device, bench->memory, wanted, BYTES);
    bench->ops->download_async(bench->device, bench->pinned, bench->memory, BYTES);
    bench->ops->event_record(bench->device, event);
    for (int i = 0; i < COUNT; i++)
        assert_true(bench->pinned[i] != bench->pinned[i]); /* NaN */
    must(bench->ops->event_wait(bench->device, event));
    assert_memory_equal(bench->pinned, wanted, BYTES);
    bench->ops->event_destroy(bench->device, event);
}

static void what_is_behind_an_event_is_still_to_come(void **state)
{
    struct bench *bench = *state;
    struct event *event = NULL;
    must(bench->ops->event_create(bench->device, &event));
    bench->ops->event_record(bench->device, event);
    bench->ops->download_async(bench->device, bench->pinned, bench->memory, BYTES);
    must(bench->ops->event_wait(bench->device, event));
    assert_true(bench->pinned[0] != bench->pinned[0]);
    must(bench->ops->sync(bench->device));
    assert_true(bench->pinned[0] == 0);
    bench->ops->event_destroy(bench->device, event);
}

struct waiter {
    struct bench *bench;
    struct event *event;
    enum err err;
};

static void *wait_for_event(void *argument)
{
    struct waiter *waiter = argument;
    waiter->err = waiter->bench->ops->event_wait(waiter->bench->device, waiter->event);
    return NULL;
}

static void any_thread_may_wait_for_an_event(void **state)
{
    struct bench *bench = *state;
    struct waiter waiter = {.bench = bench, .err = ERR_FAILED};
    pthread_t thread;
    must(bench->ops->event_create(bench->device, &waiter.event));
    bench->ops->download_async(bench->device, bench->pinned, bench->memory, BYTES);
    bench->ops->event_record(bench->device, waiter.event);
    assert_int_equal(pthread_create(&thread, NULL, wait_for_event, &waiter), 0);
    pthread_join(thread, NULL);
    assert_int_equal(waiter.err, ERR_OK);
    assert_true(bench->pinned[0] == 0);
    bench->ops->event_destroy(bench->device, waiter.event);
}

/* An update whose list of arguments is gone when it runs: w = 1, 2, ... minus g, the same. */
static void operations_run_in_order_with_copies_of_their_arguments(void **state)
{
    struct bench *bench = *state;
    float values[COUNT], got[COUNT];
    void *w = NULL, *v = NULL;
    must(bench->ops->alloc(bench->device, BYTES, &w));
    must(bench->ops->alloc(bench->device, BYTES, &v));
    fill(values, 1);
    bench->ops->upload(bench->device, bench->memory, values, BYTES);
    bench->ops->upload(bench->device, w, values, BYTES);
    struct sgd sgd = {.segment_count = 1,
                      .segments = {{0, COUNT, 0}},
                      .w = w,
                      .v = v,
                      .g = bench->memory,
                      .shadow = w,
                      .rate = 1};
    bench->ops->sgd_step(bench->device, &sgd);
    memset(&sgd, 0xff, sizeof sgd);
    must(bench->ops->download(bench->device, got, w, BYTES));
    for (int i = 0; i < COUNT; i++)
        assert_true(got[i] == 0);
    bench->ops->free(bench->device, w);
    bench->ops->free(bench->device, v);
}

static void copy_to_freed(struct bench *bench)
{
    void *other = NULL;
    must(bench->ops->alloc(bench->device, BYTES, &other));
    bench->ops->free(bench->device, other);
    bench->ops->copy(bench->device, BYTES, bench->memory, other);
}

static void free_twice(struct bench *bench)
{
    bench->ops->free(bench->device, bench->memory);
    bench->ops->free(bench->device, bench->memory);
}

static void a_freed_block_may_not_be_named_any_more(void **state)
{
    check_dies(*state, copy_to_freed, SIGABRT, "late device: copy: to = 0x");
    check_dies(*state, free_twice, SIGABRT, "late device: free: memory = 0x");
}

static void view_of_host(struct bench *bench)
{
    float host[COUNT];
    struct view x = {.z = bench->memory, .scale = host};
    bench->ops->residual_forward(bench->device, (struct dims){1, 1, 1, COUNT}, x, x, bench->memory);
}

static void zero_too_much(struct bench *bench)
{
    bench->ops->zero(bench->device, 65, bench->memory);
}

static void a_pointer_of_the_host_and_a_block_that_is_too_small_are_named(void **state)
{
    check_dies(*state, view_of_host, SIGABRT, "late device: residual_forward: x.scale = 0x");
    check_dies(*state, zero_too_much, SIGABRT, "65 bytes, but its block ends 64 bytes from there");
}

static void upload_pageable(struct bench *bench)
{
    float host[COUNT];
    fill(host, 0);
    bench->ops->upload_async(bench->device, bench->memory, host, BYTES);
}

static void unpin_in_use(struct bench *bench)
{
    bench->ops->download_async(bench->device, bench->pinned, bench->memory, BYTES);
    bench->ops->unpin(bench->device, bench->pinned);
}

static void pinned_memory_is_asked_for_and_kept_until_copies_are_done(void **state)
{
    check_dies(*state, upload_pageable, SIGABRT, "upload_async: host = 0x");
    check_dies(*state, unpin_in_use, SIGABRT, "is used by 1 copies that may not be done");
}

static void freeing_is_ordered_behind_what_was_queued(void **state)
{
    struct bench *bench = *state;
    void *other = NULL;
    float values[COUNT];
    fill(values, 3);
    must(bench->ops->alloc(bench->device, BYTES, &other));
    bench->ops->upload(bench->device, other, values, BYTES);
    bench->ops->copy(bench->device, BYTES, other, bench->memory);
    bench->ops->free(bench->device, other);
    check_memory(bench, 3);
}

static void a_long_queue_is_run_while_the_host_goes_on(void **state)
{
    struct bench *bench = *state;
    float values[COUNT];
    for (int i = 0; i <= 10000; i++) {
        fill(values, (float)i);
        bench->ops->upload(bench->device, bench->memory, values, BYTES);
    }
    check_memory(bench, 10000);
}

static void it_has_every_operation_of_the_border(void **state)
{
    const struct bench *bench = *state;
    void (*operations[sizeof *bench->ops / sizeof(void (*)(void))])(void);
    memcpy(operations, bench->ops, sizeof operations);
    for (size_t i = 0; i < sizeof operations / sizeof *operations; i++)
        if (!operations[i])
            fail_msg("member %zu of struct device_ops is missing in operations.c", i);
}

static void it_says_that_it_computes_what_the_cpu_device_does(void **state)
{
    struct bench *bench = *state;
    struct device *cpu = NULL;
    must(device_open(&(struct device_cfg){.name = "cpu", .threads = 1}, &cpu));
    assert_string_equal(bench->device->lineage, cpu->lineage);
    assert_string_equal(bench->ops->name, "late");
    device_close(&cpu);
}

static void what_an_operation_left_is_told_to_whoever_waits(void **state)
{
    (void)state;
    void *made = NULL;
    float *memory = NULL;
    struct device *device = NULL;
    struct workload workload = {0};
    const struct conv conv = {.in = {1, 1, 1, 2}, .K = 2, .R = 1, .S = 1, .ld = 2};
    must(device_open(&(struct device_cfg){.name = "late", .threads = 1}, &device));
    must(device->ops->alloc(device, BYTES, &made));
    memory = made;
    workload_add(&workload, &(struct work){.kind = WORK_FIND_NONFINITE, .count = COUNT});
    must(device->ops->prepare(device, &workload));
    device->ops->pw_forward(device, &conv, (struct view){.z = memory}, memory + 2, memory + 6,
                            NULL);
    assert_int_equal(device->ops->sync(device), ERR_FAILED);
    assert_non_null(strstr(err_text(), "pw_forward of 1x1x1, 2 to 2 channels"));
    assert_int_equal(device->ops->prepare(device, &workload), ERR_FAILED);
    workload_fini(&workload);
    device_close(&device);
}

#define BENCH_TEST(name) cmocka_unit_test_setup_teardown(name, open_bench, close_bench)

int main(void)
{
    const struct CMUnitTest tests[] = {
        BENCH_TEST(the_host_can_neither_read_nor_write_device_memory),
        BENCH_TEST(new_memory_is_zero),
        BENCH_TEST(an_upload_has_read_the_host_when_it_returns),
        BENCH_TEST(an_asynchronous_upload_reads_what_is_there_when_it_runs),
        BENCH_TEST(an_asynchronous_download_is_not_there_before_its_event),
        BENCH_TEST(what_is_behind_an_event_is_still_to_come),
        BENCH_TEST(any_thread_may_wait_for_an_event),
        BENCH_TEST(operations_run_in_order_with_copies_of_their_arguments),
        BENCH_TEST(a_freed_block_may_not_be_named_any_more),
        BENCH_TEST(a_pointer_of_the_host_and_a_block_that_is_too_small_are_named),
        BENCH_TEST(pinned_memory_is_asked_for_and_kept_until_copies_are_done),
        BENCH_TEST(freeing_is_ordered_behind_what_was_queued),
        cmocka_unit_test(what_an_operation_left_is_told_to_whoever_waits),
        BENCH_TEST(a_long_queue_is_run_while_the_host_goes_on),
        BENCH_TEST(it_has_every_operation_of_the_border),
        BENCH_TEST(it_says_that_it_computes_what_the_cpu_device_does),
    };
    return cmocka_run_group_tests_name("late_device", tests, NULL, NULL);
}
