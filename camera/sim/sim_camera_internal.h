/* The parts of the simulated camera that its own files share; sim_camera.h is the border. */
#ifndef CAMERA_SIM_SIM_CAMERA_INTERNAL_H
#define CAMERA_SIM_SIM_CAMERA_INTERNAL_H

#include "camera/sim/chunk.h"
#include "camera/sim/file_access.h"
#include "camera/sim/inference.h"
#include "camera/sim/sensor.h"
#include "camera/sim/sim_camera.h"

struct inference_job {
    bool is_running;
    bool has_answer;
    uint64_t frame;
    double started_s, ready_s; /* on the driver's clock */
    double latency_ms;         /* as the camera tells it */
    struct network_answer answer;
};

struct acquisition {
    bool is_on;
    bool has_trigger;     /* of software, not yet answered */
    bool is_waiting;      /* an image was taken that its inference has not answered */
    uint64_t frame;       /* of the next image, from 0 */
    uint32_t frames_left; /* of SingleFrame and MultiFrame; 0: no end */
    double next_s;
    struct inference_job job;
    bool has_result;
    uint64_t result_frame;
    struct network_answer result;
    uint16_t *words; /* (H,W) of the last image; room for the sensor's */
    struct region region;
    struct gvsp_block block; /* the last image, as it is sent */
};

struct sim_camera {
    struct sim_camera_cfg cfg;
    struct text description;
    struct registers registers;
    struct file_access files;
    struct inference *inference;
    bool chunk_enabled[CHUNK_COUNT];
    double mean[INFERENCE_CHANNELS], scalar[INFERENCE_CHANNELS];
    struct acquisition acquisition;
    uint64_t inferences;  /* so far: the noise's index */
    uint32_t writes_left; /* to the node of a dropped connection */
    double silence_s;
};

static inline bool sim_camera_has(const struct sim_camera *camera, enum fault_id fault)
{
    return camera->cfg.faults.is_on[fault];
}

/* files.c: what FileOperationExecute does; its status and result are in the registers. */
void sim_camera_execute_file(struct sim_camera *camera, double *takes_s);
/* Shows the selected file's size. */
void sim_camera_show_file(struct sim_camera *camera);
/* Reads the network's file anew, and shows what it is. */
void sim_camera_load_network(struct sim_camera *camera);

/* acquisition.c */
enum gvcp_status acquisition_start(struct sim_camera *camera);
void acquisition_stop(struct sim_camera *camera);
/* Bytes of an image and its chunks, as the registers are. */
size_t acquisition_payload(const struct sim_camera *camera);
void acquisition_fini(struct sim_camera *camera);

/* pipeline.c: an image's way from the sensor into a block, and into the network. */
void pipeline_capture(struct sim_camera *camera, double now_s);
/* The chunks go behind the pixels. */
void pipeline_add_chunks(struct sim_camera *camera);
/* Begins to run the network on the last image. */
void pipeline_start_inference(struct sim_camera *camera, double now_s);
bool pipeline_can_infer(const struct sim_camera *camera);

#endif
