#include "trainer/weights/given_teacher.h"
#include "base/mem.h"
#include "trainer/spec/campaign.h"
#include <string.h>

/* From the campaign the checkpoint was made by; false when that does not tell. */
static bool read_campaign(const struct checkpoint *checkpoint, const struct space *space,
                          struct open_choices *trained)
{
    bool is_told = false;
    const char *stage = checkpoint->position.stage, *text = checkpoint->meta.campaign;
    struct schedule *schedule = mem_alloc(sizeof *schedule);
    struct campaign *campaign = mem_alloc(sizeof *campaign);
    if (text && text[0] && campaign_recall(text, space, campaign) == ERR_OK &&
        campaign->teacher.from[0] == '\0') {
        campaign_schedule(campaign, space, schedule);
        for (int i = 0; i < schedule->phase_count && !is_told; i++) {
            is_told = strcmp(schedule->phases[i].name, stage) == 0;
            schedule_trained_before(schedule, space, &schedule->phases[i + 1], trained);
        }
    }
    mem_free(campaign);
    mem_free(schedule);
    return is_told;
}

enum err given_teacher_trained(const struct checkpoint *checkpoint, struct open_choices *trained)
{
    enum err err = ERR_OK;
    const struct checkpoint_meta *meta = &checkpoint->meta;
    struct space space;
    if (meta->has_trained) {
        *trained = meta->trained;
        return ERR_OK;
    }
    err = space_parse("the checkpoint's space", meta->space ? meta->space : "",
                      meta->width_multiplier, meta->classes, meta->channels, &space);
    if (err != ERR_OK)
        TRY(err_prefix(ERR_DATA, "what it was trained for cannot be told"));
    if (!read_campaign(checkpoint, &space, trained))
        *trained = (struct open_choices){space.kernels, space.expansions, space.depths};
out:
    return err;
}

enum err given_teacher_read(const char *from, struct given_teacher *teacher)
{
    enum err err = ERR_OK;
    struct checkpoint checkpoint = {0};
    *teacher = (struct given_teacher){0};
    if (from[0] == '\0')
        return ERR_OK;
    TRY(checkpoint_peek_reference(from, &checkpoint));
    TRY(given_teacher_trained(&checkpoint, &teacher->trained));
    hash_hex(&checkpoint.content, teacher->content);
out:
    if (err == ERR_USAGE) /* a knob's value, not the command line's */
        err = ERR_CONFIG;
    if (err != ERR_OK)
        err_prefix(err, "teacher.from %s", from);
    checkpoint_fini(&checkpoint);
    return err;
}
