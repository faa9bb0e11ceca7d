#include "trainer/record/mixed.h"
#include "base/mem.h"
#include "trainer/checkpoint/lineage.h"
#include <stdio.h>
#include <string.h>

void mixed_init(struct mixed *mixed, const char *mine, const char *policy,
                const struct reporter *reporter)
{
    *mixed = (struct mixed){
        .mine = mine, .is_refused = strcmp(policy, "same") == 0, .reporter = reporter};
    text_init(&mixed->gang);
    text_init(&mixed->others);
}

void mixed_fini(struct mixed *mixed)
{
    text_fini(&mixed->gang);
    text_fini(&mixed->others);
}

/* Ranks on different instruction sets would give sums that depend on who computed what. */
static enum err check_rank(const struct mixed *mixed, size_t rank, const char *first,
                           const char *device)
{
    if (!lineage_is_same_kind(first, device))
        return err_set(ERR_CONFIG,
                       "rank 0 computes on \"%s\", rank %zu on \"%s\": pin resources.isa to what "
                       "all machines have",
                       first, rank, device);
    if (mixed->is_refused && !lineage_is_same(first, device))
        return err_set(ERR_CONFIG,
                       "rank 0 computes on \"%s\", rank %zu on \"%s\", and resources.lineage is "
                       "same: give the run machines of one model, or set resources.lineage: any "
                       "(what it computes is marked as mixed then)",
                       first, rank, device);
    return ERR_OK;
}

static void warn_of_gang(struct mixed *mixed)
{
    struct text text;
    if (mixed->others.size == 0)
        return;
    text_init(&text);
    text_add(&text,
             "the gang's processors differ, and with them the last bits may: rank 0 computes on "
             "\"%s\", others on \"%s\"; what they compute is marked as mixed",
             mixed->mine, text_get(&mixed->others));
    reporter_warn(mixed->reporter, text_get(&text));
    text_fini(&text);
}

enum err mixed_gang(struct mixed *mixed, struct comm *comm)
{
    enum err err = ERR_OK;
    size_t size = (size_t)comm->size, bytes = DEVICE_LINEAGE;
    char mine[DEVICE_LINEAGE];
    char *all = mem_array(size, bytes);
    snprintf(mine, sizeof mine, "%s", mixed->mine);
    TRY(comm_gather_equal(comm, mine, all, bytes));
    for (size_t rank = 1; rank < size; rank++) {
        TRY(check_rank(mixed, rank, all, all + rank * bytes));
        if (comm->rank == 0)
            lineage_add(&mixed->others, all, all + rank * bytes);
    }
    text_fini(&mixed->gang);
    lineage_write_gang(all, bytes, comm->size, &mixed->gang);
    warn_of_gang(mixed);
out:
    mem_free(all);
    return err;
}

static enum err refuse(const struct mixed *mixed, const struct checkpoint *from, const char *others)
{
    return err_set(ERR_CONFIG,
                   "the checkpoint of stage %s, step %llu, was computed on \"%s\", this is \"%s\", "
                   "and resources.lineage is same: go on on the machine of before, start over in "
                   "another run_folder, or set resources.lineage: any (what follows is marked as "
                   "mixed then)",
                   from->position.stage, (unsigned long long)from->position.step, others,
                   mixed->mine);
}

static void warn_of_device(struct mixed *mixed, const struct checkpoint *from, const char *device)
{
    struct text text;
    text_init(&text);
    text_add(&text,
             "going on from stage %s, step %llu, which was computed on \"%s\"; this is \"%s\": the "
             "last bits may differ from what either gives alone, and what follows is marked as "
             "mixed",
             from->position.stage, (unsigned long long)from->position.step, device, mixed->mine);
    reporter_warn(mixed->reporter, text_get(&text));
    text_fini(&text);
}

enum err mixed_go_on(struct mixed *mixed, const struct checkpoint *from)
{
    enum err err = ERR_OK;
    const char *mine = mixed->mine, *device = lineage_device(from->meta.lineage);
    bool is_other = device[0] && !lineage_is_same(mine, device);
    struct text others;
    text_init(&others);
    if (is_other)
        lineage_add(&others, mine, device);
    lineage_add(&others, mine, from->meta.mixed ? from->meta.mixed : "");
    if (others.size > 0 && mixed->is_refused)
        TRY(refuse(mixed, from, text_get(&others)));
    if (is_other)
        warn_of_device(mixed, from, device);
    lineage_add(&mixed->others, mine, text_get(&others));
out:
    text_fini(&others);
    return err;
}

void mixed_inherit(struct mixed *mixed, const struct checkpoint *from)
{
    lineage_add(&mixed->others, mixed->mine, from->meta.mixed ? from->meta.mixed : "");
}
