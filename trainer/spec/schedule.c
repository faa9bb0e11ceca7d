/* The tables of phases. OFA sec. 3.3 and appendix B; the reference's train_ofa_net.py for what the
 * paper leaves out. Rates are those of a global batch of 2048. */
#include "trainer/spec/schedule.h"
#include <stdio.h>
#include <string.h>

enum opening { OPEN_BIGGEST, OPEN_TWO, OPEN_ALL };
enum gene { GENE_KERNEL, GENE_DEPTH, GENE_WIDTH, GENE_ANY };

struct row {
    const char *name;
    enum gene gene; /* what this phase opens */
    enum opening kernels, depths, expansions;
    int subnets;
    double epochs, warmup, rate;
    bool sorts;
};

static const struct row ofa_rows[] = {
    {"kernel", GENE_KERNEL, OPEN_ALL, OPEN_BIGGEST, OPEN_BIGGEST, 1, 120, 5, 0.96, false},
    {"depth-1", GENE_DEPTH, OPEN_ALL, OPEN_TWO, OPEN_BIGGEST, 2, 25, 0, 0.08, false},
    {"depth-2", GENE_DEPTH, OPEN_ALL, OPEN_ALL, OPEN_BIGGEST, 2, 120, 5, 0.24, false},
    {"width-1", GENE_WIDTH, OPEN_ALL, OPEN_ALL, OPEN_TWO, 4, 25, 0, 0.08, true},
    {"width-2", GENE_WIDTH, OPEN_ALL, OPEN_ALL, OPEN_ALL, 4, 120, 5, 0.24, true},
};

/* Everything open from the start (RSS, CVPRW 2022): one phase of the length of OFA's two long ones
 * after the kernel phase, at their rate and with as many sub-networks a step as the last. */
static const struct row random_rows[] = {
    {"random", GENE_ANY, OPEN_ALL, OPEN_ALL, OPEN_ALL, 4, 240, 5, 0.24, true},
};

static const struct row *find_table(const char *name, int *count)
{
    *count = strcmp(name, "ofa") == 0 ? (int)(sizeof ofa_rows / sizeof *ofa_rows) : 1;
    if (strcmp(name, "ofa") == 0)
        return ofa_rows;
    if (strcmp(name, "random") == 0)
        return random_rows;
    BUG("there is no schedule '%s'", name);
}

bool schedule_has_row(const char *schedule, const char *row)
{
    int count = 0;
    const struct row *rows = find_table(schedule, &count);
    for (int i = 0; i < count; i++)
        if (strcmp(rows[i].name, row) == 0)
            return true;
    return false;
}

void schedule_list_rows(const char *schedule, struct text *names)
{
    int count = 0;
    const struct row *rows = find_table(schedule, &count);
    for (int i = 0; i < count; i++)
        text_add(names, "%s%s", i ? ", " : "", rows[i].name);
}

/* The largest so many of `all`. */
static struct choices open_largest(const struct choices *all, enum opening opening)
{
    int count = opening == OPEN_BIGGEST ? 1 : opening == OPEN_TWO ? 2 : all->count;
    struct choices open = {0};
    if (count > all->count)
        count = all->count;
    for (int i = all->count - count; i < all->count; i++)
        open.value[open.count++] = all->value[i];
    return open;
}

void schedule_open_biggest(const struct space *space, struct open_choices *open)
{
    open->kernels = open_largest(&space->kernels, OPEN_BIGGEST);
    open->expansions = open_largest(&space->expansions, OPEN_BIGGEST);
    open->depths = open_largest(&space->depths, OPEN_BIGGEST);
}

void schedule_trained(const struct schedule *schedule, const struct space *space,
                      struct open_choices *open)
{
    *open = (struct open_choices){space->kernels, space->expansions, space->depths};
    if (schedule->phase_count > 0)
        *open = schedule->phases[schedule->phase_count - 1].open;
}

static bool join_choices(struct choices *to, const struct choices *from)
{
    bool fits = true;
    for (int i = 0; i < from->count; i++)
        fits = choices_add(to, from->value[i]) && fits;
    return fits;
}

static bool join(struct open_choices *to, const struct open_choices *from)
{
    bool fits = join_choices(&to->kernels, &from->kernels);
    fits = join_choices(&to->expansions, &from->expansions) && fits;
    return join_choices(&to->depths, &from->depths) && fits;
}

enum err schedule_give(struct schedule *schedule, const struct space *space,
                       const struct open_choices *trained)
{
    struct open_choices all = {space->kernels, space->expansions, space->depths};
    if (!join(&all, trained)) /* the rows' choices are the space's: checked here for all of them */
        return err_set(ERR_CONFIG,
                       "the teacher was trained for choices that space %s does not have, and "
                       "together they are more than %d of a kind",
                       space->name, SPACE_MAX_CHOICES);
    (void)join(&schedule->before, trained);
    return ERR_OK;
}

void schedule_trained_before(const struct schedule *schedule, const struct space *space,
                             const struct phase *phase, struct open_choices *open)
{
    schedule_open_biggest(space, open);
    bool fits = join(open, &schedule->before);
    for (const struct phase *row = schedule->phases; row < phase; row++)
        fits = join(open, &row->open) && fits;
    if (!fits)
        BUG("a row opens what space %s does not have", space->name);
}

bool schedule_trains_matrices(const struct schedule *schedule, const struct space *space,
                              const struct phase *phase)
{
    struct open_choices trained; /* with what this row opens */
    if (!space->has_kernel_transform || space->kernels.count < 2)
        return false;
    schedule_trained_before(schedule, space, phase + 1, &trained);
    return choices_min(&trained.kernels) < choices_max(&space->kernels);
}

/* Choices of what a row opens; depth needs a stage that is open too. */
static int count_choices(const struct space *space, enum gene gene)
{
    int depths = space->elastic_stage_count > 0 ? space->depths.count : 1;
    int largest = depths;
    switch (gene) {
    case GENE_KERNEL:
        return space->kernels.count;
    case GENE_DEPTH:
        return depths;
    case GENE_WIDTH:
        return space->expansions.count;
    case GENE_ANY:
        break;
    }
    largest = space->kernels.count > largest ? space->kernels.count : largest;
    return space->expansions.count > largest ? space->expansions.count : largest;
}

/* Nothing to open; or the stepping stone of a long phase that opens the same two. */
static bool is_needless(const struct row *row, const struct space *space)
{
    int count = count_choices(space, row->gene);
    bool is_step = row->depths == OPEN_TWO || row->expansions == OPEN_TWO;
    return count < 2 || (is_step && count < 3);
}

void schedule_append(const char *name, const struct space *space, double epochs_scale,
                     double rate_scale, int global_batch, struct schedule *schedule)
{
    int count = 0;
    const struct row *rows = find_table(name, &count);
    for (int i = 0; i < count; i++) {
        if (is_needless(&rows[i], space))
            continue;
        if (schedule->phase_count == SCHEDULE_MAX_PHASES)
            BUG("schedule '%s' is longer than %d phases", name, SCHEDULE_MAX_PHASES);
        struct phase *phase = &schedule->phases[schedule->phase_count++];
        *phase = (struct phase){.subnets_per_step = rows[i].subnets,
                                .epochs = rows[i].epochs * epochs_scale,
                                .warmup_epochs = rows[i].warmup * epochs_scale,
                                .rate = rows[i].rate * rate_scale * global_batch / 2048,
                                .has_distillation = true,
                                .sorts_channels = rows[i].sorts && space->expansions.count > 1};
        snprintf(phase->name, sizeof phase->name, "%s", rows[i].name);
        phase->open.kernels = open_largest(&space->kernels, rows[i].kernels);
        phase->open.depths = open_largest(&space->depths, rows[i].depths);
        phase->open.expansions = open_largest(&space->expansions, rows[i].expansions);
    }
}
