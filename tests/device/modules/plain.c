/* A module as it should be: the program's own CPU device under another name, with exchanges of its
 * own that only a gang of one can use. */
#include "base/mem.h"
#include "kernels/device_module.h"
#include <string.h>

static enum err plain_open(const struct device_cfg *cfg, struct device **device)
{
    struct device_cfg cpu = *cfg;
    cpu.name = "cpu";
    return device_open(&cpu, device);
}

static enum err keep(struct device_comm *comm, const struct device_exchange *exchange)
{
    comm->device->ops->copy(comm->device, exchange->send_counts[0] * exchange->item_bytes,
                            exchange->send, exchange->receive);
    return ERR_OK;
}

static enum err keep_word(struct device_comm *comm, uint64_t *word)
{
    (void)comm;
    (void)word;
    return ERR_OK;
}

static void plain_close(struct device_comm *comm)
{
    mem_free(comm);
}

/* own: what rank 0 said, to show that the gang's words came through. On the machine "far" this
 * device has no exchanges. */
static enum err plain_open_comm(struct device *device, const struct device_gang *gang,
                                struct device_comm **comm)
{
    enum err err = ERR_OK;
    static char said[8];
    TRY(gang->broadcast(gang->own, said, sizeof said));
    TRY(gang->gather(gang->own, gang->node, said, sizeof said));
    if (strcmp(said, "far") == 0)
        return ERR_OK;
    *comm = mem_alloc(sizeof **comm);
    **comm = (struct device_comm){.rank = gang->rank,
                                  .size = gang->size,
                                  .device = device,
                                  .own = said,
                                  .exchange = keep,
                                  .gather_all = keep,
                                  .least = keep_word,
                                  .close = plain_close};
out:
    return err;
}

static void plain_survey(device_found_fn *found, void *own)
{
    found(own, false, "a plain board");
    found(own, true, "no wire; buy one");
}

const struct device_module *glowworm_device_module(void)
{
    static const struct device_module module = {.abi = DEVICE_ABI,
                                                .name = "plain",
                                                .open = plain_open,
                                                .open_comm = plain_open_comm,
                                                .survey = plain_survey};
    return &module;
}
