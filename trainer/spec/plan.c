/* From a campaign to stages, and from a stage to its key. */
#include "base/yaml/schema.h"
#include "trainer/spec/campaign.h"
#include <stdio.h>
#include <string.h>

static struct stage_plan *add_stage(struct plan *plan, const char *name, enum stage_kind kind)
{
    if (plan->stage_count == PLAN_MAX_STAGES)
        BUG("more than %d stages", PLAN_MAX_STAGES);
    struct stage_plan *stage = &plan->stages[plan->stage_count++];
    snprintf(stage->name, sizeof stage->name, "%s", name);
    stage->kind = kind;
    stage->phase = stage->target = -1;
    return stage;
}

static void depend(struct stage_plan *stage, int on)
{
    stage->dependencies[stage->dependency_count++] = on;
}

static struct stage_plan *add_target_stage(const struct campaign *campaign, int target,
                                           enum stage_kind kind, struct plan *plan)
{
    static const char *const verbs[] = {
        [STAGE_COMPILE] = "compile", [STAGE_CHECK] = "check", [STAGE_VALIDATE] = "validate"};
    char name[64];
    snprintf(name, sizeof name, "%s-%s", verbs[kind], campaign->targets[target].name);
    struct stage_plan *stage = add_stage(plan, name, kind);
    stage->target = target;
    return stage;
}

/* The stage of this kind that the target has; -1: none. */
static int find_target_stage(const struct plan *plan, int target, enum stage_kind kind)
{
    for (int i = 0; i < plan->stage_count; i++)
        if (plan->stages[i].kind == kind && plan->stages[i].target == target)
            return i;
    return -1;
}

/* Behind the check, where there is one. A camera is one stage's at a time; of simulated ones each
 * stage has its own. */
static void add_validation(const struct campaign *campaign, int target, struct plan *plan)
{
    const char *camera = campaign->targets[target].camera;
    int checked = find_target_stage(plan, target, STAGE_CHECK);
    int compiled = find_target_stage(plan, target, STAGE_COMPILE);
    struct stage_plan *stage = add_target_stage(campaign, target, STAGE_VALIDATE, plan);
    depend(stage, checked >= 0 ? checked : compiled);
    for (int t = target - 1; t >= 0 && strcmp(camera, "simulated") != 0; t--)
        if (strcmp(campaign->targets[t].camera, camera) == 0) {
            depend(stage, find_target_stage(plan, t, STAGE_VALIDATE));
            return;
        }
}

static void add_compiles(const struct campaign *campaign, struct plan *plan)
{
    int search = plan->stage_count - 1, first = plan->stage_count;
    for (int t = 0; t < campaign->target_count; t++)
        depend(add_target_stage(campaign, t, STAGE_COMPILE, plan), search);
    for (int t = 0; t < campaign->target_count; t++)
        if (campaign->targets[t].device.arithmetic != DEVICE_ARITHMETIC_UNKNOWN)
            depend(add_target_stage(campaign, t, STAGE_CHECK, plan), first + t);
    for (int t = 0; t < campaign->target_count; t++)
        if (campaign->targets[t].camera[0])
            add_validation(campaign, t, plan);
}

void campaign_expand(const struct campaign *campaign, const struct schedule *schedule,
                     struct plan *plan)
{
    memset(plan, 0, sizeof *plan);
    bool has_teacher = campaign->teacher.from[0] == 0;
    for (int i = 0; i < schedule->phase_count; i++) {
        struct stage_plan *stage = add_stage(plan, schedule->phases[i].name, STAGE_TRAIN);
        stage->phase = i;
        if (i > 0)
            depend(stage, i - 1);
        if (i > 1 && has_teacher && schedule->phases[i].has_distillation)
            depend(stage, 0);
    }
    int trained = plan->stage_count - 1;
    struct stage_plan *evaluate = add_stage(plan, "evaluate", STAGE_EVALUATE);
    if (trained >= 0)
        depend(evaluate, trained);
    if (campaign->target_count > 0) {
        struct stage_plan *search = add_stage(plan, "search", STAGE_SEARCH);
        if (trained >= 0)
            depend(search, trained);
        add_compiles(campaign, plan);
    }
    int report_at = plan->stage_count;
    struct stage_plan *report = add_stage(plan, "report", STAGE_REPORT);
    for (int i = trained + 1; i < report_at; i++)
        depend(report, i);
}

/* "knob=value"; nothing for the default of a knob that is an input only when it is set. */
static void add_knob(const struct campaign *campaign, const struct knob *knob, struct text *lines)
{
    struct text value;
    text_init(&value);
    schema_value(knob, campaign, &value);
    if (!knob->is_input_when_set || strcmp(text_get(&value), knob->fallback) != 0)
        text_add(lines, "%s=%s\n", knob->path, text_get(&value));
    text_fini(&value);
}

/* Every knob that changes results of this kind. */
static void add_knobs(const struct campaign *campaign, unsigned affects, struct text *lines)
{
    const struct schema *schema = campaign_schema();
    for (int i = 0; i < schema->knob_count; i++) {
        const struct knob *knob = &schema->knobs[i];
        if (!(knob->affects & affects) || knob->type == KNOB_ROWS || knob->type == KNOB_NAMED)
            continue;
        add_knob(campaign, knob, lines);
    }
}

static void add_choices(const char *name, const struct choices *choices, struct text *lines)
{
    text_add(lines, "phase.%s=", name);
    for (int i = 0; i < choices->count; i++)
        text_add(lines, "%s%d", i ? "," : "", choices->value[i]);
    text_add(lines, "\n");
}

static void add_real(const char *name, double value, struct text *lines)
{
    text_add(lines, "%s=", name);
    text_add_real(lines, value);
    text_add(lines, "\n");
}

static bool is_same(const struct choices *left, const struct choices *right)
{
    return left->count == right->count &&
           memcmp(left->value, right->value, (size_t)left->count * sizeof *left->value) == 0;
}

/* The widths that a sort keeps, where the keys of the rows in front do not tell them yet: those of
 * a given teacher, and those that an earlier row opened and a later one closed. Named only then, so
 * that all other runs keep their keys. */
static void add_kept_widths(const struct schedule *schedule, const struct space *space,
                            const struct phase *phase, struct text *lines)
{
    struct open_choices trained, biggest;
    schedule_open_biggest(space, &biggest);
    schedule_trained_before(schedule, space, phase, &trained);
    const struct choices *front =
        phase > schedule->phases ? &phase[-1].open.expansions : &biggest.expansions;
    if (!phase->sorts_channels)
        return;
    if (!is_same(&schedule->before.expansions, &biggest.expansions))
        add_choices("given", &schedule->before.expansions, lines);
    if (!is_same(&trained.expansions, front))
        add_choices("trained", &trained.expansions, lines);
}

static void add_phase(const struct phase *phase, struct text *lines)
{
    add_choices("kernels", &phase->open.kernels, lines);
    add_choices("expansions", &phase->open.expansions, lines);
    add_choices("depths", &phase->open.depths, lines);
    add_real("phase.epochs", phase->epochs, lines);
    add_real("phase.warmup", phase->warmup_epochs, lines);
    add_real("phase.rate", phase->rate, lines);
    text_add(lines, "phase.subnets=%d\nphase.distil=%d\nphase.sort=%d\n", phase->subnets_per_step,
             phase->has_distillation, phase->sorts_channels);
}

static void add_target(const struct target *target, struct text *lines)
{
    const struct camera_device *device = &target->device;
    const double reals[] = {target->macs_max, target->latency_ms_max, device->latency_fixed_ms,
                            device->latency_ms_per_mmac};
    static const char *const names[] = {"macs", " latency", " device", ""};
    text_add(lines, "target.%s=", target->name);
    for (int i = 0; i < 4; i++) {
        text_add(lines, "%s ", names[i]);
        text_add_real(lines, reals[i]);
    }
    for (int k = 0; k < COST_KINDS; k++)
        if (device->latency_kind_ms[k] > 0) {
            text_add(lines, " %s ", cost_kind_names[k]);
            text_add_real(lines, device->latency_kind_ms[k]);
        }
    for (int i = 0; i < PIXEL_FORMAT_COUNT; i++)
        text_add(lines, "%s%d", i ? "" : " takes ", device->takes[i]);
    text_add(lines, "\n");
    device_rules_lines(&device->rules, lines);
}

/* What of a device a bundle tells, beside what is searched for it: how it is set up and checked. */
static void add_pictures(const struct camera_device *device, struct text *lines)
{
    text_add(lines, "device=%s sensor %dx%d arithmetic %d geometries ", device->name,
             device->sensor_width, device->sensor_height, device->arithmetic);
    for (int g = 0; g < GEOMETRY_COUNT; g++)
        text_add(lines, "%d", device->geometries[g]);
    text_add(lines, "\n");
}

void campaign_stage_inputs(const struct campaign *campaign, const struct space *space,
                           const struct schedule *schedule, const struct plan *plan, int stage,
                           struct text *lines)
{
    const struct stage_plan *row = &plan->stages[stage];
    /* The key of a training stage carries its knobs on; an imported teacher may leave none, and
     * then the images that are held out count here. */
    unsigned training = row->dependency_count == 0 ? AFFECTS_TRAINING : 0;
    switch (row->kind) {
    case STAGE_TRAIN:
        add_knobs(campaign, AFFECTS_TRAINING, lines);
        if (schedule->phases[row->phase].has_distillation)
            add_knobs(campaign, AFFECTS_DISTIL, lines);
        if (schedule_trains_matrices(schedule, space, &schedule->phases[row->phase]))
            add_knobs(campaign, AFFECTS_MATRICES, lines);
        space_lines(space, lines);
        add_phase(&schedule->phases[row->phase], lines);
        add_kept_widths(schedule, space, &schedule->phases[row->phase], lines);
        return;
    case STAGE_EVALUATE:
        add_knobs(campaign, AFFECTS_EVALUATE | training, lines);
        space_lines(space, lines);
        return;
    case STAGE_SEARCH:
        add_knobs(campaign, AFFECTS_SEARCH | training, lines);
        space_lines(space, lines);
        for (int i = 0; i < campaign->target_count; i++)
            add_target(&campaign->targets[i], lines);
        return;
    case STAGE_COMPILE:
        add_knobs(campaign, AFFECTS_COMPILE, lines);
        add_target(&campaign->targets[row->target], lines);
        add_pictures(&campaign->targets[row->target].device, lines);
        return;
    case STAGE_CHECK:
        add_knobs(campaign, AFFECTS_CHECK, lines);
        return;
    case STAGE_VALIDATE:
        add_knobs(campaign, AFFECTS_VALIDATE, lines);
        text_add(lines, "target.%s=camera %s\n", campaign->targets[row->target].name,
                 campaign->targets[row->target].camera);
        return;
    case STAGE_REPORT:
        add_knobs(campaign, AFFECTS_REPORT, lines);
        return;
    }
    BUG("stage '%s' is of no kind", row->name);
}

struct hash campaign_stage_key(const char *input_lines, const struct plan *plan, int stage,
                               const struct hash *keys, const struct hash *dataset,
                               const char *teacher_content)
{
    const struct stage_plan *row = &plan->stages[stage];
    struct hasher hasher;
    hasher_init(&hasher);
    hasher_add_text(&hasher, "glowworm stage key 1");
    hasher_add_u64(&hasher, TRAINING_VERSION);
    hasher_add_u64(&hasher, (uint64_t)row->kind);
    hasher_add_text(&hasher, row->name);
    hasher_add_text(&hasher, input_lines);
    hasher_add_u64(&hasher, (uint64_t)row->dependency_count);
    for (int i = 0; i < row->dependency_count; i++)
        hasher_add(&hasher, keys[row->dependencies[i]].bytes, HASH_BYTES);
    hasher_add(&hasher, dataset->bytes, HASH_BYTES);
    hasher_add_text(&hasher, teacher_content);
    return hasher_end(&hasher);
}
