/* The parts of the simulated camera that its own files share; device.h is the border. */
#ifndef CAMERA_SIM_DEVICE_INTERNAL_H
#define CAMERA_SIM_DEVICE_INTERNAL_H

#include "camera/sim/chunk.h"
#include "camera/sim/device.h"
#include "camera/sim/file_access.h"
#include "camera/sim/inference.h"
#include "camera/sim/sensor.h"

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

struct device {
    struct device_cfg cfg;
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

static inline bool device_has(const struct device *device, enum fault_id fault)
{
    return device->cfg.faults.is_on[fault];
}

/* files.c: what FileOperationExecute does; its status and result are in the registers. */
void device_execute_file(struct device *device, double *takes_s);
/* Shows the selected file's size. */
void device_show_file(struct device *device);
/* Reads the network's file anew, and shows what it is. */
void device_load_network(struct device *device);

/* acquisition.c */
enum gvcp_status acquisition_start(struct device *device);
void acquisition_stop(struct device *device);
/* Bytes of an image and its chunks, as the registers are. */
size_t acquisition_payload(const struct device *device);
void acquisition_init(struct device *device);
void acquisition_fini(struct device *device);

/* pipeline.c: an image's way from the sensor into a block, and into the network. */
void pipeline_capture(struct device *device, double now_s);
/* The chunks go behind the pixels. */
void pipeline_add_chunks(struct device *device);
/* Begins to run the network on the last image. */
void pipeline_start_inference(struct device *device, double now_s);
bool pipeline_can_infer(const struct device *device);

#endif
