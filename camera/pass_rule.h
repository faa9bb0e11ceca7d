/* When a network on a camera passes: figures of what was measured, and what they mean. Pure. */
#ifndef CAMERA_PASS_RULE_H
#define CAMERA_PASS_RULE_H

#include <stdbool.h>

/* Bounds; the emulation is of the camera's arithmetic, margins are of fp32. */
#define PASS_CLEAR_MARGIN    0.05 /* the best class is that much likelier than the second */
#define PASS_CERTAIN_MARGIN  0.3
#define PASS_CLEAR_AGREEMENT 0.99 /* of clear images; of certain ones all */
#define PASS_CONFIDENCE      0.02 /* median difference to the emulation's */
#define PASS_LOSS_POINTS     1.0  /* of accuracy, against fp32; a single image is chance */
#define PASS_PREDICTION      0.15 /* of the predicted latency: beyond is a warning */
#define PASS_LEAST_LATENCIES 50
#define PASS_LEFT_OUT        0.05 /* of the frames: more is a warning */

struct validated_image {
    int label;          /* -1: unknown */
    int fp32_class;     /* what the files answer unrounded */
    double fp32_margin; /* of its confidence over the second's */
    int expected_class; /* in the camera's arithmetic */
    double expected_confidence;
    int found_class;
    double found_confidence;
    bool is_steady; /* every frame of it said the same */
    bool is_torn;   /* not even the same class: one is wrong, whichever is expected */
};

struct pass_figures {
    int images, agree;
    int clear, clear_agree, certain, certain_agree;
    int labelled, correct, fp32_correct;
    int unsteady;
    int frames, left_out; /* that were waited for; of them lost, of another frame, garbled */
    double confidence_difference; /* median; largest below */
    double largest_confidence_difference;
    int latencies;
    double latency_median_ms, latency_p95_ms; /* NAN: none */
    double predicted_ms, budget_ms;           /* 0: none */
    double fixed_ms;                          /* of every network on this device; 0: unknown */
};

/* Latencies are put in order, without those that are none (not above 0, no number). frames,
 * left_out, predicted and budget are the caller's; 0 for none. */
void pass_figures_of(const struct validated_image *images, int count, double *latencies_ms,
                     int latency_count, struct pass_figures *figures);

enum { PASS_SENTENCES = 12, PASS_SENTENCE = 512 };
struct pass_verdict {
    int failures, warnings;
    char failure[PASS_SENTENCES][PASS_SENTENCE]; /* each with what to do */
    char warning[PASS_SENTENCES][PASS_SENTENCE];
};
void pass_rule_judge(const struct pass_figures *figures, struct pass_verdict *verdict);

#endif
