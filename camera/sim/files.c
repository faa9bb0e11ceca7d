#include "base/log.h"
#include "camera/sim/sim_camera_internal.h"

#define FLASH_BYTES_A_SECOND 2e6 /* the camera's own is not known */

void sim_camera_show_file(struct sim_camera *camera)
{
    struct registers *registers = &camera->registers;
    const struct stored_file *file =
        &camera->files.files[registers_get(registers, NODE_FILE_SELECTOR)];
    registers_set(registers, NODE_FILE_SIZE, (uint32_t)file->size);
    registers_set(registers, NODE_FILE_WRITE_TO_FLASH, camera->files.to_flash);
}

static void show_network(struct sim_camera *camera, const struct network *network, uint32_t status)
{
    struct registers *registers = &camera->registers;
    const struct exported *net = network ? &network->net : NULL;
    size_t size = camera->files.files[FILE_NETWORK].size;
    registers_set(registers, NODE_INFERENCE_NETWORK_STATUS, status);
    registers_set(registers, NODE_INFERENCE_NETWORK_SIZE, net ? (uint32_t)size : 0);
    registers_set(registers, NODE_INFERENCE_NETWORK_TOTAL_LAYERS, net ? (uint32_t)net->count : 0);
    registers_set(registers, NODE_INFERENCE_NETWORK_INPUT_WIDTH, net ? (uint32_t)net->input.W : 0);
    registers_set(registers, NODE_INFERENCE_NETWORK_INPUT_HEIGHT, net ? (uint32_t)net->input.H : 0);
    registers_set(registers, NODE_INFERENCE_NETWORK_INPUT_CHANNELS,
                  net ? (uint32_t)net->input.C : 0);
    registers_set(registers, NODE_INFERENCE_OUTPUT_CLASSES,
                  network ? (uint32_t)network->classes : 0);
}

/* What the model cannot feed is no network for it. */
static enum err check_input(const struct sim_camera *camera, const struct network *network)
{
    const struct exported_map *input = &network->net.input;
    int channels = camera->cfg.identity.model == MODEL_COLOUR ? 3 : 1;
    if (input->C != channels)
        return err_set(ERR_DATA, "the network takes %d channels, this model has %d", input->C,
                       channels);
    if (input->W > 1440 || input->H > 1080)
        return err_set(ERR_DATA, "the network's input of %d x %d is larger than the sensor's",
                       input->W, input->H);
    return ERR_OK;
}

static enum err open_network(struct sim_camera *camera, struct network **network)
{
    const struct stored_file *file = &camera->files.files[FILE_NETWORK];
    enum err err = ERR_OK;
    if (sim_camera_has(camera, FAULT_REFUSED_FILE))
        return err_set(ERR_DATA, "fault refused-file");
    TRY(network_open(file->bytes, file->size,
                     camera->cfg.has_narrow_sums ? ARITHMETIC_FP16 : ARITHMETIC_FP16_SUM32,
                     network));
    TRY(check_input(camera, *network));
out:
    if (err != ERR_OK)
        network_close(network);
    return err;
}

void sim_camera_load_network(struct sim_camera *camera)
{
    struct network *network = NULL;
    bool is_there = camera->files.files[FILE_NETWORK].size > 0;
    if (is_there && open_network(camera, &network) != ERR_OK)
        log_warn("the network's file is refused: %s", err_text());
    show_network(camera, network,
                 network    ? NETWORK_READY
                 : is_there ? NETWORK_REFUSED
                            : NETWORK_NONE);
    camera->acquisition.job.is_running = false;
    camera->acquisition.has_result = false;
    inference_set_network(camera->inference, network);
}

static double flash_s(const struct sim_camera *camera, size_t bytes)
{
    double factor =
        sim_camera_has(camera, FAULT_SLOW_FLASH) ? camera->cfg.faults.number[FAULT_SLOW_FLASH] : 1;
    return (double)bytes / FLASH_BYTES_A_SECOND * factor / camera->cfg.speed;
}

static enum file_status do_write(struct sim_camera *camera, enum file_id id, size_t offset,
                                 size_t length)
{
    if (sim_camera_has(camera, FAULT_WRITE_ERROR) &&
        (double)(offset + length) > camera->cfg.faults.number[FAULT_WRITE_ERROR])
        return FILE_FAILURE;
    return file_write_at(&camera->files, id, offset, camera->registers.buffer, length);
}

static enum file_status do_close(struct sim_camera *camera, enum file_id id, double *takes_s)
{
    bool was_written = camera->files.is_open && camera->files.mode != FILE_MODE_READ;
    enum file_status status = file_close(&camera->files, id);
    if (status == FILE_SUCCESS && was_written && camera->files.files[id].is_in_flash)
        *takes_s = flash_s(camera, camera->files.files[id].size);
    if (status == FILE_SUCCESS && was_written && id == FILE_NETWORK)
        sim_camera_load_network(camera);
    return status;
}

/* *result: bytes that were read or written. */
static enum file_status execute(struct sim_camera *camera, enum file_id id, size_t *result,
                                double *takes_s)
{
    struct registers *registers = &camera->registers;
    enum file_status status = FILE_FAILURE;
    size_t offset = registers_get(registers, NODE_FILE_ACCESS_OFFSET);
    size_t length = registers_get(registers, NODE_FILE_ACCESS_LENGTH);
    switch ((enum file_operation)registers_get(registers, NODE_FILE_OPERATION_SELECTOR)) {
    case FILE_OPEN:
        return file_open(&camera->files, id,
                         (enum file_mode)registers_get(registers, NODE_FILE_OPEN_MODE));
    case FILE_CLOSE:
        return do_close(camera, id, takes_s);
    case FILE_READ:
        return file_read_at(&camera->files, id, offset, registers->buffer, length, result);
    case FILE_WRITE:
        status = do_write(camera, id, offset, length);
        *result = status == FILE_SUCCESS ? length : 0;
        return status;
    case FILE_DELETE:
        status = file_delete(&camera->files, id);
        if (status == FILE_SUCCESS && id == FILE_NETWORK)
            sim_camera_load_network(camera);
        return status;
    }
    return status;
}

void sim_camera_execute_file(struct sim_camera *camera, double *takes_s)
{
    struct registers *registers = &camera->registers;
    size_t result = 0;
    enum file_status status = execute(
        camera, (enum file_id)registers_get(registers, NODE_FILE_SELECTOR), &result, takes_s);
    registers_set(registers, NODE_FILE_OPERATION_STATUS, status);
    registers_set(registers, NODE_FILE_OPERATION_RESULT, (uint32_t)result);
    sim_camera_show_file(camera);
}
