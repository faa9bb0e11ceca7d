#include "kernels/cuda/nccl_ranks.h"
#include "base/mem.h"
#include <stdarg.h>
#include <stdio.h>
#include <time.h>

#define SPIN_S   200e-6 /* polls without sleeping: about what a small exchange takes */
#define SLEEP_NS 50000

void nccl_ranks_fail(struct nccl_ranks *ranks, const char *format, ...)
{
    va_list arguments;
    if (ranks->reason[0])
        return;
    va_start(arguments, format);
    vsnprintf(ranks->reason, sizeof ranks->reason, format, arguments);
    va_end(arguments);
    cuda_leave(ranks->cuda, ERR_PEER, "%s", ranks->reason);
    pthread_cond_broadcast(&ranks->changed);
}

enum err nccl_ranks_check(const struct nccl_ranks *ranks, enum nccl_result result, const char *call)
{
    if (result == NCCL_IN_PROGRESS)
        return ERR_OK;
    return nccl_check(&ranks->nccl, ranks->comm, result, call);
}

void nccl_ranks_retire(struct nccl_ranks *ranks)
{
    while (ranks->count > 0) {
        const struct nccl_exchange *oldest = &ranks->under_way[ranks->first];
        cudaError_t state = cudaEventQuery(oldest->ended);
        if (state == cudaErrorNotReady)
            return;
        if (state != cudaSuccess)
            nccl_ranks_fail(ranks, "the device is lost during an exchange (%s): %s", oldest->name,
                            cudaGetErrorString(state));
        ranks->first = (ranks->first + 1) % NCCL_UNDER_WAY;
        ranks->count--;
    }
}

/* What failed here fails for whoever calls next, too. The lock is held. */
static enum err stick(struct nccl_ranks *ranks, enum err err)
{
    if (err == ERR_OK)
        return ERR_OK;
    nccl_ranks_fail(ranks, "%s", err_text());
    enum err left = cuda_left(ranks->cuda);
    return left != ERR_OK ? left : err;
}

/* Lets go of the lock for a moment; the longer it waits, the longer. */
static void rest(struct nccl_ranks *ranks, double waited_s)
{
    pthread_mutex_unlock(&ranks->lock);
    if (waited_s > SPIN_S)
        nanosleep(&(struct timespec){.tv_nsec = SLEEP_NS}, NULL);
    pthread_mutex_lock(&ranks->lock);
}

static enum err check_deadline(const struct nccl_ranks *ranks, double waited_s, double most_s,
                               const char *name)
{
    if (most_s == 0 || waited_s <= most_s)
        return ERR_OK;
    return err_set(ERR_PEER, "rank %d waited %.0f s for the others (%s): one of them is gone",
                   ranks->face.rank, waited_s, name);
}

/* Until NCCL has done what the calls so far began: a communicator, and the connections of a first
 * exchange, come about behind the caller's back. The lock is held. */
static enum err settle(struct nccl_ranks *ranks, double most_s, const char *name)
{
    enum err err = ERR_OK;
    struct nccl_wait wait = {0};
    for (enum nccl_result result = NCCL_IN_PROGRESS;;) {
        double waited = nccl_waited(&wait);
        TRY(cuda_left(ranks->cuda)); /* the watchdog may have ended it */
        TRY(nccl_check(&ranks->nccl, ranks->comm,
                       ranks->nccl.comm_get_async_error(ranks->comm, &result), name));
        if (result != NCCL_IN_PROGRESS)
            return nccl_check(&ranks->nccl, ranks->comm, result, name);
        TRY(check_deadline(ranks, waited, most_s, name));
        rest(ranks, waited);
    }
out:
    return err;
}

static enum err wait_for_room(struct nccl_ranks *ranks)
{
    enum err err = ERR_OK;
    for (struct nccl_wait wait = {0};;) {
        nccl_ranks_retire(ranks);
        TRY(cuda_left(ranks->cuda));
        if (ranks->count < NCCL_UNDER_WAY)
            break;
        rest(ranks, nccl_waited(&wait)); /* as long as the watchdog lets it */
    }
out:
    return err;
}

static struct nccl_exchange *next_exchange(struct nccl_ranks *ranks)
{
    return &ranks->under_way[(ranks->first + ranks->count) % NCCL_UNDER_WAY];
}

enum err nccl_ranks_begin(struct nccl_ranks *ranks, const char *name)
{
    enum err err = ERR_OK;
    struct cuda *cuda = cuda_of(&ranks->cuda->face);
    pthread_mutex_lock(&ranks->lock);
    TRY(wait_for_room(ranks));
    struct nccl_exchange *next = next_exchange(ranks);
    next->name = name;
    next->wait = (struct nccl_wait){0};
    TRY(CUDA(cudaEventRecord(next->began, cuda->stream)));
out:
    if (err != ERR_OK)
        pthread_mutex_unlock(&ranks->lock);
    return err;
}

/* cuda_left() is asked first: of an aborted communicator the reason is what counts, not what its
 * calls then say. */
enum err nccl_ranks_end(struct nccl_ranks *ranks, enum err err)
{
    struct nccl_exchange *next = next_exchange(ranks);
    TRY(err);
    TRY(settle(ranks, ranks->deadline_s, next->name));
    TRY(CUDA(cudaEventRecord(next->ended, ranks->cuda->stream)));
    ranks->count++;
    pthread_cond_broadcast(&ranks->changed);
out:
    err = stick(ranks, err);
    pthread_mutex_unlock(&ranks->lock);
    return err;
}

static enum err create_events(struct nccl_ranks *ranks)
{
    enum err err = ERR_OK;
    for (int i = 0; i < NCCL_UNDER_WAY; i++) {
        struct nccl_exchange *exchange = &ranks->under_way[i];
        TRY(CUDA(cudaEventCreateWithFlags(&exchange->began, cudaEventDisableTiming)));
        TRY(CUDA(cudaEventCreateWithFlags(&exchange->ended, cudaEventDisableTiming)));
    }
out:
    return err;
}

static void destroy_events(struct nccl_ranks *ranks)
{
    for (int i = 0; i < NCCL_UNDER_WAY; i++) {
        if (ranks->under_way[i].began)
            (void)cudaEventDestroy(ranks->under_way[i].began);
        if (ranks->under_way[i].ended)
            (void)cudaEventDestroy(ranks->under_way[i].ended);
    }
}

static enum err join(struct nccl_ranks *ranks, const struct nccl_id *id)
{
    enum err err = ERR_OK;
    struct nccl_config config = {.size_bytes = sizeof config,
                                 .magic = NCCL_CONFIG_MAGIC,
                                 .version = NCCL_CONFIG_VERSION,
                                 .is_blocking = 0};
    pthread_mutex_lock(&ranks->lock);
    enum nccl_result result = ranks->nccl.comm_init_rank_config(&ranks->comm, ranks->face.size, *id,
                                                                ranks->face.rank, &config);
    TRY(nccl_ranks_check(ranks, result, "ncclCommInitRankConfig"));
    TRY(settle(ranks, ranks->deadline_s, "making NCCL's communicator"));
out:
    err = stick(ranks, err);
    pthread_mutex_unlock(&ranks->lock);
    return err;
}

static void init(struct nccl_ranks *ranks, struct cuda *cuda, const struct device_gang *gang)
{
    pthread_condattr_t monotonic;
    ranks->cuda = cuda;
    ranks->deadline_s = gang->deadline_s;
    ranks->face = (struct device_comm){
        .rank = gang->rank, .size = gang->size, .device = &cuda->face, .own = ranks};
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_mutex_init(&ranks->lock, NULL);
    pthread_cond_init(&ranks->changed, &monotonic);
    pthread_condattr_destroy(&monotonic);
}

enum err nccl_ranks_create(struct cuda *cuda, const struct device_gang *gang,
                           const struct nccl_library *nccl, const struct nccl_id *id,
                           struct nccl_ranks **result)
{
    enum err err = ERR_OK;
    struct nccl_ranks *ranks = mem_alloc(sizeof *ranks);
    init(ranks, cuda, gang);
    ranks->nccl = *nccl;
    TRY(create_events(ranks));
    TRY(nccl_watchdog_start(ranks));
    TRY(join(ranks, id));
    *result = ranks;
    ranks = NULL;
out:
    nccl_ranks_destroy(&ranks);
    return err;
}

/* Collective, so that nobody's memory goes while another's card reads it. Who does not come is not
 * waited for long: what had to be exchanged has been. The lock is held. */
static enum err finalize(struct nccl_ranks *ranks)
{
    enum err err = ERR_OK;
    TRY(nccl_ranks_check(ranks, ranks->nccl.comm_finalize(ranks->comm), "ncclCommFinalize"));
    TRY(settle(ranks, nccl_leaving_s(ranks), "taking NCCL's communicator apart"));
    enum nccl_result result = ranks->nccl.comm_destroy(ranks->comm);
    ranks->comm = NULL; /* nobody may ask it how that goes on */
    TRY(nccl_ranks_check(ranks, result, "ncclCommDestroy"));
out:
    return err;
}

void nccl_ranks_destroy(struct nccl_ranks **pointer)
{
    struct nccl_ranks *ranks = *pointer;
    if (!ranks)
        return;
    pthread_mutex_lock(&ranks->lock);
    if (ranks->comm && !ranks->reason[0])
        (void)stick(ranks, finalize(ranks));
    pthread_mutex_unlock(&ranks->lock);
    nccl_watchdog_stop(ranks);
    destroy_events(ranks);
    pthread_cond_destroy(&ranks->changed);
    pthread_mutex_destroy(&ranks->lock);
    mem_free(ranks);
    *pointer = NULL;
}
