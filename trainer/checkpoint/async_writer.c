#include "trainer/checkpoint/async_writer.h"
#include "base/log.h"
#include "base/mem.h"
#include "trainer/checkpoint/snapshot.h"
#include "trainer/checkpoint/write.h"
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

enum async_writer_state { ASYNC_WRITER_IDLE, ASYNC_WRITER_WRITING, ASYNC_WRITER_QUIT };

struct async_writer {
    struct store *store;
    int keep;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    /* Under the lock: */
    enum async_writer_state state;
    struct checkpoint_saved saved;
    enum err failure; /* of the last save, until somebody was told */
    char failure_text[512];
    /* Of the asking thread while idle, of the async writer while it works: */
    struct snapshot copy;
    struct checkpoint_arrange arrange; /* zeroed: nothing to arrange */
    uint64_t serial;
};

/* Under the lock. The failure's text is this thread's: carry it over. */
static void finish(struct async_writer *writer, enum err err)
{
    if (err != ERR_OK) {
        writer->failure = err;
        snprintf(writer->failure_text, sizeof writer->failure_text, "%s", err_text());
    }
    writer->state = ASYNC_WRITER_IDLE;
    pthread_cond_broadcast(&writer->changed);
}

static enum err arrange_and_write(struct async_writer *writer, struct checkpoint_saved *saved)
{
    enum err err = ERR_OK;
    const struct checkpoint_arrange *arrange = &writer->arrange;
    const struct position *position = &writer->copy.checkpoint.position;
    struct write_order order = {.store = writer->store,
                                .checkpoint = &writer->copy.checkpoint,
                                .serial = writer->serial++,
                                .keep = writer->keep};
    if (arrange->wait)
        TRY(arrange->wait(arrange->own));
    if (arrange->arrange)
        TRY(snapshot_arrange(&writer->copy, arrange));
    if (arrange->settle)
        TRY(arrange->settle(arrange->own));
    TRY(checkpoint_write(&order, saved));
out:
    if (err != ERR_OK)
        err_prefix(err, "stage %s, step %llu", position->stage, (unsigned long long)position->step);
    return err;
}

static void write_copy(struct async_writer *writer)
{
    struct checkpoint_saved saved = {0};
    enum err err = arrange_and_write(writer, &saved);
    pthread_mutex_lock(&writer->lock);
    if (err == ERR_OK) {
        saved.count = writer->saved.count + 1;
        writer->saved = saved;
    }
    finish(writer, err);
    pthread_mutex_unlock(&writer->lock);
}

static enum async_writer_state wait_for_work(struct async_writer *writer)
{
    pthread_mutex_lock(&writer->lock);
    while (writer->state == ASYNC_WRITER_IDLE)
        pthread_cond_wait(&writer->changed, &writer->lock);
    enum async_writer_state state = writer->state;
    pthread_mutex_unlock(&writer->lock);
    return state;
}

static void *async_writer_run(void *argument)
{
    struct async_writer *writer = argument;
    while (wait_for_work(writer) == ASYNC_WRITER_WRITING)
        write_copy(writer);
    return NULL;
}

/* Signals are for the threads that know what to do at a step's end. */
static int start_thread(struct async_writer *writer)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, &before);
    int code = pthread_create(&writer->thread, NULL, async_writer_run, writer);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return code;
}

enum err async_writer_create(struct store *store, uint64_t serial, int keep,
                             struct async_writer **created)
{
    struct async_writer *writer = mem_alloc(sizeof *writer);
    writer->store = store;
    writer->serial = serial;
    writer->keep = keep;
    pthread_mutex_init(&writer->lock, NULL);
    pthread_cond_init(&writer->changed, NULL);
    int code = start_thread(writer);
    if (code != 0) {
        mem_free(writer);
        return err_set(ERR_MEMORY, "cannot start the thread that saves checkpoints: %s",
                       strerror(code));
    }
    *created = writer;
    return ERR_OK;
}

/* Under the lock. */
static void wait_until_idle(struct async_writer *writer)
{
    while (writer->state != ASYNC_WRITER_IDLE)
        pthread_cond_wait(&writer->changed, &writer->lock);
}

enum err async_writer_wait(struct async_writer *writer)
{
    pthread_mutex_lock(&writer->lock);
    wait_until_idle(writer);
    enum err err = writer->failure;
    writer->failure = ERR_OK;
    if (err != ERR_OK)
        err_set(err, "the checkpoint was not saved: %s", writer->failure_text);
    pthread_mutex_unlock(&writer->lock);
    return err;
}

void async_writer_finish(struct async_writer *writer)
{
    pthread_mutex_lock(&writer->lock);
    wait_until_idle(writer);
    pthread_mutex_unlock(&writer->lock);
}

bool async_writer_is_busy(struct async_writer *writer)
{
    pthread_mutex_lock(&writer->lock);
    bool is_busy = writer->state != ASYNC_WRITER_IDLE;
    pthread_mutex_unlock(&writer->lock);
    return is_busy;
}

static void start(struct async_writer *writer, enum async_writer_state work)
{
    pthread_mutex_lock(&writer->lock);
    writer->state = work;
    pthread_cond_broadcast(&writer->changed);
    pthread_mutex_unlock(&writer->lock);
}

enum err async_writer_ask(struct async_writer *writer, const struct checkpoint *checkpoint,
                          const struct checkpoint_arrange *arrange)
{
    enum err err = ERR_OK;
    TRY(async_writer_wait(writer));
    TRY(snapshot_take(&writer->copy, checkpoint, arrange)); /* idle: the copy is ours */
    writer->arrange = arrange ? *arrange : (struct checkpoint_arrange){0};
    start(writer, ASYNC_WRITER_WRITING);
out:
    return err;
}

bool async_writer_look(struct async_writer *writer, struct checkpoint_saved *saved)
{
    pthread_mutex_lock(&writer->lock);
    bool is_there = writer->saved.count > 0;
    if (is_there)
        *saved = writer->saved;
    pthread_mutex_unlock(&writer->lock);
    return is_there;
}

void async_writer_destroy(struct async_writer **destroyed)
{
    struct async_writer *writer = destroyed ? *destroyed : NULL;
    if (!writer)
        return;
    if (async_writer_wait(writer) != ERR_OK)
        log_error("msg=\"%s\"", err_text()); /* nobody else will hear of it */
    start(writer, ASYNC_WRITER_QUIT);
    pthread_join(writer->thread, NULL);
    pthread_mutex_destroy(&writer->lock);
    pthread_cond_destroy(&writer->changed);
    snapshot_fini(&writer->copy);
    mem_free(writer);
    *destroyed = NULL;
}
