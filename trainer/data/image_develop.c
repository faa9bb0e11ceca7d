/* What one file's samples go through to be a picture as it is stored. */
#include "trainer/data/image_develop.h"
#include "base/err.h"
#include "base/mem.h"
#include <math.h>
#include <string.h>

bool image_step(VipsImage **image, int status, VipsImage **next)
{
    if (status != 0)
        return false;
    g_object_unref(*image);
    *image = *next;
    return true;
}

VipsImage *image_of_samples(void *samples, int H, int W, int C, bool is_wide)
{
    size_t size = (size_t)H * (size_t)W * (size_t)C * (is_wide ? sizeof(uint16_t) : 1);
    VipsImage *image = vips_image_new_from_memory(samples, size, W, H, C,
                                                  is_wide ? VIPS_FORMAT_USHORT : VIPS_FORMAT_UCHAR);
    if (!image)
        BUG("libvips takes no %d x %d pixels", H, W);
    if (is_wide)
        image->Type = C == 1 ? VIPS_INTERPRETATION_GREY16 : VIPS_INTERPRETATION_RGB16;
    else
        image->Type = C == 1 ? VIPS_INTERPRETATION_B_W : VIPS_INTERPRETATION_sRGB;
    g_signal_connect_swapped(image, "postclose", G_CALLBACK(mem_free), samples);
    return image;
}

bool image_is_mosaic(const VipsImage *image, enum bayer bayer)
{
    return bayer != BAYER_NONE && vips_image_get_bands(image) == 1;
}

/* Colour of the mosaic, of as many bits; upright it is turned later. */
static bool make_colour(VipsImage **image, enum bayer bayer)
{
    int H = vips_image_get_height(*image), W = vips_image_get_width(*image);
    int orientation = vips_image_get_orientation(*image);
    bool is_wide = vips_image_get_format(*image) == VIPS_FORMAT_USHORT;
    size_t size = 0;
    void *mosaic = vips_image_write_to_memory(*image, &size);
    if (!mosaic)
        return false;
    void *rgb = mem_array(3, size);
    if (is_wide)
        demosaic_u16(mosaic, H, W, bayer, rgb);
    else
        demosaic_u8(mosaic, H, W, bayer, rgb);
    g_free(mosaic);
    VipsImage *next = image_of_samples(rgb, H, W, 3, is_wide);
    vips_image_set_int(next, VIPS_META_ORIENTATION, orientation);
    return image_step(image, 0, &next);
}

/* The bits of the greatest word, of colours. The file is read once: it has to be in memory. */
static bool measure_words(VipsImage **image, int *word_bits)
{
    VipsImage *next = NULL, *colours = NULL;
    double greatest = 0;
    int bands = vips_image_get_bands(*image);
    *word_bits = 0;
    if (vips_image_get_format(*image) != VIPS_FORMAT_USHORT)
        return true;
    next = vips_image_copy_memory(*image);
    if (!image_step(image, next ? 0 : -1, &next))
        return false;
    int count = vips_image_hasalpha(*image) ? bands - 1 : bands;
    if (vips_extract_band(*image, &colours, 0, "n", count, NULL) != 0)
        return false;
    bool is_read = vips_max(colours, &greatest, NULL) == 0;
    g_object_unref(colours);
    for (*word_bits = 8; *word_bits < SAMPLE_BITS && greatest >= 1 << *word_bits;)
        ++*word_bits;
    return is_read;
}

/* Of words only `bits` count: they are moved up to where libvips takes its 8 from, what is beyond
 * them ends at white. Transparency has no such bits. */
static bool move_up(VipsImage **image, int bits)
{
    static const double zeros[5] = {0};
    double factors[5] = {1, 1, 1, 1, 1};
    VipsImage *next = NULL;
    int bands = vips_image_get_bands(*image);
    int colours = vips_image_hasalpha(*image) ? bands - 1 : bands;
    if (vips_image_get_format(*image) != VIPS_FORMAT_USHORT || bits == SAMPLE_BITS)
        return true;
    for (int band = 0; band < colours; band++)
        factors[band] = 1 << (SAMPLE_BITS - bits); /* the product fits a float's 24 bits */
    return image_step(image, vips_linear(*image, &next, factors, zeros, bands, NULL), &next) &&
           image_step(image, vips_cast_ushort(*image, &next, NULL), &next);
}

/* Grey words by their high byte, as libvips takes colour; its own way for grey goes through linear
 * light and is off by one for three values in ten. */
static bool drop_low_byte(VipsImage **image)
{
    VipsImage *next = NULL;
    if (vips_image_get_format(*image) != VIPS_FORMAT_USHORT || vips_image_get_bands(*image) > 2)
        return true;
    if (!image_step(image, vips_msb(*image, &next, NULL), &next))
        return false;
    (*image)->Type = VIPS_INTERPRETATION_B_W;
    return true;
}

/* To one or three bands of 8 bits. */
static bool make_plain(VipsImage **image)
{
    VipsImage *next = NULL;
    bool is_grey = vips_image_get_bands(*image) < 3;
    VipsInterpretation space = is_grey ? VIPS_INTERPRETATION_B_W : VIPS_INTERPRETATION_sRGB;
    if (!image_step(image, vips_colourspace(*image, &next, space, NULL), &next))
        return false;
    if (vips_image_hasalpha(*image)) {
        double white[3] = {255, 255, 255};
        VipsArrayDouble *background = vips_array_double_new(white, is_grey ? 1 : 3);
        int status = vips_flatten(*image, &next, "background", background, NULL);
        vips_area_unref(VIPS_AREA(background));
        if (!image_step(image, status, &next))
            return false;
    }
    if (!image_step(image, vips_cast_uchar(*image, &next, NULL), &next))
        return false;
    int bands = vips_image_get_bands(*image);
    return bands == 1 || bands == 3;
}

bool image_shrink_to(VipsImage **image, int side)
{
    int H = vips_image_get_height(*image), W = vips_image_get_width(*image);
    int least = H < W ? H : W;
    if (side == 0 || least <= side)
        return true;
    int height = (int)lround((double)H * side / least),
        width = (int)lround((double)W * side / least);
    VipsImage *next = NULL;
    int status = vips_resize(*image, &next, (double)width / W, "vscale", (double)height / H, NULL);
    return image_step(image, status, &next);
}

bool image_take_pixels(VipsImage *from, struct image *image)
{
    size_t size = 0;
    void *pixels = vips_image_write_to_memory(from, &size);
    if (!pixels)
        return false;
    image->H = vips_image_get_height(from);
    image->W = vips_image_get_width(from);
    image->C = vips_image_get_bands(from);
    image_reserve(image, size);
    memcpy(image->pixels, pixels, size);
    g_free(pixels);
    return true;
}

bool image_develop(VipsImage **opened, const struct develop_cfg *cfg, struct image *image)
{
    VipsImage *next = NULL;
    if (image_is_mosaic(*opened, cfg->bayer) && !make_colour(opened, cfg->bayer))
        return false;
    if (cfg->is_unsaid && !measure_words(opened, &image->word_bits))
        return false;
    return move_up(opened, cfg->bits) &&
           image_step(opened, vips_autorot(*opened, &next, NULL), &next) && drop_low_byte(opened) &&
           make_plain(opened) && image_shrink_to(opened, cfg->side) &&
           image_take_pixels(*opened, image);
}
