#include "camera/sim/node.h"
#include "camera/sim/chunk.h"
#include <stdlib.h>
#include <string.h>

const char *const node_categories[NODE_CATEGORIES] = {
    "DeviceControl",       "ImageFormatControl",   "AcquisitionControl", "AnalogControl",
    "ChunkDataControl",    "FileAccessControl",    "InferenceControl",   "InferencePreprocessing",
    "InferenceProperties", "TransportLayerControl"};

/* What a row says of locking. */
enum { FREE, LOCKED };

#define ROW(id_, kind_, category_, name_, access_, lock_, tip_)                                    \
    .name = name_, .kind = NODE_##kind_, .category = NODE_##category_, .access = NODE_##access_,   \
    .is_locked = lock_, .tip = tip_
#define INTEGER(id, category, name, access, low_, high_, step_, initial_, lock, tip)               \
    [NODE_##id] = {ROW(id, INTEGER, category, name, access, lock, tip), .low = low_,               \
                   .high = high_, .step = step_, .initial = initial_},
#define FLOAT(id, category, name, access, low_, high_, initial_, unit_, lock, tip)                 \
    [NODE_##id] = {ROW(id, FLOAT, category, name, access, lock, tip), .low = low_, .high = high_,  \
                   .initial = initial_, .unit = unit_},
#define BOOLEAN(id, category, name, access, initial_, lock, tip)                                   \
    [NODE_##id] = {ROW(id, BOOLEAN, category, name, access, lock, tip), .high = 1,                 \
                   .initial = initial_},
#define ENUM(id, category, name, access, entries_, initial_, lock, tip)                            \
    [NODE_##id] = {ROW(id, ENUM, category, name, access, lock, tip), .entries = entries_,          \
                   .high = UINT32_MAX, .initial = initial_},
#define COMMAND(id, category, name, lock, tip)                                                     \
    [NODE_##id] = {ROW(id, COMMAND, category, name, WO, lock, tip), .high = UINT32_MAX},
#define STRING(id, category, name, access, tip)                                                    \
    [NODE_##id] = {ROW(id, STRING, category, name, access, FREE, tip)},

const struct node nodes[NODE_COUNT] = {
#include "camera/sim/node_rows.h"
};

uint32_t node_address(enum node_id id)
{
    return NODE_BASE + (uint32_t)id * NODE_STRIDE;
}

uint32_t node_length(enum node_id id)
{
    return nodes[id].kind == NODE_STRING ? NODE_STRIDE : 4;
}

const char *node_entries(enum node_id id, enum camera_model model)
{
    if (id == NODE_CHUNK_SELECTOR)
        return chunk_entries;
    if (model == MODEL_COLOUR && id == NODE_PIXEL_FORMAT)
        return "BayerRG8=17301513 BayerRG16=17825838 RGB8=35127316 BGR8=35127317";
    if (model == MODEL_COLOUR && id == NODE_INFERENCE_PREPROCESS_BPP_SELECTOR)
        return "Mono8=0 BGR8=1";
    return nodes[id].entries;
}

bool node_has_entry(const char *entries, uint32_t value)
{
    for (const char *at = strchr(entries, '='); at; at = strchr(at + 1, '='))
        if (strtoul(at + 1, NULL, 10) == value)
            return true;
    return false;
}

enum node_id node_find(const char *name)
{
    for (int i = 0; i < NODE_COUNT; i++)
        if (strcmp(nodes[i].name, name) == 0)
            return (enum node_id)i;
    return NODE_NONE;
}
