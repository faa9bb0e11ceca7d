#include "tests/spec/made.h"
#include "base/file.h"
#include "tests/spec/spec_test.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static char folder[] = "/tmp/gw-plan-XXXXXX";
static char path[64];

int made_setup(void **state)
{
    (void)state;
    static const char text[] =
        "campaign: own\ndataset: {path: data/own}\nspace: configs/spaces/firefly-tiny.yaml\n"
        "batch: {global: 256, micro: 32}\n"
        "search: {targets: [{name: small, device: firefly-dl-mono, macs: 3M}, {name: best}]}\n"
        "compile: {formats: [tensorflow, onnx]}\n";
    if (!mkdtemp(folder))
        return 1;
    snprintf(path, sizeof path, "%s/campaign.yaml", folder);
    return file_write(path, text, sizeof text - 1) != ERR_OK;
}

int made_teardown(void **state)
{
    (void)state;
    return file_remove_folder(folder) != ERR_OK;
}

const char *made_folder(void)
{
    return folder;
}

void made_key(struct made *made, const char *dataset, const char *teacher)
{
    struct hash content = hash_of(dataset, strlen(dataset));
    for (int i = 0; i < made->plan.stage_count; i++) {
        struct text lines;
        text_init(&lines);
        campaign_stage_inputs(&made->campaign, &made->space, &made->schedule, &made->plan, i,
                              &lines);
        made->keys[i] =
            campaign_stage_key(text_get(&lines), &made->plan, i, made->keys, &content, teacher);
        text_fini(&lines);
    }
}

void made_from(const struct campaign_override *overrides, int count, struct made *made)
{
    memset(made, 0, sizeof *made);
    assert_ok(campaign_load(path, overrides, count, &made->campaign));
    assert_ok(campaign_space(&made->campaign, 10, 1, &made->space));
    campaign_schedule(&made->campaign, &made->space, &made->schedule);
    campaign_expand(&made->campaign, &made->schedule, &made->plan);
    made_key(made, "dataset", "");
}
