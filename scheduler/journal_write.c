/* Every change is one transaction of the store: the record, the attempt and the event that tells of
 * it, or none of them. */
#include "base/clock.h"
#include "base/fault.h"
#include "base/mem.h"
#include "scheduler/journal_internal.h"
#include <stdio.h>
#include <string.h>

static void set_text(char *to, size_t room, const char *from)
{
    snprintf(to, room, "%s", from ? from : "");
}
#define SET(to, from) set_text((to), sizeof(to), (from))

static enum err add_event(struct store_txn *txn, const char *kind, const char *stage,
                          uint64_t lease_epoch, const char *text)
{
    struct store_bytes key, value;
    struct event_record *event = mem_alloc(sizeof *event);
    enum err err = store_last(txn, TABLE_EVENTS, &key, &value);
    event->number = err == ERR_OK ? store_to_number(key) + 1 : 1;
    if (err == ERR_NOT_FOUND)
        err = ERR_OK;
    TRY(err);
    event->at_ms = clock_wall_ms();
    event->lease_epoch = lease_epoch;
    SET(event->kind, kind);
    SET(event->stage, stage);
    SET(event->text, text);
    TRY(codec_put_event(txn, event));
out:
    mem_free(event);
    return err;
}

static enum err write_note(struct store_txn *txn, const struct journal_entry *entry)
{
    return add_event(txn, entry->note.kind, entry->note.stage, 0, entry->note.text);
}

struct current_write {
    const struct current_stage *stages;
    int count;
};

struct name_list {
    int count;
    char names[64][64];
};

static enum err list_name(struct store_bytes key, struct store_bytes value, void *argument)
{
    struct name_list *list = argument;
    (void)value;
    if (list->count < 64 && key.size < 64) {
        memcpy(list->names[list->count], key.data, key.size);
        list->names[list->count++][key.size] = '\0';
    }
    return ERR_OK;
}

static enum err write_current(struct store_txn *txn, void *argument)
{
    enum err err = ERR_OK;
    struct current_write *write = argument;
    struct name_list *old = mem_alloc(sizeof *old);
    TRY(store_each(txn, TABLE_CURRENT, (struct store_bytes){NULL, 0}, list_name, old));
    for (int i = 0; i < old->count; i++)
        TRY(store_delete(txn, TABLE_CURRENT, store_text(old->names[i])));
    for (int i = 0; i < write->count; i++)
        TRY(codec_put_current(txn, &write->stages[i]));
out:
    mem_free(old);
    return err;
}

enum err journal_set_current(struct journal *journal, const struct current_stage *stages, int count)
{
    struct current_write write = {stages, count};
    return store_update(journal->store, write_current, &write);
}

struct reopening {
    const struct hash *key;
    const char *why;
};

static enum err write_reopened(struct store_txn *txn, void *argument)
{
    enum err err = ERR_OK;
    const struct reopening *reopening = argument;
    struct stage_record *record = mem_alloc(sizeof *record);
    struct store_bytes value;
    TRY(store_get(txn, TABLE_STAGES, journal_key(reopening->key), &value));
    TRY(codec_read_stage(value, record));
    record->is_done = false;
    TRY(codec_put_stage(txn, reopening->key, record));
    TRY(add_event(txn, "reopened", record->name, record->lease_epoch, reopening->why));
out:
    stage_record_fini(record);
    mem_free(record);
    return err;
}

enum err journal_reopen(struct journal *journal, const struct hash *key, const char *why)
{
    struct reopening reopening = {key, why};
    return store_update(journal->store, write_reopened, &reopening);
}

static enum err write_forgiven(struct store_txn *txn, void *argument)
{
    enum err err = ERR_OK;
    const struct hash *key = argument;
    struct stage_record *record = mem_alloc(sizeof *record);
    struct store_bytes value;
    TRY(store_get(txn, TABLE_STAGES, journal_key(key), &value));
    TRY(codec_read_stage(value, record));
    record->budget = (struct budget){0};
    record->forgiven_epoch = record->lease_epoch;
    TRY(codec_put_stage(txn, key, record));
out:
    stage_record_fini(record);
    mem_free(record);
    return err;
}

enum err journal_forgive(struct journal *journal, const struct hash *key)
{
    struct hash forgiven = *key;
    return store_update(journal->store, write_forgiven, &forgiven);
}

struct lease_write {
    const struct hash *key;
    const char *name, *inputs;
    enum lease_start start;
    struct lease *lease;
};

static enum err next_epoch(struct store_txn *txn, uint64_t *epoch)
{
    struct store_bytes key, value;
    enum err err = store_last(txn, TABLE_ATTEMPTS, &key, &value);
    if (err == ERR_OK)
        *epoch = store_to_number(key) + 1;
    else if (err == ERR_NOT_FOUND)
        *epoch = 1;
    return err == ERR_NOT_FOUND ? ERR_OK : err;
}

static enum err write_lease(struct store_txn *txn, void *argument)
{
    enum err err = ERR_OK;
    struct lease_write *write = argument;
    struct stage_record *record = mem_alloc(sizeof *record);
    struct attempt_record *attempt = mem_alloc(sizeof *attempt);
    struct store_bytes value;
    uint64_t epoch = 0;
    TRY(next_epoch(txn, &epoch));
    err = store_get(txn, TABLE_STAGES, journal_key(write->key), &value);
    if (err == ERR_OK)
        err = codec_read_stage(value, record);
    else if (err == ERR_NOT_FOUND)
        err = ERR_OK;
    TRY(err);
    SET(record->name, write->name);
    mem_free(record->inputs);
    record->inputs = mem_string(write->inputs);
    record->is_leased = true;
    record->is_done = false;
    record->lease_epoch = epoch;
    record->attempts++;
    if (write->start == LEASE_AFRESH) {
        record->step = 0;
        record->checkpoint[0] = '\0';
    }
    if (record->first_started_ms == 0)
        record->first_started_ms = clock_wall_ms();
    TRY(codec_put_stage(txn, write->key, record));
    attempt->key = *write->key;
    SET(attempt->name, write->name);
    attempt->number = record->attempts;
    attempt->lease_epoch = epoch;
    attempt->started_ms = clock_wall_ms();
    attempt->first_step = attempt->last_step = record->step;
    TRY(codec_put_attempt(txn, attempt));
    TRY(add_event(txn, "start", write->name, epoch, ""));
    *write->lease = (struct lease){.key = *write->key, .epoch = epoch, .attempt = record->attempts};
    SET(write->lease->name, write->name);
out:
    stage_record_fini(record);
    mem_free(record);
    mem_free(attempt);
    return err;
}

struct help_write {
    const struct hash *key;
    struct lease *lease;
};

static enum err write_helper(struct store_txn *txn, void *argument)
{
    enum err err = ERR_OK;
    const struct help_write *write = argument;
    struct stage_record *record = mem_alloc(sizeof *record);
    struct attempt_record *attempt = mem_alloc(sizeof *attempt);
    struct store_bytes value;
    TRY(next_epoch(txn, &attempt->lease_epoch));
    TRY(store_get(txn, TABLE_STAGES, journal_key(write->key), &value));
    TRY(codec_read_stage(value, record));
    attempt->key = *write->key;
    attempt->is_helper = true;
    SET(attempt->name, record->name);
    attempt->number = record->attempts;
    attempt->started_ms = clock_wall_ms();
    TRY(codec_put_attempt(txn, attempt));
    TRY(add_event(txn, "helper", record->name, attempt->lease_epoch, ""));
    *write->lease = (struct lease){.key = *write->key,
                                   .epoch = attempt->lease_epoch,
                                   .attempt = record->attempts,
                                   .is_helper = true};
    SET(write->lease->name, record->name);
out:
    stage_record_fini(record);
    mem_free(record);
    mem_free(attempt);
    return err;
}

enum err journal_help(struct journal *journal, const struct hash *key, struct lease *lease)
{
    struct help_write write = {key, lease};
    return store_update(journal->store, write_helper, &write);
}

enum err journal_lease(struct journal *journal, const struct hash *key, const char *name,
                       const char *inputs, enum lease_start start, struct lease *lease)
{
    enum err err = ERR_OK;
    struct lease_write write = {key, name, inputs, start, lease};
    TRY(FAULT("journal.lease"));
    TRY(store_update(journal->store, write_lease, &write));
out:
    return err;
}

static enum err read_attempt(struct store_txn *txn, uint64_t epoch, struct attempt_record *attempt)
{
    enum err err = ERR_OK;
    uint8_t room[8];
    struct store_bytes key = store_number(epoch, room), value;
    TRY(store_get(txn, TABLE_ATTEMPTS, key, &value));
    TRY(codec_read_attempt(key, value, attempt));
out:
    return err;
}

/* The attempt of a lease, changed by `change` and put back. */
static enum err change_attempt(struct store_txn *txn, uint64_t epoch,
                               void (*change)(struct attempt_record *, const void *),
                               const void *argument)
{
    enum err err = ERR_OK;
    struct attempt_record *attempt = mem_alloc(sizeof *attempt);
    TRY(read_attempt(txn, epoch, attempt));
    change(attempt, argument);
    TRY(codec_put_attempt(txn, attempt));
out:
    mem_free(attempt);
    return err;
}

struct started_write {
    const struct lease *lease;
    const struct attempt_record *process;
};

static void set_process(struct attempt_record *attempt, const void *argument)
{
    const struct attempt_record *process = argument;
    attempt->pid = process->pid;
    attempt->pid_started = process->pid_started;
    attempt->first_step = process->first_step;
    SET(attempt->host, process->host);
    SET(attempt->log, process->log);
    SET(attempt->socket_folder, process->socket_folder);
}

static enum err write_started(struct store_txn *txn, void *argument)
{
    struct started_write *write = argument;
    return change_attempt(txn, write->lease->epoch, set_process, write->process);
}

enum err journal_started(struct journal *journal, const struct lease *lease,
                         const struct attempt_record *process)
{
    struct started_write write = {lease, process};
    return store_update(journal->store, write_started, &write);
}

/* The stage of a lease; ERR_PEER when another lease, or none, speaks for it now. */
static enum err read_leased(struct store_txn *txn, const struct lease *lease,
                            struct stage_record *record)
{
    enum err err = ERR_OK;
    struct store_bytes value;
    TRY(store_get(txn, TABLE_STAGES, journal_key(&lease->key), &value));
    TRY(codec_read_stage(value, record));
    if (!record->is_leased || record->lease_epoch != lease->epoch)
        TRY(err_set(ERR_PEER, "%s: a report of lease %llu does not count, the current one is %llu",
                    lease->name, (unsigned long long)lease->epoch,
                    (unsigned long long)record->lease_epoch));
out:
    return err;
}

static enum err write_checkpoint(struct store_txn *txn, const struct journal_entry *entry)
{
    enum err err = ERR_OK;
    const struct lease *lease = entry->lease;
    const struct journal_checkpoint *made = &entry->checkpoint;
    struct stage_record *record = mem_alloc(sizeof *record);
    char text[96];
    TRY(read_leased(txn, lease, record));
    if (strcmp(record->checkpoint, made->content) == 0)
        goto out; /* said twice */
    record->step = made->step;
    if (made->steps > 0)
        record->steps = made->steps;
    SET(record->checkpoint, made->content);
    TRY(codec_put_stage(txn, &lease->key, record));
    snprintf(text, sizeof text, "%llu %s", (unsigned long long)made->step, made->content);
    TRY(add_event(txn, "checkpoint", lease->name, lease->epoch, text));
out:
    stage_record_fini(record);
    mem_free(record);
    return err;
}

static void set_outcome(struct attempt_record *attempt, const void *argument)
{
    const struct stage_outcome *outcome = argument;
    attempt->ended_ms = clock_wall_ms();
    attempt->error = outcome->error;
    attempt->cause = outcome_cause(outcome);
    attempt->last_step = outcome->step;
    SET(attempt->text, outcome->text);
    SET(attempt->node, outcome->node);
}

static void spend(struct stage_record *record, const struct attempt_record *attempt,
                  const struct stage_outcome *outcome)
{
    bool has_saved = record->checkpoint[0] && record->step > attempt->first_step;
    record->cause = outcome_cause(outcome);
    record->ended_ms = clock_wall_ms();
    record->ends[record->cause]++;
    budget_add(&record->budget, record->cause, has_saved || outcome->made_progress);
    if (outcome->error == ERR_OK)
        record->budget = (struct budget){0};
}

static void apply_outcome(struct stage_record *record, const struct stage_outcome *outcome)
{
    record->is_leased = false;
    record->is_done = outcome->error == ERR_OK;
    record->seconds += outcome->seconds;
    if (outcome->images_per_second > 0)
        record->images_per_second = outcome->images_per_second;
    record->error = outcome->error;
    SET(record->error_text, outcome->text);
    if (record->is_done) {
        record->done_ms = clock_wall_ms();
        /* the report of its last checkpoint may have died with a gang, that of its length with a
         * runner */
        if (outcome->content[0] && record->steps > 0)
            record->step = record->steps;
        SET(record->content, outcome->content);
        SET(record->results, outcome->results);
        SET(record->results_hash, outcome->results_hash);
    }
}

/* ERR_PEER when its end has been written. */
static enum err check_helper(const struct attempt_record *attempt)
{
    if (attempt->ended_ms == 0)
        return ERR_OK;
    return err_set(ERR_PEER, "%s: the helper with lease %llu has ended", attempt->name,
                   (unsigned long long)attempt->lease_epoch);
}

static enum err end_stage(struct store_txn *txn, const struct lease *lease,
                          const struct attempt_record *attempt, const struct stage_outcome *outcome)
{
    enum err err = ERR_OK;
    struct stage_record *record = mem_alloc(sizeof *record);
    TRY(read_leased(txn, lease, record));
    spend(record, attempt, outcome);
    apply_outcome(record, outcome);
    TRY(codec_put_stage(txn, &lease->key, record));
out:
    stage_record_fini(record);
    mem_free(record);
    return err;
}

/* A helper's end is its attempt's alone. */
static enum err write_end(struct store_txn *txn, const struct journal_entry *entry)
{
    enum err err = ERR_OK;
    const struct lease *lease = entry->lease;
    const struct stage_outcome *outcome = &entry->outcome;
    struct attempt_record *attempt = mem_alloc(sizeof *attempt);
    TRY(read_attempt(txn, lease->epoch, attempt));
    TRY(lease->is_helper ? check_helper(attempt) : end_stage(txn, lease, attempt, outcome));
    TRY(change_attempt(txn, lease->epoch, set_outcome, outcome));
    const char *kind = outcome->error == ERR_OK            ? "done"
                       : outcome->error == ERR_INTERRUPTED ? "stop"
                                                           : "failed";
    if (!lease->is_helper || outcome->error != ERR_OK)
        TRY(add_event(txn, kind, lease->name, lease->epoch, outcome->text));
out:
    mem_free(attempt);
    return err;
}

static enum err write_entry(struct store_txn *txn, const struct journal_entry *entry)
{
    switch (entry->verb) {
    case JOURNAL_CHECKPOINT:
        return write_checkpoint(txn, entry);
    case JOURNAL_END:
        return write_end(txn, entry);
    case JOURNAL_NOTE:
        return write_note(txn, entry);
    case JOURNAL_MEASUREMENT:
        return measurement_write(txn, &entry->measurement);
    }
    BUG("a journal entry of kind %d", entry->verb);
}

struct batch {
    struct journal_entry *entries;
    int count;
};

static enum err write_batch(struct store_txn *txn, void *argument)
{
    const struct batch *batch = argument;
    for (int i = 0; i < batch->count; i++) {
        struct journal_entry *entry = &batch->entries[i];
        entry->result = write_entry(txn, entry);
        if (entry->result != ERR_OK && entry->result != ERR_PEER)
            return entry->result;
    }
    return ERR_OK;
}

/* Where a test lets the process die. */
static enum err meet_faults(const struct batch *batch)
{
    enum err err = ERR_OK;
    for (int i = 0; i < batch->count; i++) {
        if (batch->entries[i].verb == JOURNAL_CHECKPOINT)
            TRY(FAULT("journal.checkpoint"));
        if (batch->entries[i].verb == JOURNAL_END)
            TRY(FAULT("journal.end"));
    }
out:
    return err;
}

enum err journal_write(struct journal *journal, struct journal_entry *entries, int count)
{
    enum err err = ERR_OK;
    struct batch batch = {entries, count};
    TRY(meet_faults(&batch));
    TRY(store_update(journal->store, write_batch, &batch));
out:
    return err;
}

static enum err write_one(struct journal *journal, struct journal_entry *entry)
{
    enum err err = journal_write(journal, entry, 1);
    return err == ERR_OK ? entry->result : err;
}

enum err journal_note(struct journal *journal, const char *kind, const char *stage,
                      const char *text)
{
    struct journal_entry entry = {.verb = JOURNAL_NOTE, .note = {kind, stage, text}};
    return write_one(journal, &entry);
}

enum err journal_checkpoint(struct journal *journal, const struct lease *lease, uint64_t step,
                            uint64_t steps, const char *content)
{
    struct journal_entry entry = {
        .verb = JOURNAL_CHECKPOINT, .lease = lease, .checkpoint = {step, steps, content}};
    return write_one(journal, &entry);
}

enum err journal_end(struct journal *journal, const struct lease *lease,
                     const struct stage_outcome *outcome)
{
    struct journal_entry entry = {.verb = JOURNAL_END, .lease = lease, .outcome = *outcome};
    return write_one(journal, &entry);
}
