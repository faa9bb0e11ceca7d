/* Which checkpoint a stage goes on from when some are damaged. */
#include "base/text.h"
#include "trainer/checkpoint/internal.h"
#include "trainer/checkpoint/manifest.h"
#include "trainer/checkpoint/saves.h"
#include <stdio.h>
#include <string.h>

enum { SENTENCES = 4 }; /* more would push what follows them out of a line of the log */

struct looking {
    const struct checkpoint_wanted *wanted;
    struct saves saves;
    struct text *damage;
    int damaged;
};

static void add_damage(struct looking *looking, const char *where)
{
    if (looking->damaged++ < SENTENCES)
        text_add(looking->damage, "%s%s%s", looking->damage->size ? "; " : "", where, err_text());
}

/* A manifest that cannot be read does not say whose it is; the stage's names do. */
static enum err note_unreadable(struct store_txn *txn, struct looking *looking, const char *which,
                                struct hash *content)
{
    char name[96];
    struct store_bytes value;
    struct manifest manifest = {0};
    snprintf(name, sizeof name, "%s/%s", looking->wanted->stage, which);
    enum err err = store_get(txn, TABLE_NAMES, store_text(name), &value);
    if (err == ERR_NOT_FOUND || (err == ERR_OK && value.size != HASH_BYTES))
        return ERR_OK; /* names are not needed to find a checkpoint */
    if (err != ERR_OK || memcmp(content->bytes, value.data, HASH_BYTES) == 0)
        return err; /* of two names for one, one tells */
    memcpy(content->bytes, value.data, HASH_BYTES);
    err = manifest_read(txn, content, &manifest);
    if (err == ERR_DATA)
        add_damage(looking, "");
    manifest_fini(&manifest);
    return err == ERR_DATA ? ERR_OK : err;
}

static enum err look(struct store_txn *txn, void *argument)
{
    enum err err = ERR_OK;
    struct looking *looking = argument;
    struct hash told = {{0}};
    saves_fini(&looking->saves);
    TRY(note_unreadable(txn, looking, "final", &told));
    if (!looking->wanted->is_final)
        TRY(note_unreadable(txn, looking, "latest", &told));
    TRY(saves_read(txn, &looking->saves));
out:
    return err;
}

static bool is_wanted(const struct checkpoint_wanted *wanted, const struct saved *saved)
{
    return strcmp(saved->position.stage, wanted->stage) == 0 &&
           strcmp(saved->stage_key, wanted->stage_key) == 0 &&
           (saved->position.is_final || !wanted->is_final);
}

enum err checkpoint_load_newest(struct checkpoint_store *store,
                                const struct checkpoint_wanted *wanted,
                                struct checkpoint *checkpoint, struct text *damage)
{
    enum err err = ERR_OK;
    struct looking looking = {.wanted = wanted, .damage = damage};
    TRY(store_view(store->store, look, &looking));
    for (size_t i = 0; i < looking.saves.count; i++) {
        const struct saved *saved = &looking.saves.saved[i];
        char hex[HASH_HEX_BYTES], step[32];
        if (!is_wanted(wanted, saved))
            continue;
        hash_hex(&saved->content, hex);
        err = checkpoint_load(store, hex, checkpoint);
        if (err != ERR_DATA)
            goto out;
        snprintf(step, sizeof step, "step %llu: ", (unsigned long long)saved->position.step);
        add_damage(&looking, step);
    }
    TRY(err_set(ERR_NOT_FOUND, "%s: there is no sound checkpoint of stage %s with its settings",
                store->path, wanted->stage));
out:
    if (looking.damaged > SENTENCES)
        text_add(damage, "; and %d more", looking.damaged - SENTENCES);
    saves_fini(&looking.saves);
    return err;
}
