#include "tests/data/running.h"
#include "base/file.h"
#include "base/mem.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

const struct augment_cfg running_augment = {.crop_min = 0.3,
                                            .has_flip = true,
                                            .has_colour = true,
                                            .brightness = 32.0 / 255.0,
                                            .saturation = 0.5};

struct running running_start(const struct import_cfg *cfg, const struct augment_cfg *augment,
                             int threads)
{
    struct running running = {.loader = NULL};
    if (file_exists(cfg->destination))
        assert_int_equal(dataset_open(cfg->destination, &running.dataset), ERR_OK);
    else
        running.dataset = must_import(cfg);
    assert_int_equal(
        dataset_split(running.dataset, SPLIT_TRAIN, 0, &running.records, &running.count), ERR_OK);
    running.device = must_open_device();
    struct loader_cfg loader_cfg = {.device = running.device,
                                    .dataset = running.dataset,
                                    .records = running.records,
                                    .count = running.count,
                                    .seed = 5,
                                    .augment = augment,
                                    .threads = threads,
                                    .max_batch = RUNNING_MOST,
                                    .max_resolution = 64};
    if (loader_create(&loader_cfg, &running.loader) != ERR_OK)
        fail_msg("%s", err_text());
    return running;
}

void running_stop(struct running *running)
{
    loader_destroy(&running->loader);
    mem_free(running->records);
    dataset_close(&running->dataset);
    device_close(&running->device);
}

void running_ask(struct running *running, uint64_t epoch, int N, int R)
{
    uint32_t positions[RUNNING_MOST];
    for (int i = 0; i < N; i++)
        positions[i] = (uint32_t)(epoch * 31 + (uint64_t)i * 7) % running->count;
    struct batch_request request = {
        .epoch = epoch, .resolution = R, .N = N, .positions = positions};
    if (loader_ask(running->loader, &request) != ERR_OK)
        fail_msg("%s", err_text());
}

struct batch running_take(struct running *running)
{
    struct batch batch;
    if (loader_take(running->loader, &batch) != ERR_OK)
        fail_msg("%s", err_text());
    return batch;
}
