#include "trainer/checkpoint/retention.h"
#include "base/fault.h"
#include "trainer/checkpoint/saves.h"

/* Of so many other settings of a stage the newest checkpoint is kept. */
#define KEPT_EDITS 2

/* `keep` of the settings a stage was saved with last, one of those before. */
static bool is_wanted(const struct saved *saved, int keep)
{
    int kept = saved->edits == 0 ? keep : saved->edits <= KEPT_EDITS ? 1 : 0;
    return saved->is_named || saved->newer < (size_t)kept;
}

enum err retention_apply(struct store_txn *txn, int keep)
{
    enum err err = ERR_OK;
    struct saves saves = {0};
    TRY(FAULT("checkpoint.retention"));
    TRY(saves_read(txn, &saves));
    for (size_t i = 0; i < saves.count; i++)
        saves.saved[i].is_kept = is_wanted(&saves.saved[i], keep);
    TRY(saves_drop(txn, &saves));
out:
    saves_fini(&saves);
    return err;
}
