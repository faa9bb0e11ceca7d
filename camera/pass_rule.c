#include "camera/pass_rule.h"
#include "base/err.h"
#include "base/mem.h"
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int compare_reals(const void *left, const void *right)
{
    double a = *(const double *)left, b = *(const double *)right;
    return (a > b) - (a < b);
}

/* Of values in order; the middle of two where there is none in the middle. */
static double median_of(const double *values, int count)
{
    return count ? (values[(count - 1) / 2] + values[count / 2]) / 2 : NAN;
}

static void count_image(const struct validated_image *image, struct pass_figures *figures)
{
    int agrees = !image->is_torn && image->found_class == image->expected_class;
    figures->images++;
    figures->agree += agrees;
    figures->unsteady += !image->is_steady;
    if (image->fp32_margin > PASS_CLEAR_MARGIN)
        figures->clear++, figures->clear_agree += agrees;
    if (image->fp32_margin > PASS_CERTAIN_MARGIN)
        figures->certain++, figures->certain_agree += agrees;
    if (image->label < 0)
        return;
    figures->labelled++;
    figures->correct += !image->is_torn && image->found_class == image->label;
    figures->fp32_correct += image->fp32_class == image->label;
}

/* Confidences are of 0 to 1: what is no number is as far off as can be. */
static double difference_of(const struct validated_image *image)
{
    double difference = fabs(image->found_confidence - image->expected_confidence);
    return isnan(difference) ? 1 : difference;
}

/* Those that are times, in order; returns how many. */
static int order_latencies(double *latencies_ms, int count)
{
    int kept = 0;
    for (int l = 0; l < count; l++)
        if (isfinite(latencies_ms[l]) && latencies_ms[l] > 0)
            latencies_ms[kept++] = latencies_ms[l];
    qsort(latencies_ms, (size_t)kept, sizeof *latencies_ms, compare_reals);
    return kept;
}

void pass_figures_of(const struct validated_image *images, int count, double *latencies_ms,
                     int latency_count, struct pass_figures *figures)
{
    double *differences = mem_array((size_t)count, sizeof *differences);
    memset(figures, 0, sizeof *figures);
    for (int i = 0; i < count; i++) {
        count_image(&images[i], figures);
        differences[i] = difference_of(&images[i]);
    }
    qsort(differences, (size_t)count, sizeof *differences, compare_reals);
    latency_count = order_latencies(latencies_ms, latency_count);
    figures->confidence_difference = median_of(differences, count);
    figures->largest_confidence_difference = count ? differences[count - 1] : NAN;
    figures->latencies = latency_count;
    figures->latency_median_ms = median_of(latencies_ms, latency_count);
    /* the least that 95 of 100 do not exceed */
    figures->latency_p95_ms =
        latency_count ? latencies_ms[(int)ceil(0.95 * latency_count) - 1] : NAN;
    mem_free(differences);
}

static void say(char sentences[PASS_SENTENCES][PASS_SENTENCE], int *count, const char *format, ...)
    PRINTF_LIKE(3, 4);

static void say(char sentences[PASS_SENTENCES][PASS_SENTENCE], int *count, const char *format, ...)
{
    va_list values;
    va_start(values, format);
    vsnprintf(sentences[(*count)++], PASS_SENTENCE, format, values);
    va_end(values);
}

#define FAIL(...) say(verdict->failure, &verdict->failures, __VA_ARGS__)
#define WARN(...) say(verdict->warning, &verdict->warnings, __VA_ARGS__)
#define CURE                                                                                       \
    "check that the converter was given this bundle's files, and that mean and scale on the "      \
    "camera are those of camera.json"

#define LATENCY_CURE "fit the device's latency to its cameras (glowworm validate --fit)"

static void judge_classes(const struct pass_figures *figures, struct pass_verdict *verdict)
{
    int needed = (int)ceil(PASS_CLEAR_AGREEMENT * figures->clear - 1e-9);
    if (figures->clear == 0)
        FAIL("no image has a clear answer, so nothing was compared: compile a bundle of a network "
             "that was trained further, or with other samples");
    if (figures->clear_agree < needed)
        FAIL("the camera answers %d of %d clear images like the emulation, %d are needed: " CURE,
             figures->clear_agree, figures->clear, needed);
    if (figures->certain_agree < figures->certain)
        FAIL("the camera answers %d of %d images otherwise of which fp32 is certain: " CURE,
             figures->certain - figures->certain_agree, figures->certain);
    if (figures->unsteady > 0)
        WARN("%d images had different answers in different frames: the image may be changed on its "
             "way, so look for a filter of the camera that is still on",
             figures->unsteady);
    if (figures->left_out > PASS_LEFT_OUT * figures->frames)
        WARN("%d of %d frames were lost, had another frame's result or impossible values, and were "
             "left out: use another cable or port, and end what else uses the bus",
             figures->left_out, figures->frames);
}

/* `!(x <= y)`: what is no number fails, too. */
static void judge_numbers(const struct pass_figures *figures, struct pass_verdict *verdict)
{
    int lost = figures->fp32_correct - figures->correct;
    double points = figures->labelled ? 100.0 * lost / figures->labelled : 0;
    if (!(figures->confidence_difference <= PASS_CONFIDENCE))
        FAIL("confidences differ from the emulation's by %.4f (median), more than %.2f: " CURE,
             figures->confidence_difference, PASS_CONFIDENCE);
    if (lost > 1 && points > PASS_LOSS_POINTS)
        FAIL("accuracy on the camera is %.2f points below fp32, more than %.0f: choose another "
             "sub-network, and look at what \"glowworm check\" says of it",
             points, PASS_LOSS_POINTS);
}

static void judge_latency(const struct pass_figures *figures, struct pass_verdict *verdict)
{
    double median = figures->latency_median_ms, predicted = figures->predicted_ms;
    if (figures->latencies < PASS_LEAST_LATENCIES)
        FAIL("latency was measured %d times only, not %d: validate again", figures->latencies,
             PASS_LEAST_LATENCIES);
    bool is_over = figures->budget_ms > 0 && !(median <= figures->budget_ms);
    if (is_over && figures->budget_ms <= figures->fixed_ms)
        FAIL("an inference takes %.2f ms, its budget is %.2f ms, and of every network this device "
             "takes %.2f ms before it computes anything: no other network helps, so raise the "
             "budget",
             median, figures->budget_ms, figures->fixed_ms);
    else if (is_over)
        FAIL("an inference takes %.2f ms, its budget is %.2f ms: " LATENCY_CURE
             ", then search again",
             median, figures->budget_ms);
    if (predicted > 0 && !(fabs(median - predicted) <= PASS_PREDICTION * predicted))
        WARN("an inference takes %.2f ms, predicted were %.2f ms, which is further off than %.0f "
             "%%: " LATENCY_CURE,
             median, predicted, 100 * PASS_PREDICTION);
}

void pass_rule_judge(const struct pass_figures *figures, struct pass_verdict *verdict)
{
    memset(verdict, 0, sizeof *verdict);
    judge_classes(figures, verdict);
    judge_numbers(figures, verdict);
    judge_latency(figures, verdict);
}
