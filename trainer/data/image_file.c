/* The jail of libvips. Its error texts share one buffer among all threads, so reasons are told in
 * our own words. One thread per pipeline: the import is parallel over files. */
#include "trainer/data/image_file.h"
#include "base/file.h"
#include "base/mem.h"
#include <math.h>
#include <pthread.h>
#include <string.h>
#include <unistd.h>
#include <vips/vips.h>

#include <vips/vector.h> /* needs vips.h */

#define FILE_LIMIT ((size_t)256 << 20)
#define SIDE_LIMIT 65500 /* JPEG's; records count in 16 bits */

static pthread_once_t started = PTHREAD_ONCE_INIT;
static int start_status;

static void drop_message(const gchar *domain, GLogLevelFlags level, const gchar *text, gpointer own)
{
    (void)domain, (void)level, (void)text, (void)own;
}

static void start_vips(void)
{
    start_status = VIPS_INIT("glowworm");
    if (start_status != 0)
        return;
    vips_block_untrusted_set(TRUE);
    /* Code made at run time by liborc 0.4.33 corrupts the heap now and then when threads start
     * resizing at once (seen in 8 of 60 runs of 2 threads, in none without); and without it the
     * pixels, which the content hash covers, do not depend on the processor. */
    vips_vector_set_enabled(FALSE);
    vips_concurrency_set(1);
    vips_cache_set_max(0);
    g_log_set_handler("VIPS", G_LOG_LEVEL_WARNING | G_LOG_LEVEL_INFO, drop_message, NULL);
}

enum err image_file_start(void)
{
    pthread_once(&started, start_vips);
    return start_status == 0 ? ERR_OK : err_set(ERR_UNAVAILABLE, "libvips does not start");
}

void image_file_end_thread(void)
{
    vips_thread_shutdown();
}

void image_reserve(struct image *image, size_t size_bytes)
{
    if (image->room >= size_bytes)
        return;
    mem_free(image->pixels);
    image->room = size_bytes;
    image->pixels = mem_alloc(size_bytes);
}

struct reading { /* one file on its way */
    char *bytes;
    size_t size;
    const struct image_limits *limits;
    enum image_fault fault;
};

static enum err refuse(struct reading *reading, enum image_fault fault, const char *reason)
{
    reading->fault = fault;
    return err_set(ERR_DATA, "%s", reason);
}

static enum err load_bytes(struct reading *reading, const char *path)
{
    int file = -1;
    enum err err = file_open_regular(path, &file);
    if (err == ERR_DATA)
        return refuse(reading, IMAGE_FAULT_WRONG_TYPE,
                      "no regular file: a FIFO, a socket or a device");
    if (err != ERR_OK)
        return refuse(reading, IMAGE_FAULT_UNREADABLE, "cannot be opened and read");
    err = file_read_from(file, path, FILE_LIMIT, &reading->bytes, &reading->size);
    close(file);
    if (err == ERR_DATA)
        return refuse(reading, IMAGE_FAULT_OVERSIZED, "a file of more than 256 MiB");
    if (err != ERR_OK)
        return refuse(reading, IMAGE_FAULT_UNREADABLE, "cannot be opened and read");
    if (reading->size == 0)
        return refuse(reading, IMAGE_FAULT_EMPTY, "an empty file");
    return ERR_OK;
}

static bool starts_with(const struct reading *reading, const char *magic, size_t size)
{
    return reading->size >= size && memcmp(reading->bytes, magic, size) == 0;
}

/* The header only: libvips decodes when pixels are asked for. */
static enum err open_image(struct reading *reading, VipsImage **image)
{
    int status;
    if (starts_with(reading, "\xff\xd8\xff", 3))
        status = vips_jpegload_buffer(reading->bytes, reading->size, image, "fail_on",
                                      VIPS_FAIL_ON_ERROR, NULL);
    else if (starts_with(reading, "\x89PNG\r\n\x1a\n", 8))
        status = vips_pngload_buffer(reading->bytes, reading->size, image, "fail_on",
                                     VIPS_FAIL_ON_ERROR, NULL);
    else
        return refuse(reading, IMAGE_FAULT_WRONG_TYPE, "neither JPEG nor PNG by its content");
    if (status != 0) {
        vips_error_clear();
        return refuse(reading, IMAGE_FAULT_UNREADABLE, "its header is damaged or cut short");
    }
    return ERR_OK;
}

static enum err check_size(struct reading *reading, const VipsImage *image)
{
    int64_t H = vips_image_get_height(image), W = vips_image_get_width(image);
    if (H <= 0 || W <= 0)
        return refuse(reading, IMAGE_FAULT_EMPTY, "an image of no pixels");
    if (H > SIDE_LIMIT || W > SIDE_LIMIT || (uint64_t)(H * W) > reading->limits->pixels) {
        reading->fault = IMAGE_FAULT_OVERSIZED;
        return err_set(ERR_DATA, "%d x %d pixels, more than the limit of %llu (or a side above %d)",
                       (int)H, (int)W, (unsigned long long)reading->limits->pixels, SIDE_LIMIT);
    }
    return ERR_OK;
}

/* *image is taken and replaced by what was made of it in *next, if `status` says it was. */
static bool step(VipsImage **image, int status, VipsImage **next)
{
    if (status != 0)
        return false;
    g_object_unref(*image);
    *image = *next;
    return true;
}

/* To one or three bands of 8 bits. */
static bool make_plain(VipsImage **image)
{
    VipsImage *next = NULL;
    bool is_grey = vips_image_get_bands(*image) < 3;
    VipsInterpretation space = is_grey ? VIPS_INTERPRETATION_B_W : VIPS_INTERPRETATION_sRGB;
    if (!step(image, vips_colourspace(*image, &next, space, NULL), &next))
        return false;
    if (vips_image_hasalpha(*image)) {
        double white[3] = {255, 255, 255};
        VipsArrayDouble *background = vips_array_double_new(white, is_grey ? 1 : 3);
        int status = vips_flatten(*image, &next, "background", background, NULL);
        vips_area_unref(VIPS_AREA(background));
        if (!step(image, status, &next))
            return false;
    }
    if (!step(image, vips_cast_uchar(*image, &next, NULL), &next))
        return false;
    int bands = vips_image_get_bands(*image);
    return bands == 1 || bands == 3;
}

/* Short side to `side`; the other keeps the ratio, to the nearest pixel. */
static bool shrink(VipsImage **image, int side)
{
    int H = vips_image_get_height(*image), W = vips_image_get_width(*image);
    int least = H < W ? H : W;
    if (side == 0 || least <= side)
        return true;
    int height = (int)lround((double)H * side / least),
        width = (int)lround((double)W * side / least);
    VipsImage *next = NULL;
    int status = vips_resize(*image, &next, (double)width / W, "vscale", (double)height / H, NULL);
    return step(image, status, &next);
}

static bool write_pixels(VipsImage *from, struct image *image)
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

/* Whole-number shrinking by the JPEG decoder itself, leaving at least twice the wanted side for the
 * better filter that follows. */
static int shrink_on_load(const VipsImage *image, int side)
{
    int H = vips_image_get_height(image), W = vips_image_get_width(image);
    int least = H < W ? H : W, factor = 1;
    while (side > 0 && factor < 8 && least >= 4 * factor * side)
        factor *= 2;
    return factor;
}

static bool decode(struct reading *reading, VipsImage **opened, struct image *image)
{
    VipsImage *next = NULL;
    int factor = shrink_on_load(*opened, reading->limits->side);
    if (factor > 1 && starts_with(reading, "\xff\xd8\xff", 3) &&
        !step(opened,
              vips_jpegload_buffer(reading->bytes, reading->size, &next, "fail_on",
                                   VIPS_FAIL_ON_ERROR, "shrink", factor, NULL),
              &next))
        return false;
    return step(opened, vips_autorot(*opened, &next, NULL), &next) && make_plain(opened) &&
           shrink(opened, reading->limits->side) && write_pixels(*opened, image);
}

enum err image_file_read(const char *path, const struct image_limits *limits, struct image *image,
                         enum image_fault *fault)
{
    enum err err = ERR_OK;
    struct reading reading = {.limits = limits, .fault = IMAGE_FAULT_NONE};
    VipsImage *opened = NULL;
    TRY(load_bytes(&reading, path));
    TRY(open_image(&reading, &opened));
    TRY(check_size(&reading, opened));
    if (!decode(&reading, &opened, image))
        TRY(refuse(&reading, IMAGE_FAULT_UNREADABLE, "its pixels are damaged or cut short"));
out:
    if (opened)
        g_object_unref(opened);
    vips_error_clear();
    mem_free(reading.bytes);
    if (fault)
        *fault = reading.fault;
    return err;
}

enum err image_shrink(struct image *image, int side)
{
    if (image->H <= side || image->W <= side)
        return ERR_OK;
    size_t size = (size_t)image->H * (size_t)image->W * (size_t)image->C;
    VipsImage *from = vips_image_new_from_memory_copy(image->pixels, size, image->W, image->H,
                                                      image->C, VIPS_FORMAT_UCHAR);
    bool done = from != NULL;
    if (done) {
        from->Type = image->C == 1 ? VIPS_INTERPRETATION_B_W : VIPS_INTERPRETATION_sRGB;
        done = shrink(&from, side) && write_pixels(from, image);
        g_object_unref(from);
    }
    vips_error_clear();
    return done ? ERR_OK : err_set(ERR_FAILED, "libvips cannot shrink an image to %d", side);
}
