/* A picture as PNG bytes, for reports: 8 bits, grey or RGB. Pure. */
#ifndef TRAINER_PNG_H
#define TRAINER_PNG_H

#include "base/text.h"
#include <stdint.h>

/* pixels (H,W,C), C 1 or 3; base64 text is appended. */
void png_base64(const uint8_t *pixels, int H, int W, int C, struct text *text);

#endif
