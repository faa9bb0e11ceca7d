#include "cluster/daemon/submitted.h"
#include "base/mem.h"
#include "base/text.h"
#include "trainer/record/json_name.h"
#include <ctype.h>
#include <string.h>

#define SITE_NAME 128

static const char *const state_names[SUBMITTED_STATES] = {
    [SUBMITTED_WAITING] = "waiting",     [SUBMITTED_HELD] = "held",
    [SUBMITTED_RUNNING] = "running",     [SUBMITTED_STOPPING] = "stopping",
    [SUBMITTED_DONE] = "done",           [SUBMITTED_FAILED] = "failed",
    [SUBMITTED_CANCELLED] = "cancelled", [SUBMITTED_REMOVED] = "removed"};

const char *submitted_state_name(enum submitted_state state)
{
    return state_names[state];
}

bool submitted_has_runner(const struct submitted *submitted)
{
    return submitted->state == SUBMITTED_RUNNING || submitted->state == SUBMITTED_STOPPING;
}

bool submitted_is_for_slurm(const struct submitted *submitted)
{
    return submitted->site[0] != '\0';
}

bool submitted_owes_stop(const struct submitted *submitted)
{
    return submitted->may_have_job && submitted->state == SUBMITTED_WAITING &&
           (submitted->then == SUBMITTED_HELD || submitted->then == SUBMITTED_REMOVED);
}

bool submitted_is_over(const struct submitted *submitted)
{
    return submitted->state == SUBMITTED_DONE || submitted->state == SUBMITTED_FAILED ||
           submitted->state == SUBMITTED_CANCELLED || submitted->state == SUBMITTED_REMOVED;
}

void submitted_fini(struct submitted *submitted)
{
    for (int i = 0; i < submitted->word_count; i++)
        mem_free(submitted->words[i]);
    mem_free(submitted->words);
    submitted->words = NULL;
    submitted->word_count = 0;
}

void submitted_set_words(struct submitted *submitted, size_t count, char *const *words)
{
    submitted_fini(submitted);
    submitted->words = mem_array(count + 1, sizeof *submitted->words);
    for (size_t i = 0; i < count; i++)
        submitted->words[i] = mem_string(words[i]);
    submitted->word_count = (int)count;
}

/* With what is no text replaced; false: it does not fit. */
static bool take_text(char *to, size_t room, const char *from)
{
    struct text safe;
    text_init(&safe);
    text_add_safe(&safe, from, strlen(from));
    bool fits = safe.size < room;
    if (fits)
        memcpy(to, text_get(&safe), safe.size + 1);
    text_fini(&safe);
    return fits;
}
#define TAKE(to, from) take_text((to), sizeof(to), (from))

/* As it is: a name of a file may hold anything. */
static bool take_path(char to[SUBMITTED_PATH], const char *from)
{
    size_t size = strlen(from);
    if (size >= SUBMITTED_PATH || from[0] != '/')
        return false;
    memcpy(to, from, size + 1);
    return true;
}

/* A path, or the plain name of a file in configs/sites; "" where it is for this machine. */
static bool take_site(char to[SUBMITTED_PATH], const char *from)
{
    if (from[0] == '/')
        return take_path(to, from);
    size_t size = 0;
    while (isalnum((unsigned char)from[size]) ||
           (size > 0 && from[size] && strchr("_.-", from[size])))
        size++;
    if (from[size] != '\0' || size >= SITE_NAME)
        return false;
    memcpy(to, from, size + 1);
    return true;
}

static bool are_words(size_t count, char *const *words)
{
    size_t bytes = 0;
    for (size_t i = 0; i < count && bytes <= SUBMITTED_WORDS_BYTES; i++)
        bytes += strlen(words[i]) + 1;
    return count > 0 && count <= SUBMITTED_MAX_WORDS && bytes <= SUBMITTED_WORDS_BYTES;
}

static bool is_state(uint32_t number)
{
    return number >= SUBMITTED_WAITING && number < SUBMITTED_STATES;
}

static bool take_process(const Gwd__Submitted *message, struct submitted *submitted)
{
    submitted->pid = message->pid;
    submitted->started_ticks = message->started_ticks;
    submitted->exit_code = message->exit_code;
    submitted->starts = (int)message->starts;
    submitted->losses = (int)message->losses;
    submitted->blocked = (int)message->blocked;
    submitted->jobs = (int)message->jobs;
    submitted->may_have_job = message->may_have_job;
    submitted->progress = message->progress;
    submitted->not_before_ms = message->not_before_ms;
    submitted->started_ms = message->started_ms;
    submitted->ended_ms = message->ended_ms;
    return TAKE(submitted->place, message->place) && message->pid >= 0 &&
           message->starts <= INT32_MAX && message->losses <= INT32_MAX &&
           message->blocked <= INT32_MAX && message->jobs <= INT32_MAX;
}

enum err submitted_read(const Gwd__Submitted *message, struct submitted *submitted)
{
    struct submitted *to = submitted;
    memset(to, 0, sizeof *to);
    bool is_sound = message->id > 0 && is_state(message->state) && is_state(message->then) &&
                    message->cores <= SUBMITTED_MAX_CORES &&
                    are_words(message->n_words, message->words) && TAKE(to->name, message->name) &&
                    TAKE(to->by, message->by) && TAKE(to->text, message->text) &&
                    take_path(to->campaign_path, message->campaign_path) &&
                    take_path(to->run_folder, message->run_folder) &&
                    take_path(to->work_folder, message->work_folder) &&
                    take_site(to->site, message->site) && take_process(message, to);
    if (!is_sound)
        return err_set(ERR_DATA, "the record of campaign %llu is damaged",
                       (unsigned long long)message->id);
    to->id = message->id;
    to->priority = message->priority;
    to->cores = (int)message->cores;
    to->memory_bytes = message->memory_bytes;
    to->submitted_ms = message->submitted_ms;
    to->state = (enum submitted_state)message->state;
    to->then = (enum submitted_state)message->then;
    submitted_set_words(to, message->n_words, message->words);
    return ERR_OK;
}

void submitted_write(const struct submitted *submitted, Gwd__Submitted *message)
{
    gwd__submitted__init(message);
    message->id = submitted->id;
    message->name = (char *)submitted->name;
    message->campaign_path = (char *)submitted->campaign_path;
    message->run_folder = (char *)submitted->run_folder;
    message->work_folder = (char *)submitted->work_folder;
    message->by = (char *)submitted->by;
    message->n_words = (size_t)submitted->word_count;
    message->words = submitted->words;
    message->priority = submitted->priority;
    message->cores = (uint32_t)submitted->cores;
    message->memory_bytes = submitted->memory_bytes;
    message->submitted_ms = submitted->submitted_ms;
    message->state = submitted->state;
    message->then = submitted->then;
    message->text = (char *)submitted->text;
    message->pid = submitted->pid;
    message->started_ticks = submitted->started_ticks;
    message->place = (char *)submitted->place;
    message->exit_code = submitted->exit_code;
    message->starts = (uint32_t)submitted->starts;
    message->losses = (uint32_t)submitted->losses;
    message->blocked = (uint32_t)submitted->blocked;
    message->site = (char *)submitted->site;
    message->jobs = (uint32_t)submitted->jobs;
    message->may_have_job = submitted->may_have_job;
    message->progress = submitted->progress;
    message->not_before_ms = submitted->not_before_ms;
    message->started_ms = submitted->started_ms;
    message->ended_ms = submitted->ended_ms;
}

enum err submitted_accept(const Gwd__Submit *message, struct submitted *submitted)
{
    memset(submitted, 0, sizeof *submitted);
    if (!take_path(submitted->campaign_path, message->campaign_path) ||
        !take_path(submitted->run_folder, message->run_folder) ||
        !take_path(submitted->work_folder, message->work_folder))
        return err_set(ERR_DATA, "a path of the campaign is not absolute, or longer than %d bytes",
                       SUBMITTED_PATH - 1);
    if (!are_words(message->n_words, message->words))
        return err_set(ERR_DATA, "a campaign takes %d words of %d bytes at most",
                       SUBMITTED_MAX_WORDS, SUBMITTED_WORDS_BYTES);
    if (!message->name[0] || !TAKE(submitted->name, message->name) ||
        !TAKE(submitted->by, message->by))
        return err_set(ERR_DATA, "the name of the campaign, or of who submits it, is too long");
    if (!take_site(submitted->site, message->site))
        return err_set(ERR_DATA, "the site's file is named by its path from /, or by a plain name");
    bool is_for_slurm = submitted_is_for_slurm(submitted);
    if (is_for_slurm != (message->cores == 0) || message->cores > SUBMITTED_MAX_CORES)
        return err_set(ERR_DATA, "a campaign cannot take %u cores", message->cores);
    submitted->priority = message->priority;
    submitted->cores = (int)message->cores;
    submitted->memory_bytes = message->memory_bytes;
    submitted->state = message->is_held ? SUBMITTED_HELD : SUBMITTED_WAITING;
    submitted->then = submitted->state;
    submitted->exit_code = -1;
    submitted_set_words(submitted, message->n_words, message->words);
    return ERR_OK;
}

static void set_time(json_t *json, const char *key, int64_t at_ms)
{
    json_object_set_new(json, key, at_ms > 0 ? json_integer(at_ms) : json_null());
}

json_t *submitted_json(const struct submitted *submitted)
{
    json_t *json = json_object();
    json_object_set_new(json, "id", json_integer((json_int_t)submitted->id));
    json_object_set_new(json, "campaign", json_name(submitted->name));
    json_object_set_new(json, "campaign_path", json_name(submitted->campaign_path));
    json_object_set_new(json, "run_folder", json_name(submitted->run_folder));
    json_object_set_new(json, "work_folder", json_name(submitted->work_folder));
    json_object_set_new(json, "by", json_name(submitted->by));
    json_object_set_new(json, "priority", json_integer(submitted->priority));
    json_object_set_new(json, "state", json_string(state_names[submitted->state]));
    json_object_set_new(json, "text", json_name(submitted->text));
    json_object_set_new(json, "site",
                        submitted->site[0] ? json_name(submitted->site) : json_null());
    json_object_set_new(json, "cores", json_integer(submitted->cores));
    json_object_set_new(json, "memory_bytes", json_integer((json_int_t)submitted->memory_bytes));
    json_object_set_new(json, "pid",
                        json_integer(submitted_has_runner(submitted) ? submitted->pid : 0));
    json_object_set_new(json, "exit_code",
                        submitted->exit_code >= 0 ? json_integer(submitted->exit_code)
                                                  : json_null());
    json_object_set_new(json, "starts", json_integer(submitted->starts));
    json_object_set_new(json, "losses", json_integer(submitted->losses));
    json_object_set_new(json, "jobs", json_integer(submitted->jobs));
    set_time(json, "submitted_ms", submitted->submitted_ms);
    set_time(json, "not_before_ms", submitted->not_before_ms);
    set_time(json, "started_ms", submitted->started_ms);
    set_time(json, "ended_ms", submitted->ended_ms);
    return json;
}
