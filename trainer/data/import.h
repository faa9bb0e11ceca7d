/* Import: images of the outside world become a dataset. All or nothing: the dataset is written
 * beside its destination and renamed at the end; what an interrupted import left is removed by the
 * next one. The result, content hash included, depends on the images and the options alone, never
 * on the order of a folder's entries, threads or time. One import per process at a time. */
#ifndef TRAINER_DATA_IMPORT_H
#define TRAINER_DATA_IMPORT_H

#include "trainer/data/import_report.h"
#include "trainer/data/sample_format.h"
#include <stddef.h>

enum import_format { IMPORT_AUTO, IMPORT_RAW, IMPORT_JPEG }; /* auto: raw up to 64 pixels */

#define IMPORT_RAW_SIDE     64  /* auto: short sides up to this are kept raw */
#define IMPORT_DEFAULT_SIDE 256 /* short side of what is stored */
#define IMPORT_QUALITY      90

struct import_progress {
    uint32_t done, total, skipped;
    double seconds; /* since the pass began */
    int pass;       /* 1; more when a later image showed that the dataset needs colour or JPEG */
};

struct import_cfg {
    const char *const *sources; /* (source_count) one folder, one list, or IDX files */
    int source_count;
    const char *destination;
    const char *labels_path; /* class names, one a line; NULL: folders' names, or numbers */
    int side;                /* short side; images are never enlarged; 0: IMPORT_DEFAULT_SIDE */
    enum import_format format;
    bool is_grey;                 /* colour images become grey ones */
    struct sample_format samples; /* of image files; IDX files need none */
    int quality;                  /* 1..100; 0: IMPORT_QUALITY */
    uint64_t max_pixels;          /* of a source image; 0: IMAGE_MAX_PIXELS */
    int threads;                  /* >= 1 */
    bool replaces;                /* an existing dataset at the destination */
    /* Called about ten times a second and at the end; false stops the import: ERR_INTERRUPTED. May
     * be NULL. */
    bool (*progress)(void *own, const struct import_progress *progress);
    void *own;
};

/* The report is filled in any case (skips tell what was wrong when no image was left); free it with
 * import_report_fini(). ERR_DATA: no image could be imported, a malformed IDX file or list.
 * ERR_USAGE: cfg->samples with IDX files. ERR_CONFIG: the destination exists. ERR_AGAIN: another
 * import is writing to it. ERR_IO, ERR_FULL, ERR_INTERRUPTED: nothing is left behind. */
MUST_CHECK enum err dataset_import(const struct import_cfg *cfg, struct import_report *report);

#endif
