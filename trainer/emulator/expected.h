/* What a camera is to answer to a picture that is injected into it as a raw frame
 * (trainer/export/raw_frame.h), by a folded network: written as a file, read back, run behind the
 * frame's mosaic and interpolation. One thread. */
#ifndef TRAINER_EMULATOR_EXPECTED_H
#define TRAINER_EMULATOR_EXPECTED_H

#include "trainer/export/bundle.h"

struct expected;
/* ERR_MEMORY; borrows dataset, of which mean and deviation are read. */
MUST_CHECK enum err expected_open(const struct folded *folded, const struct dataset_info *dataset,
                                  struct expected **expected);
void expected_close(struct expected **expected); /* accepts NULL */
/* image (side,side,channels), of red, green, blue. outputs (BUNDLE_EXPECTED, folded->outputs). */
MUST_CHECK enum err expected_answer(struct expected *expected, const struct image *image,
                                    float *outputs);

#endif
