/* The simulated camera behind its protocol: registers that do something when they are written,
 * files, the network, and the images it takes. It opens no socket and reads no clock: whoever
 * drives it (server.h) says what time it is. One thread. */
#ifndef CAMERA_SIM_DEVICE_H
#define CAMERA_SIM_DEVICE_H

#include "camera/sim/faults.h"
#include "camera/sim/gvsp.h"
#include "camera/sim/registers.h"

struct latency { /* of an inference: (fixed + macs) times (1 + noise times a normal draw) */
    double fixed_ms, per_mmac_ms, noise;
    double per_depthwise_mmac_ms; /* of depthwise convolutions' multiply-adds */
};

struct device_cfg { /* copied; strings and bytes are borrowed while the device lives */
    struct camera_identity identity;
    struct latency latency;
    uint64_t seed;
    double speed;     /* so many times as quick as a camera */
    double silence_s; /* of a dropped connection */
    struct faults faults;
    const uint8_t *flash_network; /* a network's file that lies in flash; NULL: none */
    size_t flash_network_bytes;
};

struct device;
/* ERR_UNAVAILABLE where no thread can be started. *device: returns owned. */
MUST_CHECK enum err device_create(const struct device_cfg *cfg, struct device **device);
void device_destroy(struct device **device); /* accepts NULL */

struct registers *device_registers(struct device *device); /* borrowed */

/* A write from elsewhere. *takes_s: how long it takes, where it was done. */
enum gvcp_status device_write(struct device *device, uint32_t address, const uint8_t *bytes,
                              uint32_t size, double *takes_s);
/* Nobody controls the camera any more: no more images. */
void device_released(struct device *device);
/* Since the last call a dropped connection began: for so many seconds; 0: none. */
double device_silence(struct device *device);

/* For poll(): readable when an inference has ended. */
int device_descriptor(const struct device *device);
/* An image that is to be sent now: true, and *block is borrowed until the next call. can_send:
 * whether there is room for one; an image without waits or is left out. */
bool device_step(struct device *device, double now_s, bool can_send, struct gvsp_block *block);
/* When device_step() should be called again at the latest; INFINITY: when something happens. */
double device_due_s(const struct device *device);

#endif
