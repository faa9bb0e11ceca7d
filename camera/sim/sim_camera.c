#include "base/mem.h"
#include "camera/sim/big_endian.h"
#include "camera/sim/description.h"
#include "camera/sim/sim_camera_internal.h"
#include <stdlib.h>

enum { HEARTBEAT_LEAST_MS = 500 };

static void show_all(struct sim_camera *camera)
{
    struct registers *registers = &camera->registers;
    registers_set(registers, NODE_PAYLOAD_SIZE, (uint32_t)acquisition_payload(camera));
    sim_camera_show_file(camera);
}

/* Everything but files and what the transport set, as after the power was off. */
static void reset_nodes(struct sim_camera *camera)
{
    registers_init(&camera->registers, &camera->cfg.identity, text_get(&camera->description));
    memset(camera->chunk_enabled, 0, sizeof camera->chunk_enabled);
    for (int c = 0; c < INFERENCE_CHANNELS; c++) {
        camera->mean[c] = nodes[NODE_INFERENCE_PREPROCESS_CHANNEL_MEAN].initial;
        camera->scalar[c] = nodes[NODE_INFERENCE_PREPROCESS_CHANNEL_SCALAR].initial;
    }
    sim_camera_load_network(camera);
    show_all(camera);
}

enum err sim_camera_create(const struct sim_camera_cfg *cfg, struct sim_camera **camera)
{
    enum err err = ERR_OK;
    struct sim_camera *made = mem_alloc(sizeof *made);
    made->cfg = *cfg;
    if (sim_camera_has(made, FAULT_OTHER_MODEL))
        made->cfg.identity.model_name = made->cfg.faults.argument[FAULT_OTHER_MODEL];
    const char *dropped = strchr(cfg->faults.argument[FAULT_DROPPED_CONNECTION], '=');
    made->writes_left = dropped ? (uint32_t)strtoul(dropped + 1, NULL, 10) : 1;
    description_write(cfg->identity.model, &made->description);
    TRY(inference_create(&made->inference));
    if (cfg->flash_network)
        file_preload(&made->files, FILE_NETWORK, cfg->flash_network, cfg->flash_network_bytes);
    reset_nodes(made);
    *camera = made;
    made = NULL;
out:
    sim_camera_destroy(&made);
    return err;
}

void sim_camera_destroy(struct sim_camera **camera)
{
    if (!*camera)
        return;
    inference_destroy(&(*camera)->inference);
    acquisition_fini(*camera);
    file_access_fini(&(*camera)->files);
    text_fini(&(*camera)->description);
    mem_free(*camera);
    *camera = NULL;
}

struct registers *sim_camera_registers(struct sim_camera *camera)
{
    return &camera->registers;
}

int sim_camera_descriptor(const struct sim_camera *camera)
{
    return inference_descriptor(camera->inference);
}

double sim_camera_silence(struct sim_camera *camera)
{
    double silence_s = camera->silence_s;
    camera->silence_s = 0;
    return silence_s;
}

/* Files in flash stay, and nothing else. */
static void reset(struct sim_camera *camera)
{
    struct registers *registers = &camera->registers;
    uint8_t transport[BOOT_BYTES];
    memcpy(transport, registers->bootstrap, sizeof transport);
    acquisition_stop(camera);
    file_lose_ddr(&camera->files);
    reset_nodes(camera);
    memcpy(registers->bootstrap, transport, sizeof transport);
}

/* What a register shows of what is selected. */
static void show_selected(struct sim_camera *camera, enum node_id id)
{
    struct registers *registers = &camera->registers;
    uint32_t selected = registers_get(registers, id);
    if (id == NODE_CHUNK_SELECTOR) {
        registers_set(registers, NODE_CHUNK_ENABLE, camera->chunk_enabled[selected]);
    } else if (id == NODE_FILE_SELECTOR) {
        sim_camera_show_file(camera);
    } else if (id == NODE_INFERENCE_PREPROCESS_CHANNEL_SELECTOR) {
        registers_set_float(registers, NODE_INFERENCE_PREPROCESS_CHANNEL_MEAN,
                            camera->mean[selected]);
        registers_set_float(registers, NODE_INFERENCE_PREPROCESS_CHANNEL_SCALAR,
                            camera->scalar[selected]);
    }
}

/* A register that belongs to what is selected was written. */
static void take_selected(struct sim_camera *camera, enum node_id id)
{
    const struct registers *registers = &camera->registers;
    uint32_t channel = registers_get(registers, NODE_INFERENCE_PREPROCESS_CHANNEL_SELECTOR);
    if (id == NODE_CHUNK_ENABLE)
        camera->chunk_enabled[registers_get(registers, NODE_CHUNK_SELECTOR)] =
            registers_get(registers, id);
    else if (id == NODE_INFERENCE_PREPROCESS_CHANNEL_MEAN)
        camera->mean[channel] = registers_get_float(registers, id);
    else if (id == NODE_INFERENCE_PREPROCESS_CHANNEL_SCALAR)
        camera->scalar[channel] = registers_get_float(registers, id);
}

static enum gvcp_status do_command(struct sim_camera *camera, enum node_id id, double *takes_s)
{
    switch (id) {
    case NODE_ACQUISITION_START:
        return acquisition_start(camera);
    case NODE_ACQUISITION_STOP:
        acquisition_stop(camera);
        break;
    case NODE_TRIGGER_SOFTWARE:
        camera->acquisition.has_trigger = camera->acquisition.is_on;
        break;
    case NODE_FILE_OPERATION_EXECUTE:
        sim_camera_execute_file(camera, takes_s);
        break;
    case NODE_DEVICE_RESET:
        reset(camera);
        break;
    default:
        BUG("%s is no command", nodes[id].name);
    }
    return GVCP_SUCCESS;
}

/* What depends on more than one register. */
static enum gvcp_status check_together(const struct sim_camera *camera, enum node_id id,
                                       uint32_t value)
{
    const struct registers *registers = &camera->registers;
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
        (!camera->files.is_open || camera->files.mode == FILE_MODE_READ))
        return GVCP_ACCESS_DENIED;
    bool has_inference = !sim_camera_has(camera, FAULT_OTHER_MODEL);
    return id == NODE_INFERENCE_ENABLE && !has_inference ? GVCP_ACCESS_DENIED : GVCP_SUCCESS;
}

/* The faults that a write meets. true: it is acknowledged, and nothing else. */
static bool meets_fault(struct sim_camera *camera, enum node_id id)
{
    const struct faults *faults = &camera->cfg.faults;
    const char *dropped = faults->argument[FAULT_DROPPED_CONNECTION];
    size_t name = strlen(nodes[id].name);
    if (faults->is_on[FAULT_DROPPED_CONNECTION] && strncmp(dropped, nodes[id].name, name) == 0 &&
        (dropped[name] == '\0' || dropped[name] == '=') && camera->writes_left > 0 &&
        --camera->writes_left == 0)
        camera->silence_s = camera->cfg.silence_s;
    return faults->is_on[FAULT_STUCK_NODE] &&
           strcmp(faults->argument[FAULT_STUCK_NODE], nodes[id].name) == 0;
}

static enum gvcp_status write_node(struct sim_camera *camera, const struct register_write *write,
                                   const uint8_t *bytes, double *takes_s)
{
    enum node_id id = write->node;
    enum gvcp_status status = GVCP_SUCCESS;
    if (nodes[id].is_locked && camera->acquisition.is_on)
        return GVCP_ACCESS_DENIED;
    status = check_together(camera, id, get_be32(bytes));
    if (status != GVCP_SUCCESS || meets_fault(camera, id))
        return status;
    if (nodes[id].kind == NODE_COMMAND)
        return do_command(camera, id, takes_s);
    memcpy(write->buffer, bytes, node_length(id));
    take_selected(camera, id);
    show_selected(camera, id);
    if (id == NODE_FILE_WRITE_TO_FLASH)
        camera->files.to_flash = registers_get(&camera->registers, id);
    if (id == NODE_DEVICE_USER_ID)
        memcpy(camera->registers.bootstrap + BOOT_USER_NAME, bytes, 15);
    registers_set(&camera->registers, NODE_PAYLOAD_SIZE, (uint32_t)acquisition_payload(camera));
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

enum gvcp_status sim_camera_write(struct sim_camera *camera, uint32_t address, const uint8_t *bytes,
                                  uint32_t size, double *takes_s)
{
    struct register_write write;
    enum gvcp_status status =
        registers_find_write(&camera->registers, address, bytes, size, &write);
    *takes_s = 0;
    if (status != GVCP_SUCCESS)
        return status;
    if (write.node != NODE_NONE)
        return write_node(camera, &write, bytes, takes_s);
    if (write.buffer) {
        memcpy(write.buffer, bytes, size);
        return status;
    }
    status = check_transport(write.bootstrap, get_be32(bytes));
    if (status == GVCP_SUCCESS)
        registers_set_boot(&camera->registers, write.bootstrap,
                           stored_value(write.bootstrap, get_be32(bytes)));
    return status;
}

void sim_camera_released(struct sim_camera *camera)
{
    acquisition_stop(camera);
    registers_set_boot(&camera->registers, BOOT_CONTROL, 0);
    registers_set_boot(&camera->registers, BOOT_STREAM_PORT, 0);
}
