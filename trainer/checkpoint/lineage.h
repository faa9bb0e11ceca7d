/* Which devices computed a checkpoint's numbers, in words. Its lineage is "<program>; <device>",
 * the device as struct device says it: "<instruction set and library> on <model>". Numbers that
 * several devices had a part in are mixed: bits of theirs may differ, so that no machine gives them
 * again. Beside its lineage such a checkpoint lists the others, one a line. Outside the content
 * hash. Pure.
 */
#ifndef TRAINER_CHECKPOINT_LINEAGE_H
#define TRAINER_CHECKPOINT_LINEAGE_H

#include "base/text.h"
#include <stdbool.h>

void lineage_write(const char *program, const char *device, struct text *lineage);
/* The device of a lineage, inside it; "" where no device computed (an import). Accepts NULL. */
const char *lineage_device(const char *lineage);

/* The same instruction set and library: sums of one gang may come from both. */
bool lineage_is_same_kind(const char *device, const char *other);
/* The same model too. A device without a model, as programs wrote it down that did not know it, may
 * be any of its kind. */
bool lineage_is_same(const char *device, const char *other);

/* The devices of a gang, rank by rank, appended: the one that all have, or "2 x A, 1 x B".
 * `devices` are (ranks) texts of `room` bytes. Which rank computes what follows from its place, so
 * that gangs of the same text give the same bits. */
void lineage_write_gang(const char *devices, size_t room, int ranks, struct text *gang);

/* Adds the device, or every device of a list, to the list `mixed`; not `mine`, none twice. */
void lineage_add(struct text *mixed, const char *mine, const char *devices);

#endif
