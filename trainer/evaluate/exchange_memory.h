/* The exchange of a process without a scheduler: it knows what it was given itself, and gives what
 * nobody knows back as one share. One thread. */
#ifndef TRAINER_EVALUATE_EXCHANGE_MEMORY_H
#define TRAINER_EVALUATE_EXCHANGE_MEMORY_H

#include "trainer/evaluate/exchange.h"

/* Returns owned. */
struct exchange *exchange_memory_create(void);
void exchange_memory_destroy(struct exchange **exchange); /* accepts NULL */

#endif
