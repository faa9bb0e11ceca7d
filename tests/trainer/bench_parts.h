/* A bench's parts handed to the rooms, as the stages do it. */
#ifndef TESTS_TRAINER_BENCH_PARTS_H
#define TESTS_TRAINER_BENCH_PARTS_H

#include "trainer/workbench.h"
#include <stdio.h>
#include <string.h>

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

/* A gang of two whose second rank computes on comm->own. */
static inline enum err gather_with(struct comm *comm, const void *mine, void *all,
                                   const size_t *counts, const size_t *offsets, size_t item_bytes)
{
    (void)counts;
    (void)offsets;
    memcpy(all, mine, item_bytes);
    snprintf((char *)all + item_bytes, item_bytes, "%s", (const char *)comm->own);
    return ERR_OK;
}

/* What a bench that was opened alone finds out in a gang with a rank on this device. */
static inline enum err mix_with(struct workbench *bench, char *device)
{
    struct comm pair = *bench->comm;
    pair.size = 2;
    pair.gather_all = gather_with;
    pair.own = device;
    return mixed_gang(&bench->mixed, &pair);
}

/* A device as the bench's, on another model of processor. */
static inline void write_little(const struct workbench *bench, char little[DEVICE_LINEAGE])
{
    snprintf(little, DEVICE_LINEAGE, "%s", bench->device->lineage);
    snprintf(strstr(little, DEVICE_LINEAGE_ON), 32, "%sLittle (6/1/1)", DEVICE_LINEAGE_ON);
}

#endif
