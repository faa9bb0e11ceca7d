/* The images of a campaign: its data set, cut into what is trained on, held out and tested on. One
 * thread opens and closes; any thread reads. */
#ifndef TRAINER_DATA_SPLITS_H
#define TRAINER_DATA_SPLITS_H

#include "trainer/data/loader.h"
#include "trainer/spec/campaign.h"

struct splits {
    struct dataset *dataset;
    uint32_t *train, *holdout, *test; /* record numbers */
    uint32_t train_count, holdout_count, test_count;
    struct augment_cfg augment; /* of training */
};

/* path: of the campaign's data set, or of a copy of it. Errors as dataset_open() and
 * dataset_split(). The caller closes it after an error too. */
MUST_CHECK enum err splits_open(const struct campaign *campaign, const char *path,
                                struct splits *splits);
void splits_close(struct splits *splits); /* accepts a zeroed one */

/* Where image i of `count` lies in a list of `available`, when so many stand for all of it: evenly
 * over the list, since its order is often that of the classes. */
uint32_t splits_spread(uint32_t available, int i, int count);

/* What the campaign switches on of OFA's training transform (reference file, sec. 4.5). */
struct augment_cfg splits_augment(const struct campaign *campaign);

#endif
