/* Where images are imported from: class folders of image files, a list that names image files and
 * their labels, or pairs of IDX files. A source
 * lists its images in a fixed order, training images first, and reads them one by one. */
#ifndef TRAINER_DATA_SOURCE_H
#define TRAINER_DATA_SOURCE_H

#include "trainer/data/image_file.h"
#include "trainer/data/import.h"

struct source_item { /* an image file */
    char *name;      /* relative to the source, or absolute in a list; owned */
    int32_t label;
    int line; /* of the list; 0: of a class folder */
};

struct idx;

struct source {
    int classes;
    char **class_names;               /* (classes) owned */
    uint32_t train_count, test_count; /* images listed */
    char *root;                       /* files: items' names are below it */
    struct source_item *items;        /* files: train, then test */
    size_t item_count, item_room;
    struct idx *images; /* IDX: (2) train, test; NULL for files */
    uint8_t *labels;    /* IDX: (train_count + test_count) */
};

/* Looks at what the paths are and lists it. Misplaced files are added to the report. *source:
 * returns owned. */
MUST_CHECK enum err source_open(const struct import_cfg *cfg, struct import_report *report,
                                struct source **source);
void source_close(struct source **source); /* accepts NULL */

/* The kinds, called by source_open(). */
MUST_CHECK enum err source_open_folder(const struct import_cfg *cfg, struct import_report *report,
                                       struct source *source);
/* CSV (base/csv.h) with the columns path and label, and split (train or test) where there is one;
 * paths are relative to the list's folder. Classes are the labels of training images in the order
 * of their bytes, images lie in the order of their paths, however rows are ordered. ERR_DATA: a row
 * that is none, by file, line and column. */
MUST_CHECK enum err source_open_list(const struct import_cfg *cfg, struct import_report *report,
                                     struct source *source);
/* ERR_USAGE with options of image files. */
MUST_CHECK enum err source_open_idx(const struct import_cfg *cfg, struct source *source);
/* What they add: copies the name; ERR_DATA as source_check_class(). */
void source_add_item(struct source *source, const char *name, int32_t label);
MUST_CHECK enum err source_add_class(struct source *source, const char *name);
/* A class name stands on a line of its own in labels.txt and in JSON: ERR_DATA for one that is not
 * UTF-8 or holds a control character, line ends among them. */
MUST_CHECK enum err source_check_class(const char *name);
/* Whether a folder holds files with the usual IDX names. */
bool source_is_idx(const char *folder);
bool source_is_idx_name(const char *path); /* is it one of them? */

/* IDX files are streams: images are read in order, one thread at a time. Files may be read by many
 * threads in any order. */
bool source_is_stream(const struct source *source);
int source_stream_channels(const struct source *source); /* that hold all its images */
int source_stream_side(const struct source *source);     /* the greatest short side */
/* Sets image and label; *fault as image_file_read(): an image that is to be skipped is
 * IMAGE_FAULT_*, with the reason in err_text() and ERR_OK returned. An error ends the import. */
MUST_CHECK enum err source_read(struct source *source, uint32_t index,
                                const struct image_limits *limits, struct image *image,
                                enum image_fault *fault);
/* An image's name for people: the file, or "train[17]"; written to `name`. */
void source_name(const struct source *source, uint32_t index, char *name, size_t room);
/* The name that is stored with it: "" for IDX. Borrowed. */
const char *source_stored_name(const struct source *source, uint32_t index);

#endif
