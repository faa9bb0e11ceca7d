/* What runners of this run that died have left running, found by the journal and cleared away, but
 * for what may be adopted. */
#include "base/file.h"
#include "base/mem.h"
#include "scheduler/loop_internal.h"
#include "scheduler/socket_folder.h"
#include "scheduler/sweep.h"
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define TELL_AFTER_S 2.0 /* what is killed is usually gone in less */
#define TELL_EVERY_S 60.0

/* The attempts are collected first: leases are ended in transactions of their own. */
struct leftovers {
    int count;
    struct attempt_record *records;
};

static enum err collect(const struct attempt_record *record, void *own)
{
    struct leftovers *list = own;
    size_t bytes = (size_t)list->count * sizeof *record;
    list->records = mem_grow(list->records, bytes, bytes + sizeof *record);
    list->records[list->count++] = *record;
    return ERR_OK;
}

void leftover_endpoint(const char *socket_folder, char *endpoint, int room)
{
    snprintf(endpoint, (size_t)room, "ipc://%s/" SOCKET_NAME, socket_folder);
}

void leftover_mark(const char *socket_folder, char *mark, int room)
{
    char endpoint[JOURNAL_PATH + 16];
    leftover_endpoint(socket_folder, endpoint, sizeof endpoint);
    launch_mark(endpoint, mark, room);
}

/* People see what a start waits for. */
static void tell_waiting(const char *mark, const struct process_sessions *spared)
{
    char list[256];
    int count = process_list_marked(mark, spared, list, sizeof list);
    if (count > 0)
        log_warn("waiting for the end of %d processes of an earlier runner: %s; killed, they end "
                 "when what they wait for (a disk?) answers",
                 count, list);
}

/* Until none is born and the last has gone: one that waits for its disk still holds the
 * checkpoints, and an attempt beside it would fail. *most: how many there were. */
static enum err kill_gang(const char *socket_folder, const struct process_sessions *spared,
                          const volatile sig_atomic_t *stop_asked, int *most)
{
    char mark[JOURNAL_PATH + 64];
    double told_s = clock_seconds() + TELL_AFTER_S - TELL_EVERY_S;
    *most = 0;
    leftover_mark(socket_folder, mark, sizeof mark);
    for (int now; (now = process_kill_marked(mark, spared)) > 0;) {
        *most = now > *most ? now : *most; /* one that dies is counted again in the next round */
        if (stop_asked && *stop_asked > 0)
            return err_set(ERR_INTERRUPTED, "stopped while processes of an earlier runner end");
        if (clock_seconds() - told_s > TELL_EVERY_S) {
            tell_waiting(mark, spared);
            told_s = clock_seconds();
        }
        loop_nap();
    }
    return ERR_OK;
}

bool leftover_is_here(const struct attempt_record *record)
{
    char place[JOURNAL_PATH];
    process_place(place, sizeof place);
    return record->socket_folder[0] && process_place_is_same(place, record->host);
}

/* The attempt's gang and socket, unless its runner lives: then this journal is a copy of its. */
static enum err clear_machine(const struct attempt_record *record, const struct left_gangs *left,
                              const volatile sig_atomic_t *stop_asked, int *killed)
{
    enum err err = ERR_OK;
    int count = 0;
    const struct process_sessions spared = {left->processes, left->count};
    bool is_used =
        left->count > 0 && strcmp(record->socket_folder, left->rendezvous.socket_folder) == 0;
    if (!leftover_is_here(record))
        return ERR_OK;
    if (socket_folder_check(record->socket_folder) != ERR_OK) {
        log_warn("stage %s: the journal names a folder that no runner made: %s", record->name,
                 err_text());
        return ERR_OK;
    }
    int lock = socket_folder_share(record->socket_folder);
    if (lock < 0 && errno == EWOULDBLOCK) {
        log_warn("stage %s is being run from another folder, of which this is a copy",
                 record->name);
        return ERR_OK;
    }
    TRY(kill_gang(record->socket_folder, &spared, stop_asked, &count));
    *killed += count;
    if (!is_used && socket_folder_remove(record->socket_folder) != ERR_OK)
        log_warn("the socket of a runner that died is left behind: %s", err_text());
out:
    if (lock >= 0)
        close(lock);
    return err;
}

static enum err clear(struct journal *journal, const struct attempt_record *record)
{
    struct lease lease = {
        .key = record->key, .epoch = record->lease_epoch, .is_helper = record->is_helper};
    memcpy(lease.name, record->name, sizeof lease.name);
    struct stage_outcome outcome = {.error = ERR_PEER,
                                    .cause = CAUSE_RUNNER,
                                    .text = "its runner ended without a word",
                                    .content = "",
                                    .results = "",
                                    .results_hash = "",
                                    .step = record->last_step};
    return journal_end(journal, &lease, &outcome);
}

/* The newest attempt of every stage too: its lease may have ended before the last of its
 * processes. */
static enum err collect_newest(const struct attempt_record *record, void *own)
{
    struct leftovers *newest = own;
    for (int i = 0; i < newest->count; i++)
        if (strcmp(newest->records[i].name, record->name) == 0 &&
            newest->records[i].is_helper == record->is_helper) {
            newest->records[i] = *record;
            return ERR_OK;
        }
    return collect(record, own);
}

static enum err list_leftovers(struct journal *journal, struct leftovers *list)
{
    enum err err = ERR_OK;
    struct leftovers newest = {0};
    TRY(journal_unended(journal, collect, list));
    TRY(journal_attempts(journal, collect_newest, &newest));
    for (int i = 0; i < newest.count; i++)
        TRY(collect(&newest.records[i], list));
out:
    mem_free(newest.records);
    return err;
}

/* Attempts of one runner share its socket: a look at all processes is enough for them. */
static bool is_cleared(const struct leftovers *list, int at)
{
    const struct attempt_record *records = list->records;
    for (int i = 0; i < at; i++)
        if (strcmp(records[i].socket_folder, records[at].socket_folder) == 0 &&
            strcmp(records[i].host, records[at].host) == 0)
            return true;
    return false;
}

/* An attempt may be unended and its stage's newest. */
static bool is_listed_before(const struct leftovers *list, int at)
{
    for (int i = 0; i < at; i++)
        if (list->records[i].lease_epoch == list->records[at].lease_epoch)
            return true;
    return false;
}

static enum err consider_all(const struct loop_cfg *cfg, const struct leftovers *list,
                             struct left_gangs *left)
{
    enum err err = ERR_OK;
    for (int i = 0; cfg->graph && i < list->count; i++)
        if (!is_listed_before(list, i))
            TRY(adopt_consider(cfg, &list->records[i], left));
out:
    return err;
}

static enum err clear_all(const struct loop_cfg *cfg, const struct leftovers *list,
                          const struct left_gangs *left, int *killed)
{
    enum err err = ERR_OK;
    for (int i = 0; i < list->count; i++) {
        if (!is_cleared(list, i))
            TRY(clear_machine(&list->records[i], left, cfg->stop_asked, killed));
        if (left_gangs_have(left, list->records[i].lease_epoch))
            continue;
        err = clear(cfg->journal, &list->records[i]);
        if (err == ERR_PEER) /* a newer lease speaks for the stage already */
            err = ERR_OK;
        TRY(err);
    }
out:
    return err;
}

enum err leftovers_clear(const struct loop_cfg *cfg, struct left_gangs *left, int *count)
{
    enum err err = ERR_OK;
    struct leftovers list = {0};
    *left = (struct left_gangs){.count = 0};
    *count = 0;
    TRY(list_leftovers(cfg->journal, &list));
    TRY(consider_all(cfg, &list, left));
    TRY(clear_all(cfg, &list, left, count));
    if (*count > 0)
        log_warn("an earlier runner of this run died; %d processes it left were ended", *count);
    (void)sweep_leftovers();
    if (cfg->run_folder)
        file_remove_parts(cfg->run_folder); /* the runner's, and host stages' */
out:
    mem_free(list.records);
    return err;
}

enum err loop_clear_leftovers(const struct loop_cfg *cfg, int *count)
{
    struct left_gangs *left = mem_alloc(sizeof *left);
    enum err err = leftovers_clear(cfg, left, count);
    mem_free(left);
    return err;
}
