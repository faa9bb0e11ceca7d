/* What a run whose stores lie on scratch (resources.scratch) has in its folder for other machines:
 * published/state-<claim>-<sequence>/ holds copies of the stores "journal" and "checkpoints", each
 * sealed (base/store), and a manifest. A state is whole once its folder has that name. On the
 * machine of the runner, links of the stores' names lead to scratch. Reads only; any thread. */
#ifndef BASE_PUBLISHED_H
#define BASE_PUBLISHED_H

#include "base/err.h"
#include <stdbool.h>
#include <stdint.h>

#define PUBLISHED_JOURNAL     "journal"
#define PUBLISHED_CHECKPOINTS "checkpoints"

struct published_state {
    uint64_t claim, sequence; /* of the owner, and from 1 on in it */
};

/* The newest first; at most `room`. Returns how many. */
int published_list(const char *run_folder, struct published_state *states, int room);
/* Is it newer than the other? */
bool published_is_newer(const struct published_state *state, const struct published_state *than);
#define PUBLISHED_NAME 96
/* "published/state-3-17", inside the run's folder. */
void published_name(const struct published_state *state, char name[PUBLISHED_NAME]);
/* The same in its folder, and what lies inside it ("": itself); returns owned. */
char *published_path(const char *run_folder, const struct published_state *state,
                     const char *inside);

/* Where to read a store of a run: in its folder; where that is a link that leads nowhere from this
 * machine, or to somebody else's folder, in the newest state that was published. Where there is
 * none either, the first: opening it says so. Returns owned. */
char *published_find_store(const char *run_folder, const char *store);

#endif
