/* Phases are data: a schedule is a table of rows, one per training stage: which choices are open,
 * how many sub-networks a step samples, epochs, rate, distillation, whether channels are sorted
 * first. Progressive shrinking is one table (schedule "ofa": OFA sec. 3.3 and its appendix B; the
 * reference's train_ofa_net.py). Plain data. */
#ifndef TRAINER_SPEC_SCHEDULE_H
#define TRAINER_SPEC_SCHEDULE_H

#include "trainer/spec/subnet.h"

#define SCHEDULE_MAX_PHASES 16

struct phase {
    char name[32];            /* "teacher", "kernel", "depth-1", ... */
    struct open_choices open; /* what a step samples from; the biggest only in the teacher phase */
    int subnets_per_step;     /* 1, 1, 2, 2, 4, 4 */
    double epochs;            /* after warm-up; fractions allowed: rounded to whole steps */
    double warmup_epochs;     /* linear from rate / 32 */
    double
        rate; /* learning rate of the whole step at campaign.batch.global; cosine to 0 per step */
    bool has_distillation; /* soft targets from the frozen full network, computed once per batch */
    bool sorts_channels; /* before the first step; the expansions trained before stay as they are */
};

struct schedule {
    /* What the network was trained for when the first row begins: the biggest alone, unless
     * schedule_give() said otherwise. */
    struct open_choices before;
    int phase_count;
    struct phase phases[SCHEDULE_MAX_PHASES];
};

/* The named tables: "ofa" (progressive shrinking) and "random" (everything open at once). */
#define SCHEDULE_NAMES "ofa|random"

/* Has the named table a row of this name? */
bool schedule_has_row(const char *schedule, const char *row);
/* The row names of a table as "kernel, depth-1, ..."; appended. */
void schedule_list_rows(const char *schedule, struct text *names);
/* Appends the shrinking rows of a named table to a schedule, opened for this space: epochs times
 * epochs_scale, rates times rate_scale and global / 2048. "The two largest" are all where there are
 * only two; a row that would open nothing, or nothing that the next does not open as well, is left
 * out. BUG on an unknown name. */
void schedule_append(const char *name, const struct space *space, double epochs_scale,
                     double rate_scale, int global_batch, struct schedule *schedule);
/* Says what a given teacher (teacher.from) was trained for. ERR_CONFIG: these and the space's
 * choices are too many together. */
MUST_CHECK enum err schedule_give(struct schedule *schedule, const struct space *space,
                                  const struct open_choices *trained);
/* What the last row leaves open: every choice that is still trained at the end, so what a search
 * may draw; the space's own where nothing is trained here (a given teacher with nothing to open).
 */
void schedule_trained(const struct schedule *schedule, const struct space *space,
                      struct open_choices *open);
/* Every choice that was trained at any time in front of `phase`, one of the schedule's or the one
 * past its last: by a given teacher and in the rows before. A sort keeps all of their widths. */
void schedule_trained_before(const struct schedule *schedule, const struct space *space,
                             const struct phase *phase, struct open_choices *open);
/* Whether `phase`, one of the schedule's, trains kernel matrices. They rest until a row opens a
 * kernel smaller than the space's largest, as the reference has none before, and are trained from
 * that row on, in rows that close it again too; from the first row where the given teacher was
 * trained for a smaller one. False for spaces without matrices. */
bool schedule_trains_matrices(const struct schedule *schedule, const struct space *space,
                              const struct phase *phase);
/* The open choices of the biggest sub-network alone. */
void schedule_open_biggest(const struct space *space, struct open_choices *open);

#endif
