#include "base/mem.h"
#include "base/rng.h"
#include "camera/sim/sim_camera_internal.h"
#include <math.h>
#include <string.h>

static uint32_t get(const struct sim_camera *camera, enum node_id id)
{
    return registers_get(&camera->registers, id);
}

static struct sensor_cfg sensor_of(const struct sim_camera *camera)
{
    const struct stored_file *injected = &camera->files.files[FILE_INJECTED];
    struct sensor_cfg cfg = {.frame = camera->acquisition.frame,
                             .injected = injected->bytes,
                             .injected_bytes = injected->size,
                             .injected_W = (int)get(camera, NODE_INJECTED_WIDTH),
                             .injected_H = (int)get(camera, NODE_INJECTED_HEIGHT),
                             .is_denoised = get(camera, NODE_DENOISE_ENABLE),
                             .is_sharpened = get(camera, NODE_SHARPENING_ENABLE),
                             .has_gamma = get(camera, NODE_GAMMA_ENABLE),
                             .is_clamped = get(camera, NODE_BLACK_LEVEL_CLAMPING_ENABLE)};
    if (get(camera, NODE_TEST_PATTERN_GENERATOR_SELECTOR) == GENERATOR_PIPELINE) {
        uint32_t pattern = get(camera, NODE_TEST_PATTERN);
        cfg.source = pattern == PATTERN_INJECTED    ? SENSOR_INJECTED
                     : pattern == PATTERN_INCREMENT ? SENSOR_INCREMENT
                                                    : SENSOR_SCENE;
    }
    return cfg;
}

void pipeline_capture(struct sim_camera *camera, double now_s)
{
    struct acquisition *acquisition = &camera->acquisition;
    struct gvsp_block *block = &acquisition->block;
    struct sensor_cfg sensor = sensor_of(camera);
    block->size = acquisition_payload(camera);
    acquisition->region =
        (struct region){(int)get(camera, NODE_OFFSET_X), (int)get(camera, NODE_OFFSET_Y),
                        (int)get(camera, NODE_WIDTH), (int)get(camera, NODE_HEIGHT)};
    block->width = (uint32_t)acquisition->region.W;
    block->height = (uint32_t)acquisition->region.H;
    block->x = (uint32_t)acquisition->region.x;
    block->y = (uint32_t)acquisition->region.y;
    block->pixel_format = get(camera, NODE_PIXEL_FORMAT);
    block->ticks = (uint64_t)(now_s * 1e9);
    block->id = (uint16_t)(acquisition->frame % 65535 + 1);
    block->has_chunks = get(camera, NODE_CHUNK_MODE_ACTIVE);
    sensor_words(&sensor, &acquisition->region, acquisition->words);
    sensor_pixels(acquisition->words, acquisition->region.W, acquisition->region.H,
                  (enum pfnc)block->pixel_format, block->bytes);
    acquisition->frame++;
}

/* What a fault makes of the inference's chunks. */
static void spoil(const struct sim_camera *camera, struct chunk_values *values)
{
    const struct faults *faults = &camera->cfg.faults;
    uint64_t every = (uint64_t)faults->number[FAULT_WRONG_FRAME_ID];
    if (faults->is_on[FAULT_WRONG_FRAME_ID] && every > 0 && camera->acquisition.frame % every == 0)
        values->of[CHUNK_INFERENCE_FRAME_ID] += 1;
    if (faults->is_on[FAULT_CHUNK_GARBAGE] &&
        strcmp(faults->argument[FAULT_CHUNK_GARBAGE], "value") == 0) {
        values->of[CHUNK_INFERENCE_RESULT] = 0xfedcba9876543210u;
        chunk_set_float(values, CHUNK_INFERENCE_CONFIDENCE, NAN);
    }
}

static struct chunk_values values_of(const struct sim_camera *camera)
{
    const struct acquisition *acquisition = &camera->acquisition;
    const struct gvsp_block *block = &acquisition->block;
    struct chunk_values values = {
        .of = {[CHUNK_FRAME_ID] = acquisition->frame - 1,
               [CHUNK_TIMESTAMP] = block->ticks,
               [CHUNK_OFFSET_X] = block->x,
               [CHUNK_OFFSET_Y] = block->y,
               [CHUNK_WIDTH] = block->width,
               [CHUNK_HEIGHT] = block->height,
               [CHUNK_PIXEL_FORMAT] = block->pixel_format,
               /* no inference yet: a number that no image has */
               [CHUNK_INFERENCE_FRAME_ID] =
                   acquisition->has_result ? acquisition->result_frame : INT64_MAX,
               [CHUNK_INFERENCE_RESULT] = (uint64_t)acquisition->result.class_index}};
    const struct registers *registers = &camera->registers;
    chunk_set_float(&values, CHUNK_EXPOSURE_TIME,
                    registers_get_float(registers, NODE_EXPOSURE_TIME));
    chunk_set_float(&values, CHUNK_GAIN, registers_get_float(registers, NODE_GAIN));
    chunk_set_float(&values, CHUNK_BLACK_LEVEL, registers_get_float(registers, NODE_BLACK_LEVEL));
    chunk_set_float(&values, CHUNK_INFERENCE_CONFIDENCE, acquisition->result.confidence);
    spoil(camera, &values);
    return values;
}

void pipeline_add_chunks(struct sim_camera *camera)
{
    struct gvsp_block *block = &camera->acquisition.block;
    if (!block->has_chunks)
        return;
    struct chunk_values values = values_of(camera);
    size_t image = block->size - chunk_bytes(camera->chunk_enabled);
    chunk_write(camera->chunk_enabled, &values, image, block->bytes + image);
    /* the last chunk's length is what a reader begins with */
    if (sim_camera_has(camera, FAULT_CHUNK_GARBAGE) &&
        strcmp(camera->cfg.faults.argument[FAULT_CHUNK_GARBAGE], "length") == 0)
        memset(block->bytes + block->size - 4, 0xfe, 4);
}

bool pipeline_can_infer(const struct sim_camera *camera)
{
    const struct network *network = inference_network(camera->inference);
    uint32_t format = get(camera, NODE_INFERENCE_PREPROCESS_BPP_SELECTOR);
    return network && get(camera, NODE_INFERENCE_ENABLE) &&
           get(camera, NODE_INFERENCE_NETWORK_TYPE_SELECTOR) == TYPE_CLASSIFICATION &&
           (format == BPP_BGR8) == (network->net.input.C == 3);
}

static double draw_latency_ms(struct sim_camera *camera, const struct network *network)
{
    const struct latency *latency = &camera->cfg.latency;
    uint64_t seed = camera->cfg.seed, which = camera->inferences++;
    double normal = rng_normal(rng(seed, RNG_CAMERA_LATENCY, 0, which, 0),
                               rng(seed, RNG_CAMERA_LATENCY, 0, which, 1));
    double ms = latency->fixed_ms + latency->per_mmac_ms * network->mmacs +
                latency->per_depthwise_mmac_ms * network->depthwise_mmacs;
    return ms * fmax(0.1, 1 + latency->noise * normal);
}

/* The region as 8-bit pixels of the network's side, normalised: (H,W,C), of a colour network blue
 * first. */
static void fill_input(const struct sim_camera *camera, const struct exported_map *input,
                       float *image)
{
    const struct acquisition *acquisition = &camera->acquisition;
    const struct region *region = &acquisition->region;
    size_t values = exported_values(input), pixels = (size_t)region->W * (size_t)region->H;
    uint8_t *taken = mem_alloc(pixels * (size_t)input->C), *scaled = mem_alloc(values);
    sensor_pixels(acquisition->words, region->W, region->H, input->C == 3 ? PFNC_BGR8 : PFNC_MONO8,
                  taken);
    scale_bilinear(taken, region->W, region->H, input->C, scaled, input->W, input->H);
    for (size_t i = 0; i < values; i++) {
        size_t c = i % (size_t)input->C;
        image[i] = (float)((scaled[i] - camera->mean[c]) / camera->scalar[c]);
    }
    mem_free(scaled);
    mem_free(taken);
}

void pipeline_start_inference(struct sim_camera *camera, double now_s)
{
    struct inference_job *job = &camera->acquisition.job;
    const struct network *network = inference_network(camera->inference);
    float *image = mem_array(exported_values(&network->net.input), sizeof *image);
    fill_input(camera, &network->net.input, image);
    inference_start(camera->inference, image);
    mem_free(image);
    double latency_ms = draw_latency_ms(camera, network);
    *job = (struct inference_job){.is_running = true,
                                  .frame = camera->acquisition.frame - 1,
                                  .started_s = now_s,
                                  .latency_ms = latency_ms,
                                  .ready_s = now_s + latency_ms / 1e3 / camera->cfg.speed};
}
