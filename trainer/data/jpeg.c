/* libjpeg-turbo reports errors by calling back and never returning: each entry has one setjmp, and
 * between setjmp and its last call no local variable changes that is read after a jump. Warnings
 * (corrupt data, premature end) count as errors: a record is as we wrote it or it is bad. */
#include "trainer/data/jpeg.h"
#include "base/mem.h"
#include <math.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jpeglib.h> /* after stdio.h */

struct trap { /* libjpeg's error manager first, so that a pointer to it is a pointer to this */
    struct jpeg_error_mgr manager;
    jmp_buf back;
    char text[JMSG_LENGTH_MAX];
};

static void on_error(j_common_ptr common)
{
    struct trap *trap = (struct trap *)common->err;
    common->err->format_message(common, trap->text);
    longjmp(trap->back, 1);
}

static void on_message(j_common_ptr common, int level)
{
    if (level < 0) /* a warning; traces are 0 and above */
        on_error(common);
}

static struct jpeg_error_mgr *set_trap(struct trap *trap)
{
    struct jpeg_error_mgr *manager = jpeg_std_error(&trap->manager);
    manager->error_exit = on_error;
    manager->emit_message = on_message;
    return manager;
}

struct jpeg_encoder {
    struct jpeg_compress_struct own;
    struct trap trap;
    unsigned char *bytes; /* libjpeg's, by malloc */
    unsigned long size;
};

struct jpeg_encoder *jpeg_encoder_create(void)
{
    struct jpeg_encoder *encoder = mem_alloc(sizeof *encoder);
    encoder->own.err = set_trap(&encoder->trap);
    if (setjmp(encoder->trap.back))
        BUG("libjpeg does not start: %s", encoder->trap.text);
    jpeg_create_compress(&encoder->own);
    return encoder;
}

void jpeg_encoder_destroy(struct jpeg_encoder **encoder)
{
    if (!*encoder)
        return;
    jpeg_destroy_compress(&(*encoder)->own);
    free((*encoder)->bytes);
    mem_free(*encoder);
    *encoder = NULL;
}

static void write_rows(struct jpeg_compress_struct *own, const struct pixels *pixels, int quality)
{
    own->image_width = (JDIMENSION)pixels->W;
    own->image_height = (JDIMENSION)pixels->H;
    own->input_components = pixels->C;
    own->in_color_space = pixels->C == 1 ? JCS_GRAYSCALE : JCS_RGB;
    jpeg_set_defaults(own);
    own->dct_method = JDCT_ISLOW;
    jpeg_set_quality(own, quality, TRUE);
    jpeg_start_compress(own, TRUE);
    while (own->next_scanline < own->image_height) {
        JSAMPROW row = (JSAMPROW)(pixels->data + own->next_scanline * pixels->row_bytes);
        jpeg_write_scanlines(own, &row, 1);
    }
    jpeg_finish_compress(own);
}

enum err jpeg_encode(struct jpeg_encoder *encoder, const struct pixels *pixels, int quality,
                     const uint8_t **bytes, size_t *size_bytes)
{
    free(encoder->bytes);
    encoder->bytes = NULL;
    encoder->size = 0;
    if (setjmp(encoder->trap.back)) {
        jpeg_abort_compress(&encoder->own);
        return err_set(ERR_DATA, "cannot be written as JPEG: %s", encoder->trap.text);
    }
    jpeg_mem_dest(&encoder->own, &encoder->bytes, &encoder->size);
    write_rows(&encoder->own, pixels, quality);
    *bytes = encoder->bytes;
    *size_bytes = encoder->size;
    return ERR_OK;
}

struct jpeg_decoder {
    struct jpeg_decompress_struct own;
    struct trap trap;
    uint8_t *pixels;
    size_t room;
};

struct jpeg_decoder *jpeg_decoder_create(int H, int W, int C)
{
    struct jpeg_decoder *decoder = mem_alloc(sizeof *decoder);
    decoder->room = (size_t)H * (size_t)W * (size_t)C;
    decoder->pixels = mem_alloc(decoder->room);
    decoder->own.err = set_trap(&decoder->trap);
    if (setjmp(decoder->trap.back))
        BUG("libjpeg does not start: %s", decoder->trap.text);
    jpeg_create_decompress(&decoder->own);
    return decoder;
}

void jpeg_decoder_destroy(struct jpeg_decoder **decoder)
{
    if (!*decoder)
        return;
    jpeg_destroy_decompress(&(*decoder)->own);
    mem_free((*decoder)->pixels);
    mem_free(*decoder);
    *decoder = NULL;
}

struct window { /* of the scaled picture */
    JDIMENSION top, left, height, width;
};

/* The pixels of one side that hold [start, start + length); the border's where it lies beside. */
static void cut(double start, double length, JDIMENSION size, JDIMENSION *first, JDIMENSION *count)
{
    double last = fmin(ceil(start + length), size);
    *first = (JDIMENSION)fmin(fmax(start, 0), size - 1);
    *count = last > *first ? (JDIMENSION)last - *first : 1;
}

static struct window window_of(const struct jpeg_request *request, JDIMENSION H, JDIMENSION W)
{
    struct area area = request->area;
    struct window window;
    cut(area.y / request->shrink, area.height / request->shrink, H, &window.top, &window.height);
    cut(area.x / request->shrink, area.width / request->shrink, W, &window.left, &window.width);
    return window;
}

/* Reads the header and starts at the wanted scale; the sizes are checked before anything is
 * allocated by them. */
static enum err start(struct jpeg_decoder *decoder, const struct jpeg_request *request)
{
    struct jpeg_decompress_struct *own = &decoder->own;
    if ((size_t)request->H * (size_t)request->W * (size_t)request->C > decoder->room)
        return err_set(ERR_DATA, "a picture of %d x %d x %d is bigger than its dataset says",
                       request->H, request->W, request->C);
    jpeg_mem_src(own, request->bytes, (unsigned long)request->size_bytes);
    jpeg_read_header(own, TRUE);
    if (own->image_width != (JDIMENSION)request->W || own->image_height != (JDIMENSION)request->H)
        return err_set(ERR_DATA, "its picture is %u x %u, its record says %d x %d",
                       own->image_height, own->image_width, request->H, request->W);
    own->out_color_space = request->C == 1 ? JCS_GRAYSCALE : JCS_RGB;
    own->scale_num = 1;
    own->scale_denom = (unsigned)request->shrink;
    own->dct_method = JDCT_ISLOW;
    jpeg_start_decompress(own);
    return ERR_OK;
}

/* Rows of the window into decoder->pixels. libjpeg widens the window to whole blocks: left and
 * width say what it became. */
static void read_window(struct jpeg_decoder *decoder, struct window *window)
{
    struct jpeg_decompress_struct *own = &decoder->own;
    if (window->width < own->output_width)
        jpeg_crop_scanline(own, &window->left, &window->width);
    size_t row_bytes = (size_t)window->width * (size_t)own->output_components;
    if (window->top > 0)
        jpeg_skip_scanlines(own, window->top);
    for (JDIMENSION y = 0; y < window->height;) {
        JSAMPROW row = decoder->pixels + y * row_bytes;
        y += jpeg_read_scanlines(own, &row, 1);
    }
    if (own->output_scanline == own->output_height)
        jpeg_finish_decompress(own);
    else
        jpeg_abort_decompress(own);
}

enum err jpeg_decode(struct jpeg_decoder *decoder, const struct jpeg_request *request,
                     struct pixels *pixels, struct area *area)
{
    struct window window;
    if (setjmp(decoder->trap.back)) {
        jpeg_abort_decompress(&decoder->own);
        return err_set(ERR_DATA, "%s", decoder->trap.text);
    }
    enum err err = start(decoder, request);
    if (err != ERR_OK) {
        jpeg_abort_decompress(&decoder->own);
        return err;
    }
    window = window_of(request, decoder->own.output_height, decoder->own.output_width);
    read_window(decoder, &window);
    *pixels = (struct pixels){.data = decoder->pixels,
                              .row_bytes = (size_t)window.width * (size_t)request->C,
                              .H = (int)window.height,
                              .W = (int)window.width,
                              .C = request->C};
    *area = (struct area){.y = request->area.y / request->shrink - window.top,
                          .x = request->area.x / request->shrink - window.left,
                          .height = request->area.height / request->shrink,
                          .width = request->area.width / request->shrink};
    return ERR_OK;
}
