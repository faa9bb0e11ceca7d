#include "trainer/checkpoint/prune.h"
#include "base/fault.h"
#include "base/mem.h"
#include "trainer/checkpoint/async_writer.h"
#include "trainer/checkpoint/blob.h"
#include "trainer/checkpoint/internal.h"
#include "trainer/checkpoint/saves.h"
#include <stdlib.h>
#include <string.h>

struct pruning {
    const struct prune_cfg *cfg;
    bool is_look;
    struct prune_plan plan;
};

static bool is_needed(const struct prune_cfg *cfg, const struct hash *content)
{
    for (int i = 0; i < cfg->needed_count; i++)
        if (hash_equal(&cfg->needed[i], content))
            return true;
    return false;
}

static enum prune_reason judge(const struct prune_cfg *cfg, const struct saved *saved)
{
    bool is_former = saved->edits > 0;
    if (saved->is_named)
        return PRUNE_KEPT_NAMED;
    if (is_needed(cfg, &saved->content))
        return PRUNE_KEPT_NEEDED;
    if (is_former && cfg->what == PRUNE_FORMER)
        return PRUNE_FORMER_GOES;
    if (saved->position.is_final)
        return PRUNE_KEPT_FINAL;
    if (saved->newer < (size_t)(is_former ? 1 : cfg->keep))
        return PRUNE_KEPT_NEWEST;
    return PRUNE_SURPLUS_GOES;
}

/* The saved one of that content that was to go. A parent is older than its children. */
static struct prune_row *find_going(const struct prune_plan *plan, const char *hex)
{
    struct hash content;
    if (!hash_parse(hex, &content))
        return NULL;
    for (int i = 0; i < plan->count; i++)
        if (!plan->rows[i].is_kept && hash_equal(&plan->rows[i].content, &content))
            return &plan->rows[i];
    return NULL;
}

static void keep_parents(const struct saves *saves, struct prune_plan *plan)
{
    for (int i = 0; i < plan->count; i++) {
        const char *parent = saves->saved[i].parent;
        /* every turn keeps one more, so it ends however the parents are linked */
        for (struct prune_row *row = &plan->rows[i]; row && row->is_kept;) {
            row = find_going(plan, parent);
            if (!row)
                break;
            row->is_kept = true;
            row->reason = PRUNE_KEPT_PARENT;
            parent = saves->saved[row - plan->rows].parent;
        }
    }
}

static void judge_all(const struct saves *saves, const struct prune_cfg *cfg,
                      struct prune_plan *plan)
{
    plan->rows = mem_array(saves->count, sizeof *plan->rows);
    for (size_t i = 0; i < saves->count; i++) {
        const struct saved *saved = &saves->saved[i];
        enum prune_reason reason = judge(cfg, saved);
        plan->rows[plan->count++] = (struct prune_row){.content = saved->content,
                                                       .position = saved->position,
                                                       .saved_ms = saved->saved_ms,
                                                       .reason = reason,
                                                       .is_kept = reason < PRUNE_SURPLUS_GOES};
    }
    keep_parents(saves, plan);
    for (size_t i = 0; i < saves->count; i++) {
        saves->saved[i].is_kept = plan->rows[i].is_kept;
        plan->going += !plan->rows[i].is_kept;
    }
}

struct weighing { /* both sorted by blob_compare() */
    const struct hash *kept, *known;
    size_t kept_count, known_count;
    bool has_damage; /* what is not known stays */
    struct prune_plan *plan;
};

static bool holds(const struct hash *hashes, size_t count, const void *hash)
{
    return bsearch(hash, hashes, count, sizeof *hashes, blob_compare) != NULL;
}

/* The keys of chunks begin with their blob's hash. */
static enum err weigh_chunk(struct store_bytes key, struct store_bytes value, void *argument)
{
    const struct weighing *weighing = argument;
    struct hash hash;
    if (key.size < HASH_BYTES)
        return err_set(ERR_DATA, "a blob with a key of %zu bytes", key.size);
    memcpy(hash.bytes, key.data, HASH_BYTES);
    bool is_known = holds(weighing->known, weighing->known_count, &hash);
    if (holds(weighing->kept, weighing->kept_count, &hash) || (!is_known && weighing->has_damage))
        return ERR_OK;
    weighing->plan->bytes += value.size;
    if (!is_known)
        weighing->plan->unfinished_bytes += value.size;
    return ERR_OK;
}

static enum err weigh(struct store_txn *txn, const struct saves *saves, struct prune_plan *plan)
{
    struct weighing weighing = {.has_damage = saves->has_damage, .plan = plan};
    struct hash *kept = saves_blobs(saves, SAVES_KEPT, &weighing.kept_count);
    struct hash *known = saves_blobs(saves, SAVES_ALL, &weighing.known_count);
    weighing.kept = kept;
    weighing.known = known;
    enum err err = store_each(txn, TABLE_BLOBS, store_text(""), weigh_chunk, &weighing);
    for (size_t i = 0; i < saves->count; i++)
        for (size_t b = 0; !saves->saved[i].is_kept && b < saves->saved[i].blob_count; b++)
            if (!holds(kept, weighing.kept_count, &saves->saved[i].blobs[b]))
                plan->rows[i].bytes += saves->saved[i].blob_bytes[b];
    mem_free(kept);
    mem_free(known);
    return err;
}

static enum err prune_inside(struct store_txn *txn, void *argument)
{
    enum err err = ERR_OK;
    struct pruning *pruning = argument;
    struct saves saves = {0};
    prune_plan_fini(&pruning->plan); /* this may be a second attempt */
    TRY(saves_read(txn, &saves));
    judge_all(&saves, pruning->cfg, &pruning->plan);
    TRY(weigh(txn, &saves, &pruning->plan));
    if (!pruning->is_look) {
        TRY(FAULT("checkpoint.prune"));
        TRY(saves_drop(txn, &saves));
    }
out:
    saves_fini(&saves);
    return err;
}

static enum err run(struct checkpoint_store *store, struct pruning *pruning,
                    struct prune_plan *plan)
{
    enum err err = pruning->is_look ? store_view(store->store, prune_inside, pruning)
                                    : store_update(store->store, prune_inside, pruning);
    if (err != ERR_OK) {
        prune_plan_fini(&pruning->plan);
        return err_prefix(err, "%s", store->path);
    }
    *plan = pruning->plan;
    return ERR_OK;
}

enum err prune_look(struct checkpoint_store *store, const struct prune_cfg *cfg,
                    struct prune_plan *plan)
{
    struct pruning pruning = {.cfg = cfg, .is_look = true};
    return run(store, &pruning, plan);
}

enum err prune_apply(struct checkpoint_store *store, const struct prune_cfg *cfg,
                     struct prune_plan *plan)
{
    struct pruning pruning = {.cfg = cfg};
    return run(store, &pruning, plan);
}

void prune_plan_fini(struct prune_plan *plan)
{
    mem_free(plan->rows);
    *plan = (struct prune_plan){0};
}

enum err prune_compact(struct checkpoint_store **compacted, uint64_t *freed_bytes)
{
    struct checkpoint_store *store = *compacted;
    async_writer_destroy(&store->writer); /* nobody else may be at the store */
    enum err err = store_compact(&store->store, freed_bytes);
    checkpoint_store_close(compacted);
    return err;
}
