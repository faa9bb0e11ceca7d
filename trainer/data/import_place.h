/* Where an import writes: a folder beside the destination, locked while the import lives, renamed
 * into place at the end. What a killed import left there is recognised (nobody holds the lock) and
 * removed. */
#ifndef TRAINER_DATA_IMPORT_PLACE_H
#define TRAINER_DATA_IMPORT_PLACE_H

#include "base/err.h"
#include <stdbool.h>

struct place {
    char *destination;
    char *beside;  /* DESTINATION.importing */
    char *dataset; /* the dataset inside it */
    int lock;      /* the open folder `beside`, flock()ed; -1: not ours */
    bool replaces; /* a dataset is at the destination and may go */
};

/* ERR_CONFIG: something is at the destination (unless replacing a dataset), or no place for it;
 * ERR_AGAIN: another import writes there. A replacement that was killed is finished first. After it
 * place->dataset does not exist. */
enum place_mode { PLACE_NEW, PLACE_REPLACE };
MUST_CHECK enum err place_open(const char *destination, enum place_mode mode, struct place *place);
/* Removes what was written so far: a pass begins anew. */
MUST_CHECK enum err place_clear(struct place *place);
/* Moves the finished dataset to the destination, durably; an old one disappears
 * (base/folder.h). */
MUST_CHECK enum err place_commit(struct place *place);
/* Removes the folder beside and everything in it, unless the only copies lie there. Accepts one
 * that was never opened (zeroed). */
void place_close(struct place *place);

#endif
