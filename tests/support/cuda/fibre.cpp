/* System V ABI, AMD64 supplement: a function keeps rbx, rbp, r12 to r15 and the stack pointer; all
 * else is the caller's. */
#include "tests/support/cuda/fibre.h"
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

#if defined(__SANITIZE_ADDRESS__)
#define FIBRES_FOR_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define FIBRES_FOR_ASAN 1
#endif
#endif

#ifdef FIBRES_FOR_ASAN
#include <sanitizer/common_interface_defs.h>
enum { STACK_BYTES = 256 << 10 };
#else
enum { STACK_BYTES = 64 << 10 };
#endif

/* Stacks lie a power of two apart: the tops are moved against each other, or they would all want
 * the same lines of the caches. */
enum { GUARD_BYTES = 4096, COLOURS = 61, COLOUR_BYTES = 64, SAVED_REGISTERS = 6 };

extern "C" void fibre_switch(void **from, void *to);

asm(R"(
.text
.p2align 4
.hidden fibre_switch
.globl fibre_switch
.type fibre_switch, @function
fibre_switch:
    pushq %rbp
    pushq %rbx
    pushq %r12
    pushq %r13
    pushq %r14
    pushq %r15
    movq %rsp, (%rdi)
    movq %rsi, %rsp
    popq %r15
    popq %r14
    popq %r13
    popq %r12
    popq %rbx
    popq %rbp
    ret
.size fibre_switch, . - fibre_switch
)");

static struct fibre *running;
static void *outside; /* the stack pointer of who resumed */

#ifdef FIBRES_FOR_ASAN
static void *outside_fake;
static const void *outside_stack;
static size_t outside_bytes;
#endif

static void leave_outside(struct fibre *fibre)
{
    (void)fibre;
#ifdef FIBRES_FOR_ASAN
    __sanitizer_start_switch_fiber(&outside_fake, fibre->stack, STACK_BYTES);
#endif
    fibre_switch(&outside, fibre->stack_pointer);
#ifdef FIBRES_FOR_ASAN
    __sanitizer_finish_switch_fiber(outside_fake, NULL, NULL);
#endif
}

static void arrive(void *fake)
{
    (void)fake;
#ifdef FIBRES_FOR_ASAN
    __sanitizer_finish_switch_fiber(fake, &outside_stack, &outside_bytes);
#endif
}

static void leave_fibre(struct fibre *fibre)
{
    void *fake = NULL;
#ifdef FIBRES_FOR_ASAN
    __sanitizer_start_switch_fiber(fibre->has_ended ? NULL : &fake, outside_stack, outside_bytes);
#endif
    fibre_switch(&fibre->stack_pointer, outside);
    arrive(fake);
}

static void begin(void)
{
    arrive(NULL);
    running->run(running->argument);
    running->has_ended = true;
    leave_fibre(running);
    abort();
}

struct fibre *fibres_create(int count)
{
    size_t each = GUARD_BYTES + STACK_BYTES;
    struct fibre *fibres = static_cast<struct fibre *>(calloc((size_t)count, sizeof *fibres));
    void *stacks = mmap(NULL, (size_t)count * each, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (!fibres || stacks == MAP_FAILED) {
        perror("emulated GPU: no memory for the stacks of threads");
        abort();
    }
    for (int i = 0; i < count; i++) {
        char *guard = static_cast<char *>(stacks) + (size_t)i * each;
        if (mprotect(guard, GUARD_BYTES, PROT_NONE)) {
            perror("emulated GPU: mprotect");
            abort();
        }
        fibres[i].stack = guard + GUARD_BYTES;
    }
    return fibres;
}

void fibre_start(struct fibre *fibre, void (*run)(void *argument), void *argument)
{
    uintptr_t colour = (uintptr_t)fibre / (sizeof *fibre) % COLOURS * COLOUR_BYTES;
    uintptr_t *top = reinterpret_cast<uintptr_t *>(fibre->stack + STACK_BYTES - colour);
    fibre->run = run;
    fibre->argument = argument;
    fibre->has_ended = false;
    *--top = 0; /* begin() is entered as if called from nowhere */
    *--top = reinterpret_cast<uintptr_t>(begin);
    for (int i = 0; i < SAVED_REGISTERS; i++)
        *--top = 0;
    fibre->stack_pointer = top;
}

void fibre_resume(struct fibre *fibre)
{
    running = fibre;
    leave_outside(fibre);
}

void fibre_yield(void)
{
    leave_fibre(running);
}

bool fibre_overflowed(const struct fibre *fibre, const void *address)
{
    const char *at = static_cast<const char *>(address);
    return at < fibre->stack && at >= fibre->stack - GUARD_BYTES;
}
