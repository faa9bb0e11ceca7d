#include "base/log.h"
#include "kernels/cuda/nccl_ranks.h"
#include <string.h>
#include <time.h>
#include <unistd.h>

#define LOOK_S         0.02 /* between two looks */
#define MOST_LEAVING_S 20.0 /* for an abort, and then for somebody to hear of it */
#define GAP_S          5.0  /* longer between two looks: the whole process slept */

static double now_s(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

double nccl_waited(struct nccl_wait *wait)
{
    double now = now_s();
    if (wait->start_s == 0)
        wait->start_s = wait->looked_s = now;
    if (now - wait->looked_s > GAP_S)
        wait->start_s += now - wait->looked_s;
    wait->looked_s = now;
    return now - wait->start_s;
}

double nccl_leaving_s(const struct nccl_ranks *ranks)
{
    double part = ranks->deadline_s / 4;
    return part > 0 && part < MOST_LEAVING_S ? part : MOST_LEAVING_S;
}

static struct timespec in_seconds(double seconds)
{
    struct timespec moment;
    clock_gettime(CLOCK_MONOTONIC, &moment);
    moment.tv_sec += (time_t)seconds;
    moment.tv_nsec += (long)((seconds - (double)(time_t)seconds) * 1e9);
    moment.tv_sec += moment.tv_nsec / 1000000000;
    moment.tv_nsec %= 1000000000;
    return moment;
}

/* Until `changed`, or a moment later. */
static void wait_a_little(struct nccl_ranks *ranks)
{
    struct timespec until = in_seconds(LOOK_S);
    pthread_cond_timedwait(&ranks->changed, &ranks->lock, &until);
}

static NORETURN void leave(const char *why)
{
    log_error("%s: this rank ends", why);
    _exit(err_exit_code(ERR_PEER));
}

static void look_at_nccl(struct nccl_ranks *ranks)
{
    enum nccl_result result = NCCL_SUCCESS;
    if (!ranks->comm)
        return;
    enum nccl_result asked = ranks->nccl.comm_get_async_error(ranks->comm, &result);
    if (asked != NCCL_SUCCESS)
        result = asked;
    if (result != NCCL_IN_PROGRESS &&
        nccl_check(&ranks->nccl, ranks->comm, result, "NCCL, of its own accord") != ERR_OK)
        nccl_ranks_fail(ranks, "rank %d: %s", ranks->face.rank, err_text());
}

/* A stream runs in order: what is behind the oldest has not begun. */
static void look_at_exchange(struct nccl_ranks *ranks)
{
    nccl_ranks_retire(ranks);
    struct nccl_exchange *oldest = &ranks->under_way[ranks->first];
    if (ranks->count == 0 || ranks->reason[0] || cudaEventQuery(oldest->began) != cudaSuccess)
        return;
    double waited = nccl_waited(&oldest->wait);
    if (ranks->deadline_s > 0 && waited > ranks->deadline_s)
        nccl_ranks_fail(ranks,
                        "rank %d waited %.0f s in its GPU for the others (%s): one of them is gone",
                        ranks->face.rank, waited, oldest->name);
}

struct abortion { /* the call that may never return, in a thread of its own */
    const struct nccl_library *nccl;
    nccl_comm comm;
    struct nccl_ranks *ranks;
    pthread_mutex_t lock;
    pthread_cond_t done;
    bool is_done;
};

static void *abort_comm(void *argument)
{
    struct abortion *abortion = argument;
    (void)cuda_of(&abortion->ranks->cuda->face); /* this thread's card */
    abortion->nccl->comm_abort(abortion->comm);  /* its error could change nothing any more */
    pthread_mutex_lock(&abortion->lock);
    abortion->is_done = true;
    pthread_cond_signal(&abortion->done);
    pthread_mutex_unlock(&abortion->lock);
    return NULL;
}

static bool is_over_in(struct abortion *abortion, double seconds)
{
    struct timespec until = in_seconds(seconds);
    int late = 0;
    pthread_mutex_lock(&abortion->lock);
    while (!abortion->is_done && late == 0)
        late = pthread_cond_timedwait(&abortion->done, &abortion->lock, &until);
    bool is_done = abortion->is_done;
    pthread_mutex_unlock(&abortion->lock);
    return is_done;
}

/* The lock is held all the while: nobody calls into a communicator that is being taken apart. */
static void abort_in_time(struct nccl_ranks *ranks)
{
    struct abortion abortion = {.nccl = &ranks->nccl, .comm = ranks->comm, .ranks = ranks};
    pthread_condattr_t monotonic;
    pthread_t thread;
    if (!ranks->comm)
        return;
    ranks->comm = NULL;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_mutex_init(&abortion.lock, NULL);
    pthread_cond_init(&abortion.done, &monotonic);
    pthread_condattr_destroy(&monotonic);
    if (pthread_create(&thread, NULL, abort_comm, &abortion) != 0)
        leave("there is no thread to abort NCCL's communicator in");
    if (!is_over_in(&abortion, nccl_leaving_s(ranks)))
        leave("NCCL's communicator cannot be aborted");
    pthread_join(thread, NULL);
    pthread_cond_destroy(&abortion.done);
    pthread_mutex_destroy(&abortion.lock);
}

/* Whoever waited for the device comes back now, or calls for something else, and hears of it. */
static void wait_until_told(struct nccl_ranks *ranks)
{
    struct nccl_wait wait = {0};
    while (!cuda_is_told(ranks->cuda) && !ranks->is_closing) {
        if (nccl_waited(&wait) > nccl_leaving_s(ranks))
            leave("NCCL's communicator was aborted, but nobody comes back from the GPU");
        wait_a_little(ranks);
    }
}

static void *watch(void *argument)
{
    struct nccl_ranks *ranks = argument;
    (void)cuda_of(&ranks->cuda->face); /* this thread's card */
    pthread_mutex_lock(&ranks->lock);
    while (!ranks->is_closing && !ranks->reason[0]) {
        look_at_nccl(ranks);
        look_at_exchange(ranks);
        if (!ranks->reason[0])
            wait_a_little(ranks);
    }
    if (ranks->reason[0]) {
        log_error("%s", ranks->reason);
        abort_in_time(ranks);
        wait_until_told(ranks);
    }
    pthread_mutex_unlock(&ranks->lock);
    return NULL;
}

enum err nccl_watchdog_start(struct nccl_ranks *ranks)
{
    int failed = pthread_create(&ranks->watchdog, NULL, watch, ranks);
    ranks->is_watched = failed == 0;
    return failed
               ? err_set(ERR_UNAVAILABLE, "no thread to watch over exchanges: %s", strerror(failed))
               : ERR_OK;
}

void nccl_watchdog_stop(struct nccl_ranks *ranks)
{
    if (!ranks->is_watched)
        return;
    pthread_mutex_lock(&ranks->lock);
    ranks->is_closing = true;
    pthread_cond_broadcast(&ranks->changed);
    pthread_mutex_unlock(&ranks->lock);
    pthread_join(ranks->watchdog, NULL);
}
