#include "tests/data/fixture.h"
#include "base/rng.h"
#include "kernels/image.h"
#include "trainer/data/image_file.h"
#include "trainer/data/image_png.h"
#include "trainer/data/jpeg.h"
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <zlib.h>

static void must(enum err err)
{
    if (err != ERR_OK)
        BUG("%s: %s", err_name(err), err_text());
}

struct image picture(int H, int W, int C, uint64_t seed)
{
    struct image image = {.H = H, .W = W, .C = C};
    size_t size = (size_t)H * (size_t)W * (size_t)C;
    image_reserve(&image, size);
    for (size_t i = 0; i < size; i++) {
        double y = (double)(i / (size_t)(W * C)) / H, x = (double)(i / (size_t)C % (size_t)W) / W;
        double phase = rng_unit(rng(seed, RNG_TEST, 0, 0, i % (size_t)C)) * 6.0;
        double wave = sin(9.0 * x + phase) * cos(7.0 * y + phase);
        double noise = rng_unit(rng(seed, RNG_TEST, 1, 0, i)) - 0.5;
        image.pixels[i] = (uint8_t)(128.0 + 90.0 * wave + 20.0 * noise);
    }
    return image;
}

struct pixels all_of(const struct image *image)
{
    return (struct pixels){image->pixels, (size_t)image->W * (size_t)image->C, image->H, image->W,
                           image->C};
}

/* The average over shrink x shrink pixels of the source (fewer at its end), rounded to a byte as
 * the real one is. */
static double averaged(const struct pixels *p, int shrink, int y, int x, int c)
{
    int sum = 0, cells = 0;
    for (int i = y * shrink; i < (y + 1) * shrink && i < p->H; i++)
        for (int k = x * shrink; k < (x + 1) * shrink && k < p->W; k++, cells++)
            sum += p->data[(size_t)i * p->row_bytes + (size_t)(k * p->C + c)];
    return shrink == 1 ? sum : (sum + cells / 2) / cells;
}

double interpolated(const struct pixels *p, int shrink, double y, double x, int c)
{
    int H = (p->H + shrink - 1) / shrink, W = (p->W + shrink - 1) / shrink;
    y = fmin(fmax(y / shrink - 0.5, 0.0), H - 1);
    x = fmin(fmax(x / shrink - 0.5, 0.0), W - 1);
    int top = (int)y, left = (int)x;
    int bottom = top + 1 < H ? top + 1 : top, right = left + 1 < W ? left + 1 : left;
    double up = averaged(p, shrink, top, left, c) * (1.0 - (x - left)) +
                averaged(p, shrink, top, right, c) * (x - left);
    double down = averaged(p, shrink, bottom, left, c) * (1.0 - (x - left)) +
                  averaged(p, shrink, bottom, right, c) * (x - left);
    return up * (1.0 - (y - top)) + down * (y - top);
}

float *square_of(const struct pixels *source, const struct area *area, int R,
                 const struct image_crop *look)
{
    struct image_crop crop = *look;
    struct resampler resampler;
    size_t C = (size_t)source->C;
    resample_place(source, area, R, &crop);
    uint8_t *pixels = mem_array((size_t)crop.H * (size_t)crop.W, C);
    void *scratch = mem_alloc(image_scratch_bytes(crop.W, R, source->C));
    float *square = mem_array((size_t)R * (size_t)R, C * sizeof *square);
    resampler_init(&resampler, source->W, source->C);
    resample(&resampler, source, area, R, &crop, pixels);
    resampler_fini(&resampler);
    image_make(&crop, pixels, R, source->C, NULL, NULL, scratch, square);
    mem_free(scratch);
    mem_free(pixels);
    return square;
}

struct device *must_open_device(void)
{
    struct device *device = NULL;
    if (device_open(&(struct device_cfg){.name = "cpu", .threads = 1}, &device) != ERR_OK)
        BUG("no device: %s", err_text());
    return device;
}

/* Without waiting for the disk, unlike file_write(). */
static void write_bytes(const char *path, const void *bytes, size_t size_bytes)
{
    FILE *file = fopen(path, "wb");
    if (!file || fwrite(bytes, 1, size_bytes, file) != size_bytes || fclose(file) != 0)
        BUG("cannot write %s", path);
}

void write_file(const char *folder, const char *name, const void *bytes, size_t size_bytes)
{
    char *path = file_join(folder, name), *parent = mem_string(path);
    *strrchr(parent, '/') = '\0';
    must(file_make_folders(parent));
    write_bytes(path, bytes, size_bytes);
    mem_free(parent);
    mem_free(path);
}

char *read_file(const char *folder, const char *name, size_t *size_bytes)
{
    char *path = file_join(folder, name), *bytes = NULL;
    must(file_read(path, (size_t)1 << 30, &bytes, size_bytes));
    mem_free(path);
    return bytes;
}

void write_png(const char *folder, const char *name, const struct image *image)
{
    uint8_t *png = NULL;
    size_t size = 0;
    must(image_file_start());
    must(image_png(image, &png, &size));
    write_file(folder, name, png, size);
    mem_free(png);
}

void write_jpeg(const char *folder, const char *name, const struct image *image)
{
    struct jpeg_encoder *encoder = jpeg_encoder_create();
    struct pixels pixels = {image->pixels, (size_t)image->W * (size_t)image->C, image->H, image->W,
                            image->C};
    const uint8_t *bytes = NULL;
    size_t size = 0;
    must(jpeg_encode(encoder, &pixels, 90, &bytes, &size));
    write_file(folder, name, bytes, size);
    jpeg_encoder_destroy(&encoder);
}

void write_picture(const char *folder, const char *name, int H, int W, int C, uint64_t seed)
{
    struct image image = picture(H, W, C, seed);
    write_png(folder, name, &image);
    mem_free(image.pixels);
}

void write_packed(const char *folder, const char *name, const void *bytes, size_t size_bytes,
                  enum packing packing)
{
    char *path = file_join(folder, name);
    must(file_make_folders(folder));
    if (packing == GZIP) {
        gzFile file = gzopen(path, "wb");
        if (!file || gzwrite(file, bytes, (unsigned)size_bytes) != (int)size_bytes ||
            gzclose(file) != Z_OK)
            BUG("cannot write %s", path);
    } else {
        write_bytes(path, bytes, size_bytes);
    }
    mem_free(path);
}

static size_t put_words(uint8_t *bytes, const uint32_t *words, int count)
{
    for (int i = 0; i < count; i++)
        for (int k = 0; k < 4; k++)
            bytes[4 * i + k] = (uint8_t)(words[i] >> (24 - 8 * k));
    return (size_t)count * 4;
}

uint8_t idx_pixel(int split, uint32_t image, int at)
{
    return (uint8_t)rng(7, RNG_TEST, (uint64_t)split, image, (uint64_t)at);
}

void write_idx_file(const char *folder, const char *name, const uint32_t *words, int word_count,
                    size_t item_bytes)
{
    uint8_t *bytes = mem_alloc(4 * (size_t)word_count + item_bytes);
    size_t at = put_words(bytes, words, word_count);
    write_packed(folder, name, bytes, at + item_bytes, PLAIN);
    mem_free(bytes);
}

static void write_images(const char *folder, const char *name, int split, uint32_t count, int side,
                         enum packing packing)
{
    size_t item = (size_t)side * (size_t)side;
    uint32_t words[4] = {0x803, count, (uint32_t)side, (uint32_t)side};
    uint8_t *bytes = mem_alloc(16 + count * item);
    size_t at = put_words(bytes, words, 4);
    for (uint32_t i = 0; i < count; i++)
        for (size_t k = 0; k < item; k++)
            bytes[at++] = idx_pixel(split, i, (int)k);
    write_packed(folder, name, bytes, at, packing);
    mem_free(bytes);
}

static void write_labels(const char *folder, const char *name, uint32_t count, enum packing packing)
{
    uint32_t words[2] = {0x801, count};
    uint8_t *bytes = mem_alloc(8 + count);
    size_t at = put_words(bytes, words, 2);
    for (uint32_t i = 0; i < count; i++)
        bytes[at++] = (uint8_t)(i % IDX_CLASSES);
    write_packed(folder, name, bytes, at, packing);
    mem_free(bytes);
}

void write_idx(const char *folder, uint32_t train, uint32_t test, int side, enum packing packing)
{
    bool is_gzip = packing == GZIP;
    write_images(folder, is_gzip ? "train-images-idx3-ubyte.gz" : "train-images-idx3-ubyte", 0,
                 train, side, packing);
    write_labels(folder, is_gzip ? "train-labels-idx1-ubyte.gz" : "train-labels-idx1-ubyte", train,
                 packing);
    if (test == 0)
        return;
    write_images(folder, is_gzip ? "t10k-images-idx3-ubyte.gz" : "t10k-images-idx3-ubyte", 1, test,
                 side, packing);
    write_labels(folder, is_gzip ? "t10k-labels-idx1-ubyte.gz" : "t10k-labels-idx1-ubyte", test,
                 packing);
}

int scene_make(void **state)
{
    struct scene *scene = mem_alloc(sizeof *scene);
    if (scratch_make(&scene->folder) != 0)
        return -1;
    scene->source = file_join(scene->folder, "source");
    scene->destination = file_join(scene->folder, "dataset");
    scene->cfg = (struct import_cfg){.sources = &scene->source,
                                     .source_count = 1,
                                     .destination = scene->destination,
                                     .threads = 2};
    *state = scene;
    return 0;
}

int scene_remove(void **state)
{
    struct scene *scene = *state;
    int status = scratch_remove(&scene->folder);
    mem_free((void *)scene->source);
    mem_free((void *)scene->destination);
    mem_free(scene);
    return status;
}

struct dataset *must_import(const struct import_cfg *cfg)
{
    struct import_report report;
    struct dataset *dataset = NULL;
    must(dataset_import(cfg, &report));
    import_report_fini(&report);
    must(dataset_open(cfg->destination, &dataset));
    return dataset;
}

struct hash must_hash(const struct import_cfg *cfg)
{
    struct dataset *dataset = must_import(cfg);
    struct hash hash = dataset_info(dataset)->content;
    dataset_close(&dataset);
    must(file_remove_folder(cfg->destination));
    return hash;
}

const char *skip_reason(const struct import_report *report, const char *name, enum skip_kind kind)
{
    for (uint32_t i = 0; i < report->skip_count; i++)
        if (strcmp(report->skips[i].name, name) == 0 && report->skips[i].kind == kind)
            return report->skips[i].reason;
    return NULL;
}
