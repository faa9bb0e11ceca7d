/* The writing side: packs are collected in memory and put in transactions of about 32 MiB, since
 * each one waits for the disk. A transaction's body may run twice (the map grew), so it only reads
 * what was collected. */
#include "base/fault.h"
#include "base/mem.h"
#include "trainer/data/dataset.pb-c.h"
#include "trainer/data/dataset_store.h"
#include <string.h>

#define FLUSH_BYTES ((size_t)32 << 20)

struct pack { /* the records of one, without its header yet */
    uint8_t *bytes;
    size_t size, room;
    uint32_t sizes[PACK_RECORDS];
    uint32_t count;
};

struct dataset_writer {
    struct store *store;
    struct pack *packs; /* not yet written; the last one may be growing */
    uint32_t pack_count, pack_room;
    uint64_t first_pack; /* number of packs[0] */
    size_t pending;
    struct hash *hashes; /* of every record so far */
    size_t hash_count, hash_room;
};

enum err dataset_store_open(const char *path, enum store_mode mode, struct store **store)
{
    static const char *const tables[] = {"packs", "manifest", NULL};
    struct store_cfg cfg = {.path = path,
                            .mode = mode,
                            .kind = "dataset",
                            .version = MANIFEST_VERSION,
                            .tables = tables,
                            .map_bytes = (size_t)256 << 20};
    return store_open(&cfg, store);
}

enum err dataset_writer_open(const char *path, struct dataset_writer **writer)
{
    struct store *store = NULL;
    enum err err = dataset_store_open(path, STORE_WRITE, &store);
    if (err != ERR_OK)
        return err;
    *writer = mem_alloc(sizeof **writer);
    (*writer)->store = store;
    return ERR_OK;
}

void dataset_writer_close(struct dataset_writer **writer)
{
    struct dataset_writer *closed = *writer;
    if (!closed)
        return;
    store_close(&closed->store);
    for (uint32_t i = 0; i < closed->pack_room; i++)
        mem_free(closed->packs[i].bytes);
    mem_free(closed->packs);
    mem_free(closed->hashes);
    mem_free(closed);
    *writer = NULL;
}

static enum err put_packs(struct store_txn *txn, void *own)
{
    enum err err = ERR_OK;
    struct dataset_writer *writer = own;
    uint8_t room[8];
    for (uint32_t i = 0; i < writer->pack_count; i++) {
        const struct pack *pack = &writer->packs[i];
        TRY(store_put(txn, TABLE_PACKS, store_number(writer->first_pack + i, room),
                      (struct store_bytes){pack->bytes, pack->size}));
    }
out:
    return err;
}

/* A short last pack has a shorter header: its records move down to it. */
static void seal(struct pack *pack)
{
    size_t reserved = PACK_HEADER_BYTES(PACK_RECORDS), header = PACK_HEADER_BYTES(pack->count);
    if (header < reserved) {
        memmove(pack->bytes + header, pack->bytes + reserved, pack->size - reserved);
        pack->size -= reserved - header;
    }
    pack_write_header(pack->bytes, pack->count, pack->sizes);
}

static enum err flush(struct dataset_writer *writer)
{
    enum err err = ERR_OK;
    if (writer->pack_count == 0)
        return ERR_OK;
    TRY(FAULT("import.flush"));
    for (uint32_t i = 0; i < writer->pack_count; i++)
        seal(&writer->packs[i]);
    TRY(store_update(writer->store, put_packs, writer));
    writer->first_pack += writer->pack_count;
    for (uint32_t i = 0; i < writer->pack_count; i++)
        writer->packs[i].size = writer->packs[i].count = 0; /* the memory serves the next ones */
    writer->pack_count = 0;
    writer->pending = 0;
out:
    return err;
}

static struct pack *open_pack(struct dataset_writer *writer)
{
    if (writer->pack_count > 0 && writer->packs[writer->pack_count - 1].count < PACK_RECORDS)
        return &writer->packs[writer->pack_count - 1];
    if (writer->pack_count == writer->pack_room) {
        uint32_t room = 2 * writer->pack_room + 16;
        writer->packs = mem_grow(writer->packs, writer->pack_room * sizeof *writer->packs,
                                 room * sizeof *writer->packs);
        memset(writer->packs + writer->pack_room, 0,
               (room - writer->pack_room) * sizeof *writer->packs);
        writer->pack_room = room;
    }
    struct pack *pack = &writer->packs[writer->pack_count++];
    pack->size = PACK_HEADER_BYTES(PACK_RECORDS);
    return pack;
}

static void note_hash(struct dataset_writer *writer, const uint8_t *record, size_t size_bytes)
{
    if (writer->hash_count == writer->hash_room) {
        size_t room = 2 * writer->hash_room + 4096;
        writer->hashes = mem_grow(writer->hashes, writer->hash_room * sizeof *writer->hashes,
                                  room * sizeof *writer->hashes);
        writer->hash_room = room;
    }
    writer->hashes[writer->hash_count++] = record_hash(record, size_bytes);
}

enum err dataset_writer_add(struct dataset_writer *writer, const uint8_t *record, size_t size_bytes)
{
    struct pack *pack = open_pack(writer);
    if (pack->size + size_bytes > pack->room) {
        size_t room = 2 * (pack->size + size_bytes);
        pack->bytes = mem_grow(pack->bytes, pack->size, room);
        pack->room = room;
    }
    memcpy(pack->bytes + pack->size, record, size_bytes);
    pack->size += size_bytes;
    pack->sizes[pack->count++] = (uint32_t)size_bytes;
    note_hash(writer, record, size_bytes);
    writer->pending += size_bytes;
    return pack->count == PACK_RECORDS && writer->pending >= FLUSH_BYTES ? flush(writer) : ERR_OK;
}

struct packed { /* a manifest on its way into the store */
    uint8_t *bytes;
    size_t size;
};

static Glowworm__Imported pack_imported(const struct imported *from)
{
    Glowworm__Imported imported = GLOWWORM__IMPORTED__INIT;
    imported.side = (uint32_t)from->side;
    imported.grey = from->is_grey;
    imported.bits = (uint32_t)from->samples.bits;
    imported.bayer = (uint32_t)from->samples.bayer;
    imported.raw_width = (uint32_t)from->samples.raw_width;
    imported.raw_height = (uint32_t)from->samples.raw_height;
    return imported;
}

static struct packed pack_manifest(struct dataset_info *info)
{
    Glowworm__DatasetManifest manifest = GLOWWORM__DATASET_MANIFEST__INIT;
    Glowworm__Imported imported = pack_imported(&info->imported);
    manifest.version = MANIFEST_VERSION;
    manifest.source = info->source;
    manifest.channels = (uint32_t)info->channels;
    manifest.format = (uint32_t)info->format;
    manifest.train_count = info->train_count;
    manifest.test_count = info->test_count;
    manifest.max_height = (uint32_t)info->max_height;
    manifest.max_width = (uint32_t)info->max_width;
    manifest.n_mean = manifest.n_deviation = (size_t)info->channels;
    manifest.mean = info->mean;
    manifest.deviation = info->deviation;
    manifest.n_class_names = (size_t)info->classes;
    manifest.class_names = info->class_names;
    manifest.n_train_per_class = manifest.n_test_per_class = (size_t)info->classes;
    manifest.train_per_class = info->train_per_class;
    manifest.test_per_class = info->test_per_class;
    manifest.record_bytes = info->record_bytes;
    if (info->imported.side > 0)
        manifest.imported = &imported;
    manifest.content = (ProtobufCBinaryData){HASH_BYTES, info->content.bytes};
    struct packed packed = {.size = glowworm__dataset_manifest__get_packed_size(&manifest)};
    packed.bytes = mem_alloc(packed.size);
    glowworm__dataset_manifest__pack(&manifest, packed.bytes);
    return packed;
}

static enum err put_manifest(struct store_txn *txn, void *own)
{
    struct packed *packed = own;
    return store_put(txn, TABLE_MANIFEST, store_text(MANIFEST_KEY),
                     (struct store_bytes){packed->bytes, packed->size});
}

enum err dataset_writer_finish(struct dataset_writer *writer, struct dataset_info *info)
{
    enum err err = ERR_OK;
    struct packed packed = {NULL, 0};
    struct hasher hasher;
    TRY(flush(writer));
    record_begin_content(&hasher, info);
    for (size_t i = 0; i < writer->hash_count; i++)
        hasher_add(&hasher, writer->hashes[i].bytes, HASH_BYTES);
    info->content = hasher_end(&hasher);
    packed = pack_manifest(info);
    TRY(store_update(writer->store, put_manifest, &packed));
    store_close(&writer->store);
out:
    mem_free(packed.bytes);
    return err;
}
