/* Netpbm's binary formats (netpbm.sourceforge.net/doc/pgm.html, ppm.html): P5 or P6, width, height
 * and greatest value in decimals with white space and comments between, one white space, pixels. */
#include "trainer/data/raster.h"
#include <limits.h>

struct header {
    const uint8_t *bytes;
    size_t size, at;
};

static bool is_space(uint8_t byte)
{
    return byte == ' ' || (byte >= '\t' && byte <= '\r');
}

/* White space and comments, which end with their line. */
static void skip_space(struct header *header)
{
    bool is_comment = false;
    for (; header->at < header->size; header->at++) {
        uint8_t byte = header->bytes[header->at];
        if (is_comment)
            is_comment = byte != '\n' && byte != '\r';
        else if (byte == '#')
            is_comment = true;
        else if (!is_space(byte))
            return;
    }
}

static bool read_number(struct header *header, int *number)
{
    int64_t read = 0;
    skip_space(header);
    size_t first = header->at;
    for (; header->at < header->size && read <= INT_MAX; header->at++) {
        uint8_t byte = header->bytes[header->at];
        if (byte < '0' || byte > '9')
            break;
        read = 10 * read + (byte - '0');
    }
    *number = (int)read;
    return header->at > first && read <= INT_MAX;
}

/* How many bits the greatest value has, all set; 0: it is no such value. */
static int bits_of(int greatest)
{
    for (int bits = 8; bits <= 16; bits++)
        if (greatest == (1 << bits) - 1)
            return bits;
    return 0;
}

enum err pnm_open(const uint8_t *bytes, size_t size_bytes, struct raster *raster)
{
    struct header header = {bytes, size_bytes, 2};
    int W = 0, H = 0, greatest = 0;
    if (!read_number(&header, &W) || !read_number(&header, &H) ||
        !read_number(&header, &greatest) || header.at == size_bytes || !is_space(bytes[header.at]))
        return err_set(ERR_DATA, "its header is damaged or cut short");
    int bits = bits_of(greatest), C = bytes[1] == '6' ? 3 : 1;
    if (bits == 0)
        return err_set(ERR_UNAVAILABLE,
                       "its greatest value is %d: 255, 511, 1023 and so on to 65535 are read "
                       "(pamdepth 255 makes it that)",
                       greatest);
    size_t pixel_bytes = (size_t)C * (bits > 8 ? 2 : 1);
    *raster = (struct raster){.H = H,
                              .W = W,
                              .C = C,
                              .bits = bits,
                              .pixels = bytes + header.at + 1,
                              .size_bytes = size_bytes - header.at - 1,
                              .row_bytes = (size_t)W * pixel_bytes,
                              .pixel_bytes = pixel_bytes,
                              .is_big_endian = true};
    return ERR_OK;
}
