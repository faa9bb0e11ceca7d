#include "trainer/data/splits.h"
#include "base/mem.h"

struct augment_cfg splits_augment(const struct campaign *campaign)
{
    return (struct augment_cfg){.geometry = (enum geometry)campaign->dataset.geometry,
                                .crop_min = campaign->dataset.crop_min,
                                .has_flip = campaign->dataset.flip,
                                .has_colour = campaign->dataset.colour,
                                .brightness = 32.0 / 255.0,
                                .saturation = 0.5};
}

uint32_t splits_spread(uint32_t available, int i, int count)
{
    return (uint32_t)((uint64_t)i * available / (uint64_t)count);
}

enum err splits_open(const struct campaign *campaign, const char *path, struct splits *splits)
{
    enum err err = ERR_OK;
    uint32_t holdout = campaign->dataset.holdout;
    TRY(dataset_open(path, &splits->dataset));
    TRY(dataset_split(splits->dataset, SPLIT_TRAIN, holdout, &splits->train, &splits->train_count));
    TRY(dataset_split(splits->dataset, SPLIT_HOLDOUT, holdout, &splits->holdout,
                      &splits->holdout_count));
    TRY(dataset_split(splits->dataset, SPLIT_TEST, holdout, &splits->test, &splits->test_count));
    splits->augment = splits_augment(campaign);
out:
    return err;
}

void splits_close(struct splits *splits)
{
    dataset_close(&splits->dataset);
    mem_free(splits->train);
    mem_free(splits->holdout);
    mem_free(splits->test);
    *splits = (struct splits){0};
}
