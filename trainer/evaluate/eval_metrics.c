#include "trainer/evaluate/eval_metrics.h"
#include "base/mem.h"
#include <math.h>
#include <string.h>

enum {
    NUMBER_IMAGES,
    NUMBER_CORRECT,
    NUMBER_LOSS,
    NUMBERS
}; /* then the classes, then the matrix */

struct scorer {
    struct comm *comm;
    int classes;
    enum eval_detail detail;
    struct tree_sum *sums;
    int worst_count;
    struct worst_image worst[EVAL_WORST]; /* of this rank */
};

void eval_metrics_make_plain(struct eval_metrics *metrics)
{
    struct eval_metrics plain = {.images = metrics->images,
                                 .correct = metrics->correct,
                                 .accuracy = metrics->accuracy,
                                 .loss = metrics->loss};
    eval_metrics_fini(metrics);
    *metrics = plain;
}

static double share(double part, double whole)
{
    return whole > 0 ? part / whole : 0;
}

double eval_metrics_precision(const struct eval_metrics *metrics, int c)
{
    const struct eval_class *mine = &metrics->per_class[c];
    return mine->predicted > 0 ? mine->right / mine->predicted : NAN;
}

double eval_metrics_recall(const struct eval_metrics *metrics, int c)
{
    const struct eval_class *mine = &metrics->per_class[c];
    return mine->images > 0 ? mine->right / mine->images : NAN;
}

/* Doubles a class takes, and the matrix if there is one. */
enum { CLASS_NUMBERS = sizeof(struct eval_class) / sizeof(double) };

static size_t matrix_cells(int classes)
{
    return classes <= EVAL_MAX_MATRIX ? (size_t)classes * (size_t)classes : 0;
}

enum err scorer_create(struct comm *comm, int leaves, int classes, enum eval_detail detail,
                       struct scorer **result)
{
    enum err err = ERR_OK;
    size_t count = NUMBERS;
    struct scorer *scorer = mem_alloc(sizeof *scorer);
    *scorer = (struct scorer){.comm = comm, .classes = classes, .detail = detail};
    if (detail == EVAL_DETAILED)
        count += CLASS_NUMBERS * (size_t)classes + matrix_cells(classes);
    struct tree_sum_cfg cfg = {.comm = comm, .leaves = leaves, .count = count, .is_double = true};
    TRY(tree_sum_create(&cfg, &scorer->sums));
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
    if (at == EVAL_WORST)
        return;
    int kept = *count < EVAL_WORST ? *count : EVAL_WORST - 1;
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

static void count_classes(const struct scorer *scorer, const struct worst_image *image,
                          double *numbers)
{
    struct eval_class *classes = (struct eval_class *)(numbers + NUMBERS);
    double *matrix = numbers + NUMBERS + CLASS_NUMBERS * (size_t)scorer->classes;
    classes[image->label].images += 1;
    classes[image->predicted].predicted += 1;
    classes[image->label].right += image->label == image->predicted;
    if (matrix_cells(scorer->classes) > 0)
        matrix[image->label * scorer->classes + image->predicted] += 1;
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
        if (scorer->detail == EVAL_DETAILED) {
            count_classes(scorer, &image, numbers);
            add_worst(scorer->worst, &scorer->worst_count, &image);
        }
    }
    tree_sum_close_leaf(scorer->sums);
}

/* The worst of all ranks: each offers its own, padded; the best of those are kept. */
static enum err gather_worst(struct scorer *scorer, struct eval_metrics *metrics)
{
    enum err err = ERR_OK;
    struct comm *comm = scorer->comm;
    size_t size = (size_t)comm->size;
    struct offer {
        int count;
        struct worst_image worst[EVAL_WORST];
    } mine = {.count = scorer->worst_count};
    struct offer *all = mem_array(size, sizeof *all);
    memcpy(mine.worst, scorer->worst, sizeof mine.worst);
    TRY(comm_gather_equal(comm, &mine, all, sizeof mine));
    for (size_t rank = 0; rank < size; rank++)
        for (int i = 0; i < all[rank].count; i++)
            add_worst(metrics->worst, &metrics->worst_count, &all[rank].worst[i]);
out:
    mem_free(all);
    return err;
}

static void take_classes(const struct scorer *scorer, const double *numbers,
                         struct eval_metrics *metrics)
{
    size_t classes = (size_t)scorer->classes, cells = matrix_cells(scorer->classes);
    metrics->classes = scorer->classes;
    metrics->per_class = mem_array(classes, sizeof *metrics->per_class);
    memcpy(metrics->per_class, numbers, classes * sizeof *metrics->per_class);
    if (cells == 0)
        return;
    metrics->confusion = mem_array(cells, sizeof *metrics->confusion);
    memcpy(metrics->confusion, numbers + CLASS_NUMBERS * classes,
           cells * sizeof *metrics->confusion);
}

enum err scorer_total(struct scorer *scorer, struct eval_metrics *metrics)
{
    enum err err = ERR_OK;
    void *total = NULL;
    struct eval_metrics made = {0};
    TRY(tree_sum_total(scorer->sums, &total));
    const double *numbers = total;
    made.images = (uint64_t)numbers[NUMBER_IMAGES];
    made.correct = (uint64_t)numbers[NUMBER_CORRECT];
    made.accuracy = share(numbers[NUMBER_CORRECT], numbers[NUMBER_IMAGES]);
    made.loss = share(numbers[NUMBER_LOSS], numbers[NUMBER_IMAGES]);
    if (scorer->detail == EVAL_DETAILED) {
        take_classes(scorer, numbers + NUMBERS, &made);
        TRY(gather_worst(scorer, &made));
    }
    *metrics = made;
    made = (struct eval_metrics){0};
out:
    eval_metrics_fini(&made);
    return err;
}
