#include "trainer/score.h"
#include "base/mem.h"
#include <math.h>
#include <string.h>

enum { NUMBER_IMAGES, NUMBER_CORRECT, NUMBER_LOSS, NUMBERS }; /* then the confusion matrix */

struct scorer {
    struct comm *comm;
    int classes;
    enum score_detail detail;
    struct tree_sum *sums;
    int worst_count;
    struct worst_image worst[SCORE_WORST]; /* of this rank */
};

void score_fini(struct score *score)
{
    mem_free(score->confusion);
    *score = (struct score){0};
}

static double share(double part, double whole)
{
    return whole > 0 ? part / whole : 0;
}

double score_precision(const struct score *score, int c)
{
    double predicted = 0;
    for (int label = 0; label < score->classes; label++)
        predicted += score->confusion[label * score->classes + c];
    return share(score->confusion[c * score->classes + c], predicted);
}

double score_recall(const struct score *score, int c)
{
    double all = 0;
    for (int predicted = 0; predicted < score->classes; predicted++)
        all += score->confusion[c * score->classes + predicted];
    return share(score->confusion[c * score->classes + c], all);
}

enum err scorer_create(struct comm *comm, int leaves, int classes, enum score_detail detail,
                       struct scorer **result)
{
    enum err err = ERR_OK;
    size_t count = NUMBERS;
    struct scorer *scorer = mem_alloc(sizeof *scorer);
    *scorer = (struct scorer){.comm = comm, .classes = classes, .detail = detail};
    if (detail == SCORE_DETAILED)
        count += (size_t)classes * (size_t)classes;
    TRY(tree_sum_create(comm, leaves, count, true, &scorer->sums));
    *result = scorer;
    scorer = NULL;
out:
    scorer_destroy(&scorer);
    return err;
}

void scorer_destroy(struct scorer **pointer)
{
    struct scorer *scorer = *pointer;
    if (!scorer)
        return;
    tree_sum_destroy(&scorer->sums);
    mem_free(scorer);
    *pointer = NULL;
}

/* Higher loss first; equal ones by record, so that the list does not depend on who made it. */
static bool is_worse(const struct worst_image *left, const struct worst_image *right)
{
    if (left->loss > right->loss || left->loss < right->loss)
        return left->loss > right->loss;
    return left->record < right->record;
}

static void add_worst(struct worst_image *worst, int *count, const struct worst_image *image)
{
    int at = *count;
    while (at > 0 && is_worse(image, &worst[at - 1]))
        at--;
    if (at == SCORE_WORST)
        return;
    int kept = *count < SCORE_WORST ? *count : SCORE_WORST - 1;
    memmove(&worst[at + 1], &worst[at], (size_t)(kept - at) * sizeof *worst);
    worst[at] = *image;
    *count = kept + 1;
}

/* Softmax cross entropy of one image, and its arg max (the first of equals). A NaN anywhere makes
 * the loss NaN. */
static double cross_entropy(const float *logits, int classes, int32_t label, int32_t *predicted)
{
    int best = 0;
    double sum = 0;
    for (int c = 1; c < classes; c++)
        if (logits[c] > logits[best])
            best = c;
    for (int c = 0; c < classes; c++)
        sum += exp((double)logits[c] - (double)logits[best]);
    *predicted = best;
    return log(sum) + (double)logits[best] - (double)logits[label];
}

void scorer_add(struct scorer *scorer, const struct batch *batch, const float *logits)
{
    double *numbers = tree_sum_leaf(scorer->sums);
    for (int n = 0; n < batch->N; n++) {
        struct worst_image image = {.record = batch->records[n], .label = batch->labels[n]};
        image.loss = cross_entropy(logits + (size_t)n * (size_t)scorer->classes, scorer->classes,
                                   image.label, &image.predicted);
        numbers[NUMBER_IMAGES] += 1;
        numbers[NUMBER_CORRECT] += image.predicted == image.label;
        numbers[NUMBER_LOSS] += image.loss;
        if (scorer->detail == SCORE_DETAILED) {
            numbers[NUMBERS + image.label * scorer->classes + image.predicted] += 1;
            add_worst(scorer->worst, &scorer->worst_count, &image);
        }
    }
    tree_sum_close_leaf(scorer->sums);
}

/* The worst of all ranks: each offers its own, padded; the best of those are kept. */
static enum err gather_worst(struct scorer *scorer, struct score *score)
{
    enum err err = ERR_OK;
    struct comm *comm = scorer->comm;
    size_t size = (size_t)comm->size;
    struct offer {
        int count;
        struct worst_image worst[SCORE_WORST];
    } mine = {.count = scorer->worst_count};
    struct offer *all = mem_array(size, sizeof *all);
    size_t *numbers = mem_array(2 * size, sizeof *numbers);
    memcpy(mine.worst, scorer->worst, sizeof mine.worst);
    for (size_t rank = 0; rank < size; rank++) {
        numbers[rank] = 1;
        numbers[size + rank] = rank;
    }
    TRY(comm->gather_all(comm, &mine, all, numbers, numbers + size, sizeof mine));
    for (size_t rank = 0; rank < size; rank++)
        for (int i = 0; i < all[rank].count; i++)
            add_worst(score->worst, &score->worst_count, &all[rank].worst[i]);
out:
    mem_free(numbers);
    mem_free(all);
    return err;
}

enum err scorer_total(struct scorer *scorer, struct score *score)
{
    enum err err = ERR_OK;
    const void *total = NULL;
    struct score made = {0};
    TRY(tree_sum_total(scorer->sums, &total));
    const double *numbers = total;
    made.images = (uint64_t)numbers[NUMBER_IMAGES];
    made.accuracy = share(numbers[NUMBER_CORRECT], numbers[NUMBER_IMAGES]);
    made.loss = share(numbers[NUMBER_LOSS], numbers[NUMBER_IMAGES]);
    if (scorer->detail == SCORE_DETAILED) {
        size_t cells = (size_t)scorer->classes * (size_t)scorer->classes;
        made.classes = scorer->classes;
        made.confusion = mem_array(cells, sizeof *made.confusion);
        memcpy(made.confusion, numbers + NUMBERS, cells * sizeof *made.confusion);
        TRY(gather_worst(scorer, &made));
    }
    *score = made;
    made.confusion = NULL;
out:
    score_fini(&made);
    return err;
}
