#include "cluster/scratch/beat.h"
#include "base/clock.h"
#include "base/fence.h"
#include "base/file.h"
#include "base/mem.h"
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define LOOK_MS 200

struct beat {
    pthread_t thread;
    pthread_mutex_t mutex;
    pthread_cond_t news; /* of is_ending; on the steady clock */
    char *run_folder, *path;
    uint64_t claim, count;
    double every_s;
    bool is_ending;
    atomic_bool is_lost, is_failing;
};

/* In place and of one length, so that a disk that is full has room for it: whoever reads half of it
 * sees that it changed. */
static enum err write_count(struct beat *beat)
{
    enum err err = ERR_OK;
    char text[32];
    int size = snprintf(text, sizeof text, "%020llu\n", (unsigned long long)++beat->count);
    int file = open(beat->path, O_WRONLY | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0644);
    if (file < 0 || write(file, text, (size_t)size) != size)
        TRY(err_set(errno == ENOSPC ? ERR_FULL : ERR_IO, "cannot write %s: %s", beat->path,
                    strerror(errno)));
out:
    if (file >= 0)
        close(file);
    return err;
}

static void turn(struct beat *beat)
{
    const struct fence fence = {beat->run_folder, beat->claim};
    if (fence_check(&fence) != ERR_OK) {
        atomic_store(&beat->is_lost, true);
        return;
    }
    atomic_store(&beat->is_failing, write_count(beat) != ERR_OK);
}

static struct timespec in(double seconds)
{
    struct timespec at;
    clock_gettime(CLOCK_MONOTONIC, &at);
    long nanoseconds = at.tv_nsec + (long)(fmod(seconds, 1) * 1e9);
    at.tv_sec += (time_t)seconds + nanoseconds / 1000000000;
    at.tv_nsec = nanoseconds % 1000000000;
    return at;
}

static bool wait_turn(struct beat *beat)
{
    struct timespec end = in(beat->every_s);
    int timed_out = 0;
    pthread_mutex_lock(&beat->mutex);
    while (!beat->is_ending && timed_out == 0)
        timed_out = pthread_cond_timedwait(&beat->news, &beat->mutex, &end);
    bool is_ending = beat->is_ending;
    pthread_mutex_unlock(&beat->mutex);
    return !is_ending;
}

static void *go(void *own)
{
    struct beat *beat = own;
    while (wait_turn(beat))
        if (!atomic_load(&beat->is_lost))
            turn(beat);
    return NULL;
}

/* Signals are for the loop's thread, whose waits they end. */
static enum err start_thread(struct beat *beat)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int failure = pthread_create(&beat->thread, NULL, go, beat);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return failure == 0 ? ERR_OK
                        : err_set(ERR_UNAVAILABLE, "no thread for the run's sign of life: %s",
                                  strerror(failure));
}

static void free_all(struct beat *beat)
{
    pthread_cond_destroy(&beat->news);
    pthread_mutex_destroy(&beat->mutex);
    mem_free(beat->path);
    mem_free(beat->run_folder);
    mem_free(beat);
}

enum err beat_start(const char *run_folder, uint64_t claim, double every_s, struct beat **started)
{
    enum err err = ERR_OK;
    struct beat *beat = mem_alloc(sizeof *beat);
    pthread_condattr_t steady;
    beat->run_folder = mem_string(run_folder);
    beat->path = fence_path(run_folder, claim, ".beat");
    beat->claim = claim;
    beat->every_s = every_s > 0 ? every_s : BEAT_S;
    pthread_mutex_init(&beat->mutex, NULL);
    pthread_condattr_init(&steady);
    pthread_condattr_setclock(&steady, CLOCK_MONOTONIC);
    pthread_cond_init(&beat->news, &steady);
    pthread_condattr_destroy(&steady);
    TRY(write_count(beat));
    TRY(start_thread(beat));
    *started = beat;
    beat = NULL;
out:
    if (beat)
        free_all(beat);
    return err;
}

bool beat_is_lost(struct beat *beat)
{
    return atomic_load(&beat->is_lost);
}

bool beat_is_failing(struct beat *beat)
{
    return atomic_load(&beat->is_failing);
}

void beat_stop(struct beat **stopped)
{
    struct beat *beat = *stopped;
    if (!beat)
        return;
    pthread_mutex_lock(&beat->mutex);
    beat->is_ending = true;
    pthread_cond_broadcast(&beat->news);
    pthread_mutex_unlock(&beat->mutex);
    pthread_join(beat->thread, NULL);
    free_all(beat);
    *stopped = NULL;
}

/* "": there is none. */
static void read_count(const char *path, char count[32])
{
    char *bytes = NULL;
    size_t size = 0;
    count[0] = '\0';
    if (file_read(path, 31, &bytes, &size) == ERR_OK)
        snprintf(count, 32, "%.31s", bytes);
    mem_free(bytes);
}

enum err beat_watch(const char *run_folder, uint64_t claim, double watch_s,
                    const volatile sig_atomic_t *stop_asked, bool *lives)
{
    enum err err = ERR_OK;
    char first[32], now[32];
    char *path = fence_path(run_folder, claim, ".beat");
    double end = clock_seconds() + watch_s;
    read_count(path, first);
    *lives = false;
    while (!*lives && clock_seconds() < end) {
        nanosleep(&(struct timespec){.tv_nsec = LOOK_MS * 1000000L}, NULL);
        if (stop_asked && *stop_asked > 0)
            TRY(err_set(ERR_INTERRUPTED, "stopped; the same command continues"));
        fence_refresh(run_folder);
        read_count(path, now);
        *lives = strcmp(first, now) != 0;
    }
out:
    mem_free(path);
    return err;
}
