#include "base/mem.h"
#include "camera/sim/sim_camera_internal.h"
#include <math.h>

enum { MOST_PIXELS = 1440 * 1080, MOST_CHUNK_BYTES = 512 };

static uint32_t get(const struct sim_camera *camera, enum node_id id)
{
    return registers_get(&camera->registers, id);
}

size_t acquisition_payload(const struct sim_camera *camera)
{
    size_t pixels = (size_t)get(camera, NODE_WIDTH) * get(camera, NODE_HEIGHT);
    size_t image = pixels * pixel_bytes((enum pfnc)get(camera, NODE_PIXEL_FORMAT));
    bool has_chunks = get(camera, NODE_CHUNK_MODE_ACTIVE);
    return image + (has_chunks ? chunk_bytes(camera->chunk_enabled) : 0);
}

/* Once, for the largest region in the widest format. */
static void make_room(struct acquisition *acquisition)
{
    if (acquisition->words)
        return;
    acquisition->words = mem_array(MOST_PIXELS, sizeof *acquisition->words);
    acquisition->block.bytes = mem_alloc((size_t)MOST_PIXELS * 3 + MOST_CHUNK_BYTES);
}

enum gvcp_status acquisition_start(struct sim_camera *camera)
{
    struct acquisition *acquisition = &camera->acquisition;
    uint32_t mode = get(camera, NODE_ACQUISITION_MODE);
    if (camera->files.is_open)
        return GVCP_ACCESS_DENIED;
    make_room(acquisition);
    acquisition->is_on = true;
    acquisition->is_waiting = acquisition->has_trigger = acquisition->has_result = false;
    acquisition->job.is_running = false;
    acquisition->frame = 0;
    acquisition->next_s = 0;
    acquisition->frames_left = mode == ACQUIRE_SINGLE  ? 1
                               : mode == ACQUIRE_MULTI ? get(camera, NODE_ACQUISITION_FRAME_COUNT)
                                                       : 0;
    return GVCP_SUCCESS;
}

void acquisition_stop(struct sim_camera *camera)
{
    camera->acquisition.is_on = camera->acquisition.is_waiting = false;
    camera->acquisition.job.is_running = false;
}

void acquisition_fini(struct sim_camera *camera)
{
    mem_free(camera->acquisition.words);
    mem_free(camera->acquisition.block.bytes);
}

/* The network's answer comes when it is computed and the camera's own time is over. */
static void finish_inference(struct sim_camera *camera, double now_s)
{
    struct acquisition *acquisition = &camera->acquisition;
    struct inference_job *job = &acquisition->job;
    struct network_answer answer;
    if (inference_take(camera->inference, &answer) && job->is_running) {
        job->answer = answer;
        job->has_answer = true;
    }
    if (!job->is_running || !job->has_answer || now_s < job->ready_s ||
        sim_camera_has(camera, FAULT_NEVER_READY))
        return;
    job->is_running = false;
    acquisition->has_result = true;
    acquisition->result = job->answer;
    acquisition->result_frame = job->frame;
    registers_set_float(&camera->registers, NODE_INFERENCE_TIME, job->latency_ms);
}

static bool may_start_inference(struct sim_camera *camera)
{
    return pipeline_can_infer(camera) && !camera->acquisition.job.is_running &&
           !inference_is_running(camera->inference);
}

static bool waits_for(const struct sim_camera *camera, uint32_t source)
{
    return get(camera, NODE_TRIGGER_MODE) && get(camera, NODE_TRIGGER_SOURCE) == source;
}

/* The next image is not taken before. */
static void pace(struct sim_camera *camera, double now_s)
{
    struct acquisition *acquisition = &camera->acquisition;
    double rate = registers_get_float(&camera->registers, NODE_ACQUISITION_FRAME_RATE);
    double period_s = 1 / rate / camera->cfg.speed;
    acquisition->next_s += period_s;
    if (acquisition->next_s < now_s) /* behind: what was missed is not made up for */
        acquisition->next_s = now_s + period_s;
}

static bool hand_over(struct sim_camera *camera, struct gvsp_block *block)
{
    struct acquisition *acquisition = &camera->acquisition;
    pipeline_add_chunks(camera);
    *block = acquisition->block;
    acquisition->is_waiting = false;
    if (acquisition->frames_left > 0 && --acquisition->frames_left == 0)
        acquisition_stop(camera);
    return true;
}

/* Every image waits for its own inference. */
static bool step_with_inference(struct sim_camera *camera, double now_s, bool can_send,
                                struct gvsp_block *block)
{
    struct acquisition *acquisition = &camera->acquisition;
    if (acquisition->is_waiting) {
        if (!acquisition->job.is_running && !acquisition->has_result)
            acquisition->is_waiting = false; /* its network is gone */
        return acquisition->is_waiting && !acquisition->job.is_running && can_send &&
               hand_over(camera, block);
    }
    if (now_s < acquisition->next_s || !may_start_inference(camera))
        return false;
    pace(camera, now_s);
    pipeline_capture(camera, now_s);
    pipeline_start_inference(camera, now_s);
    acquisition->is_waiting = true;
    return false;
}

bool sim_camera_step(struct sim_camera *camera, double now_s, bool can_send,
                     struct gvsp_block *block)
{
    struct acquisition *acquisition = &camera->acquisition;
    finish_inference(camera, now_s);
    if (!acquisition->is_on)
        return false;
    if (waits_for(camera, TRIGGER_INFERENCE_READY))
        return step_with_inference(camera, now_s, can_send, block);
    bool is_triggered = get(camera, NODE_TRIGGER_MODE);
    if (is_triggered ? !acquisition->has_trigger : now_s < acquisition->next_s)
        return false;
    acquisition->has_trigger = false;
    pace(camera, now_s);
    if (!can_send)
        return false;
    pipeline_capture(camera, now_s);
    if (may_start_inference(camera))
        pipeline_start_inference(camera, now_s);
    return hand_over(camera, block);
}

double sim_camera_due_s(const struct sim_camera *camera)
{
    const struct acquisition *acquisition = &camera->acquisition;
    const struct inference_job *job = &acquisition->job;
    double due_s = INFINITY;
    if (job->is_running && job->has_answer && !sim_camera_has(camera, FAULT_NEVER_READY))
        due_s = job->ready_s;
    if (!acquisition->is_on || acquisition->is_waiting)
        return due_s;
    bool is_timed = !get(camera, NODE_TRIGGER_MODE) ||
                    (waits_for(camera, TRIGGER_INFERENCE_READY) && pipeline_can_infer(camera) &&
                     !job->is_running && !inference_is_running(camera->inference));
    if (acquisition->has_trigger)
        return 0;
    return is_timed ? fmin(due_s, acquisition->next_s) : due_s;
}
