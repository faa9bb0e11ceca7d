/* The simulated camera behind its protocol: registers that do something when they are written,
 * files, the network, and the images it takes. It opens no socket and reads no clock: whoever
 * drives it (server.h) says what time it is. One thread. */
#ifndef CAMERA_SIM_SIM_CAMERA_H
#define CAMERA_SIM_SIM_CAMERA_H

#include "camera/sim/faults.h"
#include "camera/sim/gvsp.h"
#include "camera/sim/registers.h"

struct latency { /* of an inference: (fixed + macs) times (1 + noise times a normal draw) */
    double fixed_ms, per_mmac_ms, noise;
    double per_depthwise_mmac_ms; /* of depthwise convolutions' multiply-adds */
};

struct sim_camera_cfg { /* copied; strings and bytes are borrowed while the camera lives */
    struct sim_identity identity;
    struct latency latency;
    bool has_narrow_sums; /* of the network, in fp16, too */
    uint64_t seed;
    double speed;     /* so many times as quick as a camera */
    double silence_s; /* of a dropped connection */
    struct faults faults;
    const uint8_t *flash_network; /* a network's file that lies in flash; NULL: none */
    size_t flash_network_bytes;
};

struct sim_camera;
/* ERR_UNAVAILABLE where no thread can be started. *camera: returns owned. */
MUST_CHECK enum err sim_camera_create(const struct sim_camera_cfg *cfg, struct sim_camera **camera);
void sim_camera_destroy(struct sim_camera **camera); /* accepts NULL */

struct registers *sim_camera_registers(struct sim_camera *camera); /* borrowed */

/* A write from elsewhere. *takes_s: how long it takes, where it was done. */
enum gvcp_status sim_camera_write(struct sim_camera *camera, uint32_t address, const uint8_t *bytes,
                                  uint32_t size, double *takes_s);
/* Nobody controls the camera any more: no more images. */
void sim_camera_released(struct sim_camera *camera);
/* Since the last call a dropped connection began: for so many seconds; 0: none. */
double sim_camera_silence(struct sim_camera *camera);

/* For poll(): readable when an inference has ended. */
int sim_camera_descriptor(const struct sim_camera *camera);
/* An image that is to be sent now: true, and *block is borrowed until the next call. can_send:
 * whether there is room for one; an image without waits or is left out. */
bool sim_camera_step(struct sim_camera *camera, double now_s, bool can_send,
                     struct gvsp_block *block);
/* When sim_camera_step() should be called again at the latest; INFINITY: when something happens. */
double sim_camera_due_s(const struct sim_camera *camera);

#endif
