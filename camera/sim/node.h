/* The nodes of the camera, as GenICam names what can be read and set: one row each (node_rows.h)
 * is the description's, the registers' and the simulation's. Each has a register of its own, of
 * NODE_STRIDE bytes from NODE_BASE on, in the order of the rows; numbers are big-endian. Where a
 * node belongs to another that selects (ChunkEnable), the register shows what is selected. Pure
 * data. */
#ifndef CAMERA_SIM_NODE_H
#define CAMERA_SIM_NODE_H

#include <stdbool.h>
#include <stdint.h>

enum node_id {
#define INTEGER(id, ...) NODE_##id,
#define FLOAT(id, ...)   NODE_##id,
#define BOOLEAN(id, ...) NODE_##id,
#define ENUM(id, ...)    NODE_##id,
#define COMMAND(id, ...) NODE_##id,
#define STRING(id, ...)  NODE_##id,
#include "camera/sim/node_rows.h"
#undef INTEGER
#undef FLOAT
#undef BOOLEAN
#undef ENUM
#undef COMMAND
#undef STRING
    NODE_COUNT,
    NODE_NONE = -1
};

enum node_kind { NODE_INTEGER, NODE_FLOAT, NODE_BOOLEAN, NODE_ENUM, NODE_COMMAND, NODE_STRING };
enum node_access { NODE_RO, NODE_RW, NODE_WO };
enum node_category {
    NODE_DEVICE,
    NODE_IMAGE,
    NODE_ACQUISITION,
    NODE_ANALOG,
    NODE_CHUNK,
    NODE_FILES,
    NODE_INFERENCE,
    NODE_PREPROCESSING,
    NODE_PROPERTIES,
    NODE_TRANSPORT,
    NODE_CATEGORIES
};
extern const char *const node_categories[NODE_CATEGORIES];

enum camera_model { MODEL_MONO, MODEL_COLOUR };

enum {
    NODE_BASE = 0x10000,
    NODE_STRIDE = 64,        /* bytes, all of them a string's */
    NODE_BUFFER = 0x100000,  /* FileAccessBuffer, a register of bytes */
    NODE_BUFFER_BYTES = 4096 /* the camera's own is not known */
};

struct node {
    const char *name, *tip, *unit;
    enum node_kind kind;
    enum node_access access;
    enum node_category category;
    double low, high; /* INTEGER, FLOAT: its range; others: of the register */
    double initial;
    uint32_t step;       /* INTEGER */
    const char *entries; /* ENUM: "Off=0 On=1" */
    bool is_locked;      /* while images are taken */
};

extern const struct node nodes[NODE_COUNT];

uint32_t node_address(enum node_id id);
/* Bytes of the register: 4, of a string NODE_STRIDE. */
uint32_t node_length(enum node_id id);
/* What the entries of an ENUM are on this model, borrowed: "Mono8=17301505 ...". */
const char *node_entries(enum node_id id, enum camera_model model);
/* Whether one of them has this value. */
bool node_has_entry(const char *entries, uint32_t value);
/* The node of this name; NODE_NONE. */
enum node_id node_find(const char *name);

/* The numbers of entries that the simulation asks for. */
enum { PATTERN_OFF, PATTERN_INCREMENT, PATTERN_INJECTED };
enum { GENERATOR_SENSOR, GENERATOR_PIPELINE };
enum { ACQUIRE_CONTINUOUS, ACQUIRE_SINGLE, ACQUIRE_MULTI };
enum { TRIGGER_SOFTWARE, TRIGGER_LINE0, TRIGGER_INFERENCE_READY };
enum { NETWORK_NONE, NETWORK_READY, NETWORK_REFUSED };
enum { TYPE_DETECTION, TYPE_CLASSIFICATION };
enum { BPP_MONO8, BPP_BGR8 };
enum { INFERENCE_CHANNELS = 3 };

enum pfnc {
    PFNC_MONO8 = 0x01080001,
    PFNC_MONO16 = 0x01100007,
    PFNC_BAYER_RG8 = 0x01080009,
    PFNC_BAYER_RG16 = 0x0110002e,
    PFNC_RGB8 = 0x02180014,
    PFNC_BGR8 = 0x02180015
};

#endif
