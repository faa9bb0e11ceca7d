/* What `glowworm dataset check` finds in a data set: pictures that are blurred, blank or
 * over-exposed, that look alike, and whose label a trained network disagrees with. Findings are for
 * a person to look at, none is an error. One thread. */
#ifndef CLUSTER_QUALITY_QUALITY_CHECK_H
#define CLUSTER_QUALITY_QUALITY_CHECK_H

#include "base/text.h"
#include "trainer/data/dataset.h"
#include "trainer/data/image_quality.h"
#include <jansson.h>

/* A bound each, of which the page tells:
 * blank: a deviation below; blurred: a sharpness below this share of the median of its class;
 * over-exposed: as many white pixels, where less than half of its class has them; mislabelled: the
 * network's confidence in another class. */
#define QUALITY_BLANK       2.0
#define QUALITY_BLURRED     0.1
#define QUALITY_OVEREXPOSED 0.5
#define QUALITY_CONFIDENT   0.9 /* where none is given */

enum finding_kind {
    FINDING_MISLABELLED,
    FINDING_BLURRED,
    FINDING_BLANK,
    FINDING_OVEREXPOSED,
    FINDING_KINDS
};
extern const char *const finding_names[FINDING_KINDS]; /* "mislabelled" */

struct finding {
    uint32_t record;
    int32_t label, predicted; /* predicted: of the mislabelled */
    double value; /* confidence, sharpness (share of the median), deviation, share of white */
};

struct findings {
    struct finding *rows; /* the worst first; owned */
    uint32_t count, room;
};

struct measured { /* a picture */
    struct image_quality quality;
    int32_t label, predicted; /* predicted -1: nobody was asked */
    double confidence;
    bool is_held_out; /* by the run that was named */
};

struct quality_check { /* starts zeroed */
    struct dataset *dataset;
    double confidence; /* as asked for */
    char *network;     /* whom labels were held against; NULL: none */
    uint32_t count;
    struct measured *measured; /* (count) owned */
    struct findings findings[FINDING_KINDS];
    uint32_t *group;    /* (count) of pictures that look alike, see alike_groups(); owned */
    uint32_t *in_group; /* (count) of how many, by the group's first; owned */
    bool *crosses;      /* (count) the same: of training pictures and of others; owned */
    uint32_t groups, crossing;
};

struct quality_check_cfg {
    const char *path;
    const char *run;    /* NULL: labels are not held against a network */
    const char *target; /* of the run; NULL: the first that has a bundle */
    double confidence;  /* of the mislabelled, 0..1 */
    void (*progress)(uint32_t done, uint32_t all); /* NULL: none */
};

/* ERR_NOT_FOUND: no data set, or no bundle in the run; ERR_DATA: a damaged record; ERR_CONFIG: the
 * run's network is of other classes. The caller calls quality_check_fini() whatever happens. */
MUST_CHECK enum err quality_check_run(const struct quality_check_cfg *cfg,
                                      struct quality_check *check);
void quality_check_fini(struct quality_check *check);

/* "train", "hold-out" or "test". */
const char *quality_split(const struct quality_check *check, uint32_t record);

/* All findings; owned by the caller. A page of the worst, with their pictures. ERR_DATA, ERR_IO: a
 * record cannot be read again. */
MUST_CHECK enum err quality_json(const struct quality_check *check, json_t **json);
MUST_CHECK enum err quality_page(const struct quality_check *check, struct text *html);

#endif
