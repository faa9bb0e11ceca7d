/* Runs the uploaded network in a thread of its own, so that the camera goes on answering: one image
 * at a time. The same image again is not computed again. All functions are for the camera's thread.
 */
#ifndef CAMERA_SIM_INFERENCE_H
#define CAMERA_SIM_INFERENCE_H

#include "camera/sim/network.h"
#include <stdbool.h>

struct inference;
/* Starts the thread. ERR_UNAVAILABLE. *inference: returns owned. */
MUST_CHECK enum err inference_create(struct inference **inference);
void inference_destroy(struct inference **inference); /* waits for the thread; accepts NULL */

/* Readable when an answer has come; for poll(). */
int inference_descriptor(const struct inference *inference);

/* From now on this one; NULL: none. Takes it. What runs is finished and forgotten. */
void inference_set_network(struct inference *inference, struct network *network);
/* What was set, borrowed until the next inference_set_network(); NULL. */
const struct network *inference_network(const struct inference *inference);

/* image (H,W,C) of the network's input, normalised; copied. Not while one runs. */
void inference_start(struct inference *inference, const float *image);
bool inference_is_running(struct inference *inference);
/* The answer, once. */
bool inference_take(struct inference *inference, struct network_answer *answer);

#endif
