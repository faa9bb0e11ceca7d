#include "worker/wait_together.h"
#include "base/mem.h"
#include <pthread.h>
#include <stdatomic.h>
#include <time.h>

#define MEET_NS 20000000 /* between two meetings */

struct outside {
    enum err (*wait)(void *own);
    void *own;
    enum err err;
    char *text; /* owned */
    atomic_bool has_come;
};

static void *wait_outside(void *argument)
{
    struct outside *outside = argument;
    outside->err = outside->wait(outside->own);
    if (outside->err != ERR_OK) /* the text belongs to this thread */
        outside->text = mem_string(err_text());
    atomic_store(&outside->has_come, true);
    return NULL;
}

static enum err meet_until(struct comm *comm, const struct outside *outside)
{
    enum err err = ERR_OK;
    uint32_t has_come = 0;
    while (!has_come && err == ERR_OK) {
        nanosleep(&(struct timespec){.tv_nsec = MEET_NS}, NULL);
        has_come = comm->rank == 0 && atomic_load(&outside->has_come);
        err = comm->any(comm, &has_come);
    }
    return err;
}

enum err wait_together(struct comm *comm, enum err (*wait)(void *own), void *own)
{
    struct outside outside = {.wait = wait, .own = own, .has_come = !wait};
    pthread_t thread;
    bool has_thread = wait && pthread_create(&thread, NULL, wait_outside, &outside) == 0;
    if (wait && !has_thread)
        (void)wait_outside(&outside);
    enum err met = meet_until(comm, &outside);
    /* every wait for the scheduler ends by itself when it falls silent, so this join does too */
    if (has_thread)
        pthread_join(thread, NULL);
    if (outside.err != ERR_OK)
        err_set(outside.err, "%s", outside.text);
    mem_free(outside.text);
    return outside.err != ERR_OK ? outside.err : met;
}
