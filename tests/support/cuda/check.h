/* What the emulator's tests share. */
#ifndef TESTS_SUPPORT_CUDA_CHECK_H
#define TESTS_SUPPORT_CUDA_CHECK_H

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

extern "C" {
#include <cmocka.h>
}

#include "kernels/cuda/gpu.cuh"
#include "kernels/cuda/map.cuh"
#include <cuda_runtime.h>

static inline void check_cuda(cudaError_t error)
{
    if (error != cudaSuccess)
        fail_msg("%s: %s", cudaGetErrorName(error), cudaGetErrorString(error));
}

/* Device memory with these bytes; of NULL, none. Stays. */
static inline void *check_upload(const void *host, size_t size_bytes)
{
    void *memory = NULL;
    check_cuda(cudaMalloc(&memory, size_bytes));
    if (host)
        check_cuda(cudaMemcpy(memory, host, size_bytes, cudaMemcpyHostToDevice));
    return memory;
}

static inline void check_download(void *host, const void *memory, size_t size_bytes)
{
    check_cuda(cudaMemcpy(host, memory, size_bytes, cudaMemcpyDeviceToHost));
}

template <typename A>
static void check_launch(const char *name, void (*kernel)(A), dim3 grid, dim3 block,
                         size_t shared_bytes, A argument)
{
    struct launch at = {name, grid, block, shared_bytes, NULL};
    check_cuda(gpu_launch(kernel, &at, &argument));
}

/* act(which), in a process of its own, dies of the signal and says the text. */
static inline void check_dies_of(void (*act)(int which), int which, int signal_number,
                                 const char *text)
{
    char said[2048] = "";
    int pipes[2], status = 0;
    assert_int_equal(pipe(pipes), 0);
    fflush(NULL);
    pid_t child = fork();
    if (child == 0) {
        dup2(pipes[1], STDERR_FILENO);
        signal(SIGSEGV, SIG_DFL);
        signal(SIGABRT, SIG_DFL);
        act(which);
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
    if (!WIFSIGNALED(status) || WTERMSIG(status) != signal_number || !strstr(said, text))
        fail_msg("status %d, not signal %d with \"%s\": %s", status, signal_number, text, said);
}

static inline void check_dies(void (*act)(int which), int which, const char *text)
{
    check_dies_of(act, which, SIGABRT, text);
}

/* The group once in every order; the number of failures. */
template <size_t count> static int check_in_all_orders(const struct CMUnitTest (&tests)[count])
{
    static const char *const orders[] = {"forward", "reversed", "shuffled:1", "shuffled:2"};
    int failures = 0;
    for (const char *order : orders) {
        setenv("GPU_EMULATOR_ORDER", order, 1);
        failures += _cmocka_run_group_tests(order, tests, count, NULL, NULL);
    }
    return failures;
}

#endif
