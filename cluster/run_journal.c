#include "cluster/run_journal.h"
#include "base/file.h"
#include "base/mem.h"
#include "trainer/checkpoint/measurement_record.h"
#include <limits.h>
#include <stdlib.h>
#include <string.h>

enum err run_journal_open(const char *store_path, enum journal_mode mode, struct journal **journal)
{
    enum err err = ERR_OK;
    char whole[PATH_MAX], *path = NULL, *file = NULL;
    if (!realpath(store_path, whole))
        return ERR_OK; /* opening the store says that it is not there */
    char *slash = strrchr(whole, '/');
    *slash = '\0';
    path = file_join(slash == whole ? "/" : whole, "journal");
    file = file_join(path, "data.mdb");
    if (file_exists(file))
        TRY(journal_open(path, mode, journal));
out:
    mem_free(path);
    mem_free(file);
    return err;
}

struct visiting {
    enum err (*visit)(const struct measurement *, void *);
    void *own;
    int damaged;
    enum err visited; /* what the visitor said last */
};

static enum err visit_whole(const struct measurement *measurement, void *own)
{
    struct visiting *visiting = own;
    return visiting->visited = visiting->visit(measurement, visiting->own);
}

static enum err visit_record(const struct measurement_bytes *found, void *own)
{
    struct visiting *visiting = own;
    enum err err = measurement_record_unpack(found->key, found->record, found->size_bytes,
                                             visit_whole, visiting);
    if (err != ERR_DATA || visiting->visited != ERR_OK)
        return err;
    visiting->damaged++;
    return ERR_OK;
}

enum err run_journal_measurements(struct journal *journal,
                                  enum err (*visit)(const struct measurement *, void *), void *own)
{
    struct visiting visiting = {.visit = visit, .own = own};
    enum err err = journal_measurements(journal, visit_record, &visiting);
    if (err == ERR_OK && visiting.damaged > 0)
        err =
            err_set(ERR_DATA, "%d measurement%s damaged: not believed, and made again when needed",
                    visiting.damaged, visiting.damaged == 1 ? " is" : "s are");
    return err;
}
