/* Fibres: flows of control on stacks of their own, switched by a few instructions. All of one host
 * thread; whoever resumes one gets on when it yields or has ended. x86-64. */
#ifndef TESTS_SUPPORT_CUDA_FIBRE_H
#define TESTS_SUPPORT_CUDA_FIBRE_H

#include <stddef.h>

struct fibre {
    void *stack_pointer; /* while it does not run */
    void (*run)(void *argument);
    void *argument;
    char *stack; /* its lowest address */
    bool has_ended;
};

/* Stacks for so many fibres, each behind a page that nobody can touch. Aborts without memory. */
struct fibre *fibres_create(int count);
/* It begins, or begins anew, when it is next resumed. */
void fibre_start(struct fibre *fibre, void (*run)(void *argument), void *argument);
/* From outside: until it yields or ends. */
void fibre_resume(struct fibre *fibre);
/* From within the fibre that runs. */
void fibre_yield(void);
/* Whether the address is in the page in front of a fibre's stack: it took more than there is. */
bool fibre_overflowed(const struct fibre *fibre, const void *address);

#endif
