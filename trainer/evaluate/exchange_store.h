/* The exchange of a gang that keeps its measurements in the store of checkpoints: as that of a
 * process without a scheduler (exchange_memory.h), but it knows what earlier ones have kept. */
#ifndef TRAINER_EVALUATE_EXCHANGE_STORE_H
#define TRAINER_EVALUATE_EXCHANGE_STORE_H

#include "trainer/checkpoint/checkpoint.h"
#include "trainer/evaluate/exchange.h"

/* Borrows a store that is open to write. Returns owned. */
struct exchange *exchange_store_create(struct checkpoint_store *store);
void exchange_store_destroy(struct exchange **exchange); /* accepts NULL */

#endif
