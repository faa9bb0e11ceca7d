#include "worker/intake.h"
#include "worker/wait_together.h"

struct intake {
    struct link *link;
    struct assignment assignment;
};

static enum err wait_for_it(void *own)
{
    struct intake *intake = own;
    return link_take(intake->link, &intake->assignment);
}

enum err intake_take(struct comm *comm, struct link *link, struct assignment *assignment)
{
    enum err err = ERR_OK;
    struct intake intake = {.link = link};
    err = wait_together(comm, link ? wait_for_it : NULL, &intake);
    TRY(comm_agree(comm, err));
    TRY(comm->broadcast(comm, &intake.assignment, sizeof intake.assignment));
    *assignment = intake.assignment;
out:
    return err;
}
