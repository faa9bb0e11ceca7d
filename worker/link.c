/* The trainer's side of the link: leaves notes under a lock that is never held across a call that
 * waits, and reads flags. */
#include "worker/link.h"
#include "base/clock.h"
#include "base/mem.h"
#include "base/text.h"
#include "worker/address.h"
#include "worker/link_internal.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#define DEFAULT_GRACE_S 60.0
#define WAIT_MS         100 /* between two looks at what is not under the lock */

enum err link_from_environment(struct link_cfg *cfg, struct address *address)
{
    const char *endpoint = getenv(PROTOCOL_ENDPOINT), *token = getenv(PROTOCOL_TOKEN);
    const char *lease = getenv(PROTOCOL_LEASE);
    char *end = NULL;
    if (!endpoint || !token || !lease)
        return err_set(ERR_USAGE,
                       "%s, %s and %s are not set: a worker is started by "
                       "\"glowworm run\", not by hand",
                       PROTOCOL_ENDPOINT, PROTOCOL_TOKEN, PROTOCOL_LEASE);
    errno = 0;
    unsigned long long epoch = strtoull(lease, &end, 10);
    if (errno != 0 || end == lease || *end != '\0')
        return err_set(ERR_USAGE, "%s=%s is not a number", PROTOCOL_LEASE, lease);
    cfg->token = token;
    cfg->lease_epoch = epoch;
    enum err err = address_find(endpoint, address);
    cfg->endpoint = address->endpoint;
    cfg->curve = address->curve;
    return err;
}

void link_wake(struct link *link)
{
    uint64_t one = 1;
    ssize_t written = write(link->wake_fd, &one, sizeof one);
    (void)written; /* full means that it is readable already */
}

/* Under the lock. A full queue forgets its oldest checkpoint: the newer ones say more. */
static struct note *add_note(struct link *link, enum note_kind kind)
{
    if (link->note_count == LINK_MAX_NOTES) {
        int victim = 0;
        while (victim < LINK_MAX_NOTES - 1 && link->notes[victim].kind != NOTE_CHECKPOINT)
            victim++;
        memmove(&link->notes[victim], &link->notes[victim + 1],
                (size_t)(LINK_MAX_NOTES - 1 - victim) * sizeof link->notes[0]);
        link->note_count--;
    }
    struct note *note = &link->notes[link->note_count++];
    memset(note, 0, sizeof *note);
    note->kind = kind;
    note->sequence = ++link->last_sequence;
    note->lease_epoch = link->taken.lease_epoch;
    memcpy(note->stage, link->taken.stage, sizeof note->stage);
    return note;
}

static void init_condition(pthread_cond_t *condition)
{
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(condition, &attributes);
    pthread_condattr_destroy(&attributes);
}

static struct link *make_link(const struct link_cfg *cfg)
{
    struct link *link = mem_alloc(sizeof *link);
    pthread_mutex_init(&link->lock, NULL);
    init_condition(&link->changed);
    link->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    link->silence_s = cfg->silence_s > 0 ? cfg->silence_s : PROTOCOL_SILENCE_S;
    link->grace_s = cfg->grace_s > 0 ? cfg->grace_s : DEFAULT_GRACE_S;
    link->lease_epoch = link->taken.lease_epoch = cfg->lease_epoch;
    link->ranks = cfg->ranks;
    link->work = cfg->work;
    gethostname(link->host, sizeof link->host - 1);
    snprintf(link->token, sizeof link->token, "%s", cfg->token);
    snprintf(link->version, sizeof link->version, "%s", cfg->version ? cfg->version : "");
    snprintf(link->lineage, sizeof link->lineage, "%s", cfg->lineage ? cfg->lineage : "");
    return link;
}

enum err link_open(const struct link_cfg *cfg, struct link **link)
{
    enum err err = ERR_OK;
    struct link *made = make_link(cfg);
    if (made->wake_fd < 0)
        TRY(err_set(ERR_IO, "eventfd: %s", strerror(errno)));
    struct wire_cfg wire = {.role = WIRE_CLIENT,
                            .endpoint = cfg->endpoint,
                            .format = PROTOCOL_FORMAT,
                            .max_payload_bytes = PROTOCOL_MAX_BYTES,
                            .linger_ms = 500,
                            .wake_fd = made->wake_fd,
                            .curve = cfg->curve};
    TRY(wire_open(&wire, &made->wire));
    add_note(made, NOTE_HELLO);
    if (pthread_create(&made->thread, NULL, link_talk, made) != 0)
        TRY(err_set(ERR_UNAVAILABLE, "no thread for the link to the scheduler"));
    made->has_thread = true;
    *link = made;
    made = NULL;
out:
    link_close(&made);
    return err;
}

void link_close(struct link **link)
{
    struct link *closing = *link;
    if (!closing)
        return;
    if (closing->has_thread) {
        atomic_store(&closing->is_closing, true);
        link_wake(closing);
        pthread_join(closing->thread, NULL);
    }
    wire_close(&closing->wire);
    link_end_measuring(&closing->measuring);
    if (closing->wake_fd >= 0)
        close(closing->wake_fd);
    pthread_cond_destroy(&closing->changed);
    pthread_mutex_destroy(&closing->lock);
    mem_free(closing);
    *link = NULL;
}

void link_wait(struct link *link, int timeout_ms)
{
    struct timespec end;
    clock_gettime(CLOCK_MONOTONIC, &end);
    end.tv_nsec += timeout_ms * 1000L * 1000L;
    if (end.tv_nsec >= 1000 * 1000 * 1000) {
        end.tv_sec++;
        end.tv_nsec -= 1000 * 1000 * 1000;
    }
    pthread_cond_timedwait(&link->changed, &link->lock, &end);
}

static enum err lost(void)
{
    return err_set(ERR_PEER, "the scheduler is silent; the run's command has probably ended: start "
                             "it again and it continues");
}

static enum err sent_away(void)
{
    return err_set(ERR_INTERRUPTED, "the scheduler has no more work for this gang");
}

/* Under the lock. Figures that were not sent are of the stage before. */
static void take(struct link *link)
{
    link->taken.lease_epoch = link->assignment.lease_epoch;
    memcpy(link->taken.stage, link->assignment.stage, sizeof link->taken.stage);
    link->has_assignment = link->has_progress = false;
    link_begin_measuring(&link->measuring);
    atomic_store(&link->is_void, false);
}

enum err link_take(struct link *link, struct assignment *assignment)
{
    enum err err = ERR_OK;
    pthread_mutex_lock(&link->lock);
    while (!link->has_assignment && !link_is_void(link, link->lease_epoch) &&
           !atomic_load(&link->stop_requested))
        link_wait(link, WAIT_MS);
    if (link->has_assignment) {
        *assignment = link->assignment;
        take(link);
    } else if (atomic_load(&link->is_lost)) {
        err = lost();
    } else {
        err = sent_away();
    }
    pthread_mutex_unlock(&link->lock);
    return err;
}

void link_progress(struct link *link, const struct link_progress *progress)
{
    pthread_mutex_lock(&link->lock);
    link->progress = *progress;
    snprintf(link->doing, sizeof link->doing, "%s", progress->doing ? progress->doing : "");
    link->progress.doing = link->doing;
    link->has_progress = true;
    pthread_mutex_unlock(&link->lock);
    link_wake(link);
}

void link_checkpoint(struct link *link, uint64_t step, const struct hash *content)
{
    pthread_mutex_lock(&link->lock);
    struct note *note = add_note(link, NOTE_CHECKPOINT);
    note->step = step;
    hash_hex(content, note->content);
    pthread_mutex_unlock(&link->lock);
    link_wake(link);
}

void link_warning(struct link *link, const char *text)
{
    pthread_mutex_lock(&link->lock);
    struct note *note = add_note(link, NOTE_WARNING);
    snprintf(note->text, sizeof note->text, "%s", text);
    pthread_mutex_unlock(&link->lock);
    link_wake(link);
}

/* Under the lock. */
static bool is_pending(const struct link *link, uint64_t sequence)
{
    for (int i = 0; i < link->note_count; i++)
        if (link->notes[i].sequence == sequence)
            return true;
    return false;
}

static enum err wait_for_answer(struct link *link, uint64_t sequence)
{
    bool is_void = false;
    while (is_pending(link, sequence) && !is_void && !atomic_load(&link->is_lost)) {
        link_wait(link, WAIT_MS);
        is_void = link_is_void(link, link->taken.lease_epoch);
    }
    if (!is_pending(link, sequence))
        return ERR_OK;
    return is_void ? sent_away() : lost();
}

enum err link_done(struct link *link, const struct hash *content, const char *results)
{
    link_wake(link);
    pthread_mutex_lock(&link->lock);
    struct note *note = add_note(link, NOTE_DONE);
    if (content)
        hash_hex(content, note->content);
    snprintf(note->text, sizeof note->text, "%s", results ? results : "");
    link_wake(link);
    enum err err = wait_for_answer(link, note->sequence);
    pthread_mutex_unlock(&link->lock);
    return err;
}

enum err link_failed(struct link *link, enum err code, const char *text, uint64_t step)
{
    pthread_mutex_lock(&link->lock);
    struct note *note = add_note(link, NOTE_FAILED);
    note->code = code;
    note->step = step;
    snprintf(note->text, sizeof note->text, "%s", text);
    link_wake(link);
    enum err err = wait_for_answer(link, note->sequence);
    pthread_mutex_unlock(&link->lock);
    return err;
}

bool link_stop_requested(const struct link *link)
{
    return atomic_load(&link->stop_requested) || atomic_load(&link->is_void);
}

bool link_is_sent_away(const struct link *link)
{
    return atomic_load(&link->is_void);
}

bool link_is_lost(const struct link *link)
{
    return atomic_load(&link->is_lost);
}
