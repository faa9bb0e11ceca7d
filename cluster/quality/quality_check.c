#include "cluster/quality/quality_check.h"
#include "base/mem.h"
#include "cluster/quality/second_opinion.h"
#include <stdlib.h>
#include <string.h>

const char *const finding_names[FINDING_KINDS] = {"mislabelled", "blurred", "blank", "overexposed"};

static void add(struct quality_check *check, enum finding_kind kind, uint32_t record, double value)
{
    struct findings *findings = &check->findings[kind];
    const struct measured *measured = &check->measured[record];
    if (findings->count == findings->room) {
        uint32_t room = 2 * findings->room + 64;
        findings->rows = mem_grow(findings->rows, findings->room * sizeof *findings->rows,
                                  room * sizeof *findings->rows);
        findings->room = room;
    }
    findings->rows[findings->count++] =
        (struct finding){record, measured->label, measured->predicted, value};
}

static enum err measure_all(const struct quality_check_cfg *cfg, struct second_opinion *opinion,
                            struct quality_check *check)
{
    enum err err = ERR_OK;
    struct image image = {.room = 0};
    for (uint32_t i = 0; i < check->count; i++) {
        struct measured *measured = &check->measured[i];
        TRY(dataset_read(check->dataset, i, &image));
        image_quality_of(&image, &measured->quality);
        measured->label = image.label;
        measured->predicted = -1;
        if (opinion)
            TRY(second_opinion_ask(opinion, &image, &measured->predicted, &measured->confidence));
        if (cfg->progress)
            cfg->progress(i + 1, check->count);
    }
out:
    mem_free(image.pixels);
    return err;
}

static int compare_numbers(const void *left, const void *right)
{
    double one = *(const double *)left, other = *(const double *)right;
    return (one > other) - (one < other);
}

static double sharpness_of(const struct measured *measured)
{
    return measured->quality.sharpness;
}

static double white_of(const struct measured *measured)
{
    return measured->quality.white;
}

/* Of every class (classes), over its pictures; 0 for one without any. Returns owned. */
static double *medians(const struct quality_check *check,
                       double (*value_of)(const struct measured *measured))
{
    int classes = dataset_info(check->dataset)->classes;
    double *found = mem_array((size_t)classes, sizeof *found);
    double *values = mem_array((size_t)check->count, sizeof *values);
    size_t *begin = mem_array((size_t)classes + 1, sizeof *begin);
    for (uint32_t i = 0; i < check->count; i++)
        begin[check->measured[i].label + 1]++;
    for (int c = 0; c < classes; c++)
        begin[c + 1] += begin[c];
    for (uint32_t i = 0; i < check->count; i++) /* begin[c] becomes the end of c */
        values[begin[check->measured[i].label]++] = value_of(&check->measured[i]);
    for (int c = 0; c < classes; c++) {
        size_t first = c > 0 ? begin[c - 1] : 0, count = begin[c] - first;
        if (count == 0)
            continue;
        qsort(values + first, count, sizeof *values, compare_numbers);
        found[c] = values[first + count / 2];
    }
    mem_free(begin);
    mem_free(values);
    return found;
}

static void judge(struct quality_check *check)
{
    double *sharpness = medians(check, sharpness_of), *white = medians(check, white_of);
    for (uint32_t i = 0; i < check->count; i++) {
        const struct measured *measured = &check->measured[i];
        const struct image_quality *quality = &measured->quality;
        double usual = sharpness[measured->label];
        if (quality->deviation < QUALITY_BLANK)
            add(check, FINDING_BLANK, i, quality->deviation);
        else if (quality->sharpness < QUALITY_BLURRED * usual)
            add(check, FINDING_BLURRED, i, quality->sharpness / usual);
        if (quality->white >= QUALITY_OVEREXPOSED && white[measured->label] < QUALITY_OVEREXPOSED)
            add(check, FINDING_OVEREXPOSED, i, quality->white);
        if (measured->predicted >= 0 && measured->predicted != measured->label &&
            measured->confidence >= check->confidence)
            add(check, FINDING_MISLABELLED, i, measured->confidence);
    }
    mem_free(sharpness);
    mem_free(white);
}

static int compare_rising(const void *left, const void *right)
{
    const struct finding *one = left, *other = right;
    if (one->value < other->value || one->value > other->value)
        return one->value < other->value ? -1 : 1;
    return one->record < other->record ? -1 : 1;
}

static int compare_falling(const void *left, const void *right)
{
    const struct finding *one = left, *other = right;
    if (one->value < other->value || one->value > other->value)
        return one->value > other->value ? -1 : 1;
    return one->record < other->record ? -1 : 1;
}

static void sort_findings(struct quality_check *check)
{
    for (int kind = 0; kind < FINDING_KINDS; kind++) {
        struct findings *findings = &check->findings[kind];
        bool is_rising = kind == FINDING_BLURRED || kind == FINDING_BLANK;
        if (findings->count > 0)
            qsort(findings->rows, findings->count, sizeof *findings->rows,
                  is_rising ? compare_rising : compare_falling);
    }
}

const char *quality_split(const struct quality_check *check, uint32_t record)
{
    if (record >= dataset_info(check->dataset)->train_count)
        return "test";
    return check->measured[record].is_held_out ? "hold-out" : "train";
}

static void group_alike(struct quality_check *check)
{
    struct image_look *looks = mem_array(check->count, sizeof *looks);
    bool *is_blank = mem_array(check->count, sizeof *is_blank);
    for (uint32_t i = 0; i < check->count; i++) {
        looks[i] = check->measured[i].quality.look;
        is_blank[i] = check->measured[i].quality.deviation < QUALITY_BLANK;
    }
    alike_groups(looks, is_blank, check->count, check->group);
    for (uint32_t i = 0; i < check->count; i++) {
        uint32_t first = check->group[i];
        check->in_group[first]++;
        check->crosses[first] |= strcmp(quality_split(check, i), quality_split(check, first)) != 0;
    }
    for (uint32_t i = 0; i < check->count; i++) {
        check->groups += check->in_group[i] > 1;
        check->crossing += check->crosses[i];
    }
    mem_free(is_blank);
    mem_free(looks);
}

static enum err mark_held_out(const struct second_opinion *opinion, struct quality_check *check)
{
    enum err err = ERR_OK;
    uint32_t *records = NULL, count = 0;
    if (!opinion || opinion->holdout == 0)
        return ERR_OK;
    TRY(dataset_split(check->dataset, SPLIT_HOLDOUT, opinion->holdout, &records, &count));
    for (uint32_t i = 0; i < count; i++)
        check->measured[records[i]].is_held_out = true;
out:
    mem_free(records);
    return err;
}

static void make_room(struct quality_check *check)
{
    const struct dataset_info *info = dataset_info(check->dataset);
    check->count = info->train_count + info->test_count;
    check->measured = mem_array(check->count, sizeof *check->measured);
    check->group = mem_array(check->count, sizeof *check->group);
    check->in_group = mem_array(check->count, sizeof *check->in_group);
    check->crosses = mem_array(check->count, sizeof *check->crosses);
}

enum err quality_check_run(const struct quality_check_cfg *cfg, struct quality_check *check)
{
    enum err err = ERR_OK;
    struct second_opinion *opinion = NULL;
    check->confidence = cfg->confidence;
    TRY(dataset_open(cfg->path, &check->dataset));
    if (cfg->run) {
        TRY(second_opinion_open(cfg->run, cfg->target, dataset_info(check->dataset), &opinion));
        check->network = mem_string(opinion->bundle);
    }
    make_room(check);
    TRY(mark_held_out(opinion, check));
    TRY(measure_all(cfg, opinion, check));
    judge(check);
    sort_findings(check);
    group_alike(check);
out:
    second_opinion_close(&opinion);
    return err;
}

void quality_check_fini(struct quality_check *check)
{
    for (int kind = 0; kind < FINDING_KINDS; kind++)
        mem_free(check->findings[kind].rows);
    mem_free(check->measured);
    mem_free(check->group);
    mem_free(check->in_group);
    mem_free(check->crosses);
    mem_free(check->network);
    dataset_close(&check->dataset);
    memset(check, 0, sizeof *check);
}
