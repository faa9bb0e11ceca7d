/* Metrics as bytes, and their end. What comes back has the same bits: counts are whole numbers, the
 * mean loss is kept as it is, and the accuracy is their quotient again. */
#include "base/mem.h"
#include "trainer/evaluate/eval_metrics.h"
#include "trainer/evaluate/eval_metrics.pb-c.h"
#include <string.h>

enum { CLASS_NUMBERS = sizeof(struct eval_class) / sizeof(double) };

static uint64_t *counts(struct arena *arena, const double *numbers, size_t count)
{
    uint64_t *whole = arena_alloc(arena, (count + 1) * sizeof *whole);
    for (size_t i = 0; i < count; i++)
        whole[i] = (uint64_t)numbers[i];
    return whole;
}

static double *numbers(const uint64_t *whole, size_t count)
{
    double *made = mem_array(count, sizeof *made);
    for (size_t i = 0; i < count; i++)
        made[i] = (double)whole[i];
    return made;
}

static void fill_details(const struct eval_metrics *metrics, struct arena *arena,
                         Glowworm__Trainer__EvalMetrics *message)
{
    size_t classes = (size_t)metrics->classes;
    message->classes = (uint32_t)metrics->classes;
    message->n_per_class = CLASS_NUMBERS * classes;
    message->per_class = counts(arena, (const double *)metrics->per_class, message->n_per_class);
    if (metrics->confusion) {
        message->n_confusion = classes * classes;
        message->confusion = counts(arena, metrics->confusion, message->n_confusion);
    }
    message->n_worst = (size_t)metrics->worst_count;
    message->worst = arena_alloc(arena, (message->n_worst + 1) * sizeof *message->worst);
    for (size_t i = 0; i < message->n_worst; i++) {
        const struct worst_image *worst = &metrics->worst[i];
        Glowworm__Trainer__WorstImage *to = arena_alloc(arena, sizeof *to);
        glowworm__trainer__worst_image__init(to);
        to->record = worst->record;
        to->label = worst->label;
        to->predicted = worst->predicted;
        to->loss = worst->loss;
        message->worst[i] = to;
    }
}

void eval_metrics_pack(const struct eval_metrics *metrics, struct text *packed)
{
    struct arena *arena = arena_create();
    Glowworm__Trainer__EvalMetrics message = GLOWWORM__TRAINER__EVAL_METRICS__INIT;
    message.images = metrics->images;
    message.correct = metrics->correct;
    message.loss = metrics->loss;
    if (metrics->classes > 0)
        fill_details(metrics, arena, &message);
    size_t size = glowworm__trainer__eval_metrics__get_packed_size(&message);
    uint8_t *bytes = mem_alloc(size + 1);
    glowworm__trainer__eval_metrics__pack(&message, bytes);
    text_add_bytes(packed, bytes, size);
    mem_free(bytes);
    arena_destroy(arena);
}

static bool is_plausible(const Glowworm__Trainer__EvalMetrics *message)
{
    size_t classes = message->classes;
    return message->images > 0 && message->correct <= message->images && classes <= INT32_MAX &&
           message->n_per_class == CLASS_NUMBERS * classes && message->n_worst <= EVAL_WORST &&
           (message->n_confusion == 0 || message->n_confusion == classes * classes);
}

static void read_details(const Glowworm__Trainer__EvalMetrics *message,
                         struct eval_metrics *metrics)
{
    metrics->classes = (int)message->classes;
    metrics->per_class = (struct eval_class *)numbers(message->per_class, message->n_per_class);
    if (message->n_confusion > 0)
        metrics->confusion = numbers(message->confusion, message->n_confusion);
    metrics->worst_count = (int)message->n_worst;
    for (size_t i = 0; i < message->n_worst; i++) {
        const Glowworm__Trainer__WorstImage *worst = message->worst[i];
        metrics->worst[i] = (struct worst_image){.record = worst->record,
                                                 .label = worst->label,
                                                 .predicted = worst->predicted,
                                                 .loss = worst->loss};
    }
}

enum err eval_metrics_unpack(const void *packed, size_t size_bytes, struct eval_metrics *metrics)
{
    Glowworm__Trainer__EvalMetrics *message =
        glowworm__trainer__eval_metrics__unpack(NULL, size_bytes, packed);
    if (!message || !is_plausible(message)) {
        if (message)
            glowworm__trainer__eval_metrics__free_unpacked(message, NULL);
        return err_set(ERR_DATA, "a score that was kept cannot be read");
    }
    *metrics = (struct eval_metrics){.images = message->images,
                                     .correct = message->correct,
                                     .accuracy = (double)message->correct / (double)message->images,
                                     .loss = message->loss};
    if (message->classes > 0)
        read_details(message, metrics);
    glowworm__trainer__eval_metrics__free_unpacked(message, NULL);
    return ERR_OK;
}

void eval_metrics_fini(struct eval_metrics *metrics)
{
    mem_free(metrics->per_class);
    mem_free(metrics->confusion);
    *metrics = (struct eval_metrics){0};
}
