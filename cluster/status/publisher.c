#include "cluster/status/publisher.h"
#include "base/fault.h"
#include "base/fence.h"
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "cluster/status/stop_file.h"
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define LOOK_MS 500

struct publisher {
    pthread_t thread;
    pthread_mutex_t mutex;
    pthread_cond_t news; /* of everything below; on the steady clock */
    char *folder;
    struct run_status *runner;
    char *text; /* owned; NULL: nothing is waiting */
    bool is_ending, is_gone, is_left, was_stop_asked;
    bool has_complained; /* the thread's own */
};

static enum err write_all(int file, const char *path, const char *text)
{
    enum err err = ERR_OK;
    TRY(FAULT("status.write"));
    for (size_t done = 0, size = strlen(text); done < size;) {
        ssize_t put = write(file, text + done, size - done);
        if (put < 0 && errno != EINTR)
            TRY(err_set(errno == ENOSPC || errno == EDQUOT ? ERR_FULL : ERR_IO,
                        "cannot write %s: %s", path, strerror(errno)));
        done += put > 0 ? (size_t)put : 0;
    }
out:
    return err;
}

enum err publisher_write(const char *run_folder, uint64_t claim, const char *text)
{
    enum err err = ERR_OK;
    const struct fence fence = {run_folder, claim};
    char name[64], mark[FENCE_MARK];
    fence_mark(&fence, mark);
    snprintf(name, sizeof name, ".status.json%s", mark);
    char *folder = file_join(run_folder, "published");
    char *path = file_join(folder, "status.json"), *beside = file_join(folder, name);
    int file = -1;
    TRY(file_make_folders(folder));
    unlink(beside); /* of a runner that died */
    file = open(beside, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644);
    if (file < 0)
        TRY(err_set(ERR_IO, "cannot create %s: %s", beside, strerror(errno)));
    TRY(write_all(file, beside, text));
    TRY(fence_check(&fence));
    if (rename(beside, path) != 0)
        TRY(fence_judge(&fence, err_set(ERR_IO, "cannot rename %s: %s", beside, strerror(errno))));
out:
    if (file >= 0)
        close(file);
    if (err != ERR_OK)
        unlink(beside);
    mem_free(beside);
    mem_free(path);
    mem_free(folder);
    return err;
}

/* Without the lock: this is what may hang. */
static void work(struct publisher *publisher, const char *text)
{
    bool is_asked = stop_file_take(publisher->folder, publisher->runner);
    uint64_t claim = (uint64_t)publisher->runner->claim;
    if (text && publisher_write(publisher->folder, claim, text) != ERR_OK &&
        !publisher->has_complained) {
        log_warn("the run's status is not shown, the run goes on: %s", err_text());
        publisher->has_complained = true;
    }
    pthread_mutex_lock(&publisher->mutex);
    publisher->was_stop_asked = publisher->was_stop_asked || is_asked;
    pthread_mutex_unlock(&publisher->mutex);
}

static struct timespec in_ms(long ms)
{
    struct timespec at;
    clock_gettime(CLOCK_MONOTONIC, &at);
    at.tv_nsec += ms % 1000 * 1000000;
    at.tv_sec += ms / 1000 + at.tv_nsec / 1000000000;
    at.tv_nsec %= 1000000000;
    return at;
}

/* The next text, after a while without one too; NULL: none. Holds the lock. */
static char *take_next(struct publisher *publisher)
{
    struct timespec end = in_ms(LOOK_MS);
    int timed_out = 0;
    while (!publisher->text && !publisher->is_ending && timed_out == 0)
        timed_out = pthread_cond_timedwait(&publisher->news, &publisher->mutex, &end);
    char *text = publisher->text;
    publisher->text = NULL;
    return text;
}

static void free_all(struct publisher *publisher)
{
    pthread_cond_destroy(&publisher->news);
    pthread_mutex_destroy(&publisher->mutex);
    mem_free(publisher->text);
    mem_free(publisher->folder);
    mem_free(publisher->runner);
    mem_free(publisher);
}

static void *publish(void *own)
{
    struct publisher *publisher = own;
    bool is_over = false, is_left = false;
    while (!is_over) {
        pthread_mutex_lock(&publisher->mutex);
        char *text = take_next(publisher);
        pthread_mutex_unlock(&publisher->mutex);
        work(publisher, text);
        mem_free(text);
        pthread_mutex_lock(&publisher->mutex);
        is_over = publisher->is_gone = publisher->is_ending && !publisher->text;
        is_left = publisher->is_left;
        pthread_cond_broadcast(&publisher->news);
        pthread_mutex_unlock(&publisher->mutex);
    }
    if (is_left)
        free_all(publisher);
    return NULL;
}

/* Signals are for the loop's thread, whose waits they end. */
static bool start_thread(struct publisher *publisher)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int failure = pthread_create(&publisher->thread, NULL, publish, publisher);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return failure == 0;
}

struct publisher *publisher_create(const char *run_folder, const struct run_status *runner)
{
    struct publisher *publisher = mem_alloc(sizeof *publisher);
    pthread_condattr_t steady;
    publisher->folder = mem_string(run_folder);
    publisher->runner = mem_alloc(sizeof *runner);
    *publisher->runner = *runner;
    pthread_mutex_init(&publisher->mutex, NULL);
    pthread_condattr_init(&steady);
    pthread_condattr_setclock(&steady, CLOCK_MONOTONIC);
    pthread_cond_init(&publisher->news, &steady);
    pthread_condattr_destroy(&steady);
    if (start_thread(publisher))
        return publisher;
    log_warn("no thread for the run's status: it is not shown, and \"glowworm cancel\" not heard");
    free_all(publisher);
    return NULL;
}

void publisher_give(struct publisher *publisher, const char *text)
{
    pthread_mutex_lock(&publisher->mutex);
    mem_free(publisher->text);
    publisher->text = mem_string(text);
    pthread_cond_broadcast(&publisher->news);
    pthread_mutex_unlock(&publisher->mutex);
}

bool publisher_was_stop_asked(struct publisher *publisher)
{
    pthread_mutex_lock(&publisher->mutex);
    bool was_asked = publisher->was_stop_asked;
    publisher->was_stop_asked = false;
    pthread_mutex_unlock(&publisher->mutex);
    return was_asked;
}

void publisher_destroy(struct publisher **owned, double most_s)
{
    struct publisher *publisher = *owned;
    struct timespec end = in_ms((long)(most_s * 1000));
    int timed_out = 0;
    if (!publisher)
        return;
    *owned = NULL;
    pthread_mutex_lock(&publisher->mutex);
    publisher->is_ending = true;
    pthread_cond_broadcast(&publisher->news);
    while (!publisher->is_gone && timed_out == 0)
        timed_out = pthread_cond_timedwait(&publisher->news, &publisher->mutex, &end);
    publisher->is_left = !publisher->is_gone;
    bool is_left = publisher->is_left;
    pthread_t thread = publisher->thread;
    pthread_mutex_unlock(&publisher->mutex);
    if (is_left) {
        log_warn("the run's status could not be written for %.0f s: it is out of date", most_s);
        pthread_detach(thread);
        return;
    }
    pthread_join(thread, NULL);
    free_all(publisher);
}
