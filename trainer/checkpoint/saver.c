#include "trainer/checkpoint/saver.h"
#include "base/log.h"
#include "base/mem.h"
#include "trainer/checkpoint/host_copy.h"
#include "trainer/checkpoint/measurement_record.h"
#include "trainer/checkpoint/write.h"
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

enum saver_state { SAVER_IDLE, SAVER_PREPARING, SAVER_WRITING, SAVER_QUIT };

struct saver {
    struct store *store;
    int keep;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    /* Under the lock: */
    enum saver_state state;
    struct checkpoint_saved saved;
    enum err failure; /* of the last save, until somebody was told */
    char failure_text[512];
    struct measurement_record unsaved[MEASUREMENT_BATCH]; /* the saver takes them from the front */
    int unsaved_count;
    bool keeps_nothing; /* a measurement could not be written, and it was said */
    /* Of the asking thread while idle, of the saver while it works: */
    struct host_copy copy;
    struct checkpoint_arrange arrange; /* zeroed: nothing to arrange */
    size_t prepare_bytes;
    uint64_t serial;
};

/* Under the lock. The failure's text is this thread's: carry it over. */
static void finish(struct saver *saver, enum err err)
{
    if (err != ERR_OK) {
        saver->failure = err;
        snprintf(saver->failure_text, sizeof saver->failure_text, "%s", err_text());
    }
    saver->state = SAVER_IDLE;
    pthread_cond_broadcast(&saver->changed);
}

static enum err arrange_and_write(struct saver *saver, struct checkpoint_saved *saved)
{
    enum err err = ERR_OK;
    const struct checkpoint_arrange *arrange = &saver->arrange;
    const struct position *position = &saver->copy.checkpoint.position;
    struct write_order order = {.store = saver->store,
                                .checkpoint = &saver->copy.checkpoint,
                                .serial = saver->serial++,
                                .keep = saver->keep};
    if (arrange->arrange)
        TRY(host_copy_arrange(&saver->copy, arrange));
    if (arrange->settle)
        TRY(arrange->settle(arrange->own));
    TRY(checkpoint_write(&order, saved));
out:
    if (err != ERR_OK)
        err_prefix(err, "stage %s, step %llu", position->stage, (unsigned long long)position->step);
    return err;
}

static void write_copy(struct saver *saver)
{
    struct checkpoint_saved saved = {0};
    enum err err = arrange_and_write(saver, &saved);
    pthread_mutex_lock(&saver->lock);
    if (err == ERR_OK) {
        saved.count = saver->saved.count + 1;
        saver->saved = saved;
    }
    finish(saver, err);
    pthread_mutex_unlock(&saver->lock);
}

static void prepare_copy(struct saver *saver)
{
    enum err err = host_copy_prepare(&saver->copy, saver->prepare_bytes);
    pthread_mutex_lock(&saver->lock);
    finish(saver, err);
    pthread_mutex_unlock(&saver->lock);
}

/* All that has gathered, in one transaction: a commit costs more than the records in it. What is
 * added meanwhile goes behind; nobody but the saver moves those in front. */
static void write_measurements(struct saver *saver)
{
    struct measurement_record *unsaved = saver->unsaved;
    pthread_mutex_lock(&saver->lock);
    int count = saver->unsaved_count;
    pthread_mutex_unlock(&saver->lock);
    if (count == 0)
        return;
    enum err err = measurement_records_write(saver->store, unsaved, count);
    if (err != ERR_OK)
        log_warn("measurements are no longer kept: %s", err_text());
    pthread_mutex_lock(&saver->lock);
    for (int i = 0; i < count; i++)
        measurement_record_fini(&unsaved[i]);
    saver->unsaved_count -= count;
    memmove(unsaved, unsaved + count, (size_t)saver->unsaved_count * sizeof *unsaved);
    saver->keeps_nothing |= err != ERR_OK;
    pthread_cond_broadcast(&saver->changed);
    pthread_mutex_unlock(&saver->lock);
}

static enum saver_state wait_for_work(struct saver *saver)
{
    pthread_mutex_lock(&saver->lock);
    while (saver->state == SAVER_IDLE && saver->unsaved_count == 0)
        pthread_cond_wait(&saver->changed, &saver->lock);
    enum saver_state state = saver->state;
    pthread_mutex_unlock(&saver->lock);
    return state;
}

static void *saver_run(void *argument)
{
    struct saver *saver = argument;
    for (;;) {
        enum saver_state state = wait_for_work(saver);
        write_measurements(saver); /* before the end too */
        switch (state) {
        case SAVER_IDLE:
            break;
        case SAVER_PREPARING:
            prepare_copy(saver);
            break;
        case SAVER_WRITING:
            write_copy(saver);
            break;
        default:
            return NULL;
        }
    }
}

/* Signals are for the threads that know what to do at a step's end. */
static int start_thread(struct saver *saver)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, &before);
    int code = pthread_create(&saver->thread, NULL, saver_run, saver);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return code;
}

enum err saver_create(struct store *store, uint64_t serial, int keep, struct saver **created)
{
    struct saver *saver = mem_alloc(sizeof *saver);
    saver->store = store;
    saver->serial = serial;
    saver->keep = keep;
    pthread_mutex_init(&saver->lock, NULL);
    pthread_cond_init(&saver->changed, NULL);
    int code = start_thread(saver);
    if (code != 0) {
        mem_free(saver);
        return err_set(ERR_MEMORY, "cannot start the thread that saves checkpoints: %s",
                       strerror(code));
    }
    *created = saver;
    return ERR_OK;
}

/* Under the lock. */
static void wait_until_idle(struct saver *saver)
{
    while (saver->state != SAVER_IDLE)
        pthread_cond_wait(&saver->changed, &saver->lock);
}

enum err saver_wait(struct saver *saver)
{
    pthread_mutex_lock(&saver->lock);
    wait_until_idle(saver);
    enum err err = saver->failure;
    saver->failure = ERR_OK;
    if (err != ERR_OK)
        err_set(err, "the checkpoint was not saved: %s", saver->failure_text);
    pthread_mutex_unlock(&saver->lock);
    return err;
}

void saver_finish(struct saver *saver)
{
    pthread_mutex_lock(&saver->lock);
    while (saver->state != SAVER_IDLE || saver->unsaved_count > 0)
        pthread_cond_wait(&saver->changed, &saver->lock);
    pthread_mutex_unlock(&saver->lock);
}

void saver_keep(struct saver *saver, const struct measurement *measurement)
{
    struct measurement_record record;
    measurement_record_pack(measurement, &record);
    pthread_mutex_lock(&saver->lock);
    while (saver->unsaved_count == MEASUREMENT_BATCH)
        pthread_cond_wait(&saver->changed, &saver->lock);
    bool is_kept = !saver->keeps_nothing;
    if (is_kept) {
        saver->unsaved[saver->unsaved_count++] = record; /* its memory is the saver's now */
        pthread_cond_broadcast(&saver->changed);
    }
    pthread_mutex_unlock(&saver->lock);
    if (!is_kept)
        measurement_record_fini(&record);
}

bool saver_find_kept(struct saver *saver, const struct hash *key, struct text *packed)
{
    bool is_there = false;
    pthread_mutex_lock(&saver->lock);
    for (int i = saver->unsaved_count - 1; i >= 0 && !is_there; i--) { /* the newest counts */
        const struct measurement_record *record = &saver->unsaved[i];
        is_there = hash_equal(&record->key, key);
        if (is_there)
            text_add_bytes(packed, record->packed.bytes, record->packed.size);
    }
    pthread_mutex_unlock(&saver->lock);
    return is_there;
}

bool saver_is_busy(struct saver *saver)
{
    pthread_mutex_lock(&saver->lock);
    bool is_busy = saver->state != SAVER_IDLE;
    pthread_mutex_unlock(&saver->lock);
    return is_busy;
}

static void start(struct saver *saver, enum saver_state work)
{
    pthread_mutex_lock(&saver->lock);
    saver->state = work;
    pthread_cond_broadcast(&saver->changed);
    pthread_mutex_unlock(&saver->lock);
}

enum err saver_ask(struct saver *saver, const struct checkpoint *checkpoint,
                   const struct checkpoint_arrange *arrange)
{
    enum err err = ERR_OK;
    TRY(saver_wait(saver));
    TRY(host_copy_take(&saver->copy, checkpoint, arrange)); /* idle: the copy is ours */
    saver->arrange = arrange ? *arrange : (struct checkpoint_arrange){0};
    start(saver, SAVER_WRITING);
out:
    return err;
}

enum err saver_prepare(struct saver *saver, size_t size_bytes)
{
    enum err err = ERR_OK;
    TRY(saver_wait(saver));
    saver->prepare_bytes = size_bytes;
    start(saver, SAVER_PREPARING);
out:
    return err;
}

bool saver_look(struct saver *saver, struct checkpoint_saved *saved)
{
    pthread_mutex_lock(&saver->lock);
    bool is_there = saver->saved.count > 0;
    if (is_there)
        *saved = saver->saved;
    pthread_mutex_unlock(&saver->lock);
    return is_there;
}

void saver_destroy(struct saver **destroyed)
{
    struct saver *saver = destroyed ? *destroyed : NULL;
    if (!saver)
        return;
    if (saver_wait(saver) != ERR_OK)
        log_error("msg=\"%s\"", err_text()); /* nobody else will hear of it */
    start(saver, SAVER_QUIT);
    pthread_join(saver->thread, NULL);
    pthread_mutex_destroy(&saver->lock);
    pthread_cond_destroy(&saver->changed);
    host_copy_fini(&saver->copy);
    mem_free(saver);
    *destroyed = NULL;
}
