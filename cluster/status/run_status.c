#include "cluster/status/run_status.h"
#include "base/text.h"
#include <limits.h>
#include <math.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

static const char *const stage_states[] = {"waiting", "running", "backing off",
                                           "done",    "failed",  NULL};
static const char *const run_states[] = {"starting", "running", "stopping", "done",
                                         "stopped",  "failed",  NULL};

enum field_kind {
    FIELD_TEXT,   /* char[room] */
    FIELD_COUNT,  /* int64_t, not negative */
    FIELD_REAL,   /* double */
    FIELD_CAUSES, /* int[CAUSE_COUNT] */
    FIELD_WORD    /* int: the position in `words` */
};

struct field {
    const char *name;
    enum field_kind kind;
    size_t offset, room;
    const char *const *words;
};

#define FIELD(type, kind, member)                                                                  \
    {                                                                                              \
#member, kind, offsetof(struct type, member), sizeof(((struct type *)0)->member), NULL     \
    }
#define STAGE(kind, member) FIELD(stage_status, kind, member)
#define RUN(kind, member)   FIELD(run_status, kind, member)

static const struct field stage_fields[] = {
    STAGE(FIELD_TEXT, name),
    STAGE(FIELD_TEXT, kind),
    {"state", FIELD_WORD, offsetof(struct stage_status, state), sizeof(int), stage_states},
    STAGE(FIELD_TEXT, why),
    STAGE(FIELD_TEXT, needs),
    STAGE(FIELD_COUNT, retry_at_ms),
    STAGE(FIELD_COUNT, step),
    STAGE(FIELD_COUNT, steps),
    STAGE(FIELD_COUNT, reused),
    STAGE(FIELD_REAL, epoch),
    STAGE(FIELD_REAL, images_per_second),
    STAGE(FIELD_REAL, loss),
    STAGE(FIELD_REAL, accuracy),
    STAGE(FIELD_TEXT, doing),
    STAGE(FIELD_REAL, eta_seconds),
    STAGE(FIELD_COUNT, attempts),
    STAGE(FIELD_COUNT, failures),
    STAGE(FIELD_CAUSES, causes),
    STAGE(FIELD_TEXT, error),
    STAGE(FIELD_TEXT, cause),
    STAGE(FIELD_TEXT, error_text),
    STAGE(FIELD_TEXT, warning),
    STAGE(FIELD_TEXT, log),
    STAGE(FIELD_COUNT, started_ms),
    STAGE(FIELD_COUNT, ended_ms),
    STAGE(FIELD_REAL, seconds),
    STAGE(FIELD_COUNT, pid),
    STAGE(FIELD_TEXT, host),
    STAGE(FIELD_COUNT, gangs),
    {NULL, FIELD_TEXT, 0, 0, NULL},
};

static const struct field run_fields[] = {
    RUN(FIELD_TEXT, campaign),
    RUN(FIELD_TEXT, device),
    RUN(FIELD_TEXT, run_folder),
    RUN(FIELD_TEXT, command),
    RUN(FIELD_TEXT, work_folder),
    RUN(FIELD_TEXT, host),
    RUN(FIELD_TEXT, place),
    RUN(FIELD_COUNT, claim),
    RUN(FIELD_COUNT, pid),
    RUN(FIELD_COUNT, started_ticks),
    RUN(FIELD_COUNT, started_ms),
    RUN(FIELD_COUNT, written_ms),
    {"state", FIELD_WORD, offsetof(struct run_status, state), sizeof(int), run_states},
    RUN(FIELD_TEXT, error),
    RUN(FIELD_COUNT, signal),
    RUN(FIELD_TEXT, text),
    RUN(FIELD_TEXT, excluded),
    RUN(FIELD_TEXT, excluded_why),
    RUN(FIELD_TEXT, waits),
    RUN(FIELD_REAL, eta_seconds),
    {NULL, FIELD_TEXT, 0, 0, NULL},
};

static void init_reals(const struct field *fields, void *into)
{
    for (const struct field *field = fields; field->name; field++)
        if (field->kind == FIELD_REAL)
            *(double *)((char *)into + field->offset) = NAN;
}

void stage_status_init(struct stage_status *stage)
{
    memset(stage, 0, sizeof *stage);
    init_reals(stage_fields, stage);
}

void run_status_init(struct run_status *status)
{
    memset(status, 0, sizeof *status);
    init_reals(run_fields, status);
    for (int i = 0; i < PLAN_MAX_STAGES; i++)
        stage_status_init(&status->stages[i]);
}

void stage_status_recall(struct stage_status *stage, const struct stage_record *record)
{
    stage->attempts = record->attempts;
    stage->step = (int64_t)record->step;
    stage->steps = (int64_t)record->steps;
    stage->started_ms = record->first_started_ms;
    stage->failures = budget_spent(&record->budget, record->cause);
    if (record->attempts > 0) /* where an attempt's log lies: attempt_start() */
        snprintf(stage->log, sizeof stage->log, "logs/%.60s-%d.log", stage->name, record->attempts);
    memcpy(stage->causes, record->ends, sizeof stage->causes);
    if (record->error != ERR_OK) {
        snprintf(stage->cause, sizeof stage->cause, "%s", cause_name(record->cause));
        snprintf(stage->error, sizeof stage->error, "%s", err_name(record->error));
        snprintf(stage->error_text, sizeof stage->error_text, "%.500s", record->error_text);
    }
    if (!record->is_done)
        return;
    stage->ended_ms = record->done_ms;
    stage->seconds = record->seconds;
    stage->images_per_second = record->images_per_second > 0 ? record->images_per_second : NAN;
}

/* Whatever bytes it holds, a file's name among them. */
static json_t *text_json(const char *text)
{
    json_t *json = json_string(text);
    struct text safe;
    if (json)
        return json;
    text_init(&safe);
    for (const char *at = text; *at; at++)
        text_add(&safe, "%c", (unsigned char)*at < 0x80 ? *at : '?');
    json = json_string(text_get(&safe));
    text_fini(&safe);
    return json;
}

void run_status_exclude(struct run_status *status, const struct bad_nodes *nodes)
{
    bad_nodes_write(nodes, status->excluded, sizeof status->excluded);
    for (int i = 0; i < nodes->count; i++)
        if (nodes->list[i].is_excluded)
            snprintf(status->excluded_why, sizeof status->excluded_why, "%s: %s",
                     nodes->list[i].name, nodes->list[i].why);
}

json_t *run_status_causes(const int counts[CAUSE_COUNT])
{
    json_t *json = json_object();
    for (int i = 0; i < CAUSE_COUNT; i++)
        if (counts[i] != 0)
            json_object_set_new(json, cause_names[i], json_integer(counts[i]));
    return json;
}

/* A cause that only a later program knows is left out. */
static bool take_causes(const json_t *json, int counts[CAUSE_COUNT])
{
    if (!json_is_object(json))
        return false;
    for (int i = 0; i < CAUSE_COUNT; i++) {
        const json_t *value = json_object_get(json, cause_names[i]);
        json_int_t count = value ? json_integer_value(value) : 0;
        if (value && (!json_is_integer(value) || count < 0 || count > INT_MAX))
            return false;
        counts[i] = (int)count;
    }
    return true;
}

static json_t *field_json(const struct field *field, const void *from)
{
    const char *at = (const char *)from + field->offset;
    switch (field->kind) {
    case FIELD_TEXT:
        return text_json(at);
    case FIELD_COUNT:
        return json_integer(*(const int64_t *)(const void *)at);
    case FIELD_CAUSES:
        return run_status_causes((const int *)(const void *)at);
    case FIELD_WORD:
        return json_string(field->words[*(const int *)(const void *)at]);
    case FIELD_REAL:
        break;
    }
    double value = *(const double *)(const void *)at;
    return isfinite(value) ? json_real(value) : json_null();
}

static json_t *fields_json(const struct field *fields, const void *from)
{
    json_t *json = json_object();
    for (const struct field *field = fields; field->name; field++)
        json_object_set_new(json, field->name, field_json(field, from));
    return json;
}

json_t *run_status_json(const struct run_status *status)
{
    json_t *json = json_object(), *stages = json_array();
    json_object_set_new(json, "format", json_integer(RUN_STATUS_FORMAT));
    json_t *fields = fields_json(run_fields, status);
    json_object_update(json, fields);
    json_decref(fields);
    for (int i = 0; i < status->stage_count; i++)
        json_array_append_new(stages, fields_json(stage_fields, &status->stages[i]));
    json_object_set_new(json, "stages", stages);
    return json;
}

/* Cut between two characters where it is too long. */
static void take_text(const char *text, size_t size, char *into, size_t room)
{
    struct text safe;
    size_t used = 0;
    text_init(&safe);
    text_add_safe(&safe, text, size);
    for (;;) {
        size_t left = safe.size - used;
        size_t next = left > 0 ? text_character_size(safe.bytes + used, left) : 0;
        if (next == 0 || used + next >= room)
            break;
        used += next;
    }
    memcpy(into, text_get(&safe), used);
    into[used] = '\0';
    text_fini(&safe);
}

static bool take_word(const char *word, const char *const *words, int *position)
{
    for (int i = 0; word && words[i]; i++)
        if (strcmp(word, words[i]) == 0) {
            *position = i;
            return true;
        }
    return false;
}

static bool take_field(const struct field *field, const json_t *value, void *into)
{
    char *at = (char *)into + field->offset;
    switch (field->kind) {
    case FIELD_TEXT:
        if (json_is_string(value))
            take_text(json_string_value(value), json_string_length(value), at, field->room);
        return json_is_string(value);
    case FIELD_COUNT:
        if (!json_is_integer(value) || json_integer_value(value) < 0)
            return false;
        *(int64_t *)(void *)at = json_integer_value(value);
        return true;
    case FIELD_REAL:
        if (json_is_number(value))
            *(double *)(void *)at = json_number_value(value);
        return json_is_number(value) || json_is_null(value);
    case FIELD_CAUSES:
        return take_causes(value, (int *)(void *)at);
    case FIELD_WORD:
        return take_word(json_string_value(value), field->words, (int *)(void *)at);
    }
    return false;
}

static enum err take_fields(const struct field *fields, const json_t *json, void *into)
{
    for (const struct field *field = fields; field->name; field++) {
        const json_t *value = json_object_get(json, field->name);
        if (value && !take_field(field, value, into))
            return err_set(ERR_DATA, "\"%s\" is not what it should be", field->name);
    }
    return ERR_OK;
}

static enum err take_stages(const json_t *stages, struct run_status *status)
{
    enum err err = ERR_OK;
    if (!json_is_array(stages) || json_array_size(stages) > PLAN_MAX_STAGES)
        return err_set(ERR_DATA, "\"stages\" is no list of at most %d", PLAN_MAX_STAGES);
    for (size_t i = 0; i < json_array_size(stages); i++) {
        const json_t *stage = json_array_get(stages, i);
        if (!json_is_object(stage) || !json_is_string(json_object_get(stage, "name")))
            TRY(err_set(ERR_DATA, "stage %zu has no name", i));
        err = take_fields(stage_fields, stage, &status->stages[i]);
        TRY(err == ERR_OK ? err : err_prefix(err, "stage %zu", i));
        status->stage_count++;
    }
out:
    return err;
}

enum err run_status_parse(const json_t *json, struct run_status *status)
{
    enum err err = ERR_OK;
    const json_t *format = json_object_get(json, "format");
    run_status_init(status);
    if (!json_is_integer(format) || json_integer_value(format) < 1)
        TRY(err_set(ERR_DATA, "this is no status of a run"));
    if (json_integer_value(format) > RUN_STATUS_FORMAT)
        TRY(err_set(ERR_DATA,
                    "a later glowworm wrote it (format %lld, this one reads %d): use that one",
                    (long long)json_integer_value(format), RUN_STATUS_FORMAT));
    if (!json_object_get(json, "state"))
        TRY(err_set(ERR_DATA, "\"state\" is missing"));
    TRY(take_fields(run_fields, json, status));
    TRY(take_stages(json_object_get(json, "stages"), status));
out:
    return err;
}

const char *stage_state_name(int state)
{
    return stage_states[state];
}

const char *run_state_name(int state)
{
    return run_states[state];
}

bool run_state_is_end(int state)
{
    return state == RUN_STATE_DONE || state == RUN_STATE_STOPPED || state == RUN_STATE_FAILED;
}

const char *run_status_kind(enum stage_kind kind)
{
    static const char *const names[] = {
        [STAGE_TRAIN] = "train",     [STAGE_EVALUATE] = "evaluate", [STAGE_SEARCH] = "search",
        [STAGE_COMPILE] = "compile", [STAGE_CHECK] = "check",       [STAGE_VALIDATE] = "validate",
        [STAGE_REPORT] = "report"};
    return names[kind];
}

int run_status_count(const struct run_status *status, enum stage_state state)
{
    int count = 0;
    for (int i = 0; i < status->stage_count; i++)
        count += status->stages[i].state == (int)state;
    return count;
}

const struct stage_status *run_status_first(const struct run_status *status, enum stage_state state)
{
    for (int i = 0; i < status->stage_count; i++)
        if (status->stages[i].state == (int)state)
            return &status->stages[i];
    return NULL;
}

const struct stage_status *run_status_stage(const struct run_status *status, const char *name)
{
    for (int i = 0; i < status->stage_count; i++)
        if (strcmp(status->stages[i].name, name) == 0)
            return &status->stages[i];
    return NULL;
}
