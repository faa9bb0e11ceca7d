/* The converter's command lines for a network, word for word: what convert.sh runs, what the README
 * of a bundle shows, what is tried with a probe. Each is one line without its end. What is known of
 * them: docs/bundles.md. Pure. */
#ifndef TRAINER_EXPORT_CONVERT_COMMAND_H
#define TRAINER_EXPORT_CONVERT_COMMAND_H

#include "base/text.h"

#define CONVERT_INPUT  "input" /* of the GraphDef */
#define CONVERT_OUTPUT "probabilities"
#define CONVERT_GRAPH  "firefly.graph" /* what the camera loads */

/* NCSDK's compiler for the camera's 12 vector cores. */
void convert_command_tensorflow(const char *network, const char *graph, struct text *line);
/* network: without .prototxt and .caffemodel. */
void convert_command_caffe(const char *network, const char *graph, struct text *line);
/* TensorFlow 1's graph transform tool, which the maker's own pipeline runs in front of the
 * compiler: network.pb becomes optimised.pb. */
void convert_command_transform(int side, int channels, struct text *line);

#endif
