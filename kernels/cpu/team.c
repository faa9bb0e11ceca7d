#include "kernels/cpu/team.h"
#include "base/mem.h"
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <string.h>

/* About 10 microseconds: longer than the pause between two operations, far shorter than a slice. */
enum { SPINS = 400 };

/* The round word: bit 0 open, bits 1 to 15 the workers inside, bits 16 and up the round's number. A
 * worker enters by adding ENTERED while the round is open; nobody enters after it was closed, so
 * the caller waits only for those who are inside and never for a worker that slept through. */
enum { OPEN = 1, ENTERED = 2, ROUND = 1 << 16, INSIDE = (ROUND - 1) & ~OPEN };

struct range { /* jobs first offered to one thread; others help when theirs are gone */
    _Alignas(64) atomic_int next;
    int end;
};

struct team {
    _Alignas(64) atomic_uint round;
    atomic_bool is_stopping;
    int threads;
    pthread_t *workers; /* threads - 1 */
    struct worker *arguments;
    struct range *ranges;
    void (*job)(void *context, int i, int thread);
    void *context;
    pthread_mutex_t mutex; /* guards only the sleeping */
    pthread_cond_t opened, left;
};

struct worker {
    struct team *team;
    int thread;
};

static void pause_briefly(void)
{
    __builtin_ia32_pause();
}

static void work(struct team *team, int thread)
{
    for (int step = 0; step < team->threads; step++) {
        struct range *range = &team->ranges[(thread + step) % team->threads];
        for (;;) {
            int i = atomic_fetch_add_explicit(&range->next, 1, memory_order_relaxed);
            if (i >= range->end)
                break;
            team->job(team->context, i, thread);
        }
    }
}

/* True when the calling worker is inside a round it has not seen yet. */
static bool enter(struct team *team, unsigned *seen)
{
    unsigned round = atomic_load_explicit(&team->round, memory_order_acquire);
    while ((round & OPEN) && round / ROUND != *seen) {
        if (atomic_compare_exchange_weak(&team->round, &round, round + ENTERED)) {
            *seen = round / ROUND;
            return true;
        }
    }
    return false;
}

static void leave(struct team *team)
{
    unsigned before = atomic_fetch_sub(&team->round, ENTERED);
    if ((before & INSIDE) == ENTERED && !(before & OPEN)) { /* the last one out, caller may sleep */
        pthread_mutex_lock(&team->mutex);
        pthread_cond_signal(&team->left);
        pthread_mutex_unlock(&team->mutex);
    }
}

/* False when the team stops. */
static bool wait_for_round(struct team *team, unsigned *seen)
{
    for (int spin = 0; spin < SPINS; spin++) {
        if (enter(team, seen))
            return true;
        if (atomic_load(&team->is_stopping))
            return false;
        pause_briefly();
    }
    bool is_inside = false;
    pthread_mutex_lock(&team->mutex);
    while (!atomic_load(&team->is_stopping) && !(is_inside = enter(team, seen)))
        pthread_cond_wait(&team->opened, &team->mutex);
    pthread_mutex_unlock(&team->mutex);
    return is_inside;
}

static void *worker_main(void *argument)
{
    const struct worker *worker = argument;
    unsigned seen = 0;
    while (wait_for_round(worker->team, &seen)) {
        work(worker->team, worker->thread);
        leave(worker->team);
    }
    return NULL;
}

static void wait_until_left(struct team *team)
{
    for (int spin = 0; spin < SPINS; spin++) {
        if (!(atomic_load_explicit(&team->round, memory_order_acquire) & INSIDE))
            return;
        pause_briefly();
    }
    pthread_mutex_lock(&team->mutex);
    while (atomic_load(&team->round) & INSIDE)
        pthread_cond_wait(&team->left, &team->mutex);
    pthread_mutex_unlock(&team->mutex);
}

void team_run(struct team *team, int jobs, void (*job)(void *context, int i, int thread),
              void *context)
{
    if (team->threads == 1 || jobs <= 1) {
        for (int i = 0; i < jobs; i++)
            job(context, i, 0);
        return;
    }
    team->job = job;
    team->context = context;
    for (int t = 0; t < team->threads; t++) {
        atomic_store_explicit(&team->ranges[t].next, (int)((long)jobs * t / team->threads),
                              memory_order_relaxed);
        team->ranges[t].end = (int)((long)jobs * (t + 1) / team->threads);
    }
    /* Opened under the mutex: a worker that found the round closed is asleep or will look again. */
    pthread_mutex_lock(&team->mutex);
    atomic_fetch_add(&team->round, ROUND | OPEN);
    pthread_cond_broadcast(&team->opened);
    pthread_mutex_unlock(&team->mutex);
    work(team, 0);
    atomic_fetch_and(&team->round, ~(unsigned)OPEN);
    wait_until_left(team);
}

int team_threads(const struct team *team)
{
    return team->threads;
}

enum err team_create(int threads, struct team **out)
{
    enum err err = ERR_OK;
    struct team *team = mem_alloc(sizeof *team);
    team->workers = mem_array((size_t)threads, sizeof *team->workers);
    team->arguments = mem_array((size_t)threads, sizeof *team->arguments);
    team->ranges = mem_array((size_t)threads, sizeof *team->ranges);
    pthread_mutex_init(&team->mutex, NULL);
    pthread_cond_init(&team->opened, NULL);
    pthread_cond_init(&team->left, NULL);
    for (team->threads = 1; team->threads < threads; team->threads++) {
        int index = team->threads - 1;
        team->arguments[index] = (struct worker){team, team->threads};
        int failed =
            pthread_create(&team->workers[index], NULL, worker_main, &team->arguments[index]);
        if (failed)
            TRY(err_set(ERR_UNAVAILABLE, "cannot start compute thread %d of %d: %s",
                        team->threads + 1, threads, strerror(failed)));
    }
    *out = team;
    team = NULL;
out:
    team_destroy(&team);
    return err;
}

void team_destroy(struct team **pointer)
{
    struct team *team = pointer ? *pointer : NULL;
    if (!team)
        return;
    pthread_mutex_lock(&team->mutex);
    atomic_store(&team->is_stopping, true);
    pthread_cond_broadcast(&team->opened);
    pthread_mutex_unlock(&team->mutex);
    for (int i = 0; i < team->threads - 1; i++)
        pthread_join(team->workers[i], NULL);
    pthread_cond_destroy(&team->left);
    pthread_cond_destroy(&team->opened);
    pthread_mutex_destroy(&team->mutex);
    mem_free(team->ranges);
    mem_free(team->arguments);
    mem_free(team->workers);
    mem_free(team);
    *pointer = NULL;
}
