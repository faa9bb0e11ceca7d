#include "trainer/mixed.h"
#include "base/mem.h"
#include "trainer/checkpoint/lineage.h"
#include <string.h>

static bool wants_same(const struct workbench *bench)
{
    return strcmp(bench->campaign->resources.lineage, "same") == 0;
}

/* Ranks on different instruction sets would give sums that depend on who computed what. */
static enum err check_rank(const struct workbench *bench, size_t rank, const char *first,
                           const char *device)
{
    if (!lineage_is_same_kind(first, device))
        return err_set(ERR_CONFIG,
                       "rank 0 computes on \"%s\", rank %zu on \"%s\": pin resources.isa to what "
                       "all machines have",
                       first, rank, device);
    if (wants_same(bench) && !lineage_is_same(first, device))
        return err_set(ERR_CONFIG,
                       "rank 0 computes on \"%s\", rank %zu on \"%s\", and resources.lineage is "
                       "same: give the run machines of one model, or set resources.lineage: any "
                       "(what it computes is marked as mixed then)",
                       first, rank, device);
    return ERR_OK;
}

static void warn_of_gang(struct workbench *bench)
{
    struct text text;
    if (bench->mixed.size == 0)
        return;
    text_init(&text);
    text_add(&text,
             "the gang's processors differ, and with them the last bits may: rank 0 computes on "
             "\"%s\", others on \"%s\"; what they compute is marked as mixed",
             bench->device->lineage, text_get(&bench->mixed));
    workbench_warn(bench, text_get(&text));
    text_fini(&text);
}

enum err mixed_gang(struct workbench *bench)
{
    enum err err = ERR_OK;
    struct comm *comm = bench->comm;
    size_t size = (size_t)comm->size, bytes = sizeof bench->device->lineage;
    char *all = mem_array(size, bytes);
    TRY(comm_gather_equal(comm, bench->device->lineage, all, bytes));
    for (size_t rank = 1; rank < size; rank++) {
        TRY(check_rank(bench, rank, all, all + rank * bytes));
        if (comm->rank == 0)
            lineage_add(&bench->mixed, all, all + rank * bytes);
    }
    warn_of_gang(bench);
out:
    mem_free(all);
    return err;
}

static enum err refuse(const struct workbench *bench, const struct checkpoint *from,
                       const char *others)
{
    return err_set(ERR_CONFIG,
                   "the checkpoint of stage %s, step %llu, was computed on \"%s\", this is \"%s\", "
                   "and resources.lineage is same: go on on the machine of before, start over in "
                   "another run_folder, or set resources.lineage: any (what follows is marked as "
                   "mixed then)",
                   from->position.stage, (unsigned long long)from->position.step, others,
                   bench->device->lineage);
}

static void warn_of_device(struct workbench *bench, const struct checkpoint *from,
                           const char *device)
{
    struct text text;
    text_init(&text);
    text_add(&text,
             "going on from stage %s, step %llu, which was computed on \"%s\"; this is \"%s\": the "
             "last bits may differ from what either gives alone, and what follows is marked as "
             "mixed",
             from->position.stage, (unsigned long long)from->position.step, device,
             bench->device->lineage);
    workbench_warn(bench, text_get(&text));
    text_fini(&text);
}

enum err mixed_go_on(struct workbench *bench, const struct checkpoint *from)
{
    enum err err = ERR_OK;
    const char *mine = bench->device->lineage, *device = lineage_device(from->meta.lineage);
    bool is_other = device[0] && !lineage_is_same(mine, device);
    struct text others;
    text_init(&others);
    if (is_other)
        lineage_add(&others, mine, device);
    lineage_add(&others, mine, from->meta.mixed ? from->meta.mixed : "");
    if (others.size > 0 && wants_same(bench))
        TRY(refuse(bench, from, text_get(&others)));
    if (is_other)
        warn_of_device(bench, from, device);
    lineage_add(&bench->mixed, mine, text_get(&others));
out:
    text_fini(&others);
    return err;
}

void mixed_inherit(struct workbench *bench, const struct checkpoint *from)
{
    lineage_add(&bench->mixed, bench->device->lineage, from->meta.mixed ? from->meta.mixed : "");
}
