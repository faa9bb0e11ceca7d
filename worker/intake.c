#include "worker/intake.h"
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <time.h>

#define MEET_NS 20000000 /* between two meetings */

struct intake {
    struct link *link;
    struct assignment assignment;
    enum err err;
    char text[512];
    atomic_bool has_come;
};

static void *wait_for_it(void *own)
{
    struct intake *intake = own;
    intake->err = link_take(intake->link, &intake->assignment);
    if (intake->err != ERR_OK) /* the text belongs to this thread */
        snprintf(intake->text, sizeof intake->text, "%s", err_text());
    atomic_store(&intake->has_come, true);
    return NULL;
}

enum err intake_take(struct comm *comm, struct link *link, struct assignment *assignment)
{
    enum err err = ERR_OK, met = ERR_OK;
    struct intake intake = {.link = link};
    pthread_t thread;
    uint32_t has_come = 0;
    bool has_thread = link && pthread_create(&thread, NULL, wait_for_it, &intake) == 0;
    if (link && !has_thread)
        err = err_set(ERR_MEMORY, "no thread can be started");
    TRY(comm_agree(comm, err));
    while (!has_come && met == ERR_OK) {
        nanosleep(&(struct timespec){.tv_nsec = MEET_NS}, NULL);
        has_come = atomic_load(&intake.has_come);
        met = comm->any(comm, &has_come);
    }
    /* link_take ends by itself when the scheduler falls silent, so this join does too */
    if (has_thread)
        pthread_join(thread, NULL);
    TRY(met);
    if (intake.err != ERR_OK)
        err_set(intake.err, "%s", intake.text);
    TRY(comm_agree(comm, intake.err));
    TRY(comm->broadcast(comm, &intake.assignment, sizeof intake.assignment));
    *assignment = intake.assignment;
out:
    return err;
}
