/* Unpacking a protobuf message that may be anybody's: messages nested deeper than any of ours, and
 * small files that would become far more memory than their size, are refused. One thread. */
#ifndef TRAINER_EXPORT_UNPACK_H
#define TRAINER_EXPORT_UNPACK_H

#include "base/err.h"
#include <protobuf-c/protobuf-c.h>
#include <stddef.h>

enum { UNPACK_MAX_NESTING = 16 };

struct unpacked { /* starts zeroed; stays where it is while its message lives */
    ProtobufCMessage *message;
    ProtobufCAllocator allocator; /* gives no more than left_bytes */
    size_t left_bytes;
};

/* ERR_DATA: the bytes are no such message; `what` names it ("ONNX file"). The bytes may be freed
 * afterwards. */
MUST_CHECK enum err unpack(const ProtobufCMessageDescriptor *type, const char *what,
                           const void *bytes, size_t size_bytes, struct unpacked *to);
void unpacked_fini(struct unpacked *unpacked); /* accepts a zeroed one */

#endif
