#include "trainer/data/prepare.h"
#include "base/mem.h"
#include <stdio.h>
#include <string.h>

void prepared_fini(struct prepared *prepared)
{
    mem_free(prepared->image.pixels);
    mem_free(prepared->record);
    memset(prepared, 0, sizeof *prepared);
}

static void skip(struct prepared *prepared, enum skip_kind kind, const char *reason)
{
    prepared->is_skipped = true;
    prepared->kind = kind;
    snprintf(prepared->reason, sizeof prepared->reason, "%s", reason);
}

/* A colour image has a pixel whose channels differ; how the file keeps grey does not matter. */
static bool has_colour(const struct image *image)
{
    size_t count = (size_t)image->H * (size_t)image->W;
    for (size_t i = 0; image->C == 3 && i < count; i++) {
        const uint8_t *pixel = image->pixels + 3 * i;
        if (pixel[0] != pixel[1] || pixel[0] != pixel[2])
            return true;
    }
    return false;
}

/* A grey pixel keeps its value. */
static void to_one_channel(struct image *image)
{
    size_t count = (size_t)image->H * (size_t)image->W;
    for (size_t i = 0; i < count; i++)
        image->pixels[i] = image_luma(image->pixels + 3 * i);
    image->C = 1;
}

static void to_three_channels(struct image *image)
{
    size_t count = (size_t)image->H * (size_t)image->W;
    if (image->room < 3 * count) {
        image->pixels = mem_grow(image->pixels, count, 3 * count);
        image->room = 3 * count;
    }
    for (size_t i = count; i-- > 0;) /* from the end: the source is overwritten last */
        memset(image->pixels + 3 * i, image->pixels[i], 3);
    image->C = 3;
}

static void hash_pixels(struct prepared *prepared)
{
    const struct image *image = &prepared->image;
    struct hasher hasher;
    hasher_init(&hasher);
    hasher_add_u64(&hasher, (uint64_t)image->H);
    hasher_add_u64(&hasher, (uint64_t)image->W);
    hasher_add(&hasher, image->pixels, (size_t)image->H * (size_t)image->W * (size_t)image->C);
    prepared->pixels = hasher_end(&hasher);
}

static void add_up(struct prepared *prepared)
{
    const struct image *image = &prepared->image;
    size_t count = (size_t)image->H * (size_t)image->W, C = (size_t)image->C;
    for (size_t c = 0; c < C; c++) {
        uint64_t sum = 0, squares = 0;
        for (size_t i = c; i < count * C; i += C) {
            uint32_t value = image->pixels[i];
            sum += value;
            squares += value * value;
        }
        prepared->sums[c] = sum;
        prepared->squares[c] = squares;
    }
}

static void lay_out(struct prepared *prepared, const struct record *record)
{
    prepared->record_bytes = record_bytes(record);
    if (prepared->record_bytes > RECORD_MAX_BYTES) {
        skip(prepared, SKIP_OVERSIZED, "takes more than 32 MiB as it would be stored");
        return;
    }
    if (prepared->record_bytes > prepared->record_room) {
        mem_free(prepared->record);
        prepared->record_room = prepared->record_bytes;
        prepared->record = mem_alloc(prepared->record_room);
    }
    record_write(record, prepared->record);
}

static enum err make_record(const struct import_plan *plan, const char *name,
                            struct jpeg_encoder *encoder, struct prepared *prepared)
{
    enum err err = ERR_OK;
    const struct image *image = &prepared->image;
    size_t size = (size_t)image->H * (size_t)image->W * (size_t)image->C;
    struct record record = {.label = image->label,
                            .H = image->H,
                            .W = image->W,
                            .C = image->C,
                            .format = plan->format,
                            .picture = image->pixels,
                            .name = name,
                            .name_bytes = (uint32_t)strlen(name)};
    if (plan->format == IMAGE_JPEG) {
        struct pixels pixels = {image->pixels, (size_t)image->W * (size_t)image->C, image->H,
                                image->W, image->C};
        TRY(jpeg_encode(encoder, &pixels, plan->quality, &record.picture, &size));
    }
    record.picture_bytes = size > RECORD_MAX_BYTES ? (uint32_t)RECORD_MAX_BYTES : (uint32_t)size;
    lay_out(prepared, &record);
out:
    return err;
}

void prepare(const struct import_plan *plan, bool widens, const struct source *source,
             uint32_t index, struct jpeg_encoder *encoder, struct prepared *prepared)
{
    struct image *image = &prepared->image;
    enum err err = image_shrink(image, plan->side);
    bool is_coloured = err == ERR_OK && has_colour(image);
    int least = image->H < image->W ? image->H : image->W;
    prepared->needs_colour = is_coloured && plan->channels == 1 && !plan->is_grey;
    prepared->needs_jpeg = widens && plan->format == IMAGE_RAW && least > IMPORT_RAW_SIDE;
    if (err == ERR_OK && !prepared->needs_colour && !prepared->needs_jpeg) {
        if (plan->channels == 1 && image->C == 3)
            to_one_channel(image);
        else if (plan->channels == 3 && image->C == 1)
            to_three_channels(image);
        hash_pixels(prepared);
        add_up(prepared);
        err = make_record(plan, source_stored_name(source, index), encoder, prepared);
    }
    prepared->err = err;
    if (err != ERR_OK)
        snprintf(prepared->reason, sizeof prepared->reason, "%s", err_text());
}
