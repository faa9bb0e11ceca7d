/* A bench's parts handed to the rooms, as the stages do it. */
#ifndef TESTS_TRAINER_BENCH_PARTS_H
#define TESTS_TRAINER_BENCH_PARTS_H

#include "trainer/workbench.h"

static inline enum err load_resume(struct workbench *bench, int stage,
                                   const struct stage_start *start, float *momentum,
                                   struct resume *resume)
{
    struct resume_cfg cfg = workbench_resume(bench);
    return resume_load(&cfg, stage, start, momentum, resume);
}

static inline enum err load_trained(struct workbench *bench, struct hash *content)
{
    struct resume_cfg cfg = workbench_resume(bench);
    return resume_load_trained(&cfg, content);
}

static inline enum err open_evaluation(struct workbench *bench, struct activation_arena *arena,
                                       struct evaluate **evaluate)
{
    struct evaluate_parts parts = workbench_evaluate(bench);
    return evaluate_open(&parts, arena, evaluate);
}

#endif
