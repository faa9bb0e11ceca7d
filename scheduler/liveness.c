#include "scheduler/liveness.h"
#include "base/mem.h"
#include <stdio.h>

#define FADING  0.98 /* per movement seen, at most one a second: half in about 35 s */
#define LONGEST 3.0  /* so many of its longest recent batches may a rank take */

void liveness_init(struct liveness *liveness, int ranks)
{
    *liveness = (struct liveness){.count = ranks > 0 ? ranks : 1};
    liveness->ranks = mem_array((size_t)liveness->count, sizeof *liveness->ranks);
}

void liveness_fini(struct liveness *liveness)
{
    mem_free(liveness->ranks);
    *liveness = (struct liveness){0};
}

static void move(struct rank_seen *seen, const struct rank_word *word, double now_s)
{
    double pause_s = now_s - seen->moved_s, faded_s = FADING * seen->longest_s;
    bool is_work = word->work != seen->work;
    bool is_wait = word->polls != seen->polls || word->is_waiting || seen->is_waiting;
    if (!is_work && !is_wait)
        return;
    if (is_work)
        seen->longest_s = pause_s > faded_s ? pause_s : faded_s;
    seen->has_moved = seen->has_moved || is_work;
    seen->moved_s = now_s;
    seen->work = word->work;
    seen->polls = word->polls;
}

void liveness_skip(struct liveness *liveness, double seconds)
{
    liveness->begun_s += seconds;
    for (int rank = 0; rank < liveness->count; rank++) {
        liveness->ranks[rank].heard_s += seconds;
        liveness->ranks[rank].moved_s += seconds;
    }
}

void liveness_hear(struct liveness *liveness, const struct rank_word *word, double now_s)
{
    if (word->rank < 0 || word->rank >= liveness->count)
        return;
    struct rank_seen *seen = &liveness->ranks[word->rank];
    if (!liveness->is_begun)
        liveness->begun_s = now_s;
    liveness->is_begun = true;
    if (!seen->is_heard) {
        seen->moved_s = now_s;
        seen->work = word->work;
        seen->polls = word->polls;
        seen->pid = word->pid;
        snprintf(seen->host, sizeof seen->host, "%s", word->host);
    }
    move(seen, word, now_s);
    seen->is_heard = true;
    seen->is_waiting = word->is_waiting;
    seen->heard_s = now_s;
}

static bool is_silent(const struct liveness *liveness, int rank, double limit_s, double now_s,
                      char *why, int room)
{
    const struct rank_seen *seen = &liveness->ranks[rank];
    double silent_s = now_s - (seen->is_heard ? seen->heard_s : liveness->begun_s);
    if (silent_s <= limit_s)
        return false;
    if (seen->is_heard)
        snprintf(why, (size_t)room, "rank %d (process %lld on %s) has been silent for %.0f s", rank,
                 (long long)seen->pid, seen->host, silent_s);
    else
        snprintf(why, (size_t)room, "rank %d has said nothing for %.0f s", rank, silent_s);
    return true;
}

static bool is_still(const struct liveness *liveness, int rank, double limit_s, double now_s,
                     char *why, int room)
{
    const struct rank_seen *seen = &liveness->ranks[rank];
    double still_s = now_s - seen->moved_s, longest_s = LONGEST * seen->longest_s;
    if (!seen->has_moved || seen->is_waiting || still_s <= limit_s || still_s <= longest_s)
        return false;
    snprintf(why, (size_t)room,
             "rank %d (process %lld on %s) has stood still for %.0f s, its longest batch of late "
             "took %.0f s",
             rank, (long long)seen->pid, seen->host, still_s, seen->longest_s);
    return true;
}

int liveness_find_stalled(const struct liveness *liveness, double limit_s, double now_s, char *why,
                          int room)
{
    for (int rank = 0; liveness->is_begun && rank < liveness->count; rank++)
        if (is_silent(liveness, rank, limit_s, now_s, why, room))
            return rank;
    for (int rank = 0; liveness->is_begun && rank < liveness->count; rank++)
        if (is_still(liveness, rank, limit_s, now_s, why, room))
            return rank;
    return -1;
}
