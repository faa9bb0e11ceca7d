/* Streams and events of the emulated GPU: nothing runs before somebody waits, and what is not
 * ordered runs in another order. */
#include "tests/support/cuda/check.h"

enum { COUNT = 64, BYTES = COUNT * sizeof(float), ROUNDS = 5000 };

struct addition {
    const float *from;
    float *to;
    float by;
};

static __global__ void add_kernel(struct addition op)
{
    gpu_store(op.to + threadIdx.x, gpu_load(op.from + threadIdx.x) + op.by);
}

struct bench {
    cudaStream_t one, other;
    cudaEvent_t event;
    float *pinned, *got, *first, *second; /* the first two are the host's (COUNT) */
};

static struct bench open_bench(unsigned flags)
{
    struct bench bench = {};
    check_cuda(cudaStreamCreateWithFlags(&bench.one, flags));
    check_cuda(cudaStreamCreateWithFlags(&bench.other, flags));
    check_cuda(cudaEventCreateWithFlags(&bench.event, cudaEventDisableTiming));
    check_cuda(cudaMallocHost((void **)&bench.pinned, BYTES));
    check_cuda(cudaMallocHost((void **)&bench.got, BYTES));
    bench.first = (float *)check_upload(NULL, BYTES);
    bench.second = (float *)check_upload(NULL, BYTES);
    return bench;
}

static void close_bench(struct bench bench)
{
    check_cuda(cudaDeviceSynchronize());
    check_cuda(cudaStreamDestroy(bench.one));
    check_cuda(cudaStreamDestroy(bench.other));
    check_cuda(cudaEventDestroy(bench.event));
    check_cuda(cudaFreeHost(bench.pinned));
    check_cuda(cudaFreeHost(bench.got));
    check_cuda(cudaFree(bench.first));
    check_cuda(cudaFree(bench.second));
}

static void add(const float *from, float *to, float by, cudaStream_t stream)
{
    struct addition op = {from, to, by};
    struct launch at = {"add", dim3(1), dim3(COUNT), 0, stream};
    check_cuda(gpu_launch(add_kernel, &at, &op));
}

static void upload(const struct bench *bench, float value)
{
    for (int i = 0; i < COUNT; i++)
        bench->pinned[i] = value;
    check_cuda(
        cudaMemcpyAsync(bench->first, bench->pinned, BYTES, cudaMemcpyHostToDevice, bench->one));
}

static void copies_are_late(void **)
{
    struct bench bench = open_bench(cudaStreamNonBlocking);
    upload(&bench, 1);
    bench.pinned[0] = 7; /* too early to change it: the copy has not read it */
    add(bench.first, bench.second, 1, bench.one);
    check_cuda(cudaStreamSynchronize(bench.one));
    check_cuda(cudaMemcpyAsync(bench.got, bench.second, BYTES, cudaMemcpyDeviceToHost, bench.one));
    assert_true(bench.got[1] != bench.got[1]); /* too early to read it */
    check_cuda(cudaStreamSynchronize(bench.one));
    assert_true(bench.got[0] == 8);
    assert_true(bench.got[1] == 2);
    close_bench(bench);
}

static void events_order_streams(void **)
{
    struct bench bench = open_bench(cudaStreamNonBlocking);
    upload(&bench, 3);
    add(bench.first, bench.second, 1, bench.one);
    check_cuda(cudaEventRecord(bench.event, bench.one));
    check_cuda(cudaStreamWaitEvent(bench.other, bench.event, 0));
    check_cuda(
        cudaMemcpyAsync(bench.got, bench.second, BYTES, cudaMemcpyDeviceToHost, bench.other));
    check_cuda(cudaStreamSynchronize(bench.other));
    assert_true(bench.got[5] == 4);
    close_bench(bench);
}

/* What the other stream gets where nobody ordered it: all of the first, or nothing, as the order
 * says. */
static float unordered(void)
{
    struct bench bench = open_bench(cudaStreamNonBlocking);
    upload(&bench, 3);
    add(bench.first, bench.second, 1, bench.one);
    check_cuda(
        cudaMemcpyAsync(bench.got, bench.second, BYTES, cudaMemcpyDeviceToHost, bench.other));
    check_cuda(cudaStreamSynchronize(bench.other));
    float got = bench.got[5];
    close_bench(bench);
    return got;
}

static void what_no_event_orders_comes_out_differently(void **)
{
    char before[64];
    snprintf(before, sizeof before, "%s", getenv("GPU_EMULATOR_ORDER"));
    setenv("GPU_EMULATOR_ORDER", "forward", 1);
    float forward = unordered();
    setenv("GPU_EMULATOR_ORDER", "reversed", 1);
    float reversed = unordered();
    setenv("GPU_EMULATOR_ORDER", before, 1);
    assert_true(forward != forward); /* fresh memory */
    assert_true(reversed == 4);
}

static void who_asks_an_event_again_and_again_gets_there(void **)
{
    struct bench bench = open_bench(cudaStreamNonBlocking);
    int asked = 0;
    upload(&bench, 3);
    for (int i = 0; i < 10; i++)
        add(bench.first, bench.first, 1, bench.one);
    check_cuda(cudaEventRecord(bench.event, bench.one));
    while (cudaEventQuery(bench.event) == cudaErrorNotReady)
        asked++;
    assert_int_equal(asked, 12);
    assert_int_equal(cudaStreamQuery(bench.one), cudaSuccess);
    check_download(bench.pinned, bench.first, BYTES);
    assert_true(bench.pinned[0] == 13);
    close_bench(bench);
}

static void the_default_stream_waits_for_those_that_block(void **)
{
    struct bench bench = open_bench(cudaStreamDefault);
    upload(&bench, 3);
    check_download(bench.pinned, bench.first, BYTES);
    assert_true(bench.pinned[0] == 3);
    close_bench(bench);
    bench = open_bench(cudaStreamNonBlocking);
    upload(&bench, 3);
    bench.pinned[0] = 0;
    float got[COUNT];
    check_download(got, bench.first, BYTES);
    assert_true(got[0] != got[0]);
    close_bench(bench);
}

static void long_queues_run_by_themselves(void **)
{
    struct bench bench = open_bench(cudaStreamNonBlocking);
    upload(&bench, 0);
    for (int i = 0; i < ROUNDS; i++)
        add(bench.first, bench.first, 1, bench.one);
    check_cuda(cudaEventRecord(bench.event, bench.one));
    check_cuda(cudaEventSynchronize(bench.event));
    check_download(bench.pinned, bench.first, BYTES);
    assert_true(bench.pinned[0] == ROUNDS);
    close_bench(bench);
}

static void an_event_that_was_never_recorded_holds_nobody(void **)
{
    struct bench bench = open_bench(cudaStreamNonBlocking);
    check_cuda(cudaStreamWaitEvent(bench.one, bench.event, 0));
    check_cuda(cudaStreamSynchronize(bench.one));
    assert_int_equal(cudaEventQuery(bench.event), cudaSuccess);
    close_bench(bench);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(copies_are_late),
        cmocka_unit_test(events_order_streams),
        cmocka_unit_test(what_no_event_orders_comes_out_differently),
        cmocka_unit_test(who_asks_an_event_again_and_again_gets_there),
        cmocka_unit_test(the_default_stream_waits_for_those_that_block),
        cmocka_unit_test(long_queues_run_by_themselves),
        cmocka_unit_test(an_event_that_was_never_recorded_holds_nobody),
    };
    return check_in_all_orders(tests);
}
