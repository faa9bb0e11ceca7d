#include "trainer/checkpoint/manifest.h"
#include "trainer/checkpoint/safetensors.h"
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

static json_t *describe(const struct tensor *tensor, uint64_t begin)
{
    json_t *shape = json_array();
    for (int d = 0; d < tensor->rank; d++)
        json_array_append_new(shape, json_integer(tensor->shape[d]));
    return json_pack("{s:s, s:o, s:[I, I]}", "dtype", "F32", "shape", shape, "data_offsets",
                     (json_int_t)begin, (json_int_t)(begin + tensor_bytes(tensor)));
}

void safetensors_header(const struct tensor *tensors, int count,
                        const struct safetensors_note *notes, int note_count, struct text *header)
{
    static const char padding[] = "       ";
    json_t *json = json_object(), *metadata = json_object();
    uint64_t begin = 0;
    for (int i = 0; i < note_count; i++)
        json_object_set_new(metadata, notes[i].key, json_string(notes[i].value));
    json_object_set_new(json, "__metadata__", metadata);
    for (int i = 0; i < count; i++) {
        json_object_set_new(json, tensors[i].name, describe(&tensors[i], begin));
        begin += tensor_bytes(&tensors[i]);
    }
    char *text = json_dumps(json, JSON_COMPACT | JSON_PRESERVE_ORDER);
    if (!text)
        BUG("a header that is no JSON");
    size_t size = strlen(text), padded = (size + 7) / 8 * 8;
    unsigned char length[8];
    for (int i = 0; i < 8; i++)
        length[i] = (unsigned char)((uint64_t)padded >> (8 * i));
    text_add_bytes(header, length, sizeof length);
    text_add_bytes(header, text, size);
    text_add_bytes(header, padding, padded - size);
    free(text);
    json_decref(json);
}
