#include "cluster/sample_options.h"
#include "base/mem.h"
#include "base/text.h"
#include "trainer/data/image_file.h"
#include <string.h>

static enum err parse_bits(const char *text, int *bits)
{
    long number = 0;
    if (text_to_int(text, 8, SAMPLE_BITS, &number) != ERR_OK)
        return err_set(ERR_USAGE, "--bits must be 8 to %d, not \"%s\"", SAMPLE_BITS, text);
    *bits = (int)number;
    return ERR_OK;
}

static enum err parse_bayer(const char *text, enum bayer *bayer)
{
    if (!bayer_named(text, bayer))
        return err_set(ERR_USAGE, "--bayer must be RG, GR, GB or BG, not \"%s\"", text);
    return ERR_OK;
}

/* WIDTHxHEIGHT */
static enum err parse_raw(const char *text, struct sample_format *samples)
{
    enum err err = ERR_OK;
    long width = 0, height = 0;
    char *sides = mem_string(text), *cross = strchr(sides, 'x');
    if (cross)
        *cross = '\0';
    if (!cross || text_to_int(sides, 1, IMAGE_MAX_SIDE, &width) != ERR_OK ||
        text_to_int(cross + 1, 1, IMAGE_MAX_SIDE, &height) != ERR_OK)
        TRY(err_set(ERR_USAGE, "--raw must be a width and a height such as 1440x1080, not \"%s\"",
                    text));
    samples->raw_width = (int)width;
    samples->raw_height = (int)height;
out:
    mem_free(sides);
    return err;
}

enum err sample_option_take(int letter, const char *value, struct sample_format *samples)
{
    switch (letter) {
    case 'b':
        return parse_bits(value, &samples->bits);
    case 'B':
        return parse_bayer(value, &samples->bayer);
    case 'r':
        return parse_raw(value, samples);
    default:
        BUG("no option of samples: %c", letter);
    }
}
