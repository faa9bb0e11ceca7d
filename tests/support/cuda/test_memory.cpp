/* Device memory of the emulated GPU: nobody's but the kernels', and only where it is allocated. */
#include "tests/support/cuda/check.h"

enum { FLOATS = 100, BYTES = FLOATS * sizeof(float) };

enum kind {
    BEHIND,
    IN_FRONT,
    FREED,
    HOST,
    MISALIGNED,
    STORE_BEHIND,
    ATOMIC_BEHIND,
    PLAIN,
    DEEP,
    COPY_BEHIND,
    COPY_PAGEABLE,
    FREE_TWICE,
    NO_STREAM
};

struct access {
    int kind;
    float *memory, *to;
};

static int deep(int depth)
{
    volatile char frame[1024];
    frame[depth % 1024] = (char)depth;
    return depth > 0 ? deep(depth - 1) + frame[depth % 1024] : frame[0];
}

static __global__ void access_kernel(struct access op)
{
    float got = 0;
    switch (op.kind) {
    case BEHIND:
        got = gpu_load(op.memory + FLOATS);
        break;
    case IN_FRONT:
        got = gpu_load(op.memory - 1);
        break;
    case FREED:
    case HOST:
        got = gpu_load(op.memory);
        break;
    case MISALIGNED:
        got = gpu_load(reinterpret_cast<const float4 *>(op.memory + 2)).x;
        break;
    case STORE_BEHIND:
        gpu_store(reinterpret_cast<float2 *>(op.memory + FLOATS), make_float2(0, 0));
        break;
    case ATOMIC_BEHIND:
        atomicAdd(reinterpret_cast<unsigned *>(op.memory + FLOATS), 1u);
        break;
    case PLAIN:
        got = *(volatile float *)op.memory;
        break;
    case DEEP:
        got = (float)deep(1 << 20);
        break;
    }
    gpu_store(op.to, got);
}

static void run_access(int kind)
{
    static float host[FLOATS];
    struct access op = {kind, (float *)check_upload(NULL, BYTES), (float *)check_upload(NULL, 4)};
    if (kind == FREED)
        check_cuda(cudaFree(op.memory));
    if (kind == HOST)
        op.memory = host;
    check_launch("access", access_kernel, dim3(3), dim3(1), 0, op);
}

static void run_call(int kind)
{
    float host[FLOATS] = {0}, *memory = (float *)check_upload(NULL, BYTES);
    cudaStream_t stream = NULL;
    check_cuda(cudaStreamCreate(&stream));
    if (kind == COPY_BEHIND)
        cudaMemcpy(memory + 1, host, BYTES, cudaMemcpyHostToDevice);
    if (kind == COPY_PAGEABLE)
        cudaMemcpyAsync(memory, host, BYTES, cudaMemcpyHostToDevice, stream);
    if (kind == FREE_TWICE && cudaFree(memory) == cudaSuccess)
        cudaFree(memory);
    if (kind == NO_STREAM && cudaStreamDestroy(stream) == cudaSuccess)
        cudaStreamSynchronize(stream);
}

static void read_handle(int)
{
    if (*(volatile float *)check_upload(NULL, BYTES) == 1)
        _exit(1);
}

static void write_handle(int)
{
    *(volatile float *)check_upload(NULL, BYTES) = 1;
}

static void what_is_not_allocated_is_found(void **)
{
    check_dies(run_access, BEHIND, "kernel access, block (");
    check_dies(run_access, BEHIND,
               "a load of 4 bytes at 0x"); /* then the address, and what is near it */
    check_dies(run_access, BEHIND, "byte 400 of the nearest allocation, which has 400");
    check_dies(run_access, IN_FRONT, "byte -4 of the nearest allocation, which has 400");
    check_dies(run_access, FREED, "a load of 4 bytes");
    check_dies(run_access, HOST, "which is not device memory");
    check_dies(run_access, MISALIGNED, "a load of 16 bytes, misaligned,");
    check_dies(run_access, STORE_BEHIND, "a store of 8 bytes");
    check_dies(run_access, ATOMIC_BEHIND, "an atomic operation of 4 bytes");
}

static void a_plain_access_and_a_deep_stack_say_where(void **)
{
    check_dies_of(run_access, PLAIN, SIGSEGV, "kernel access, block (");
    check_dies_of(run_access, PLAIN, SIGSEGV, "device memory without gpu_load() or gpu_store()");
#if !defined(__SANITIZE_ADDRESS__)
    check_dies_of(run_access, DEEP, SIGSEGV, "more stack than a thread has");
#endif
}

static void the_host_can_neither_read_nor_write_it(void **)
{
    check_dies_of(read_handle, 0, SIGSEGV, "");
    check_dies_of(write_handle, 0, SIGSEGV, "");
}

static void faults_of_calls_are_found(void **)
{
    check_dies(run_call, COPY_BEHIND, "a copy to device memory of 400 bytes at 0x");
    check_dies(run_call, COPY_PAGEABLE, "not all of them in pinned memory");
    check_dies(run_call, FREE_TWICE, "where no allocation begins");
    check_dies(run_call, NO_STREAM, "is no stream, or no more");
}

static void fresh_memory_is_full_of_nan(void **)
{
    unsigned words[FLOATS];
    void *memory = check_upload(NULL, BYTES);
    check_download(words, memory, BYTES);
    for (unsigned word : words)
        assert_int_equal(word, 0xffffffffu);
}

static void memory_runs_out_and_comes_back(void **)
{
    size_t all = 0, total = 0, less = 0;
    void *memory = NULL, *more = NULL;
    check_cuda(cudaMemGetInfo(&all, &total));
    check_cuda(cudaMalloc(&memory, 1000));
    assert_int_equal(cudaMalloc(&more, total), cudaErrorMemoryAllocation);
    assert_int_equal(cudaGetLastError(), cudaErrorMemoryAllocation);
    assert_int_equal(cudaGetLastError(), cudaSuccess);
    check_cuda(cudaMemGetInfo(&less, &total));
    assert_int_equal(all - less, 1000);
    check_cuda(cudaFree(memory));
    check_cuda(cudaMemGetInfo(&less, &total));
    assert_int_equal(all, less);
}

static void machines_have_troubles(void **)
{
    int count = -1;
    setenv("GPU_EMULATOR_DEVICES", "0", 1);
    assert_int_equal(cudaGetDeviceCount(&count), cudaErrorNoDevice);
    setenv("GPU_EMULATOR_DEVICES", "2", 1);
    assert_int_equal(cudaGetDeviceCount(&count), cudaSuccess);
    assert_int_equal(count, 2);
    assert_int_equal(cudaSetDevice(2), cudaErrorInvalidDevice);
    setenv("GPU_EMULATOR_DRIVER", "12080", 1);
    assert_int_equal(cudaGetDeviceCount(&count), cudaErrorInsufficientDriver);
    assert_string_equal(cudaGetErrorName(cudaGetLastError()), "cudaErrorInsufficientDriver");
    unsetenv("GPU_EMULATOR_DEVICES");
    unsetenv("GPU_EMULATOR_DRIVER");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_not_allocated_is_found),
        cmocka_unit_test(a_plain_access_and_a_deep_stack_say_where),
        cmocka_unit_test(the_host_can_neither_read_nor_write_it),
        cmocka_unit_test(faults_of_calls_are_found),
        cmocka_unit_test(fresh_memory_is_full_of_nan),
        cmocka_unit_test(memory_runs_out_and_comes_back),
        cmocka_unit_test(machines_have_troubles),
    };
    return check_in_all_orders(tests);
}
