/* Fibres: flows of control on stacks of their own, switched by a few instructions. All of one host
 * thread; whoever resumes one gets on when it yields or has ended. x86-64. */
#ifndef TESTS_SUPPORT_CUDA_FIBRE_H
#define TESTS_SUPPORT_CUDA_FIBRE_H

#include <stddef.h>

#if defined(__SANITIZE_ADDRESS__)
#define FIBRES_FOR_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define FIBRES_FOR_ASAN 1
#endif
#endif

#ifdef FIBRES_FOR_ASAN
#include <sanitizer/common_interface_defs.h>
enum { FIBRE_STACK_BYTES = 256 << 10 };
#else
enum { FIBRE_STACK_BYTES = 64 << 10 };
#endif

struct fibre {
    void *stack_pointer; /* while it does not run */
    void (*run)(void *argument);
    void *argument;
    char *stack; /* its lowest address */
    bool has_ended;
};

extern struct fibre *fibre_running;

/* Stacks for so many fibres, each behind a page that nobody can touch. Aborts without memory. */
struct fibre *fibres_create(int count);
/* It begins, or begins anew, when it is next resumed. */
void fibre_start(struct fibre *fibre, void (*run)(void *argument), void *argument);
/* Whether the address is in the page in front of a fibre's stack: it took more than there is. */
bool fibre_overflowed(const struct fibre *fibre, const void *address);

/* Keeps the stack pointer in *from and goes on where `to` was kept. The compiler keeps what else
 * it needs. No call and no ret: processors predict where those go back to by a stack of their own,
 * which would be wrong every time. The red zone below the stack pointer stays as it is. */
static inline __attribute__((always_inline)) void fibre_switch(void **from, void *to)
{
    asm volatile("leaq -128(%%rsp), %%rsp\n\t"
                 "pushq %%rbp\n\t"
                 "leaq 1f(%%rip), %%rax\n\t"
                 "pushq %%rax\n\t"
                 "movq %%rsp, (%0)\n\t"
                 "movq %1, %%rsp\n\t"
                 "popq %%rax\n\t"
                 "jmpq *%%rax\n"
                 "1:\n\t"
                 "popq %%rbp\n\t"
                 "leaq 128(%%rsp), %%rsp\n\t"
                 : "+D"(from), "+S"(to)
                 :
                 : "rax", "rbx", "rcx", "rdx", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15",
                   "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9",
                   "xmm10", "xmm11", "xmm12", "xmm13", "xmm14", "xmm15", "memory", "cc");
}

#ifdef FIBRES_FOR_ASAN

/* From outside: until it yields or ends. */
void fibre_resume(struct fibre *fibre);
/* From within the fibre that runs. */
void fibre_yield(void);

#else

extern void *fibre_outside; /* the stack pointer of who resumed */

static inline __attribute__((always_inline)) void fibre_resume(struct fibre *fibre)
{
    fibre_running = fibre;
    fibre_switch(&fibre_outside, fibre->stack_pointer);
}

static inline __attribute__((always_inline)) void fibre_yield(void)
{
    fibre_switch(&fibre_running->stack_pointer, fibre_outside);
}

#endif
#endif
