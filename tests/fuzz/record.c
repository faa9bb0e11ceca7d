/* What a data set's store holds: its manifest, or a pack of records and the JPEG pictures in them.
 * The first byte says which. */
#include "trainer/data/record.h"
#include "base/mem.h"
#include "tests/fuzz/fuzz.h"
#include "trainer/data/dataset_manifest.h"
#include "trainer/data/jpeg.h"

#define SIDE 64 /* of the data set that they claim to be in */

static void read_manifest(const uint8_t *bytes, size_t size)
{
    Glowworm__DatasetManifest *manifest = NULL;
    struct dataset_info info;
    if (dataset_manifest_read(bytes, size, &manifest, &info) != ERR_OK)
        return;
    FUZZ_EXPECT(info.classes > 0 && (info.channels == 1 || info.channels == 3));
    FUZZ_EXPECT(info.max_height > 0 && info.max_height <= DATASET_MAX_SIDE);
    FUZZ_EXPECT(info.max_width > 0 && info.max_width <= DATASET_MAX_SIDE);
    glowworm__dataset_manifest__free_unpacked(manifest, NULL);
}

/* All of it, and its lower right quarter averaged down. */
static void decode(struct jpeg_decoder *decoder, const struct record *record)
{
    struct jpeg_request request = {.bytes = record->picture,
                                   .size_bytes = record->picture_bytes,
                                   .H = record->H,
                                   .W = record->W,
                                   .C = record->C,
                                   .shrink = 1,
                                   .area = {0, 0, record->H, record->W}};
    struct pixels pixels;
    struct area area;
    enum err whole = jpeg_decode(decoder, &request, &pixels, &area);
    request.shrink = 2;
    request.area =
        (struct area){record->H / 2.0, record->W / 2.0, record->H / 2.0, record->W / 2.0};
    enum err part = jpeg_decode(decoder, &request, &pixels, &area);
    FUZZ_EXPECT((whole == ERR_OK || whole == ERR_DATA) && (part == ERR_OK || part == ERR_DATA));
    if (part == ERR_OK)
        FUZZ_EXPECT(area.y >= 0 && area.x >= 0 && pixels.H <= SIDE && pixels.W <= SIDE);
}

static void read_pack(const uint8_t *bytes, size_t size)
{
    struct jpeg_decoder *decoder = jpeg_decoder_create(SIDE, SIDE, 3);
    struct record record;
    const uint8_t *found = NULL;
    size_t found_bytes = 0;
    for (uint32_t slot = 0; pack_find(bytes, size, slot, &found, &found_bytes) == ERR_OK; slot++) {
        if (record_parse(found, found_bytes, &record) != ERR_OK)
            continue;
        struct hash hash = record_hash(found, found_bytes);
        FUZZ_EXPECT(record.label >= 0 &&
                    record.name + record.name_bytes == (const char *)found + found_bytes);
        (void)record_is_intact(found, &hash);
        if (record.format == IMAGE_JPEG && record.H <= SIDE && record.W <= SIDE)
            decode(decoder, &record);
    }
    jpeg_decoder_destroy(&decoder);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    if (size > 0 && bytes[0] % 2 == 0)
        read_manifest(bytes + 1, size - 1);
    else if (size > 0)
        read_pack(bytes + 1, size - 1);
    return 0;
}
