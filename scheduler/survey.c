#include "scheduler/survey.h"
#include "base/file.h"
#include "base/mem.h"
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define MAX_RESULT                                                                                 \
    ((size_t)256 << 20) /* a fraction of a second's hashing: gangs wait meanwhile                  \
                         */
#define PIECE ((size_t)1 << 20)

static enum err hash_opened(int file, const char *path, struct hasher *hasher)
{
    enum err err = ERR_OK;
    char *piece = mem_alloc(PIECE);
    size_t size = 0;
    for (ssize_t got = 1; got != 0;) {
        got = read(file, piece, PIECE);
        if (got < 0 && errno != EINTR)
            TRY(err_set(ERR_IO, "cannot read %s: %s", path, strerror(errno)));
        size += got > 0 ? (size_t)got : 0;
        if (size > MAX_RESULT)
            TRY(err_set(ERR_DATA, "%s is larger than the %zu bytes of a result", path, MAX_RESULT));
        if (got > 0)
            hasher_add(hasher, piece, (size_t)got);
    }
out:
    mem_free(piece);
    return err;
}

enum err survey_hash_file(const char *run_folder, const char *path, char hex[HASH_HEX_BYTES])
{
    enum err err = ERR_OK;
    char *whole = file_join(run_folder, path);
    struct hasher hasher;
    int file = -1;
    hasher_init(&hasher);
    TRY(file_open_regular(whole, &file));
    TRY(hash_opened(file, whole, &hasher));
    struct hash hash = hasher_end(&hasher);
    hash_hex(&hash, hex);
out:
    if (file >= 0)
        close(file);
    mem_free(whole);
    return err;
}

/* A training stage's checkpoint is missed only where somebody starts from it, or where it is what
 * the campaign was run for: no training follows. Its result file is a picture of the past. */
static bool is_last_training(const struct graph *graph, int stage)
{
    for (int i = stage + 1; i < graph->count; i++)
        if (graph->stages[i].kind == STAGE_TRAIN && graph_needs(graph, i, stage))
            return false;
    return true;
}

/* A stage that goes on from its own checkpoint does not start again, but is still taught. */
static bool is_started_from(const struct survey_cfg *cfg, const struct survey *survey, int stage)
{
    for (int i = stage + 1; i < cfg->graph->count; i++) {
        enum survey_verdict verdict = survey->stages[i].verdict;
        const struct graph_stage *later = &cfg->graph->stages[i];
        bool is_start = later->start_stage == stage && verdict != SURVEY_PARTIAL;
        if (verdict != SURVEY_DONE && (is_start || later->teacher_stage == stage))
            return true;
    }
    return false;
}

/* The first line of the last error, as a reason. */
static void add_damage(const char *what, struct text *why)
{
    const char *reason = err_text();
    text_add(why, "%s is damaged: %.*s", what, (int)strcspn(reason, "\n"), reason);
}

static enum err find_lost_checkpoint(const struct survey_cfg *cfg, const struct survey *survey,
                                     int stage, struct text *why)
{
    bool is_wanted = is_last_training(cfg->graph, stage) || is_started_from(cfg, survey, stage);
    if (!is_wanted)
        return ERR_OK;
    enum err err = cfg->check(cfg->own, survey->stages[stage].record.content);
    if (err == ERR_NOT_FOUND)
        text_add(why, "its final checkpoint is no longer in the store");
    else if (err == ERR_DATA)
        add_damage("its final checkpoint", why);
    return err == ERR_NOT_FOUND || err == ERR_DATA ? ERR_OK : err;
}

/* Adds what is missing of the outputs of a done stage; nothing when they are there. */
static enum err find_loss(const struct survey_cfg *cfg, const struct survey *survey, int stage,
                          struct text *why)
{
    const struct stage_record *record = &survey->stages[stage].record;
    char hex[HASH_HEX_BYTES];
    if (cfg->graph->stages[stage].kind == STAGE_TRAIN)
        return find_lost_checkpoint(cfg, survey, stage, why);
    if (!record->results[0])
        return ERR_OK;
    if (survey_hash_file(cfg->run_folder, record->results, hex) != ERR_OK)
        text_add(why, "its result is gone");
    else if (strcmp(hex, record->results_hash) != 0)
        text_add(why, "its result was altered");
    return ERR_OK;
}

/* Why a stage that is not in the journal has to run: its own inputs differ from the last time this
 * name was asked for, or only those of a stage before it. */
static enum err explain_missing(const struct survey_cfg *cfg, int stage, struct survey_stage *mine,
                                struct text *why)
{
    enum err err = ERR_OK;
    const struct graph_stage *node = &cfg->graph->stages[stage];
    char *old_inputs = NULL;
    mine->verdict = SURVEY_NEW;
    err =
        cfg->journal ? journal_current(cfg->journal, node->name, NULL, &old_inputs) : ERR_NOT_FOUND;
    if (err == ERR_NOT_FOUND)
        return ERR_OK;
    TRY(err);
    graph_changes(old_inputs, node->inputs, why);
    if (why->size > 0)
        mine->verdict = SURVEY_CHANGED;
out:
    mem_free(old_inputs);
    return err;
}

/* The last checkpoint that counts; where that is damaged an older one will do. */
static enum err judge_begun(const struct survey_cfg *cfg, struct survey_stage *mine,
                            struct text *why)
{
    if (!mine->record.checkpoint[0])
        return ERR_OK;
    enum err err = cfg->check(cfg->own, mine->record.checkpoint);
    if (err == ERR_NOT_FOUND)
        return ERR_OK;
    if (err == ERR_DATA)
        add_damage("its newest checkpoint", why);
    else if (err != ERR_OK)
        return err;
    mine->verdict = SURVEY_PARTIAL;
    return ERR_OK;
}

static enum err judge_recorded(const struct survey_cfg *cfg, int stage, struct survey_stage *mine,
                               struct text *why)
{
    enum err err = journal_stage(cfg->journal, &cfg->graph->stages[stage].key, &mine->record);
    if (err == ERR_NOT_FOUND) /* a lease is given before anything runs: no record, never begun */
        return ERR_OK;
    if (err != ERR_OK)
        return err;
    mine->has_record = true;
    if (!mine->record.is_done)
        return judge_begun(cfg, mine, why);
    mine->verdict = SURVEY_DONE;
    return ERR_OK;
}

static enum err judge(const struct survey_cfg *cfg, struct survey *survey, int stage)
{
    enum err err = ERR_OK;
    struct survey_stage *mine = &survey->stages[stage];
    struct text why;
    text_init(&why);
    mine->verdict = SURVEY_NEW;
    if (cfg->journal)
        TRY(judge_recorded(cfg, stage, mine, &why));
    if (!mine->has_record)
        TRY(explain_missing(cfg, stage, mine, &why));
out:
    mine->why = mem_string(text_get(&why));
    text_fini(&why);
    return err;
}

static enum err judge_loss(const struct survey_cfg *cfg, struct survey *survey, int stage)
{
    enum err err = ERR_OK;
    struct survey_stage *mine = &survey->stages[stage];
    struct text why;
    text_init(&why);
    TRY(find_loss(cfg, survey, stage, &why));
    if (why.size > 0) {
        mine->verdict = SURVEY_LOST;
        mem_free(mine->why);
        mine->why = mem_string(text_get(&why));
    }
out:
    text_fini(&why);
    return err;
}

/* Backwards: a lost output makes its stage run again, which may need the one before it. */
static enum err find_losses(const struct survey_cfg *cfg, struct survey *survey)
{
    enum err err = ERR_OK;
    for (int i = cfg->graph->count - 1; i >= 0; i--)
        if (survey->stages[i].verdict == SURVEY_DONE)
            TRY(judge_loss(cfg, survey, i));
out:
    return err;
}

static void set_behind(struct survey_stage *stage, enum survey_verdict verdict, const char *before)
{
    struct text why;
    text_init(&why);
    text_add(&why, "%s runs again", before);
    mem_free(stage->why);
    stage->why = mem_string(text_get(&why));
    stage->verdict = verdict;
    text_fini(&why);
}

/* New stages behind one that changed are not new to the person: say which stage they follow. */
static void find_followers(const struct survey_cfg *cfg, struct survey *survey)
{
    for (int i = 0; i < cfg->graph->count; i++) {
        const struct graph_stage *node = &cfg->graph->stages[i];
        struct survey_stage *mine = &survey->stages[i];
        for (int j = 0; mine->verdict == SURVEY_NEW && j < node->dependency_count; j++) {
            enum survey_verdict before = survey->stages[node->dependencies[j]].verdict;
            if (before != SURVEY_CHANGED && before != SURVEY_FOLLOWS)
                continue;
            set_behind(mine, SURVEY_FOLLOWS, cfg->graph->stages[node->dependencies[j]].name);
        }
    }
}

/* A check lies in the bundle that it is of, and what tells of a check waited for it, not for it to
 * pass: neither is whole where the other runs again. */
static bool is_outdated_by(const struct graph *graph, int stage, int before)
{
    return stage_is_verdict(graph->stages[stage].kind) ||
           stage_is_verdict(graph->stages[before].kind);
}

static void find_outdated(const struct survey_cfg *cfg, struct survey *survey)
{
    for (int i = 0; i < cfg->graph->count; i++) {
        const struct graph_stage *node = &cfg->graph->stages[i];
        struct survey_stage *mine = &survey->stages[i];
        for (int j = 0; mine->verdict == SURVEY_DONE && j < node->dependency_count; j++) {
            int before = node->dependencies[j];
            if (survey->stages[before].verdict == SURVEY_DONE ||
                !is_outdated_by(cfg->graph, i, before))
                continue;
            set_behind(mine, SURVEY_LOST, cfg->graph->stages[before].name);
        }
    }
}

enum err survey_take(const struct survey_cfg *cfg, struct survey *survey)
{
    enum err err = ERR_OK;
    memset(survey, 0, sizeof *survey);
    for (int i = 0; i < cfg->graph->count; i++) {
        TRY(judge(cfg, survey, i));
        survey->count++;
    }
    TRY(find_losses(cfg, survey));
    find_outdated(cfg, survey);
    find_followers(cfg, survey);
    for (int i = 0; i < survey->count; i++)
        survey->to_do += survey->stages[i].verdict != SURVEY_DONE;
out:
    if (err != ERR_OK)
        survey_fini(survey);
    return err;
}

void survey_fini(struct survey *survey)
{
    for (int i = 0; i < PLAN_MAX_STAGES; i++) {
        stage_record_fini(&survey->stages[i].record);
        mem_free(survey->stages[i].why);
    }
    memset(survey, 0, sizeof *survey);
}
