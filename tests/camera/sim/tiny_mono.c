#include "tests/camera/sim/tiny_mono.h"
#include "base/rng.h"
#include <stdio.h>
#include <stdlib.h>

enum { PIXELS = TINY_SIDE * TINY_SIDE };

void tiny_mono(struct tiny_files *files)
{
    struct folded folded;
    tiny_folded(PAD_SYMMETRIC, ACT_RELU, &folded);
    folded.channels = folded.layers[0].C = 1; /* a third of its filters is what it reads then */
    tiny_write(&folded, files);
    folded_fini(&folded);
}

void tiny_colour(struct tiny_files *files)
{
    struct folded folded;
    tiny_folded(PAD_SYMMETRIC, ACT_RELU, &folded);
    tiny_write(&folded, files);
    folded_fini(&folded);
}

void tiny_pixels(int which, uint8_t *pixels)
{
    for (uint64_t i = 0; i < PIXELS; i++)
        pixels[i] = (uint8_t)rng_below(rng(8, RNG_TEST, 0, (uint64_t)which, i), 256);
}

void tiny_raw(int which, uint8_t *raw)
{
    uint8_t pixels[PIXELS];
    tiny_pixels(which, pixels);
    for (int i = 0; i < PIXELS; i++) {
        raw[2 * i] = (uint8_t)(pixels[i] << 2);
        raw[2 * i + 1] = (uint8_t)(pixels[i] >> 6);
    }
}

struct network_answer tiny_expected(const struct tiny_files *files, int which,
                                    enum arithmetic arithmetic)
{
    struct network *network = NULL;
    uint8_t pixels[PIXELS];
    float image[PIXELS];
    if (network_open(files->graphdef.data, files->graphdef.size, arithmetic, &network) != ERR_OK) {
        fprintf(stderr, "%s\n", err_text());
        abort();
    }
    tiny_pixels(which, pixels);
    for (int i = 0; i < PIXELS; i++)
        image[i] = (float)((pixels[i] - 127.5) / 64);
    struct network_answer answer = network_run(network, image);
    network_close(&network);
    return answer;
}
