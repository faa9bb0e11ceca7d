/* What a dataset says of itself: its manifest, as programs read it. Plain data. */
#ifndef TRAINER_DATA_DATASET_INFO_H
#define TRAINER_DATA_DATASET_INFO_H

#include "base/hash.h"
#include "trainer/data/image.h"
#include "trainer/data/sample_format.h"
#include <stdbool.h>
#include <stdint.h>

struct imported { /* how, by the options of the import */
    int side;     /* short side at most; 0: by a program that did not record it */
    bool is_grey; /* colour was made grey */
    struct sample_format samples;
};

struct dataset_info {
    char source[256];
    int classes;
    char **class_names;               /* (classes) borrowed from the dataset */
    int channels;                     /* 1 or 3 */
    uint32_t train_count, test_count; /* test_count 0: the source had none */
    int max_height, max_width;
    enum image_format format;
    struct imported imported;     /* not part of the content */
    double mean[3], deviation[3]; /* of the training images, pixel values 0..255 */
    struct hash content;
    uint32_t *train_per_class, *test_per_class; /* (classes) images, borrowed from the dataset */
    uint64_t record_bytes;                      /* of all records */
};

#endif
