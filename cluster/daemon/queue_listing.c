#include "cluster/daemon/queue_listing.h"
#include "base/mem.h"
#include <stdbool.h>

static enum err check(const Gwd__Reply *reply)
{
    for (size_t i = 0; i < reply->n_listed; i++)
        if (!reply->listed[i]->submitted)
            return err_set(ERR_DATA, "the scheduler's answer cannot be read");
    return ERR_OK;
}

enum err queue_listing_ask(struct control_client *client, struct queue_listing *listing)
{
    enum err err = ERR_OK;
    Gwd__Request request = GWD__REQUEST__INIT;
    Gwd__List list = GWD__LIST__INIT;
    request.body_case = GWD__REQUEST__BODY_LIST;
    request.list = &list;
    for (bool has_more = true; has_more;) {
        Gwd__Reply *reply = NULL;
        size_t old = (size_t)listing->reply_count * sizeof *listing->replies;
        TRY(control_client_ask(client, &request, &reply));
        listing->replies = mem_grow(listing->replies, old, old + sizeof *listing->replies);
        listing->replies[listing->reply_count++] = reply;
        TRY(check(reply));
        has_more = reply->has_more && reply->n_listed > 0;
        if (has_more)
            list.after = reply->listed[reply->n_listed - 1]->submitted->id;
    }
out:
    return err;
}

void queue_listing_fini(struct queue_listing *listing)
{
    for (int i = 0; i < listing->reply_count; i++)
        gwd__reply__free_unpacked(listing->replies[i], NULL);
    mem_free(listing->replies);
    *listing = (struct queue_listing){0};
}
