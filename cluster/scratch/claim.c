#include "cluster/scratch/claim.h"
#include "base/clock.h"
#include "base/fence.h"
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/text.h"
#include "cluster/scratch/beat.h"
#include "scheduler/process.h"
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MAX_BYTES ((size_t)4096)
#define TRIES     100 /* others may claim at the same moment */

struct claim {
    char *run_folder;
    uint64_t number;
    struct beat *beat;
    bool has_complained;
};

void claim_info_of_us(struct claim_info *info)
{
    const char *job = getenv("SLURM_JOB_ID"), *restart = getenv("SLURM_RESTART_COUNT");
    long count = 0;
    *info = (struct claim_info){.pid = getpid()};
    gethostname(info->host, sizeof info->host - 1);
    process_place(info->place, sizeof info->place);
    info->started_ticks = (int64_t)process_started_ticks(getpid());
    snprintf(info->job, sizeof info->job, "%s", job ? job : "");
    if (restart && text_to_int(restart, 0, 1L << 30, &count) == ERR_OK)
        info->restart = count;
    clock_wall_text(info->made);
}

uint64_t claim_highest(const char *run_folder)
{
    uint64_t highest = 0;
    char *path = file_join(run_folder, "published");
    DIR *list = opendir(path);
    for (struct dirent *entry; list && (entry = readdir(list));) {
        unsigned long long number = 0;
        char again[64];
        int count = sscanf(entry->d_name, "claim-%llu", &number);
        snprintf(again, sizeof again, "claim-%llu", number);
        if (count == 1 && strcmp(entry->d_name, again) == 0 && number > highest)
            highest = number;
    }
    if (list)
        closedir(list);
    mem_free(path);
    return highest;
}

/* Behind "name " at the beginning of a line; false where there is none. */
static bool take_line(const char *text, const char *name, char *into, size_t room)
{
    size_t size = strlen(name);
    for (const char *line = text; line && *line;) {
        const char *end = strchr(line, '\n');
        if (strncmp(line, name, size) == 0 && line[size] == ' ') {
            size_t length = end ? (size_t)(end - line) - size - 1 : strlen(line + size + 1);
            snprintf(into, room, "%.*s", (int)length, line + size + 1);
            return true;
        }
        line = end ? end + 1 : NULL;
    }
    return false;
}

static bool take_number(const char *text, const char *name, int64_t *number)
{
    char digits[32];
    long value = 0;
    bool is_there = take_line(text, name, digits, sizeof digits) &&
                    text_to_int(digits, 0, 1L << 62, &value) == ERR_OK;
    *number = value;
    return is_there;
}

enum err claim_parse(const char *path, const char *text, struct claim_info *info)
{
    bool is_whole = take_line(text, "host", info->host, sizeof info->host) &&
                    take_line(text, "place", info->place, sizeof info->place) &&
                    take_number(text, "pid", &info->pid) &&
                    take_number(text, "started_ticks", &info->started_ticks) &&
                    take_line(text, "job", info->job, sizeof info->job) &&
                    take_number(text, "restart", &info->restart) &&
                    take_line(text, "made", info->made, sizeof info->made);
    return is_whole ? ERR_OK
                    : err_set(ERR_DATA,
                              "%s is no claim of a run: if nobody runs it, remove that file", path);
}

enum err claim_read(const char *run_folder, uint64_t number, struct claim_info *info)
{
    enum err err = ERR_OK;
    char *path = fence_path(run_folder, number, ""), *bytes = NULL;
    size_t size = 0;
    int file = -1;
    struct text safe;
    text_init(&safe);
    *info = (struct claim_info){.number = number};
    TRY(file_open_regular(path, &file));
    TRY(file_read_from(file, path, MAX_BYTES, &bytes, &size));
    text_add_safe(&safe, bytes, size);
    TRY(claim_parse(path, text_get(&safe), info));
out:
    if (file >= 0)
        close(file);
    text_fini(&safe);
    mem_free(bytes);
    mem_free(path);
    return err;
}

/* A small file of its own, all or nothing. */
static enum err leave(const char *run_folder, uint64_t number, const char *ending, const char *text,
                      enum file_existing existing)
{
    enum err err = ERR_OK;
    struct file_update *update = NULL;
    char *path = fence_path(run_folder, number, ending);
    TRY(file_begin(path, &update));
    TRY(file_append(update, text, strlen(text)));
    TRY(file_commit(&update, existing));
out:
    file_abort(&update);
    mem_free(path);
    return err;
}

/* ERR_CONFIG: somebody else has that number. */
static enum err make(const struct claim_cfg *cfg, uint64_t number)
{
    const struct claim_info *us = cfg->us;
    struct text text;
    text_init(&text);
    text_add(&text, "host %s\nplace %s\npid %lld\nstarted_ticks %lld\n", us->host, us->place,
             (long long)us->pid, (long long)us->started_ticks);
    text_add(&text, "job %s\nrestart %lld\nmade %s\n", us->job, (long long)us->restart, us->made);
    enum err err = leave(cfg->run_folder, number, "", text_get(&text), FILE_KEEP);
    text_fini(&text);
    return err;
}

enum claim_end claim_ending(const char *run_folder, uint64_t number)
{
    char *path = fence_path(run_folder, number, ".ended"), *bytes = NULL;
    size_t size = 0;
    enum claim_end end = CLAIM_LOST;
    if (file_read(path, MAX_BYTES, &bytes, &size) == ERR_OK)
        end = strncmp(bytes, "published", strlen("published")) == 0 ? CLAIM_PUBLISHED : CLAIM_ENDED;
    mem_free(bytes);
    mem_free(path);
    return end;
}

static bool is_here(const struct claim_cfg *cfg, const struct claim_info *last)
{
    return process_place_is_same(cfg->us->place, last->place);
}

static bool lives_here(const struct claim_cfg *cfg, const struct claim_info *last)
{
    return is_here(cfg, last) && (int64_t)process_started_ticks(last->pid) == last->started_ticks;
}

/* The last owner is known to be gone. */
static bool is_gone(const struct claim_cfg *cfg, const struct claim_info *last)
{
    const struct claim_info *us = cfg->us;
    bool is_requeued = us->job[0] && strcmp(us->job, last->job) == 0 && us->restart > last->restart;
    return is_requeued || (is_here(cfg, last) && !lives_here(cfg, last));
}

static enum err refuse(const struct claim_cfg *cfg, const struct claim_info *last)
{
    return err_set(ERR_AGAIN,
                   "%s is being run on %s, by process %lld%s%s since %s; stop it with \"glowworm "
                   "cancel %s\", or take the run over with --take-over",
                   cfg->run_folder, last->host[0] ? last->host : "another machine",
                   (long long)last->pid, last->job[0] ? " of job " : "", last->job, last->made,
                   cfg->run_folder);
}

/* May we follow this claim? */
static enum err consider(const struct claim_cfg *cfg, uint64_t number)
{
    enum err err = ERR_OK;
    struct claim_info last;
    bool lives = false;
    if (cfg->mode == CLAIM_TAKE_OVER || claim_ending(cfg->run_folder, number) != CLAIM_LOST)
        return ERR_OK;
    enum err read = claim_read(cfg->run_folder, number, &last);
    if (read == ERR_OK && is_gone(cfg, &last))
        return ERR_OK;
    if (read == ERR_OK && lives_here(cfg, &last)) /* paused or stuck, it may beat no more */
        return refuse(cfg, &last);
    log_warn("the last runner of %s left no word: looking whether it is still there",
             cfg->run_folder);
    TRY(beat_watch(cfg->run_folder, number, cfg->watch_s > 0 ? cfg->watch_s : CLAIM_WATCH_S,
                   cfg->stop_asked, &lives));
    if (lives && claim_ending(cfg->run_folder, number) == CLAIM_LOST)
        TRY(refuse(cfg, &last));
out:
    return err;
}

/* Nobody watches it any more. */
static void forget_beat(const char *run_folder, uint64_t number)
{
    char *path = fence_path(run_folder, number, ".beat");
    unlink(path);
    mem_free(path);
}

static enum err take_next(const struct claim_cfg *cfg, uint64_t *number)
{
    enum err err = ERR_CONFIG;
    for (int i = 0; i < TRIES && err == ERR_CONFIG; i++) {
        fence_refresh(cfg->run_folder);
        uint64_t last = claim_highest(cfg->run_folder);
        enum err may = last > 0 ? consider(cfg, last) : ERR_OK;
        if (may != ERR_OK)
            return may;
        *number = last + 1;
        err = make(cfg, *number);
    }
    return err == ERR_CONFIG
               ? err_set(ERR_AGAIN,
                         "others claim %s all the time: stop them (\"glowworm status\" says where "
                         "they are), and try again",
                         cfg->run_folder)
               : err;
}

enum err claim_take(const struct claim_cfg *cfg, struct claim **taken)
{
    enum err err = ERR_OK;
    struct claim *claim = mem_alloc(sizeof *claim);
    char *folder = file_join(cfg->run_folder, "published");
    claim->run_folder = mem_string(cfg->run_folder);
    TRY(file_make_folders(folder));
    TRY(take_next(cfg, &claim->number));
    TRY(beat_start(claim->run_folder, claim->number, cfg->beat_s, &claim->beat));
    if (claim->number > 1)
        forget_beat(claim->run_folder, claim->number - 1);
    fence_sweep(claim->run_folder, claim->number);
    *taken = claim;
    claim = NULL;
out:
    mem_free(folder);
    claim_close(&claim, CLAIM_LOST);
    return err;
}

uint64_t claim_number(const struct claim *claim)
{
    return claim->number;
}

enum err claim_check(struct claim *claim)
{
    if (beat_is_failing(claim->beat) && !claim->has_complained) {
        log_warn("other machines may take this run for dead: its sign of life, in %s/published, "
                 "cannot be written",
                 claim->run_folder);
        claim->has_complained = true;
    }
    return beat_is_lost(claim->beat)
               ? fence_check(&(struct fence){claim->run_folder, claim->number})
               : ERR_OK;
}

/* The text of an error that is under way is kept. */
static void leave_word(const struct claim *claim, enum claim_end end)
{
    char *text = mem_string(err_text());
    const struct fence fence = {claim->run_folder, claim->number};
    const char *word = end == CLAIM_PUBLISHED ? "published\n" : "ended\n";
    if (fence_check(&fence) == ERR_OK &&
        leave(claim->run_folder, claim->number, ".ended", word, FILE_REPLACE) != ERR_OK)
        log_warn("the next runner has to look whether this one lives: %s", err_text());
    err_set(ERR_OK, "%s", text);
    mem_free(text);
}

void claim_close(struct claim **closed, enum claim_end end)
{
    struct claim *claim = *closed;
    if (!claim)
        return;
    beat_stop(&claim->beat);
    if (end != CLAIM_LOST)
        leave_word(claim, end);
    mem_free(claim->run_folder);
    mem_free(claim);
    *closed = NULL;
}

enum err claim_tell_stores(const char *run_folder, uint64_t number, const char id[CLAIM_ID])
{
    return leave(run_folder, number, ".stores", id, FILE_REPLACE);
}

void claim_newest_stores(const char *run_folder, uint64_t *number, char id[CLAIM_ID])
{
    *number = 0;
    id[0] = '\0';
    for (uint64_t at = claim_highest(run_folder); at > 0 && *number == 0; at--) {
        char *path = fence_path(run_folder, at, ".stores"), *bytes = NULL;
        size_t size = 0;
        if (file_read(path, MAX_BYTES, &bytes, &size) == ERR_OK && size == CLAIM_ID - 1) {
            memcpy(id, bytes, CLAIM_ID);
            *number = at;
        }
        mem_free(bytes);
        mem_free(path);
    }
}
