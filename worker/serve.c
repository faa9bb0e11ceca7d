#include "worker/serve.h"
#include "base/clock.h"
#include "base/fence.h"
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/version/version.h"
#include "scheduler/protocol.h"
#include "trainer/evaluate/exchange_memory.h"
#include "trainer/stage.h"
#include "worker/intake.h"
#include "worker/link_exchange.h"
#include "worker/pulse.h"
#include "worker/wait_together.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SAY_EVERY_S 5.0 /* a line of progress in the log */

struct server { /* who listens while a stage runs */
    const struct serve_cfg *cfg;
    struct link *link;         /* rank 0 with a scheduler; otherwise NULL */
    struct exchange *exchange; /* rank 0 */
    double said_at;
};

static bool wants_stop(void *own)
{
    const struct server *server = own;
    return *server->cfg->signals > 0 || (server->link && link_stop_requested(server->link));
}

static void say_progress(struct server *server, const struct progress *progress)
{
    double now = clock_seconds();
    if (now - server->said_at < SAY_EVERY_S)
        return;
    server->said_at = now;
    log_info("%s step=%llu of=%llu epoch=%.2f loss=%.4f accuracy=%.4f images_per_s=%.0f",
             progress->doing, (unsigned long long)progress->step,
             (unsigned long long)progress->steps, progress->epoch, progress->loss,
             progress->accuracy, progress->images_per_second);
}

static void take_progress(void *own, const struct progress *progress)
{
    struct server *server = own;
    say_progress(server, progress);
    if (!server->link)
        return;
    struct link_progress note = {.step = progress->step,
                                 .steps = progress->steps,
                                 .reused = progress->reused,
                                 .epoch = progress->epoch,
                                 .images_per_second = progress->images_per_second,
                                 .loss = progress->loss,
                                 .accuracy = progress->accuracy,
                                 .doing = progress->doing};
    link_progress(server->link, &note);
}

static void take_saved(void *own, uint64_t step, const struct hash *content)
{
    struct server *server = own;
    if (server->link)
        link_checkpoint(server->link, step, content);
}

static void take_warning(void *own, const char *text)
{
    struct server *server = own;
    if (server->link)
        link_warning(server->link, text);
}

/* What one stage needs to begin, from whoever asked for it. */
struct order {
    struct campaign *campaign;
    const char *folder, *stage;
    const char *key; /* the scheduler's; NULL: not given */
    struct stage_start start;
    int64_t lease_epoch;
    bool is_helper;     /* of another gang that has the stage */
    const char *stores; /* where checkpoints lie; NULL: in the folder */
};

/* Both sides computed the key from the same campaign; what it names (space, device files, data set)
 * is read again at every stage of a run that takes days. */
static enum err check_key(const struct workbench *bench, const struct order *order)
{
    char hex[HASH_HEX_BYTES];
    int stage = blueprint_find_stage(&bench->blueprint, order->stage);
    if (bench->comm->rank != 0 || !order->key || order->key[0] == '\0' || stage < 0)
        return ERR_OK;
    hash_hex(&bench->provenance.keys[stage], hex);
    if (strcmp(hex, order->key) == 0)
        return ERR_OK;
    return err_set(ERR_CONFIG,
                   "stage %s is %s here and %s for the scheduler: has the space, a device file or "
                   "the data set been edited since the run began, or the program been built "
                   "again? Start the run again",
                   order->stage, hex, order->key);
}

static enum err run_order(struct server *server, const struct order *order,
                          struct stage_result *result)
{
    enum err err = ERR_OK;
    struct workbench *bench = NULL;
    struct observer observer = {.own = server,
                                .work = server->cfg->work,
                                .wants_stop = wants_stop,
                                .progress = take_progress,
                                .saved = take_saved,
                                .warning = take_warning};
    struct workbench_cfg cfg = {.campaign = order->campaign,
                                .folder = order->folder,
                                .stores = order->stores,
                                .stages_images = getenv(PROTOCOL_STORES) != NULL,
                                .claim = fence_given_claim(),
                                .comm = server->cfg->comm,
                                .observer = &observer,
                                .version = version_text(),
                                .lease_epoch = order->lease_epoch,
                                .exchange = server->exchange,
                                .stage = order->stage,
                                .only_reads = order->is_helper};
    *result = (struct stage_result){0};
    TRY(workbench_open(&cfg, &bench));
    TRY(comm_agree(bench->comm, check_key(bench, order)));
    TRY(order->is_helper ? stage_help(bench, order->stage)
                         : stage_run(bench, order->stage, &order->start, result));
out:
    workbench_close(&bench);
    return err;
}

struct last_word { /* rank 0's to the scheduler, of one stage */
    const struct server *server;
    enum err err;
    const char *text;
    const struct stage_result *result;
};

/* An answer that cannot be given is the worse error. */
static enum err say_failed(const struct last_word *word)
{
    struct link *link = word->server->link;
    enum err sent = link_failed(link, word->err, word->text, word->result->step);
    err_set(word->err, "%s%s", word->text,
            sent == ERR_OK ? "" : " (and the scheduler did not hear of it)");
    return link_is_lost(link) ? ERR_PEER : word->err;
}

/* What was measured counts before it does. */
static enum err say_last_word(void *own)
{
    const struct last_word *word = own;
    const struct stage_result *result = word->result;
    link_finish_measuring(word->server->link);
    if (word->err != ERR_OK)
        return say_failed(word);
    return link_done(word->server->link, result->has_content ? &result->content : NULL,
                     result->results);
}

/* Collective: until the scheduler's disk has room for it, which may take days. A gang that has come
 * apart cannot meet; rank 0 says so. */
static enum err answer(const struct server *server, bool is_heard, enum err err,
                       const struct stage_result *result)
{
    char text[1024] = "";
    struct last_word word = {.server = server, .err = err, .text = text, .result = result};
    bool has_word = server->link && is_heard;
    if (err != ERR_OK)
        snprintf(text, sizeof text, "%s", err_text());
    if (err == ERR_PEER)
        return has_word ? say_last_word(&word) : err;
    enum err said = wait_together(server->cfg->comm, has_word ? say_last_word : NULL, &word);
    return has_word || said != ERR_OK ? said : err;
}

/* Standing still so long is not ours. */
static enum err answer_waiting(const struct server *server, bool is_heard, enum err err,
                               const struct stage_result *result)
{
    struct rank_work *work = server->cfg->work;
    if (work)
        atomic_store(&work->is_waiting, true);
    err = answer(server, is_heard, err, result);
    if (work)
        atomic_store(&work->is_waiting, false);
    return err;
}

/* A helper's stage ends when it is sent away: it may have another one by now. */
static enum err end_help(struct server *server, enum err err)
{
    struct comm *comm = server->cfg->comm;
    bool is_over = server->link && err == ERR_INTERRUPTED && link_is_sent_away(server->link);
    enum err told = comm->broadcast(comm, &is_over, sizeof is_over);
    if (told != ERR_OK)
        return told;
    return is_over ? ERR_OK : err;
}

static enum err serve_assignment(struct server *server, const struct assignment *assignment)
{
    enum err err = ERR_OK;
    struct stage_result result = {0};
    char *published = file_join(assignment->run_folder, assignment->published);
    struct order order = {
        .campaign = mem_alloc(sizeof *order.campaign),
        .folder = assignment->run_folder,
        .stage = assignment->stage,
        .key = assignment->stage_key,
        .start = {.content = assignment->start, .is_resume = assignment->is_resume},
        .lease_epoch = (int64_t)assignment->lease_epoch,
        .is_helper = assignment->is_helper,
        .stores = assignment->published[0] ? published : getenv(PROTOCOL_STORES)};
    char context[64];
    snprintf(context, sizeof context, "stage=%.40s", assignment->stage);
    log_context(context);
    if (assignment->published[0])
        log_info("reads=%s", published);
    err = campaign_load(assignment->campaign, NULL, 0, order.campaign);
    err = comm_agree(server->cfg->comm, err);
    if (err == ERR_OK)
        err = run_order(server, &order, &result);
    if (order.is_helper && err != ERR_PEER)
        err = end_help(server, err);
    err = answer_waiting(server, !order.is_helper || err != ERR_OK, err, &result);
    log_context("");
    mem_free(published);
    mem_free(order.campaign);
    return err == ERR_PEER ? err : comm_agree(server->cfg->comm, err);
}

enum err serve_scheduler(const struct serve_cfg *cfg, const struct link_cfg *link_cfg)
{
    enum err err = ERR_OK;
    struct server server = {.cfg = cfg};
    struct exchange exchange;
    struct pulse *pulse = NULL;
    const struct pulse_cfg alive = {.endpoint = link_cfg->endpoint,
                                    .curve = link_cfg->curve,
                                    .token = link_cfg->token,
                                    .lease_epoch = link_cfg->lease_epoch,
                                    .rank = cfg->comm->rank,
                                    .work = cfg->work};
    struct assignment assignment;
    struct link_cfg hello = *link_cfg;
    hello.ranks = cfg->comm->size;
    hello.version = version_text();
    hello.work = cfg->work;
    err = cfg->comm->rank == 0 ? link_open(&hello, &server.link) : pulse_open(&alive, &pulse);
    TRY(comm_agree(cfg->comm, err));
    if (server.link) {
        exchange = link_exchange(server.link);
        server.exchange = &exchange;
    }
    for (;;) {
        err = intake_take(cfg->comm, server.link, &assignment);
        if (err == ERR_INTERRUPTED) { /* told to end */
            err = ERR_OK;
            break;
        }
        TRY(err);
        TRY(serve_assignment(&server, &assignment));
    }
out:
    link_close(&server.link);
    pulse_close(&pulse);
    return err;
}

static void print_result(const char *stage, const struct stage_result *result)
{
    char hex[HASH_HEX_BYTES] = "";
    if (result->has_content)
        hash_hex(&result->content, hex);
    printf("stage=%s step=%llu content=%s results=%s\n", stage, (unsigned long long)result->step,
           result->has_content ? hex : "-", result->results);
}

/* As `glowworm run` does: the resolved campaign is part of the run's folder. */
static enum err keep_campaign(const struct campaign *campaign, const char *folder)
{
    enum err err = ERR_OK;
    struct text text;
    char *path = file_join(folder, "campaign.yaml");
    text_init(&text);
    campaign_write(campaign, &text);
    TRY(file_make_private(folder));
    TRY(file_write(path, text_get(&text), text.size));
out:
    text_fini(&text);
    mem_free(path);
    return err;
}

enum err serve_request(const struct serve_cfg *cfg, const struct serve_request *request)
{
    enum err err = ERR_OK;
    struct server server = {.cfg = cfg};
    struct stage_result result = {0};
    struct exchange *memory = exchange_memory_create(); /* serves the stages behind each other */
    struct campaign *campaign = mem_alloc(sizeof *campaign);
    char *stages = mem_string(request->stages), *rest = stages;
    err = campaign_load(request->campaign, request->overrides, request->override_count, campaign);
    struct order order = {.campaign = campaign,
                          .folder = request->folder ? request->folder : campaign->run_folder,
                          .stores = getenv(PROTOCOL_STORES)};
    if (err == ERR_OK && cfg->comm->rank == 0)
        err = keep_campaign(campaign, order.folder);
    TRY(comm_agree(cfg->comm, err));
    server.exchange = cfg->comm->rank == 0 ? memory : NULL;
    while ((order.stage = strsep(&rest, ","))) {
        TRY(run_order(&server, &order, &result));
        if (cfg->comm->rank == 0)
            print_result(order.stage, &result);
    }
out:
    exchange_memory_destroy(&memory);
    mem_free(stages);
    mem_free(campaign);
    return err;
}
