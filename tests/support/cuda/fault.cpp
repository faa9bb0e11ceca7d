/* While kernels run, SIGSEGV says which thread of which kernel it was, and ends the process. */
#include "tests/support/cuda/internal.h"
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

enum { ALTERNATE_BYTES = 64 << 10 };

static struct {
    struct sigaction before;
    stack_t stack_before;
    alignas(16) char stack[ALTERNATE_BYTES]; /* a fibre's may have ended */
} fault;

static const char *reason_of(const void *at)
{
    if (memory_is_device(at))
        return "it uses device memory without gpu_load() or gpu_store()";
    if (gpu_block.current && fibre_overflowed(gpu_block.current->fibre, at))
        return "it takes more stack than a thread has (tests/support/cuda/fibre.h)";
    return "it uses memory that is not there";
}

static void say(int number, siginfo_t *info, void *context)
{
    char text[512];
    const struct block *block = &gpu_block;
    const uint3 b = gpu_block_index, t = block->current ? block->current->index : uint3();
    (void)context;
    int size = snprintf(text, sizeof text,
                        "emulated GPU: kernel %s, block (%u, %u, %u), thread (%u, %u, %u): %s: "
                        "%p\n",
                        block->kernel ? block->kernel->name : "", b.x, b.y, b.z, t.x, t.y, t.z,
                        reason_of(info->si_addr), info->si_addr);
    if (size > 0 && write(STDERR_FILENO, text, (size_t)size) < 0)
        _exit(1);
    signal(number, SIG_DFL); /* and once more: the end. Nobody can go on from here */
}

void fault_begin_launch(void)
{
    struct sigaction action = {};
    stack_t stack = {};
    stack.ss_sp = fault.stack;
    stack.ss_size = sizeof fault.stack;
    action.sa_sigaction = say;
    action.sa_flags = SA_SIGINFO | SA_ONSTACK;
    sigaltstack(&stack, &fault.stack_before);
    sigaction(SIGSEGV, &action, &fault.before);
}

void fault_end_launch(void)
{
    sigaction(SIGSEGV, &fault.before, NULL);
    sigaltstack(&fault.stack_before, NULL);
}
