#include "cluster/quality/second_opinion.h"
#include "base/file.h"
#include "base/mem.h"
#include "trainer/export/bundle.h"
#include "trainer/spec/campaign.h"
#include <string.h>

static char *bundle_of(const char *run, const char *target)
{
    char *bundles = file_join(run, "bundles"), *bundle = file_join(bundles, target);
    mem_free(bundles);
    return bundle;
}

static enum err find_bundle(const char *run, const char *target, const struct campaign *campaign,
                            char **bundle)
{
    for (int i = 0; i < campaign->target_count; i++) {
        const char *name = campaign->targets[i].name;
        if (target && strcmp(name, target) != 0)
            continue;
        *bundle = bundle_of(run, name);
        if (target || file_is_folder(*bundle))
            return ERR_OK;
        mem_free(*bundle);
        *bundle = NULL;
    }
    return target ? err_set(ERR_NOT_FOUND, "%s has no target %s", run, target)
                  : err_set(ERR_NOT_FOUND,
                            "%s has no bundle yet: let it run to its end, or "
                            "compile one",
                            run);
}

static enum err check_classes(const struct opened_bundle *opened, const char *bundle,
                              const struct dataset_info *info)
{
    if (opened->classes != info->classes)
        return err_set(ERR_CONFIG, "%s knows %d classes, the data set has %d", bundle,
                       opened->classes, info->classes);
    for (int k = 0; k < info->classes; k++)
        if (strcmp(opened->labels[k], info->class_names[k]) != 0)
            return err_set(ERR_CONFIG, "%s calls class %d \"%s\", the data set \"%s\"", bundle, k,
                           opened->labels[k], info->class_names[k]);
    return ERR_OK;
}

enum err second_opinion_open(const char *run, const char *target, const struct dataset_info *info,
                             struct second_opinion **opinion)
{
    enum err err = ERR_OK;
    struct second_opinion *opened = mem_alloc(sizeof *opened);
    struct campaign *campaign = mem_alloc(sizeof *campaign);
    char *path = file_join(run, "campaign.yaml");
    TRY(campaign_load(path, NULL, 0, campaign));
    opened->holdout = campaign->dataset.holdout;
    TRY(find_bundle(run, target, campaign, &opened->bundle));
    TRY(opened_bundle_load(opened->bundle, &opened->opened));
    TRY(check_classes(&opened->opened, opened->bundle, info));
    *opinion = opened;
    opened = NULL;
out:
    second_opinion_close(&opened);
    mem_free(campaign);
    mem_free(path);
    return err;
}

void second_opinion_close(struct second_opinion **opinion)
{
    struct second_opinion *closed = *opinion;
    if (!closed)
        return;
    opened_bundle_fini(&closed->opened);
    mem_free(closed->fitted.pixels);
    mem_free(closed->bundle);
    mem_free(closed);
    *opinion = NULL;
}

enum err second_opinion_ask(struct second_opinion *opinion, const struct image *image,
                            int32_t *predicted, double *confidence)
{
    enum err err = ERR_OK;
    struct opened_bundle *opened = &opinion->opened;
    bundle_fit_image(image, opened->shape.height, opened->shape.channels, opened->geometry,
                     &opinion->fitted);
    bundle_normalise(&opened->dataset, &opinion->fitted, opened->is_bgr, opened->values);
    TRY(onnx_run(opened->net, opened->values, opened->logits, opened->probabilities));
    int best = 0;
    for (int k = 1; k < opened->classes; k++)
        best = opened->probabilities[k] > opened->probabilities[best] ? k : best;
    *predicted = best;
    *confidence = (double)opened->probabilities[best];
out:
    return err;
}
