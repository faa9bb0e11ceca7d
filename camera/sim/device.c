#include "base/mem.h"
#include "camera/sim/big_endian.h"
#include "camera/sim/description.h"
#include "camera/sim/device_internal.h"
#include <stdlib.h>

enum { HEARTBEAT_LEAST_MS = 500 };

static void show_all(struct device *device)
{
    struct registers *registers = &device->registers;
    registers_set(registers, NODE_PAYLOAD_SIZE, (uint32_t)acquisition_payload(device));
    device_show_file(device);
}

/* Everything but files and what the transport set, as after the power was off. */
static void reset_nodes(struct device *device)
{
    registers_init(&device->registers, &device->cfg.identity, text_get(&device->description));
    memset(device->chunk_enabled, 0, sizeof device->chunk_enabled);
    for (int c = 0; c < INFERENCE_CHANNELS; c++) {
        device->mean[c] = nodes[NODE_INFERENCE_PREPROCESS_CHANNEL_MEAN].initial;
        device->scalar[c] = nodes[NODE_INFERENCE_PREPROCESS_CHANNEL_SCALAR].initial;
    }
    device_load_network(device);
    show_all(device);
}

enum err device_create(const struct device_cfg *cfg, struct device **device)
{
    enum err err = ERR_OK;
    struct device *made = mem_alloc(sizeof *made);
    made->cfg = *cfg;
    if (device_has(made, FAULT_OTHER_MODEL))
        made->cfg.identity.model_name = made->cfg.faults.argument[FAULT_OTHER_MODEL];
    const char *dropped = strchr(cfg->faults.argument[FAULT_DROPPED_CONNECTION], '=');
    made->writes_left = dropped ? (uint32_t)strtoul(dropped + 1, NULL, 10) : 1;
    description_write(cfg->identity.model, &made->description);
    acquisition_init(made);
    TRY(inference_create(&made->inference));
    if (cfg->flash_network)
        file_preload(&made->files, FILE_NETWORK, cfg->flash_network, cfg->flash_network_bytes);
    reset_nodes(made);
    *device = made;
    made = NULL;
out:
    device_destroy(&made);
    return err;
}

void device_destroy(struct device **device)
{
    if (!*device)
        return;
    inference_destroy(&(*device)->inference);
    acquisition_fini(*device);
    file_access_fini(&(*device)->files);
    text_fini(&(*device)->description);
    mem_free(*device);
    *device = NULL;
}

struct registers *device_registers(struct device *device)
{
    return &device->registers;
}

int device_descriptor(const struct device *device)
{
    return inference_descriptor(device->inference);
}

double device_silence(struct device *device)
{
    double silence_s = device->silence_s;
    device->silence_s = 0;
    return silence_s;
}

/* Files in flash stay, and nothing else. */
static void reset(struct device *device)
{
    struct registers *registers = &device->registers;
    uint8_t transport[BOOT_BYTES];
    memcpy(transport, registers->bootstrap, sizeof transport);
    acquisition_stop(device);
    file_lose_ddr(&device->files);
    reset_nodes(device);
    memcpy(registers->bootstrap, transport, sizeof transport);
}

/* What a register shows of what is selected. */
static void show_selected(struct device *device, enum node_id id)
{
    struct registers *registers = &device->registers;
    uint32_t selected = registers_get(registers, id);
    if (id == NODE_CHUNK_SELECTOR) {
        registers_set(registers, NODE_CHUNK_ENABLE, device->chunk_enabled[selected]);
    } else if (id == NODE_FILE_SELECTOR) {
        device_show_file(device);
    } else if (id == NODE_INFERENCE_PREPROCESS_CHANNEL_SELECTOR) {
        registers_set_float(registers, NODE_INFERENCE_PREPROCESS_CHANNEL_MEAN,
                            device->mean[selected]);
        registers_set_float(registers, NODE_INFERENCE_PREPROCESS_CHANNEL_SCALAR,
                            device->scalar[selected]);
    }
}

/* A register that belongs to what is selected was written. */
static void take_selected(struct device *device, enum node_id id)
{
    const struct registers *registers = &device->registers;
    uint32_t channel = registers_get(registers, NODE_INFERENCE_PREPROCESS_CHANNEL_SELECTOR);
    if (id == NODE_CHUNK_ENABLE)
        device->chunk_enabled[registers_get(registers, NODE_CHUNK_SELECTOR)] =
            registers_get(registers, id);
    else if (id == NODE_INFERENCE_PREPROCESS_CHANNEL_MEAN)
        device->mean[channel] = registers_get_float(registers, id);
    else if (id == NODE_INFERENCE_PREPROCESS_CHANNEL_SCALAR)
        device->scalar[channel] = registers_get_float(registers, id);
}

static enum gvcp_status do_command(struct device *device, enum node_id id, double *takes_s)
{
    switch (id) {
    case NODE_ACQUISITION_START:
        return acquisition_start(device);
    case NODE_ACQUISITION_STOP:
        acquisition_stop(device);
        break;
    case NODE_TRIGGER_SOFTWARE:
        device->acquisition.has_trigger = device->acquisition.is_on;
        break;
    case NODE_FILE_OPERATION_EXECUTE:
        device_execute_file(device, takes_s);
        break;
    case NODE_DEVICE_RESET:
        reset(device);
        break;
    default:
        BUG("%s is no command", nodes[id].name);
    }
    return GVCP_SUCCESS;
}

/* What depends on more than one register. */
static enum gvcp_status check_together(const struct device *device, enum node_id id, uint32_t value)
{
    const struct registers *registers = &device->registers;
    uint32_t W = registers_get(registers, NODE_WIDTH), H = registers_get(registers, NODE_HEIGHT);
    uint32_t x = registers_get(registers, NODE_OFFSET_X),
             y = registers_get(registers, NODE_OFFSET_Y);
    W = id == NODE_WIDTH ? value : W;
    H = id == NODE_HEIGHT ? value : H;
    x = id == NODE_OFFSET_X ? value : x;
    y = id == NODE_OFFSET_Y ? value : y;
    if (x + W > registers_get(registers, NODE_SENSOR_WIDTH) ||
        y + H > registers_get(registers, NODE_SENSOR_HEIGHT))
        return GVCP_INVALID_PARAMETER;
    if (id == NODE_FILE_WRITE_TO_FLASH &&
        (!device->files.is_open || device->files.mode == FILE_MODE_READ))
        return GVCP_ACCESS_DENIED;
    bool has_inference = !device_has(device, FAULT_OTHER_MODEL);
    return id == NODE_INFERENCE_ENABLE && !has_inference ? GVCP_ACCESS_DENIED : GVCP_SUCCESS;
}

/* The faults that a write meets. true: it is acknowledged, and nothing else. */
static bool meets_fault(struct device *device, enum node_id id)
{
    const struct faults *faults = &device->cfg.faults;
    const char *dropped = faults->argument[FAULT_DROPPED_CONNECTION];
    size_t name = strlen(nodes[id].name);
    if (faults->is_on[FAULT_DROPPED_CONNECTION] && strncmp(dropped, nodes[id].name, name) == 0 &&
        (dropped[name] == '\0' || dropped[name] == '=') && device->writes_left > 0 &&
        --device->writes_left == 0)
        device->silence_s = device->cfg.silence_s;
    return faults->is_on[FAULT_STUCK_NODE] &&
           strcmp(faults->argument[FAULT_STUCK_NODE], nodes[id].name) == 0;
}

static enum gvcp_status write_node(struct device *device, const struct register_write *write,
                                   const uint8_t *bytes, double *takes_s)
{
    enum node_id id = write->node;
    enum gvcp_status status = GVCP_SUCCESS;
    if (nodes[id].is_locked && device->acquisition.is_on)
        return GVCP_ACCESS_DENIED;
    status = check_together(device, id, get_be32(bytes));
    if (status != GVCP_SUCCESS || meets_fault(device, id))
        return status;
    if (nodes[id].kind == NODE_COMMAND)
        return do_command(device, id, takes_s);
    memcpy(write->buffer, bytes, node_length(id));
    take_selected(device, id);
    show_selected(device, id);
    if (id == NODE_FILE_WRITE_TO_FLASH)
        device->files.to_flash = registers_get(&device->registers, id);
    if (id == NODE_DEVICE_USER_ID)
        memcpy(device->registers.bootstrap + BOOT_USER_NAME, bytes, 15);
    registers_set(&device->registers, NODE_PAYLOAD_SIZE, (uint32_t)acquisition_payload(device));
    return status;
}

/* Another machine is not where a simulated camera sends to. */
static enum gvcp_status check_transport(uint32_t address, uint32_t value)
{
    bool is_elsewhere = address == BOOT_STREAM_ADDRESS && value != 0 && value >> 24 != 127;
    bool is_hasty = address == BOOT_HEARTBEAT_MS && value < HEARTBEAT_LEAST_MS;
    return is_elsewhere || is_hasty ? GVCP_INVALID_PARAMETER : GVCP_SUCCESS;
}

/* A packet's size becomes one that we send; who asked reads it back. */
static uint32_t stored_value(uint32_t address, uint32_t value)
{
    uint32_t size = value & STREAM_SIZE_MASK;
    if (address != BOOT_STREAM_PACKET)
        return value;
    size = size < STREAM_PACKET_LEAST ? STREAM_PACKET_LEAST : size;
    size = size > STREAM_PACKET_MOST ? STREAM_PACKET_MOST : size;
    return (value & STREAM_UNBROKEN) | size;
}

enum gvcp_status device_write(struct device *device, uint32_t address, const uint8_t *bytes,
                              uint32_t size, double *takes_s)
{
    struct register_write write;
    enum gvcp_status status =
        registers_find_write(&device->registers, address, bytes, size, &write);
    *takes_s = 0;
    if (status != GVCP_SUCCESS)
        return status;
    if (write.node != NODE_NONE)
        return write_node(device, &write, bytes, takes_s);
    if (write.buffer) {
        memcpy(write.buffer, bytes, size);
        return status;
    }
    status = check_transport(write.bootstrap, get_be32(bytes));
    if (status == GVCP_SUCCESS)
        registers_set_boot(&device->registers, write.bootstrap,
                           stored_value(write.bootstrap, get_be32(bytes)));
    return status;
}

void device_released(struct device *device)
{
    acquisition_stop(device);
    registers_set_boot(&device->registers, BOOT_CONTROL, 0);
    registers_set_boot(&device->registers, BOOT_STREAM_PORT, 0);
}
