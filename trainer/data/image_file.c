/* From bytes to an image that libvips holds: JPEG, PNG and TIFF by its own loaders, which it calls
 * trusted, the others by ours. Its error texts share one buffer among all threads, so reasons are
 * told in our own words. One thread per pipeline: the import is parallel over files. */
#include "trainer/data/image_file.h"
#include "base/file.h"
#include "base/mem.h"
#include "trainer/data/image_develop.h"
#include "trainer/data/raster.h"
#include <pthread.h>
#include <string.h>
#include <unistd.h>

#include <vips/vector.h> /* needs vips.h */

#define FILE_LIMIT ((size_t)256 << 20)

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

enum file_kind { KIND_NONE, KIND_JPEG, KIND_PNG, KIND_TIFF, KIND_PNM, KIND_BMP, KIND_RAW };

struct reading { /* one file on its way */
    char *bytes;
    size_t size;
    const struct image_limits *limits;
    enum file_kind kind;
    struct raster raster; /* PNM, BMP, RAW */
    int bits;             /* of a sample of 16 bits: what counts */
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

static const struct {
    const char *magic;
    size_t size;
    enum file_kind kind;
} magics[] = {
    {"\xff\xd8\xff", 3, KIND_JPEG}, {"\x89PNG\r\n\x1a\n", 8, KIND_PNG},
    {"II*\0", 4, KIND_TIFF},        {"MM\0*", 4, KIND_TIFF},
    {"II+\0", 4, KIND_TIFF}, /* with 64-bit offsets */
    {"MM\0+", 4, KIND_TIFF},
};

static enum file_kind kind_of(const struct reading *reading)
{
    const char *bytes = reading->bytes;
    size_t size = reading->size;
    if (reading->limits->samples.raw_width > 0)
        return KIND_RAW;
    for (size_t i = 0; i < sizeof magics / sizeof *magics; i++)
        if (size >= magics[i].size && memcmp(bytes, magics[i].magic, magics[i].size) == 0)
            return magics[i].kind;
    if (size > 2 && bytes[0] == 'P' && (bytes[1] == '5' || bytes[1] == '6') &&
        memchr(" \t\n\v\f\r#", bytes[2], 7))
        return KIND_PNM;
    return bmp_is((const uint8_t *)bytes, size) ? KIND_BMP : KIND_NONE;
}

/* What the readers of rasters say of a file. */
static enum err blame(struct reading *reading, enum err err)
{
    if (err == ERR_OK)
        return ERR_OK;
    reading->fault = err == ERR_UNAVAILABLE ? IMAGE_FAULT_WRONG_TYPE : IMAGE_FAULT_UNREADABLE;
    return ERR_DATA; /* the text stays */
}

static enum err open_raster(struct reading *reading)
{
    const uint8_t *bytes = (const uint8_t *)reading->bytes;
    const struct sample_format *samples = &reading->limits->samples;
    struct raster *raster = &reading->raster;
    if (reading->kind == KIND_PNM)
        return blame(reading, pnm_open(bytes, reading->size, raster));
    if (reading->kind == KIND_BMP)
        return blame(reading, bmp_open(bytes, reading->size, raster));
    return blame(reading,
                 raw_open(bytes, reading->size, samples->raw_width, samples->raw_height, raster));
}

static int load(const struct reading *reading, int shrink, VipsImage **image)
{
    void *bytes = reading->bytes;
    size_t size = reading->size;
    if (reading->kind == KIND_JPEG)
        return vips_jpegload_buffer(bytes, size, image, "fail_on", VIPS_FAIL_ON_ERROR, "shrink",
                                    shrink, NULL);
    if (reading->kind == KIND_PNG)
        return vips_pngload_buffer(bytes, size, image, "fail_on", VIPS_FAIL_ON_ERROR, NULL);
    return vips_tiffload_buffer(bytes, size, image, "fail_on", VIPS_FAIL_ON_ERROR, NULL);
}

/* The header only: libvips decodes when pixels are asked for. */
static enum err open_image(struct reading *reading, VipsImage **image)
{
    if (load(reading, 1, image) != 0) {
        vips_error_clear();
        return refuse(reading, IMAGE_FAULT_UNREADABLE,
                      reading->kind == KIND_TIFF
                          ? "its header is damaged or cut short, or of a kind of TIFF not read"
                          : "its header is damaged or cut short");
    }
    VipsBandFormat format = vips_image_get_format(*image);
    if ((format != VIPS_FORMAT_UCHAR && format != VIPS_FORMAT_USHORT) ||
        vips_image_get_coding(*image) != VIPS_CODING_NONE || vips_image_get_bands(*image) > 5)
        return refuse(
            reading, IMAGE_FAULT_WRONG_TYPE,
            "samples that are not whole numbers of 8 or 16 bits, or of more than 5 bands: "
            "save it as PNG");
    return ERR_OK;
}

static enum err check_size(struct reading *reading, int64_t H, int64_t W)
{
    if (H <= 0 || W <= 0)
        return refuse(reading, IMAGE_FAULT_EMPTY, "an image of no pixels");
    if (H > IMAGE_MAX_SIDE || W > IMAGE_MAX_SIDE || (uint64_t)(H * W) > reading->limits->pixels) {
        reading->fault = IMAGE_FAULT_OVERSIZED;
        return err_set(ERR_DATA, "%d x %d pixels, more than the limit of %llu (or a side above %d)",
                       (int)H, (int)W, (unsigned long long)reading->limits->pixels, IMAGE_MAX_SIDE);
    }
    return ERR_OK;
}

/* Checks the size before anything is decoded. */
static enum err open_file(struct reading *reading, VipsImage **image)
{
    enum err err = ERR_OK;
    const struct raster *raster = &reading->raster;
    reading->bits = reading->limits->samples.bits;
    reading->bits = reading->bits == 0 ? SAMPLE_BITS : reading->bits;
    reading->kind = kind_of(reading);
    if (reading->kind == KIND_NONE)
        TRY(refuse(reading, IMAGE_FAULT_WRONG_TYPE,
                   "neither JPEG, PNG, TIFF, PNM (P5, P6) nor BMP by its content"));
    if (reading->kind < KIND_PNM) {
        TRY(open_image(reading, image));
        TRY(check_size(reading, vips_image_get_height(*image), vips_image_get_width(*image)));
        goto out;
    }
    TRY(open_raster(reading));
    TRY(check_size(reading, raster->H, raster->W));
    size_t bytes = (size_t)raster->H * (size_t)raster->W * (size_t)raster->C *
                   (raster->bits > 8 ? sizeof(uint16_t) : 1);
    void *samples = mem_alloc(bytes);
    err = blame(reading, raster_read(raster, samples));
    if (err != ERR_OK) {
        mem_free(samples);
        goto out;
    }
    if (raster->bits > 8 && raster->bits < reading->bits)
        reading->bits = raster->bits; /* what a file says of itself counts, too */
    *image = image_of_samples(samples, raster->H, raster->W, raster->C, raster->bits > 8);
out:
    return err;
}

/* Whole-number shrinking by the JPEG decoder itself, leaving at least twice the wanted side for the
 * better filter that follows. A mosaic does not bear it. */
static int shrink_on_load(const struct reading *reading, const VipsImage *image)
{
    int side = reading->limits->side;
    int H = vips_image_get_height(image), W = vips_image_get_width(image);
    int least = H < W ? H : W, factor = 1;
    if (reading->kind != KIND_JPEG || image_is_mosaic(image, reading->limits->samples.bayer))
        return 1;
    while (side > 0 && factor < 8 && least >= 4 * factor * side)
        factor *= 2;
    return factor;
}

static bool decode(struct reading *reading, VipsImage **opened, struct image *image)
{
    VipsImage *next = NULL;
    int factor = shrink_on_load(reading, *opened);
    if (factor > 1 && !image_step(opened, load(reading, factor, &next), &next))
        return false;
    struct develop_cfg cfg = {.bayer = reading->limits->samples.bayer,
                              .bits = reading->bits,
                              .side = reading->limits->side,
                              .is_unsaid = reading->limits->samples.bits == 0 &&
                                           reading->bits == SAMPLE_BITS};
    image->word_bits = 0;
    return image_develop(opened, &cfg, image);
}

enum err image_file_read(const char *path, const struct image_limits *limits, struct image *image,
                         enum image_fault *fault)
{
    enum err err = ERR_OK;
    struct reading reading = {.limits = limits, .fault = IMAGE_FAULT_NONE};
    VipsImage *opened = NULL;
    TRY(load_bytes(&reading, path));
    TRY(open_file(&reading, &opened));
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
        done = image_shrink_to(&from, side) && image_take_pixels(from, image);
        g_object_unref(from);
    }
    vips_error_clear();
    return done ? ERR_OK : err_set(ERR_FAILED, "libvips cannot shrink an image to %d", side);
}
