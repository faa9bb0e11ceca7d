#include "cluster/check/check_verdict.h"
#include "trainer/export/bundle.h"
#include "trainer/record/json_name.h"
#include <stdarg.h>
#include <stdio.h>

static void say(json_t *sentences, const char *format, ...) PRINTF_LIKE(2, 3);

static void say(json_t *sentences, const char *format, ...)
{
    char sentence[2048];
    va_list values;
    va_start(values, format);
    vsnprintf(sentence, sizeof sentence, format, values);
    va_end(values);
    json_array_append_new(sentences, json_name(sentence));
}

static const char *layer_name(const struct bundle_check *check, int layer)
{
    return check->checked->net.layers[layer].name;
}

/* `!(x <= y)`: a difference that is no number fails, too. */
static void judge_formats(struct bundle_check *check)
{
    for (int f = 0; f < CHECK_FORMATS; f++) {
        const struct check_format *format = &check->formats[f];
        if (!format->is_there)
            continue;
        if (!(format->difference <= CHECK_FORMAT_TOLERANCE))
            say(check->failures,
                "%s answers differently from %s, by %.2g of the largest logit: compile the bundle "
                "anew",
                format->files, check->checked->files, format->difference);
        if (!(format->supernet_difference <= BUNDLE_TOLERANCE))
            say(check->failures,
                "%s answers differently from the supernet, by %.2g of the largest logit: compile "
                "the bundle anew",
                format->files, format->supernet_difference);
        if (format->strays > 0)
            say(check->failures,
                "%s answers %d of %d samples with an output of no class, which the camera would "
                "take: compile the bundle anew",
                format->files, format->strays, check->images.sample_count);
    }
}

/* Sums in fp32 are the best the camera can do: what overflows there overflows on it. Whether it
 * rounds every sum is not known. */
static void judge_overflow(struct bundle_check *check, enum arithmetic arithmetic)
{
    int layer = divergence_overflow(&check->divergence, arithmetic);
    bool is_certain = arithmetic == ARITHMETIC_FP16_SUM32;
    if (layer < 0)
        return;
    const struct compared_layer *row = &check->divergence.of[arithmetic].layers[layer];
    say(is_certain ? check->failures : check->warnings,
        "layer %s overflows in %s: %llu of its weights and %llu of its results are beyond 65504; "
        "choose another sub-network, or a space with ReLU6, whose maps stay below 6",
        layer_name(check, layer), arithmetic_names[arithmetic],
        (unsigned long long)row->weights.overflows, (unsigned long long)row->counts.overflows);
}

/* One image is chance, whatever the bound. */
static void judge_accuracy(struct bundle_check *check, enum arithmetic arithmetic)
{
    const struct divergence *divergence = &check->divergence;
    int lost = divergence->correct - divergence->of[arithmetic].correct;
    double points = divergence->labelled ? 100.0 * lost / divergence->labelled : 0;
    if (lost <= 1 || points <= check->cfg.loss_max)
        return;
    int layer = divergence_culprit(divergence, arithmetic);
    say(arithmetic == ARITHMETIC_FP16_SUM32 ? check->failures : check->warnings,
        "%s loses %.2f points of accuracy, more than %.2f; layer %s adds most to the error (%.2g "
        "of "
        "its largest value): choose another sub-network, or train on with weight decay",
        arithmetic_names[arithmetic], points, check->cfg.loss_max, layer_name(check, layer),
        divergence->of[arithmetic].layers[layer].worst_error);
}

/* Sums of the other kind are not known to be the camera's, as above. */
static void judge_strays(struct bundle_check *check, enum arithmetic arithmetic)
{
    int strays = check->divergence.of[arithmetic].strays;
    if (strays > 0)
        say(arithmetic == ARITHMETIC_FP16 ? check->warnings : check->failures,
            "%d of %d images are answered in %s with an output of no class, which the camera would "
            "take: compile the bundle anew",
            strays, check->images.count, arithmetic_names[arithmetic]);
}

static void judge_figures(struct bundle_check *check, enum arithmetic arithmetic)
{
    const struct error_figures *figures = &check->divergence.of[arithmetic].figures;
    if (!error_figures_pass(figures))
        say(check->warnings,
            "%s: the converter's own check would not pass (largest %.2f %%, mean %.2f %%, further "
            "off than 2 %%: %.2f %%, L2 %.2f %%); it looks at numbers, not at the class",
            arithmetic_names[arithmetic], figures->largest, figures->mean, figures->far,
            figures->l2);
}

void check_judge(struct bundle_check *check)
{
    judge_formats(check);
    judge_strays(check, ARITHMETIC_FP32);
    for (int a = ARITHMETIC_FP16_SUM32; a < ARITHMETICS; a++) {
        judge_overflow(check, (enum arithmetic)a);
        judge_strays(check, (enum arithmetic)a);
        judge_accuracy(check, (enum arithmetic)a);
        judge_figures(check, (enum arithmetic)a);
    }
    if (check->images.why_not)
        say(check->warnings,
            "checked on the bundle's own %d samples, for those of its run cannot be read: %s",
            check->images.count, check->images.why_not);
    else if (!check->images.records)
        say(check->warnings,
            "checked on the bundle's own %d samples: a bundle in its run's folder, or --run RUN, "
            "is checked on the hold-out images",
            check->images.count);
}
