#include "base/mem.h"
#include "camera/sim/device_internal.h"
#include <math.h>

enum { MOST_PIXELS = 1440 * 1080, MOST_CHUNK_BYTES = 512 };

static uint32_t get(const struct device *device, enum node_id id)
{
    return registers_get(&device->registers, id);
}

size_t acquisition_payload(const struct device *device)
{
    size_t pixels = (size_t)get(device, NODE_WIDTH) * get(device, NODE_HEIGHT);
    size_t image = pixels * pixel_bytes((enum pixel_format)get(device, NODE_PIXEL_FORMAT));
    bool has_chunks = get(device, NODE_CHUNK_MODE_ACTIVE);
    return image + (has_chunks ? chunk_bytes(device->chunk_enabled) : 0);
}

enum gvcp_status acquisition_start(struct device *device)
{
    struct acquisition *acquisition = &device->acquisition;
    uint32_t mode = get(device, NODE_ACQUISITION_MODE);
    if (device->files.is_open)
        return GVCP_ACCESS_DENIED;
    acquisition->is_on = true;
    acquisition->is_waiting = acquisition->has_trigger = acquisition->has_result = false;
    acquisition->job.is_running = false;
    acquisition->frame = 0;
    acquisition->next_s = 0;
    acquisition->frames_left = mode == ACQUIRE_SINGLE  ? 1
                               : mode == ACQUIRE_MULTI ? get(device, NODE_ACQUISITION_FRAME_COUNT)
                                                       : 0;
    return GVCP_SUCCESS;
}

void acquisition_stop(struct device *device)
{
    device->acquisition.is_on = device->acquisition.is_waiting = false;
    device->acquisition.job.is_running = false;
}

void acquisition_init(struct device *device)
{
    device->acquisition.words = mem_array(MOST_PIXELS, sizeof *device->acquisition.words);
    device->acquisition.block.bytes = mem_alloc((size_t)MOST_PIXELS * 3 + MOST_CHUNK_BYTES);
}

void acquisition_fini(struct device *device)
{
    mem_free(device->acquisition.words);
    mem_free(device->acquisition.block.bytes);
}

/* The network's answer comes when it is computed and the camera's own time is over. */
static void finish_inference(struct device *device, double now_s)
{
    struct acquisition *acquisition = &device->acquisition;
    struct inference_job *job = &acquisition->job;
    struct network_answer answer;
    if (inference_take(device->inference, &answer) && job->is_running) {
        job->answer = answer;
        job->has_answer = true;
    }
    if (!job->is_running || !job->has_answer || now_s < job->ready_s ||
        device_has(device, FAULT_NEVER_READY))
        return;
    job->is_running = false;
    acquisition->has_result = true;
    acquisition->result = job->answer;
    acquisition->result_frame = job->frame;
    registers_set_float(&device->registers, NODE_INFERENCE_TIME, job->latency_ms);
}

static bool may_start_inference(struct device *device)
{
    return pipeline_can_infer(device) && !device->acquisition.job.is_running &&
           !inference_is_running(device->inference);
}

static bool waits_for(const struct device *device, uint32_t source)
{
    return get(device, NODE_TRIGGER_MODE) && get(device, NODE_TRIGGER_SOURCE) == source;
}

/* The next image is not taken before. */
static void pace(struct device *device, double now_s)
{
    struct acquisition *acquisition = &device->acquisition;
    double rate = registers_get_float(&device->registers, NODE_ACQUISITION_FRAME_RATE);
    double period_s = 1 / rate / device->cfg.speed;
    acquisition->next_s += period_s;
    if (acquisition->next_s < now_s) /* behind: what was missed is not made up for */
        acquisition->next_s = now_s + period_s;
}

static bool hand_over(struct device *device, struct gvsp_block *block)
{
    struct acquisition *acquisition = &device->acquisition;
    pipeline_add_chunks(device);
    *block = acquisition->block;
    acquisition->is_waiting = false;
    if (acquisition->frames_left > 0 && --acquisition->frames_left == 0)
        acquisition_stop(device);
    return true;
}

/* Every image waits for its own inference. */
static bool step_with_inference(struct device *device, double now_s, bool can_send,
                                struct gvsp_block *block)
{
    struct acquisition *acquisition = &device->acquisition;
    if (acquisition->is_waiting) {
        if (!acquisition->job.is_running && !acquisition->has_result)
            acquisition->is_waiting = false; /* its network is gone */
        return acquisition->is_waiting && !acquisition->job.is_running && can_send &&
               hand_over(device, block);
    }
    if (now_s < acquisition->next_s || !may_start_inference(device))
        return false;
    pace(device, now_s);
    pipeline_capture(device, now_s);
    pipeline_start_inference(device, now_s);
    acquisition->is_waiting = true;
    return false;
}

bool device_step(struct device *device, double now_s, bool can_send, struct gvsp_block *block)
{
    struct acquisition *acquisition = &device->acquisition;
    finish_inference(device, now_s);
    if (!acquisition->is_on)
        return false;
    if (waits_for(device, TRIGGER_INFERENCE_READY))
        return step_with_inference(device, now_s, can_send, block);
    bool is_triggered = get(device, NODE_TRIGGER_MODE);
    if (is_triggered ? !acquisition->has_trigger : now_s < acquisition->next_s)
        return false;
    acquisition->has_trigger = false;
    pace(device, now_s);
    if (!can_send)
        return false;
    pipeline_capture(device, now_s);
    if (may_start_inference(device))
        pipeline_start_inference(device, now_s);
    return hand_over(device, block);
}

double device_due_s(const struct device *device)
{
    const struct acquisition *acquisition = &device->acquisition;
    const struct inference_job *job = &acquisition->job;
    double due_s = INFINITY;
    if (job->is_running && job->has_answer && !device_has(device, FAULT_NEVER_READY))
        due_s = job->ready_s;
    if (!acquisition->is_on || acquisition->is_waiting)
        return due_s;
    bool is_timed = !get(device, NODE_TRIGGER_MODE) ||
                    (waits_for(device, TRIGGER_INFERENCE_READY) && pipeline_can_infer(device) &&
                     !job->is_running && !inference_is_running(device->inference));
    if (acquisition->has_trigger)
        return 0;
    return is_timed ? fmin(due_s, acquisition->next_s) : due_s;
}
