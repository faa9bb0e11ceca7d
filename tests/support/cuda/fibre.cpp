#include "tests/support/cuda/fibre.h"
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

/* Stacks lie a power of two apart: the tops are moved against each other, or they would all want
 * the same lines of the caches. */
enum { GUARD_BYTES = 4096, COLOURS = 61, COLOUR_BYTES = 64 };

struct fibre *fibre_running;

#ifdef FIBRES_FOR_ASAN

/* The address sanitizer is told of each switch: interface common_interface_defs.h. */
static void *outside, *outside_fake;
static const void *outside_stack;
static size_t outside_bytes;

void fibre_resume(struct fibre *fibre)
{
    fibre_running = fibre;
    __sanitizer_start_switch_fiber(&outside_fake, fibre->stack, FIBRE_STACK_BYTES);
    fibre_switch(&outside, fibre->stack_pointer);
    __sanitizer_finish_switch_fiber(outside_fake, NULL, NULL);
}

static void arrive(void *fake)
{
    __sanitizer_finish_switch_fiber(fake, &outside_stack, &outside_bytes);
}

void fibre_yield(void)
{
    void *fake = NULL;
    struct fibre *fibre = fibre_running;
    __sanitizer_start_switch_fiber(fibre->has_ended ? NULL : &fake, outside_stack, outside_bytes);
    fibre_switch(&fibre->stack_pointer, outside);
    arrive(fake);
}

#else

void *fibre_outside;

static void arrive(void *fake)
{
    (void)fake;
}

#endif

static void begin(void)
{
    arrive(NULL);
    fibre_running->run(fibre_running->argument);
    fibre_running->has_ended = true;
    fibre_yield();
    abort();
}

struct fibre *fibres_create(int count)
{
    size_t each = GUARD_BYTES + FIBRE_STACK_BYTES;
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
    uintptr_t colour = (uintptr_t)fibre / sizeof *fibre % COLOURS * COLOUR_BYTES;
    uintptr_t *top = reinterpret_cast<uintptr_t *>(fibre->stack + FIBRE_STACK_BYTES - colour);
    fibre->run = run;
    fibre->argument = argument;
    fibre->has_ended = false;
    *--top = 0; /* begin() is entered as if called from nowhere: System V ABI, 16n + 8 */
    *--top = reinterpret_cast<uintptr_t>(begin);
    fibre->stack_pointer = top;
}

bool fibre_overflowed(const struct fibre *fibre, const void *address)
{
    const char *at = static_cast<const char *>(address);
    return at < fibre->stack && at >= fibre->stack - GUARD_BYTES;
}
