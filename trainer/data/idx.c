#include "trainer/data/idx.h"
#include "base/file.h"
#include "base/mem.h"
#include <errno.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>

#define TYPE_U8     8
#define READ_BUFFER (1 << 18)

static enum err failed_read(const struct idx *idx, int got, int wanted)
{
    int code = Z_OK;
    const char *text = gzerror(idx->own, &code);
    if (code == Z_ERRNO)
        return err_set(ERR_IO, "cannot read %s: %s", idx->path, strerror(errno));
    if (code != Z_OK && code != Z_STREAM_END && code != Z_BUF_ERROR)
        return err_set(ERR_DATA, "%s: damaged gzip data (%s)", idx->path, text);
    return err_set(ERR_DATA, "%s is cut short: item %u of %u has %d of %d bytes", idx->path,
                   idx->next, idx->count, got < 0 ? 0 : got, wanted);
}

static uint32_t big_endian(const uint8_t *bytes)
{
    return (uint32_t)bytes[0] << 24 | (uint32_t)bytes[1] << 16 | (uint32_t)bytes[2] << 8 | bytes[3];
}

static enum err read_word(struct idx *idx, uint8_t bytes[4])
{
    int got = gzread(idx->own, bytes, 4);
    if (got != 4)
        return err_set(ERR_DATA, "%s is cut short in its header, or damaged", idx->path);
    return ERR_OK;
}

static enum err read_side(struct idx *idx, const char *what, uint32_t most, int *side)
{
    enum err err = ERR_OK;
    uint8_t word[4];
    TRY(read_word(idx, word));
    uint32_t value = big_endian(word);
    if (value < 1 || value > most)
        TRY(err_set(ERR_DATA, "%s says that its %s is %u; 1 to %u are possible", idx->path, what,
                    value, most));
    *side = (int)value;
out:
    return err;
}

static enum err read_header(struct idx *idx)
{
    enum err err = ERR_OK;
    uint8_t word[4];
    TRY(read_word(idx, word));
    idx->rank = word[3];
    if (word[0] != 0 || word[1] != 0 || word[2] != TYPE_U8 ||
        (idx->rank != 1 && idx->rank != 3 && idx->rank != 4))
        TRY(err_set(ERR_DATA,
                    "%s is not an IDX file of bytes: it begins with %02x%02x%02x%02x, expected "
                    "00000801, 00000803 or 00000804",
                    idx->path, word[0], word[1], word[2], word[3]));
    TRY(read_word(idx, word));
    idx->count = big_endian(word);
    if (idx->count < 1 || idx->count > IDX_MAX_COUNT)
        TRY(err_set(ERR_DATA, "%s says that it has %u items; 1 to %u are possible", idx->path,
                    idx->count, IDX_MAX_COUNT));
    idx->H = idx->W = idx->C = 1;
    if (idx->rank >= 3)
        TRY(read_side(idx, "height", IDX_MAX_SIDE, &idx->H));
    if (idx->rank >= 3)
        TRY(read_side(idx, "width", IDX_MAX_SIDE, &idx->W));
    if (idx->rank == 4)
        TRY(read_side(idx, "number of channels", 3, &idx->C));
    if (idx->C == 2)
        TRY(err_set(ERR_DATA, "%s has 2 channels; 1 and 3 are possible", idx->path));
    idx->item_bytes = (size_t)idx->H * (size_t)idx->W * (size_t)idx->C;
out:
    return err;
}

enum err idx_open(const char *path, struct idx *idx)
{
    enum err err = ERR_OK;
    int file = -1;
    memset(idx, 0, sizeof *idx);
    idx->path = mem_string(path);
    TRY(file_open_regular(path, &file));
    idx->own = gzdopen(file, "rb"); /* takes the file; a plain one is passed through */
    if (!idx->own) {
        close(file);
        TRY(err_set(ERR_MEMORY, "no memory to read %s", path));
    }
    gzbuffer(idx->own, READ_BUFFER);
    TRY(read_header(idx));
out:
    if (err != ERR_OK)
        idx_close(idx);
    return err;
}

void idx_close(struct idx *idx)
{
    if (idx->own)
        gzclose_r(idx->own);
    mem_free(idx->path);
    memset(idx, 0, sizeof *idx);
}

enum err idx_read(struct idx *idx, uint8_t *item)
{
    if (idx->next >= idx->count)
        BUG("item %u of %s, which has %u", idx->next, idx->path, idx->count);
    int wanted = (int)idx->item_bytes, got = gzread(idx->own, item, (unsigned)wanted);
    if (got != wanted)
        return failed_read(idx, got, wanted);
    if (++idx->next < idx->count)
        return ERR_OK;
    /* Reading on also makes zlib compare its checksum. */
    uint8_t beyond;
    got = gzread(idx->own, &beyond, 1);
    if (got > 0)
        return err_set(ERR_DATA, "%s is longer than its header says (%u items of %zu bytes)",
                       idx->path, idx->count, idx->item_bytes);
    int code = Z_OK;
    gzerror(idx->own, &code);
    return got == 0 && (code == Z_OK || code == Z_STREAM_END) ? ERR_OK
                                                              : failed_read(idx, got, wanted);
}
