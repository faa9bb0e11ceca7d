/* Do two copies that were made one after the other belong together? */
#include "base/file.h"
#include "base/mem.h"
#include "cluster/scratch/state_internal.h"
#include "scheduler/journal.h"
#include "trainer/checkpoint/checkpoint.h"

struct search {
    struct checkpoint_store *store; /* NULL: there are none */
    int missing;
    struct hasher which;
};

static enum err look_for(struct search *search, const char *content)
{
    enum err err = ERR_NOT_FOUND;
    struct checkpoint found = {0};
    if (!content[0])
        return ERR_OK;
    if (search->store)
        err = checkpoint_peek(search->store, content, &found);
    checkpoint_fini(&found);
    if (err != ERR_NOT_FOUND)
        return err;
    search->missing++;
    hasher_add_text(&search->which, content);
    return ERR_OK;
}

static enum err visit(const struct hash *key, const struct stage_record *record, void *own)
{
    enum err err = ERR_OK;
    (void)key;
    TRY(look_for(own, record->checkpoint));
    TRY(look_for(own, record->content));
out:
    return err;
}

enum err state_find_missing(const char *folder, const struct state_manifest *manifest, int *count,
                            struct hash *which)
{
    enum err err = ERR_OK;
    struct search search = {.missing = 0};
    struct journal *journal = NULL;
    char *path = file_join(folder, PUBLISHED_JOURNAL);
    char *checkpoints = file_join(folder, PUBLISHED_CHECKPOINTS);
    struct checkpoint_store_cfg cfg = {.path = checkpoints, .keep = 1};
    hasher_init(&search.which);
    TRY(journal_open(path, JOURNAL_READ, &journal));
    if (manifest->files[1].is_there)
        TRY(checkpoint_store_open(&cfg, &search.store));
    TRY(journal_stages(journal, visit, &search));
    *count = search.missing;
    *which = hasher_end(&search.which);
out:
    checkpoint_store_close(&search.store);
    journal_close(&journal);
    mem_free(path);
    mem_free(checkpoints);
    return err;
}
