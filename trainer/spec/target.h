/* A device sub-networks are searched for (configs/devices/<name>.yaml): its latency model, the
 * images it takes, and rules of what it runs; and a target, a device with a budget. Whether one of
 * them takes a sub-network is asked here and nowhere else. Plain data. */
#ifndef TRAINER_SPEC_TARGET_H
#define TRAINER_SPEC_TARGET_H

#include "trainer/spec/cost.h"
#include "trainer/spec/device_rules.h"
#include "trainer/spec/geometry.h"
#include "trainer/spec/subnet.h"

/* What it computes in, where that is known: the rules of trainer/emulator. */
enum device_arithmetic { DEVICE_ARITHMETIC_UNKNOWN, DEVICE_ARITHMETIC_FP16 };

enum pixel_format { PIXEL_MONO8, PIXEL_BGR8, PIXEL_RGB8, PIXEL_FORMAT_COUNT };

struct camera_device {
    char name[32];
    double latency_fixed_ms;            /* 19.3 */
    double latency_ms_per_mmac;         /* 0.105: of the kinds below that are 0 */
    double latency_kind_ms[COST_KINDS]; /* likewise, of a million MACs of this kind */
    bool takes[PIXEL_FORMAT_COUNT];     /* by enum pixel_format */
    int arithmetic;                     /* enum device_arithmetic */
    bool geometries[GEOMETRY_COUNT]; /* by enum geometry: what it can do with a picture by itself */
    int sensor_width, sensor_height; /* 0: not a camera of one size */
    struct device_rules rules;
};

/* In what order of channels the device hands its images to a network with so many; what the export
 * writes the network for. PIXEL_FORMAT_COUNT: none. */
enum pixel_format camera_device_format(const struct camera_device *device, int channels);
const char *pixel_format_name(enum pixel_format format); /* as GenICam calls it */

/* A path to a .yaml file, or a name looked up as configs/devices/<name>.yaml from here or in the
 * program's data folder (trainer/spec/lookup.h). ERR_CONFIG, ERR_NOT_FOUND. */
MUST_CHECK enum err camera_device_load(const char *name_or_path, struct camera_device *device);
/* A device that runs everything, in RGB, with no latency model: what a target without a device
 * means. */
void camera_device_any(struct camera_device *device);
/* Whether a latency can be predicted at all. */
bool camera_device_has_latency(const struct camera_device *device);
double camera_device_latency_ms(const struct camera_device *device, const struct cost *cost);
/* What a million MACs of a kind add to it. */
double camera_device_rate_ms(const struct camera_device *device, enum cost_kind kind);
/* One rate for all kinds: latency is a line over MACs. */
bool camera_device_is_line(const struct camera_device *device);
/* Narrows `open` to what the device runs: a kernel or an expansion that breaks a rule in one of the
 * space's blocks is left out of all. ERR_CONFIG with the layer, the rule and the cure when nothing
 * is left (squeeze-excite, ...). */
MUST_CHECK enum err camera_device_narrow(const struct camera_device *device,
                                         const struct space *space, struct open_choices *open);
/* ERR_CONFIG when the device gives its networks no images of so many channels, 1 or 3. */
MUST_CHECK enum err camera_device_check_images(const struct camera_device *device, int channels);
/* ERR_CONFIG when it does not make its networks' squares so. */
MUST_CHECK enum err camera_device_check_geometry(const struct camera_device *device,
                                                 enum geometry geometry);
/* Whether the device runs this sub-network, one of the space's, at its resolution. */
bool camera_device_runs(const struct camera_device *device, const struct space *space,
                        const struct subnet *subnet);
/* ERR_CONFIG when it does not, or gives no such images: the layer, the rule and the cure. */
MUST_CHECK enum err camera_device_check(const struct camera_device *device,
                                        const struct space *space, const struct subnet *subnet);

struct target { /* one row of search.targets */
    char name[32];
    char device_name[256];       /* as written; "": any device */
    struct camera_device device; /* resolved from configs/devices/<device>.yaml */
    double macs_max;             /* 0: no bound */
    double latency_ms_max;       /* 0: no bound */
    char camera[128];            /* whereon its bundle is validated; "": on none */
    int line, column;            /* where it was written, for messages; 0: not in a file */
};

/* The bound that a sub-network of this cost breaks, by its key: "macs" or "latency_ms"; NULL when
 * it fits. */
const char *target_broken_bound(const struct target *target, const struct cost *cost);
bool target_fits(const struct target *target, const struct cost *cost);
/* ERR_CONFIG when nothing of `open`, which its device runs, fits at the space's smallest
 * resolution: the text says what the cheapest sub-network costs. */
MUST_CHECK enum err target_check(const struct target *target, const struct space *space,
                                 const struct open_choices *open);

#endif
