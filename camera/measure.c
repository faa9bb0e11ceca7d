#include "camera/measure.h"
#include "base/clock.h"
#include "base/mem.h"
#include <math.h>
#include <string.h>

#define LOOK_SECONDS 0.1 /* between looks at a stop */

void measured_fini(struct measured *measured)
{
    mem_free(measured->images);
    mem_free(measured->latencies_ms);
    memset(measured, 0, sizeof *measured);
}

static enum err inject(const struct measure_cfg *cfg, int index)
{
    enum err err = ERR_OK;
    const void *bytes = NULL;
    size_t size = 0;
    struct camera_file file = {
        .camera = cfg->firefly->camera, .name = CAMERA_FILE_IMAGE, .stop = cfg->stop};
    TRY(cfg->image(index, &bytes, &size, cfg->own));
    TRY(found_state_own_file(cfg->found, CAMERA_FILE_IMAGE));
    TRY(camera_file_write(&file, CAMERA_MEMORY_ANY, bytes, size));
out:
    return err;
}

/* One frame, whatever it holds. ERR_AGAIN: none came in time. */
static enum err wait_frame(const struct measure_cfg *cfg, struct camera_frame *frame)
{
    struct camera *camera = cfg->firefly->camera;
    double end = clock_seconds() + cfg->frame_seconds;
    for (double left = cfg->frame_seconds; left > 0; left = end - clock_seconds()) {
        if (cfg->stop && *cfg->stop)
            return err_set(ERR_INTERRUPTED, "stopped");
        enum err err = camera->ops->next_frame(camera, fmin(left, LOOK_SECONDS), frame);
        if (err != ERR_AGAIN)
            return err;
    }
    return err_set(ERR_AGAIN, "no frame came within %g s", cfg->frame_seconds);
}

enum use { FRAME_GOOD, FRAME_LOST, FRAME_STRAY, FRAME_GARBLED };

/* Is it whole, its own frame's result, and one that this network can give? */
static enum use judge_frame(const struct measure_cfg *cfg, const struct camera_frame *frame)
{
    int64_t own = frame->frame_id >= 0 ? frame->frame_id : (int64_t)frame->id;
    if (!frame->is_whole || !frame->has_results)
        return FRAME_LOST;
    if (frame->inference_frame_id != own)
        return FRAME_STRAY;
    bool is_right = frame->result >= 0 && frame->result < cfg->outputs && frame->confidence >= 0 &&
                    frame->confidence <= 1;
    return is_right ? FRAME_GOOD : FRAME_GARBLED;
}

static enum err give_up(const struct measured *measured)
{
    return err_set(ERR_FAILED,
                   "%d frames in a row were of no use (all in all %d lost, %d with another frame's "
                   "result, %d with impossible values): if they are lost, use another cable or "
                   "port and end what else uses the bus; otherwise turn the camera off and on",
                   MEASURE_TRIES, measured->lost, measured->strays, measured->garbled);
}

static enum err no_frame(const struct measure_cfg *cfg)
{
    char status[CAMERA_TEXT] = "unknown";
    const char *node = cfg->firefly->nodes[FIREFLY_NETWORK_STATUS];
    if (node[0] && camera_get_text(cfg->firefly->camera, node, status) == ERR_PEER)
        return ERR_PEER;
    return err_set(ERR_FAILED,
                   "no frame came within %g s: the inference was never ready (network status "
                   "\"%s\"); turn the camera off and on, and convert the network anew if it stays "
                   "so",
                   cfg->frame_seconds, status);
}

/* The next frame, and how long it took: with a time that is none its results are none, either. */
static enum err take_frame(const struct measure_cfg *cfg, struct camera_frame *frame, double *ms,
                           enum use *use)
{
    enum err err = ERR_OK;
    TRY(wait_frame(cfg, frame));
    *use = judge_frame(cfg, frame);
    if (*use != FRAME_GOOD)
        goto out;
    TRY(camera_get_number(cfg->firefly->camera, "InferenceTime", ms));
    if (!(isfinite(*ms) && *ms > 0))
        *use = FRAME_GARBLED;
out:
    return err;
}

/* The next good frame, and its time. */
static enum err next_good(const struct measure_cfg *cfg, struct measured *measured,
                          struct camera_frame *frame, double *ms)
{
    int silent = 0;
    for (int t = 0; t < MEASURE_TRIES; t++) {
        enum use use = FRAME_LOST;
        enum err err = take_frame(cfg, frame, ms, &use);
        if (err != ERR_OK && err != ERR_AGAIN)
            return err;
        measured->frames++;
        silent = err == ERR_AGAIN ? silent + 1 : 0;
        if (silent == 2)
            return no_frame(cfg);
        if (use == FRAME_GOOD)
            return ERR_OK;
        measured->lost += use == FRAME_LOST;
        measured->strays += use == FRAME_STRAY;
        measured->garbled += use == FRAME_GARBLED;
    }
    return give_up(measured);
}

static void take_answer(struct measured_image *image, const struct camera_frame *frame,
                        bool is_first)
{
    if (is_first)
        *image = (struct measured_image){frame->result, frame->confidence, true,
                                         true,          frame->confidence, frame->confidence};
    image->has_one_class = image->has_one_class && frame->result == image->result;
    image->least_confidence = fmin(image->least_confidence, frame->confidence);
    image->most_confidence = fmax(image->most_confidence, frame->confidence);
    image->is_steady = image->has_one_class && image->least_confidence == image->most_confidence;
}

/* Warm-ups are the first image's first frames; each image has the same share of latencies. */
static enum err measure_frames(const struct measure_cfg *cfg, int index, int share,
                               struct measured *measured)
{
    enum err err = ERR_OK;
    int unused = MEASURE_SETTLE + (index == 0 ? MEASURE_WARM_UPS : 0);
    for (int f = 0; f < unused + share; f++) {
        struct camera_frame frame = {0};
        double ms = 0;
        TRY(next_good(cfg, measured, &frame, &ms));
        if (f < unused)
            continue;
        take_answer(&measured->images[index], &frame, f == unused);
        measured->latencies_ms[measured->latency_count++] = ms;
    }
out:
    return err;
}

static enum err measure_image(const struct measure_cfg *cfg, int index, int share,
                              struct measured *measured)
{
    enum err err = ERR_OK;
    struct camera *camera = cfg->firefly->camera;
    TRY(inject(cfg, index));
    TRY(camera->ops->start(camera));
    TRY(measure_frames(cfg, index, share, measured));
    TRY(camera->ops->stop(camera));
out:
    return err == ERR_FAILED ? err_prefix(err, "image %d", index) : err;
}

enum err measure_run(const struct measure_cfg *cfg, struct measured *measured)
{
    enum err err = ERR_OK;
    int share = (MEASURE_LATENCIES + cfg->images - 1) / cfg->images;
    measured->images = mem_array((size_t)cfg->images, sizeof *measured->images);
    measured->latencies_ms =
        mem_array((size_t)cfg->images, (size_t)share * sizeof *measured->latencies_ms);
    for (int i = 0; i < cfg->images; i++) {
        TRY(measure_image(cfg, i, share, measured));
        if (cfg->progress)
            cfg->progress(i + 1, cfg->images, cfg->own);
    }
out:
    return err;
}
