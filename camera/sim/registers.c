#include "camera/sim/registers.h"
#include "camera/sim/big_endian.h"
#include <math.h>
#include <stdio.h>

static uint8_t *node_bytes(struct registers *registers, enum node_id id)
{
    return registers->nodes + (size_t)id * NODE_STRIDE;
}

uint32_t registers_get(const struct registers *registers, enum node_id id)
{
    return get_be32(registers->nodes + (size_t)id * NODE_STRIDE);
}

void registers_set(struct registers *registers, enum node_id id, uint32_t value)
{
    put_be32(node_bytes(registers, id), value);
}

double registers_get_float(const struct registers *registers, enum node_id id)
{
    return get_be_float(registers->nodes + (size_t)id * NODE_STRIDE);
}

void registers_set_float(struct registers *registers, enum node_id id, double value)
{
    put_be_float(node_bytes(registers, id), value);
}

/* The rest of a text's field is zeros. */
static void set_text(uint8_t *field, size_t room, const char *text)
{
    size_t size = strlen(text);
    memset(field, 0, room);
    memcpy(field, text, size < room ? size : room - 1);
}

void registers_set_string(struct registers *registers, enum node_id id, const char *text)
{
    set_text(node_bytes(registers, id), NODE_STRIDE, text);
}

uint32_t registers_boot(const struct registers *registers, uint32_t address)
{
    return get_be32(registers->bootstrap + address);
}

void registers_set_boot(struct registers *registers, uint32_t address, uint32_t value)
{
    put_be32(registers->bootstrap + address, value);
}

static void init_nodes(struct registers *registers)
{
    for (int i = 0; i < NODE_COUNT; i++) {
        if (nodes[i].kind == NODE_FLOAT)
            registers_set_float(registers, (enum node_id)i, nodes[i].initial);
        else if (nodes[i].kind != NODE_STRING)
            registers_set(registers, (enum node_id)i, (uint32_t)nodes[i].initial);
    }
    if (registers->model == MODEL_COLOUR)
        registers_set(registers, NODE_PIXEL_FORMAT, PFNC_BAYER_RG8);
}

#define VENDOR         "FLIR"
#define DEVICE_VERSION "simulated"
#define FIRMWARE       "1905.4.103.0" /* the one that is documented */
#define TICKS          1000000000u    /* a second */

static const struct {
    uint32_t address, value;
} boot_values[] = {
    {BOOT_VERSION, 0x00020000},
    {BOOT_DEVICE_MODE, 0x80000001}, /* big-endian, UTF-8 */
    {BOOT_CAPABILITY_IP, 0x4},
    {BOOT_CURRENT_IP_CONFIGURATION, 0x4},
    {BOOT_SUBNET_MASK, 0xff000000},
    {BOOT_INTERFACES, 1},
    {BOOT_STREAM_CHANNELS, 1},
    /* writes of memory, resends, pending acknowledgements; a serial number and a user's name */
    {BOOT_CAPABILITY_GVCP, 0xc0000026},
    {BOOT_HEARTBEAT_MS, 3000},
    {BOOT_TICKS_LOW, TICKS},
    {BOOT_STREAM_PACKET, STREAM_PACKET_USUAL},
};

static void init_bootstrap(struct registers *registers, const struct sim_identity *identity,
                           const char *model)
{
    uint8_t *boot = registers->bootstrap;
    for (size_t i = 0; i < sizeof boot_values / sizeof boot_values[0]; i++)
        registers_set_boot(registers, boot_values[i].address, boot_values[i].value);
    registers_set_boot(registers, BOOT_MAC_HIGH, 0x0200); /* one that is locally administered */
    registers_set_boot(registers, BOOT_MAC_LOW, identity->address);
    registers_set_boot(registers, BOOT_IP_ADDRESS, identity->address);
    set_text(boot + BOOT_MANUFACTURER, 32, VENDOR);
    set_text(boot + BOOT_MODEL, 32, model);
    set_text(boot + BOOT_DEVICE_VERSION, 32, FIRMWARE);
    set_text(boot + BOOT_MANUFACTURER_INFO, 48, "simulated by glowworm-camera-sim");
    set_text(boot + BOOT_SERIAL, 16, identity->serial);
    char url[64];
    snprintf(url, sizeof url, "Local:firefly.xml;%x;%zx", DESCRIPTION_BASE,
             registers->description_bytes);
    set_text(boot + BOOT_FIRST_URL, 512, url);
}

void registers_init(struct registers *registers, const struct sim_identity *identity,
                    const char *description)
{
    const char *model =
        identity->model == MODEL_COLOUR ? "Firefly FFY-U3-16S2C-DL" : "Firefly FFY-U3-16S2M-DL";
    model = identity->model_name ? identity->model_name : model;
    memset(registers, 0, sizeof *registers);
    registers->model = identity->model;
    registers->description = description;
    registers->description_bytes = strlen(description);
    init_nodes(registers);
    init_bootstrap(registers, identity, model);
    registers_set_string(registers, NODE_DEVICE_VENDOR_NAME, VENDOR);
    registers_set_string(registers, NODE_DEVICE_MODEL_NAME, model);
    registers_set_string(registers, NODE_DEVICE_VERSION, DEVICE_VERSION);
    registers_set_string(registers, NODE_DEVICE_FIRMWARE_VERSION, FIRMWARE);
    registers_set_string(registers, NODE_DEVICE_SERIAL_NUMBER, identity->serial);
}

/* Whether `size` bytes from `address` on lie in [base, base + room): *offset. */
static bool lies_in(uint32_t address, uint32_t size, uint32_t base, size_t room, size_t *offset)
{
    *offset = (size_t)address - base;
    return address >= base && *offset <= room && size <= room - *offset;
}

/* Behind the description's end its last words are padded with zeros. */
static void read_description(const struct registers *registers, size_t offset, uint32_t size,
                             uint8_t *out)
{
    size_t left = registers->description_bytes - offset;
    size_t copied = size < left ? size : left;
    memcpy(out, registers->description + offset, copied);
    memset(out + copied, 0, size - copied);
}

enum gvcp_status registers_read(const struct registers *registers, uint32_t address, uint32_t size,
                                uint8_t *out)
{
    size_t offset;
    if (address % 4 || size % 4)
        return GVCP_BAD_ALIGNMENT;
    if (size == 0 || size > GVCP_DATA_MOST)
        return GVCP_INVALID_PARAMETER;
    if (lies_in(address, size, 0, BOOT_BYTES, &offset))
        memcpy(out, registers->bootstrap + offset, size);
    else if (lies_in(address, size, NODE_BASE, sizeof registers->nodes, &offset))
        memcpy(out, registers->nodes + offset, size);
    else if (lies_in(address, size, NODE_BUFFER, NODE_BUFFER_BYTES, &offset))
        memcpy(out, registers->buffer + offset, size);
    else if (lies_in(address, size, DESCRIPTION_BASE, registers->description_bytes + 3, &offset) &&
             offset < registers->description_bytes)
        read_description(registers, offset, size, out);
    else
        return GVCP_INVALID_ADDRESS;
    return GVCP_SUCCESS;
}

static bool fits_integer(const struct node *node, uint32_t value)
{
    return value >= node->low && value <= node->high &&
           (node->step <= 1 || (value - (uint32_t)node->low) % node->step == 0);
}

/* Whether a node may have this value. */
static enum gvcp_status check_value(const struct registers *registers, enum node_id id,
                                    const uint8_t *bytes)
{
    const struct node *node = &nodes[id];
    bool fits = true;
    if (node->kind == NODE_FLOAT) {
        /* the range's ends as the register holds them */
        double value = get_be_float(bytes);
        fits = isfinite(value) && value >= (float)node->low && value <= (float)node->high;
    } else if (node->kind == NODE_ENUM) {
        fits = node_has_entry(node_entries(id, registers->model), get_be32(bytes));
    } else if (node->kind == NODE_INTEGER || node->kind == NODE_BOOLEAN) {
        fits = fits_integer(node, get_be32(bytes));
    } else if (node->kind == NODE_STRING) {
        fits = memchr(bytes, 0, NODE_STRIDE) != NULL;
    }
    return fits ? GVCP_SUCCESS : GVCP_INVALID_PARAMETER;
}

static enum gvcp_status find_node(struct registers *registers, size_t offset, uint32_t size,
                                  const uint8_t *bytes, struct register_write *write)
{
    enum node_id id = (enum node_id)(offset / NODE_STRIDE);
    if (offset % NODE_STRIDE || size != node_length(id))
        return GVCP_INVALID_ADDRESS;
    if (nodes[id].access == NODE_RO)
        return GVCP_WRITE_PROTECT;
    write->node = id;
    write->buffer = node_bytes(registers, id);
    return check_value(registers, id, bytes);
}

/* Those of the bootstrap registers that an application may write. */
static bool is_writable(uint32_t address)
{
    return address == BOOT_HEARTBEAT_MS || address == BOOT_CONTROL || address == BOOT_STREAM_PORT ||
           address == BOOT_STREAM_PACKET || address == BOOT_STREAM_DELAY ||
           address == BOOT_STREAM_ADDRESS;
}

enum gvcp_status registers_find_write(struct registers *registers, uint32_t address,
                                      const uint8_t *bytes, uint32_t size,
                                      struct register_write *write)
{
    size_t offset;
    *write = (struct register_write){.node = NODE_NONE};
    if (address % 4 || size % 4)
        return GVCP_BAD_ALIGNMENT;
    if (size == 0 || size > GVCP_DATA_MOST)
        return GVCP_INVALID_PARAMETER;
    if (lies_in(address, size, NODE_BASE, sizeof registers->nodes, &offset))
        return find_node(registers, offset, size, bytes, write);
    if (lies_in(address, size, NODE_BUFFER, NODE_BUFFER_BYTES, &offset)) {
        write->buffer = registers->buffer + offset;
        return GVCP_SUCCESS;
    }
    if (!lies_in(address, size, 0, BOOT_BYTES, &offset))
        return GVCP_INVALID_ADDRESS;
    write->bootstrap = address;
    return size != 4 || !is_writable(address) ? GVCP_WRITE_PROTECT : GVCP_SUCCESS;
}
