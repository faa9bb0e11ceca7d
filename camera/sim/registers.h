/* The camera's memory as GigE Vision addresses it: the bootstrap registers that the standard
 * defines, the nodes' registers (node.h), the buffer of file access, and the description. Reads and
 * writes from elsewhere are checked here against bounds, alignment and access; what a write means
 * is sim_camera.h's business. Pure; one thread. */
#ifndef CAMERA_SIM_REGISTERS_H
#define CAMERA_SIM_REGISTERS_H

#include "camera/sim/node.h"
#include <stddef.h>

/* Status codes of acknowledgements. */
enum gvcp_status {
    GVCP_SUCCESS = 0x0000,
    GVCP_NOT_IMPLEMENTED = 0x8001,
    GVCP_INVALID_PARAMETER = 0x8002,
    GVCP_INVALID_ADDRESS = 0x8003,
    GVCP_WRITE_PROTECT = 0x8004,
    GVCP_BAD_ALIGNMENT = 0x8005,
    GVCP_ACCESS_DENIED = 0x8006,
    GVCP_BUSY = 0x8007
};

/* The bootstrap registers we have. */
enum {
    BOOT_VERSION = 0x0000,
    BOOT_DEVICE_MODE = 0x0004,
    BOOT_MAC_HIGH = 0x0008,
    BOOT_MAC_LOW = 0x000c,
    BOOT_CAPABILITY_IP = 0x0010,
    BOOT_CURRENT_IP_CONFIGURATION = 0x0014,
    BOOT_IP_ADDRESS = 0x0024,
    BOOT_SUBNET_MASK = 0x0034,
    BOOT_MANUFACTURER = 0x0048,
    BOOT_MODEL = 0x0068,
    BOOT_DEVICE_VERSION = 0x0088,
    BOOT_MANUFACTURER_INFO = 0x00a8,
    BOOT_SERIAL = 0x00d8,
    BOOT_USER_NAME = 0x00e8,
    BOOT_DISCOVERY_BYTES = 0x00f8, /* up to here a discovery is answered with */
    BOOT_FIRST_URL = 0x0200,
    BOOT_INTERFACES = 0x0600,
    BOOT_MESSAGE_CHANNELS = 0x0900,
    BOOT_STREAM_CHANNELS = 0x0904,
    BOOT_CAPABILITY_GVCP = 0x0934,
    BOOT_HEARTBEAT_MS = 0x0938,
    BOOT_TICKS_HIGH = 0x093c,
    BOOT_TICKS_LOW = 0x0940,
    BOOT_CONTROL = 0x0a00, /* control channel privilege */
    BOOT_STREAM_PORT = 0x0d00,
    BOOT_STREAM_PACKET = 0x0d04,
    BOOT_STREAM_DELAY = 0x0d08,
    BOOT_STREAM_ADDRESS = 0x0d18,
    BOOT_STREAM_SOURCE = 0x0d1c,
    BOOT_BYTES = 0x1000
};
#define CONTROL_EXCLUSIVE 1u
#define CONTROL_CONTROL   2u
#define STREAM_FIRE_TEST  0x80000000u
#define STREAM_UNBROKEN   0x40000000u /* do not fragment */
#define STREAM_SIZE_MASK  0x0000ffffu
enum { STREAM_PACKET_LEAST = 576, STREAM_PACKET_MOST = 9000, STREAM_PACKET_USUAL = 1500 };

enum { DESCRIPTION_BASE = 0x200000, GVCP_DATA_MOST = 536 /* bytes of a read or write */ };

struct registers {
    enum camera_model model;
    uint8_t bootstrap[BOOT_BYTES];
    uint8_t nodes[NODE_COUNT * NODE_STRIDE];
    uint8_t buffer[NODE_BUFFER_BYTES];
    const char *description; /* borrowed */
    size_t description_bytes;
};

struct sim_identity {
    enum camera_model model;
    const char *model_name; /* NULL: the model's own */
    const char *serial;     /* 15 characters at most */
    uint32_t address;       /* IPv4, in the host's order */
};

/* Everything at its initial value. Borrows the description. */
void registers_init(struct registers *registers, const struct sim_identity *identity,
                    const char *description);

uint32_t registers_get(const struct registers *registers, enum node_id id);
void registers_set(struct registers *registers, enum node_id id, uint32_t value);
double registers_get_float(const struct registers *registers, enum node_id id);
void registers_set_float(struct registers *registers, enum node_id id, double value);
void registers_set_string(struct registers *registers, enum node_id id, const char *text);
uint32_t registers_boot(const struct registers *registers, uint32_t address);
void registers_set_boot(struct registers *registers, uint32_t address, uint32_t value);

/* For READREG and READMEM: `size` bytes into `out`. */
enum gvcp_status registers_read(const struct registers *registers, uint32_t address, uint32_t size,
                                uint8_t *out);

/* A write from elsewhere, looked at but not done: the node or bootstrap register it is for, whole,
 * or bytes of the buffer. */
struct register_write {
    enum node_id node;  /* NODE_NONE: not one */
    uint32_t bootstrap; /* where node is NODE_NONE and buffer is NULL */
    uint8_t *buffer;    /* where the bytes go */
};
enum gvcp_status registers_find_write(struct registers *registers, uint32_t address,
                                      const uint8_t *bytes, uint32_t size,
                                      struct register_write *write);

#endif
