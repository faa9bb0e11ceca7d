/* Opening and reading: each question is one snapshot of the store. */
#include "scheduler/journal.h"
#include "base/mem.h"
#include "scheduler/journal_internal.h"
#include <string.h>

/* 2: measurements, and attempts of helpers */
#define JOURNAL_VERSION 2
#define JOURNAL_OLDEST  1

static const char *const tables[] = {"stages", "attempts",     "events", "current",
                                     "meta",   "measurements", NULL};

enum err journal_open(const char *path, enum journal_mode mode, struct journal **journal)
{
    enum err err = ERR_OK;
    struct journal *made = mem_alloc(sizeof *made);
    struct store_cfg cfg = {.path = path,
                            .mode = mode == JOURNAL_READ ? STORE_READ : STORE_WRITE,
                            .kind = "journal",
                            .version = JOURNAL_VERSION,
                            .oldest = JOURNAL_OLDEST,
                            .tables = tables,
                            .first_added = TABLE_ADDED};
    TRY(store_open(&cfg, &made->store));
    *journal = made;
    made = NULL;
out:
    mem_free(made);
    return err;
}

void journal_close(struct journal **journal)
{
    if (!*journal)
        return;
    store_close(&(*journal)->store);
    mem_free(*journal);
    *journal = NULL;
}

const char *journal_folder(const struct journal *journal)
{
    return store_folder(journal->store);
}

enum err journal_last_write(struct journal *journal, uint64_t *last_write)
{
    struct store_info info;
    enum err err = store_info(journal->store, &info);
    if (err == ERR_OK)
        *last_write = info.last_write;
    return err;
}

enum err journal_copy(struct journal *journal, const char *file, uint64_t *last_write)
{
    enum err err = ERR_OK;
    TRY(journal_last_write(journal, last_write));
    TRY(store_copy(journal->store, file));
out:
    return err;
}

void stage_record_fini(struct stage_record *record)
{
    mem_free(record->inputs);
    record->inputs = NULL;
}

struct stage_query {
    const struct hash *key;
    struct stage_record *record;
};

static enum err read_stage(struct store_txn *txn, void *argument)
{
    enum err err = ERR_OK;
    struct stage_query *query = argument;
    struct store_bytes value;
    TRY(store_get(txn, TABLE_STAGES, journal_key(query->key), &value));
    TRY(codec_read_stage(value, query->record));
out:
    return err;
}

enum err journal_stage(struct journal *journal, const struct hash *key, struct stage_record *record)
{
    struct stage_query query = {key, record};
    return store_view(journal->store, read_stage, &query);
}

struct stage_walk {
    enum err (*visit)(const struct hash *, const struct stage_record *, void *);
    void *own;
};

static enum err visit_stage(struct store_bytes bytes, struct store_bytes value, void *argument)
{
    enum err err = ERR_OK;
    struct stage_walk *walk = argument;
    struct stage_record *record = mem_alloc(sizeof *record);
    struct hash key;
    if (bytes.size != HASH_BYTES)
        TRY(err_set(ERR_DATA, "the journal has a stage with a key of %zu bytes", bytes.size));
    memcpy(key.bytes, bytes.data, HASH_BYTES);
    TRY(codec_read_stage(value, record));
    TRY(walk->visit(&key, record, walk->own));
out:
    stage_record_fini(record);
    mem_free(record);
    return err;
}

static enum err walk_stages(struct store_txn *txn, void *walk)
{
    return store_each(txn, TABLE_STAGES, (struct store_bytes){NULL, 0}, visit_stage, walk);
}

enum err journal_stages(struct journal *journal,
                        enum err (*visit)(const struct hash *, const struct stage_record *, void *),
                        void *own)
{
    struct stage_walk walk = {visit, own};
    return store_view(journal->store, walk_stages, &walk);
}

struct current_query {
    const char *name;
    struct hash *key;
    char **inputs;
};

static enum err read_current(struct store_txn *txn, void *argument)
{
    enum err err = ERR_OK;
    struct current_query *query = argument;
    struct store_bytes value;
    TRY(store_get(txn, TABLE_CURRENT, store_text(query->name), &value));
    TRY(codec_read_current(value, query->key, query->inputs));
out:
    return err;
}

enum err journal_current(struct journal *journal, const char *name, struct hash *key, char **inputs)
{
    struct current_query query = {name, key, inputs};
    return store_view(journal->store, read_current, &query);
}

struct attempt_walk {
    enum err (*visit)(const struct attempt_record *, void *);
    void *own;
    bool only_unended;
};

static enum err visit_attempt(struct store_bytes key, struct store_bytes value, void *argument)
{
    enum err err = ERR_OK;
    struct attempt_walk *walk = argument;
    struct attempt_record *record = mem_alloc(sizeof *record);
    TRY(codec_read_attempt(key, value, record));
    if (!walk->only_unended || record->ended_ms == 0)
        TRY(walk->visit(record, walk->own));
out:
    mem_free(record);
    return err;
}

static enum err walk_attempts(struct store_txn *txn, void *walk)
{
    return store_each(txn, TABLE_ATTEMPTS, (struct store_bytes){NULL, 0}, visit_attempt, walk);
}

enum err journal_unended(struct journal *journal,
                         enum err (*visit)(const struct attempt_record *, void *own), void *own)
{
    struct attempt_walk walk = {visit, own, true};
    return store_view(journal->store, walk_attempts, &walk);
}

enum err journal_attempts(struct journal *journal,
                          enum err (*visit)(const struct attempt_record *, void *own), void *own)
{
    struct attempt_walk walk = {visit, own, false};
    return store_view(journal->store, walk_attempts, &walk);
}

struct event_walk {
    enum err (*visit)(const struct event_record *, void *);
    void *own;
};

static enum err visit_event(struct store_bytes key, struct store_bytes value, void *argument)
{
    enum err err = ERR_OK;
    struct event_walk *walk = argument;
    struct event_record *record = mem_alloc(sizeof *record);
    TRY(codec_read_event(key, value, record));
    TRY(walk->visit(record, walk->own));
out:
    mem_free(record);
    return err;
}

static enum err walk_events(struct store_txn *txn, void *walk)
{
    return store_each(txn, TABLE_EVENTS, (struct store_bytes){NULL, 0}, visit_event, walk);
}

enum err journal_events(struct journal *journal,
                        enum err (*visit)(const struct event_record *, void *own), void *own)
{
    struct event_walk walk = {visit, own};
    return store_view(journal->store, walk_events, &walk);
}
