/* The tiny network of the emulator's tests with one channel, as files for a monochrome camera, and
 * what it answers. */
#ifndef TESTS_CAMERA_SIM_TINY_MONO_H
#define TESTS_CAMERA_SIM_TINY_MONO_H

#include "camera/sim/network.h"
#include "tests/emulator/tiny_folded.h"

/* tiny_files_fini() frees it. */
void tiny_mono(struct tiny_files *files);
void tiny_colour(struct tiny_files *files); /* as it is, with three */
/* 8-bit pixels (TINY_SIDE, TINY_SIDE) of the `which`th image. */
void tiny_pixels(int which, uint8_t *pixels);
/* As an injected image, two bytes a pixel. */
void tiny_raw(int which, uint8_t *raw);
/* What the emulator makes of it in this arithmetic, with a mean of 127.5 and a scale of 64. */
struct network_answer tiny_expected(const struct tiny_files *files, int which,
                                    enum arithmetic arithmetic);

#endif
