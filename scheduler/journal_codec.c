/* Field by field: the store's format is journal.proto, the program's is journal.h. */
#include "base/mem.h"
#include "scheduler/journal.pb-c.h"
#include "scheduler/journal_internal.h"
#include <limits.h>
#include <stdio.h>
#include <string.h>

static void copy_text(char *to, size_t room, const char *from)
{
    size_t size = strnlen(from, room - 1);
    memcpy(to, from, size);
    to[size] = '\0';
}
#define COPY(to, from) copy_text((to), sizeof(to), (from))

static enum err bad_record(const char *what)
{
    return err_set(
        ERR_DATA,
        "the journal has a damaged record of %s: a copy of it is needed, or another run folder",
        what);
}

static bool copy_hash(struct hash *to, const ProtobufCBinaryData *from)
{
    if (from->len != HASH_BYTES)
        return false;
    memcpy(to->bytes, from->data, HASH_BYTES);
    return true;
}

static ProtobufCBinaryData borrow_hash(const struct hash *hash)
{
    return (ProtobufCBinaryData){.len = HASH_BYTES, .data = (uint8_t *)hash->bytes};
}

/* By cause; of causes that only a later program knows nothing is kept. */
static void take_counts(int to[CAUSE_COUNT], const uint32_t *from, size_t count)
{
    for (size_t i = 0; i < count && i < CAUSE_COUNT; i++)
        to[i] = from[i] > INT_MAX ? INT_MAX : (int)from[i];
}

static enum cause take_cause(uint32_t number)
{
    return number < CAUSE_COUNT ? (enum cause)number : CAUSE_NONE;
}

enum err codec_read_stage(struct store_bytes value, struct stage_record *record)
{
    Gwj__Stage *read = gwj__stage__unpack(NULL, value.size, value.data);
    if (!read)
        return bad_record("a stage");
    memset(record, 0, sizeof *record);
    COPY(record->name, read->name);
    record->inputs = mem_string(read->inputs);
    record->is_done = read->is_done;
    record->is_leased = read->is_leased;
    record->lease_epoch = read->lease_epoch;
    record->attempts = (int)read->attempts;
    record->step = read->step;
    record->steps = read->steps;
    COPY(record->checkpoint, read->checkpoint);
    COPY(record->content, read->content);
    COPY(record->results, read->results);
    COPY(record->results_hash, read->results_hash);
    record->first_started_ms = read->first_started_ms;
    record->done_ms = read->done_ms;
    record->seconds = read->seconds;
    record->images_per_second = read->images_per_second;
    record->error = (enum err)read->error;
    COPY(record->error_text, read->error_text);
    take_counts(record->ends, read->ends, read->n_ends);
    take_counts(record->budget.spent, read->spent, read->n_spent);
    record->cause = take_cause(read->cause);
    record->ended_ms = read->ended_ms;
    record->forgiven_epoch = read->forgiven_epoch;
    gwj__stage__free_unpacked(read, NULL);
    return ERR_OK;
}

enum err codec_read_attempt(struct store_bytes key, struct store_bytes value,
                            struct attempt_record *record)
{
    Gwj__Attempt *read = key.size == 8 ? gwj__attempt__unpack(NULL, value.size, value.data) : NULL;
    if (!read)
        return bad_record("an attempt");
    memset(record, 0, sizeof *record);
    bool is_sound = copy_hash(&record->key, &read->stage_key);
    COPY(record->name, read->name);
    record->number = (int)read->number;
    record->lease_epoch = store_to_number(key);
    record->started_ms = read->started_ms;
    record->ended_ms = read->ended_ms;
    record->pid = read->pid;
    record->pid_started = read->pid_started;
    COPY(record->host, read->host);
    COPY(record->log, read->log);
    COPY(record->socket_folder, read->socket_folder);
    record->error = (enum err)read->error;
    record->cause = take_cause(read->cause);
    COPY(record->text, read->text);
    record->first_step = read->first_step;
    record->last_step = read->last_step;
    record->is_helper = read->is_helper;
    COPY(record->node, read->node);
    gwj__attempt__free_unpacked(read, NULL);
    return is_sound ? ERR_OK : bad_record("an attempt");
}

enum err codec_read_event(struct store_bytes key, struct store_bytes value,
                          struct event_record *record)
{
    Gwj__Event *read = key.size == 8 ? gwj__event__unpack(NULL, value.size, value.data) : NULL;
    if (!read)
        return bad_record("an event");
    memset(record, 0, sizeof *record);
    record->number = store_to_number(key);
    record->at_ms = read->at_ms;
    COPY(record->kind, read->kind);
    COPY(record->stage, read->stage);
    record->lease_epoch = read->lease_epoch;
    COPY(record->text, read->text);
    gwj__event__free_unpacked(read, NULL);
    return ERR_OK;
}

enum err codec_read_current(struct store_bytes value, struct hash *key, char **inputs)
{
    Gwj__Current *read = gwj__current__unpack(NULL, value.size, value.data);
    struct hash found;
    bool is_sound = read && copy_hash(&found, &read->stage_key);
    if (is_sound && key)
        *key = found;
    if (is_sound && inputs)
        *inputs = mem_string(read->inputs);
    if (read)
        gwj__current__free_unpacked(read, NULL);
    return is_sound ? ERR_OK : bad_record("the campaign's stages");
}

static enum err put(struct store_txn *txn, int table, struct store_bytes key,
                    const ProtobufCMessage *message)
{
    size_t size = protobuf_c_message_get_packed_size(message);
    uint8_t *bytes = mem_alloc(size + 1);
    protobuf_c_message_pack(message, bytes);
    enum err err = store_put(txn, table, key, (struct store_bytes){bytes, size});
    mem_free(bytes);
    return err;
}

enum err codec_put_stage(struct store_txn *txn, const struct hash *key,
                         const struct stage_record *record)
{
    uint32_t ends[CAUSE_COUNT], spent[CAUSE_COUNT];
    Gwj__Stage stage = GWJ__STAGE__INIT;
    stage.name = (char *)record->name;
    stage.inputs = record->inputs ? record->inputs : "";
    stage.is_done = record->is_done;
    stage.is_leased = record->is_leased;
    stage.lease_epoch = record->lease_epoch;
    stage.attempts = (uint32_t)record->attempts;
    stage.step = record->step;
    stage.steps = record->steps;
    stage.checkpoint = (char *)record->checkpoint;
    stage.content = (char *)record->content;
    stage.results = (char *)record->results;
    stage.results_hash = (char *)record->results_hash;
    stage.first_started_ms = record->first_started_ms;
    stage.done_ms = record->done_ms;
    stage.seconds = record->seconds;
    stage.images_per_second = record->images_per_second;
    stage.error = record->error;
    stage.error_text = (char *)record->error_text;
    for (int i = 0; i < CAUSE_COUNT; i++) {
        ends[i] = (uint32_t)record->ends[i];
        spent[i] = (uint32_t)record->budget.spent[i];
    }
    stage.n_ends = stage.n_spent = CAUSE_COUNT;
    stage.ends = ends;
    stage.spent = spent;
    stage.cause = record->cause;
    stage.ended_ms = record->ended_ms;
    stage.forgiven_epoch = record->forgiven_epoch;
    return put(txn, TABLE_STAGES, journal_key(key), &stage.base);
}

enum err codec_put_attempt(struct store_txn *txn, const struct attempt_record *record)
{
    uint8_t room[8];
    Gwj__Attempt attempt = GWJ__ATTEMPT__INIT;
    attempt.stage_key = borrow_hash(&record->key);
    attempt.name = (char *)record->name;
    attempt.number = (uint32_t)record->number;
    attempt.started_ms = record->started_ms;
    attempt.ended_ms = record->ended_ms;
    attempt.pid = record->pid;
    attempt.pid_started = record->pid_started;
    attempt.host = (char *)record->host;
    attempt.log = (char *)record->log;
    attempt.socket_folder = (char *)record->socket_folder;
    attempt.error = record->error;
    attempt.cause = record->cause;
    attempt.text = (char *)record->text;
    attempt.first_step = record->first_step;
    attempt.last_step = record->last_step;
    attempt.is_helper = record->is_helper;
    attempt.node = (char *)record->node;
    return put(txn, TABLE_ATTEMPTS, store_number(record->lease_epoch, room), &attempt.base);
}

enum err codec_put_event(struct store_txn *txn, const struct event_record *record)
{
    uint8_t room[8];
    Gwj__Event event = GWJ__EVENT__INIT;
    event.at_ms = record->at_ms;
    event.kind = (char *)record->kind;
    event.stage = (char *)record->stage;
    event.lease_epoch = record->lease_epoch;
    event.text = (char *)record->text;
    return put(txn, TABLE_EVENTS, store_number(record->number, room), &event.base);
}

enum err codec_put_current(struct store_txn *txn, const struct current_stage *stage)
{
    Gwj__Current current = GWJ__CURRENT__INIT;
    current.stage_key = borrow_hash(stage->key);
    current.inputs = (char *)stage->inputs;
    return put(txn, TABLE_CURRENT, store_text(stage->name), &current.base);
}

enum err codec_put_measurement(struct store_txn *txn, const struct measurement_bytes *measurement)
{
    Gwj__Measurement message = GWJ__MEASUREMENT__INIT;
    message.detail = (uint32_t)measurement->detail;
    message.record = (ProtobufCBinaryData){measurement->size_bytes, (uint8_t *)measurement->record};
    return put(txn, TABLE_MEASUREMENTS, journal_key(measurement->key), &message.base);
}

enum err codec_read_measurement(struct store_bytes key, struct store_bytes value,
                                enum err (*visit)(const struct measurement_bytes *, void *),
                                void *own)
{
    struct hash hash;
    Gwj__Measurement *read = gwj__measurement__unpack(NULL, value.size, value.data);
    if (!read || key.size != HASH_BYTES || read->detail > INT_MAX) {
        if (read)
            gwj__measurement__free_unpacked(read, NULL);
        return bad_record("a measurement");
    }
    memcpy(hash.bytes, key.data, HASH_BYTES);
    struct measurement_bytes measurement = {.key = &hash,
                                            .detail = (int)read->detail,
                                            .record = read->record.data,
                                            .size_bytes = read->record.len};
    enum err err = visit(&measurement, own);
    gwj__measurement__free_unpacked(read, NULL);
    return err;
}
