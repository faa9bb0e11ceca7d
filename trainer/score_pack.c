/* Scores as bytes. What comes back has the same bits: counts are whole numbers, the mean loss is
 * kept as it is, and the accuracy is their quotient again. */
#include "base/mem.h"
#include "trainer/score.h"
#include "trainer/score.pb-c.h"
#include <string.h>

enum { CLASS_NUMBERS = sizeof(struct score_class) / sizeof(double) };

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

static void fill_details(const struct score *score, struct arena *arena,
                         Glowworm__Trainer__Score *message)
{
    size_t classes = (size_t)score->classes;
    message->classes = (uint32_t)score->classes;
    message->n_per_class = CLASS_NUMBERS * classes;
    message->per_class = counts(arena, (const double *)score->per_class, message->n_per_class);
    if (score->confusion) {
        message->n_confusion = classes * classes;
        message->confusion = counts(arena, score->confusion, message->n_confusion);
    }
    message->n_worst = (size_t)score->worst_count;
    message->worst = arena_alloc(arena, (message->n_worst + 1) * sizeof *message->worst);
    for (size_t i = 0; i < message->n_worst; i++) {
        const struct worst_image *worst = &score->worst[i];
        Glowworm__Trainer__WorstImage *to = arena_alloc(arena, sizeof *to);
        glowworm__trainer__worst_image__init(to);
        to->record = worst->record;
        to->label = worst->label;
        to->predicted = worst->predicted;
        to->loss = worst->loss;
        message->worst[i] = to;
    }
}

void score_pack(const struct score *score, struct text *packed)
{
    struct arena *arena = arena_create();
    Glowworm__Trainer__Score message = GLOWWORM__TRAINER__SCORE__INIT;
    message.images = score->images;
    message.correct = score->correct;
    message.loss = score->loss;
    if (score->classes > 0)
        fill_details(score, arena, &message);
    size_t size = glowworm__trainer__score__get_packed_size(&message);
    uint8_t *bytes = mem_alloc(size + 1);
    glowworm__trainer__score__pack(&message, bytes);
    text_add_bytes(packed, bytes, size);
    mem_free(bytes);
    arena_destroy(arena);
}

static bool is_plausible(const Glowworm__Trainer__Score *message)
{
    size_t classes = message->classes;
    return message->images > 0 && message->correct <= message->images && classes <= INT32_MAX &&
           message->n_per_class == CLASS_NUMBERS * classes && message->n_worst <= SCORE_WORST &&
           (message->n_confusion == 0 || message->n_confusion == classes * classes);
}

static void read_details(const Glowworm__Trainer__Score *message, struct score *score)
{
    score->classes = (int)message->classes;
    score->per_class = (struct score_class *)numbers(message->per_class, message->n_per_class);
    if (message->n_confusion > 0)
        score->confusion = numbers(message->confusion, message->n_confusion);
    score->worst_count = (int)message->n_worst;
    for (size_t i = 0; i < message->n_worst; i++) {
        const Glowworm__Trainer__WorstImage *worst = message->worst[i];
        score->worst[i] = (struct worst_image){.record = worst->record,
                                               .label = worst->label,
                                               .predicted = worst->predicted,
                                               .loss = worst->loss};
    }
}

enum err score_unpack(const void *packed, size_t size_bytes, struct score *score)
{
    Glowworm__Trainer__Score *message = glowworm__trainer__score__unpack(NULL, size_bytes, packed);
    if (!message || !is_plausible(message)) {
        if (message)
            glowworm__trainer__score__free_unpacked(message, NULL);
        return err_set(ERR_DATA, "a score that was kept cannot be read");
    }
    *score = (struct score){.images = message->images,
                            .correct = message->correct,
                            .accuracy = (double)message->correct / (double)message->images,
                            .loss = message->loss};
    if (message->classes > 0)
        read_details(message, score);
    glowworm__trainer__score__free_unpacked(message, NULL);
    return ERR_OK;
}
