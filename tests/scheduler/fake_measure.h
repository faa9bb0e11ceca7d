/* The fake worker's evaluation: it asks for FAKE_SCORES scores, and it and its helpers measure the
 * shares that they are given, through the link's real exchange. A score is its number's text. */
#ifndef TESTS_SCHEDULER_FAKE_MEASURE_H
#define TESTS_SCHEDULER_FAKE_MEASURE_H

#include "worker/link.h"

/* The key of a score, "net7", and its record, "score of net7". */
void fake_score_key(int number, struct hash *key);

/* Until all are known to this gang or, for a helper, until it is sent away. Each score that is
 * measured is a line "evaluate measures NUMBER" of the trace. */
MUST_CHECK enum err fake_measure(struct link *link, const struct assignment *mine, int scores,
                                 void (*trace)(const struct assignment *mine, const char *format,
                                               long long number));

#endif
