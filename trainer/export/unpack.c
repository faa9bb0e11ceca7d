#include "trainer/export/unpack.h"
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* What unpacking may take besides twice the file: tiny messages become structs. */
#define UNPACK_BYTES ((size_t)64 << 20)

struct wire { /* packed bytes still to be read */
    const uint8_t *at, *end;
};

static bool take_varint(struct wire *wire, uint64_t *value)
{
    *value = 0;
    for (int shift = 0; shift < 64 && wire->at < wire->end; shift += 7) {
        uint8_t byte = *wire->at++;
        *value |= (uint64_t)(byte & 0x7f) << shift;
        if (byte < 0x80)
            return true;
    }
    return false;
}

/* `content` is what a length stands before, and empty for a number. */
static bool take_field(struct wire *wire, unsigned *id, struct wire *content)
{
    uint64_t tag, size = 0;
    if (!take_varint(wire, &tag))
        return false;
    *id = (unsigned)(tag >> 3);
    unsigned kind = tag & 7;
    if ((kind == 0 || kind == 2) && !take_varint(wire, &size))
        return false;
    if (kind != 0 && kind != 1 && kind != 2 && kind != 5)
        return false;
    size = kind == 2 ? size : kind == 1 ? 8 : kind == 5 ? 4 : 0;
    if (size > (uint64_t)(wire->end - wire->at))
        return false;
    *content = (struct wire){wire->at, wire->at + size};
    wire->at += size;
    return true;
}

static bool is_shallow(const ProtobufCMessageDescriptor *message, struct wire wire, int depth)
{
    struct wire content;
    unsigned id;
    while (wire.at < wire.end) {
        if (depth == 0 || !take_field(&wire, &id, &content))
            return false;
        const ProtobufCFieldDescriptor *field =
            protobuf_c_message_descriptor_get_field(message, id);
        if (field && field->type == PROTOBUF_C_TYPE_MESSAGE &&
            !is_shallow(field->descriptor, content, depth - 1))
            return false;
    }
    return true;
}

static void *unpack_alloc(void *own, size_t size_bytes)
{
    struct unpacked *unpacked = own;
    if (size_bytes > unpacked->left_bytes)
        return NULL;
    unpacked->left_bytes -= size_bytes;
    return malloc(size_bytes);
}

static void unpack_free(void *own, void *pointer)
{
    (void)own;
    free(pointer);
}

enum err unpack(const ProtobufCMessageDescriptor *type, const char *what, const void *bytes,
                size_t size_bytes, struct unpacked *to)
{
    if (!is_shallow(type,
                    (struct wire){bytes, size_bytes ? (const uint8_t *)bytes + size_bytes : bytes},
                    UNPACK_MAX_NESTING))
        return err_set(ERR_DATA,
                       "this is no %s, or it is cut short, or its messages are nested more than "
                       "%d deep",
                       what, UNPACK_MAX_NESTING);
    to->left_bytes = 2 * size_bytes + UNPACK_BYTES;
    to->allocator = (ProtobufCAllocator){unpack_alloc, unpack_free, to};
    to->message = protobuf_c_message_unpack(type, &to->allocator, size_bytes, bytes);
    return to->message ? ERR_OK
                       : err_set(ERR_DATA,
                                 "this is no %s, or it takes far more memory than its size", what);
}

void unpacked_fini(struct unpacked *unpacked)
{
    if (unpacked->message)
        protobuf_c_message_free_unpacked(unpacked->message, &unpacked->allocator);
    memset(unpacked, 0, sizeof *unpacked);
}
