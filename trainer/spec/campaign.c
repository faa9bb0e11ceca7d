/* A campaign from its file: the schema's walk, then what only the whole can tell. */
#include "trainer/spec/campaign.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/yaml/schema.h"
#include "trainer/spec/lookup.h"
#include <stdio.h>
#include <string.h>

/* Any number will do where only the shape of the space is asked for. */
#define SOME_CLASSES  10
#define SOME_CHANNELS 3

struct loading { /* one campaign_load() */
    const struct yaml_node *root;
    struct yaml_errors *errors;
    struct campaign *campaign;
    struct space space;
    bool has_space;
};

#define COMPLAIN(loading, path, ...)                                                               \
    yaml_complain((loading)->errors, yaml_nearest((loading)->root, path), path, __VA_ARGS__)

static void check_names(const struct loading *loading)
{
    const struct campaign *campaign = loading->campaign;
    if (campaign->name[0] && !file_is_name(campaign->name))
        COMPLAIN(loading, "campaign", "'%s' becomes a folder: use letters, digits, - and _",
                 campaign->name);
    if (!file_is_name(campaign->resources.device))
        COMPLAIN(loading, "resources.device",
                 "'%s' is no device's name: use auto, cpu or the name of a device module",
                 campaign->resources.device);
}

/* The leaves of a step are dealt to the ranks. */
static void check_batch(const struct loading *loading)
{
    const struct campaign *campaign = loading->campaign;
    int global = campaign->batch.global, micro = campaign->batch.micro;
    if (micro > global || global % micro != 0) {
        COMPLAIN(loading, "batch.micro", "%d does not divide batch.global %d", micro, global);
        return;
    }
    if (campaign->resources.ranks > global / micro)
        COMPLAIN(
            loading, "resources.ranks",
            "%d ranks, but batch.global %d / batch.micro %d leaves work for %d only; use fewer "
            "ranks or a smaller micro-batch",
            campaign->resources.ranks, global, micro, global / micro);
}

static void check_nodes(const struct loading *loading)
{
    const struct campaign *campaign = loading->campaign;
    int nodes = campaign->resources.nodes, ranks = campaign->resources.ranks;
    if (ranks % nodes != 0)
        COMPLAIN(loading, "resources.nodes",
                 "resources.ranks %d on %d nodes: each needs as many; use %d ranks, or other nodes",
                 ranks, nodes, (ranks / nodes + 1) * nodes);
}

int campaign_gangs_of_node(const struct campaign *campaign)
{
    int gangs = campaign->resources.gangs, most = campaign->resources.gangs_per_node;
    return most > 0 && most < gangs ? most : gangs;
}

int campaign_nodes(const struct campaign *campaign)
{
    int gangs = campaign->resources.gangs, each = campaign_gangs_of_node(campaign);
    int full = each > 0 ? (gangs + each - 1) / each : 1;
    return campaign->resources.nodes > full ? campaign->resources.nodes : full;
}

/* Helpers on other nodes read what was published. */
static void check_helpers(const struct loading *loading)
{
    const struct campaign *campaign = loading->campaign;
    bool is_spread = campaign_gangs_of_node(campaign) < campaign->resources.gangs;
    const char *knob = is_spread ? "resources.gangs_per_node" : "resources.helper_jobs";
    if (is_spread && campaign->resources.nodes > 1)
        COMPLAIN(loading, knob,
                 "%d: every gang is on %d nodes already (resources.nodes); leave it 0",
                 campaign->resources.gangs_per_node, campaign->resources.nodes);
    if ((is_spread || campaign->resources.helper_jobs > 0) && !campaign->resources.scratch[0])
        COMPLAIN(loading, knob,
                 "gangs on other nodes read what the run publishes, which it does with "
                 "resources.scratch only; set that to a local disk");
}

static void load_space_file(struct loading *loading)
{
    struct campaign *campaign = loading->campaign;
    char found[CAMPAIGN_TEXT];
    if (campaign->space_path[0] == 0)
        return;
    if (lookup_find(campaign->space_path, "spaces", campaign->path, found, sizeof found) !=
        ERR_OK) {
        COMPLAIN(loading, "space", "%s", err_text());
        return;
    }
    snprintf(campaign->space_path, sizeof campaign->space_path, "%s", found);
    double width = campaign->width > 0 ? campaign->width : 1;
    if (space_load(found, width, SOME_CLASSES, SOME_CHANNELS, &loading->space) == ERR_OK)
        loading->has_space = true;
    else
        yaml_complain_text(loading->errors, err_text());
}

/* Every value of `wanted` must be a choice of the space. */
static void check_choices(const struct loading *loading, const struct row_override *row,
                          const char *name, const struct choices *wanted, const struct choices *all)
{
    char path[96];
    snprintf(path, sizeof path, "shrink.rows.%s.%s", row->name, name);
    for (int i = 0; i < wanted->count; i++)
        if (choices_find(all, wanted->value[i]) < 0)
            COMPLAIN(loading, path, "%d is not one of the %s of space %s", wanted->value[i], name,
                     loading->space.name);
}

static void check_rows(const struct loading *loading)
{
    const struct campaign *campaign = loading->campaign;
    struct schedule schedule = {0};
    schedule_append(campaign->schedule_name, &loading->space, 1, 1, 1, &schedule);
    for (int i = 0; i < campaign->row_count; i++) {
        const struct row_override *row = &campaign->rows[i];
        struct text names;
        char path[64];
        bool is_used = false;
        snprintf(path, sizeof path, "shrink.rows.%s", row->name);
        for (int p = 0; p < schedule.phase_count; p++)
            is_used = is_used || strcmp(schedule.phases[p].name, row->name) == 0;
        text_init(&names);
        schedule_list_rows(campaign->schedule_name, &names);
        if (strcmp(row->name, "teacher") == 0)
            COMPLAIN(loading, path, "the teacher has a section of its own: teacher.epochs, ...");
        else if (!schedule_has_row(campaign->schedule_name, row->name))
            COMPLAIN(loading, path, "schedule %s has no such phase; it has %s",
                     campaign->schedule_name, text_get(&names));
        else if (!is_used)
            COMPLAIN(loading, path, "space %s leaves this phase nothing to open; remove the row",
                     loading->space.name);
        text_fini(&names);
        check_choices(loading, row, "kernels", &row->kernels, &loading->space.kernels);
        check_choices(loading, row, "depths", &row->depths, &loading->space.depths);
        check_choices(loading, row, "expansions", &row->expansions, &loading->space.expansions);
    }
}

/* The node of a target's field, or of its row. */
static const struct yaml_node *target_node(const struct loading *loading, int i, const char *field)
{
    const struct yaml_node *list = yaml_nearest(loading->root, "search.targets");
    if (list->kind != YAML_LIST || i >= list->count)
        return list;
    return yaml_nearest(list->items[i], field);
}

static void complain_target(const struct loading *loading, int i, const char *field,
                            const char *sentence)
{
    char path[64];
    snprintf(path, sizeof path, "search.targets[%d].%s", i, field);
    yaml_complain(loading->errors, target_node(loading, i, field), path, "%s", sentence);
}

static void load_device(struct loading *loading, int i)
{
    struct target *target = &loading->campaign->targets[i];
    char found[CAMPAIGN_TEXT];
    camera_device_any(&target->device);
    if (target->device_name[0] == 0)
        return;
    if (lookup_find(target->device_name, "devices", loading->campaign->path, found, sizeof found) !=
        ERR_OK)
        complain_target(loading, i, "device", err_text());
    else if (camera_device_load(found, &target->device) != ERR_OK)
        yaml_complain_text(loading->errors, err_text());
    else if (strchr(target->device_name, '/')) /* a path: keep the one that was found */
        snprintf(target->device_name, sizeof target->device_name, "%s", found);
}

static void check_target(const struct loading *loading, int i)
{
    const struct campaign *campaign = loading->campaign;
    const struct target *target = &campaign->targets[i];
    struct schedule schedule;
    struct open_choices open;
    if (!file_is_name(target->name))
        complain_target(loading, i, "name", "it becomes a folder: use letters, digits, - and _");
    for (int j = 0; j < i; j++)
        if (strcmp(campaign->targets[j].name, target->name) == 0)
            complain_target(loading, i, "name", "another target has this name");
    if (target->latency_ms_max > 0 && target->device_name[0] == 0)
        complain_target(loading, i, "latency_ms", "needs a device to be predicted for");
    else if (target_broken_bound(target, &(struct cost){.macs = 1})) /* macs is at least 1 */
        complain_target(loading, i, "latency_ms",
                        "is not above the device's fixed time (latency.fixed_ms): nothing can fit");
    if (!loading->has_space)
        return;
    campaign_schedule(campaign, &loading->space, &schedule);
    if (campaign_target_choices(target, &loading->space, &schedule, &open) != ERR_OK)
        complain_target(loading, i, "device", err_text());
}

static bool is_relu_only(const struct space *space)
{
    for (int i = 0; i < space->stage_count; i++)
        if (space->stages[i].has_se)
            return false;
    return space_acts(space) == 1u << ACT_RELU;
}

static void check_search(struct loading *loading)
{
    const struct campaign *campaign = loading->campaign;
    for (int i = 0; i < campaign->target_count; i++) {
        const struct yaml_node *node = target_node(loading, i, "");
        loading->campaign->targets[i].line = node->line;
        loading->campaign->targets[i].column = node->column;
        load_device(loading, i);
        check_target(loading, i);
    }
    if (campaign->compile.caffe && loading->has_space && !is_relu_only(&loading->space))
        COMPLAIN(loading, "compile.formats",
                 "caffe takes spaces of relu without squeeze-excite only, and space %s is none; "
                 "leave caffe out or use firefly-tiny",
                 loading->space.name);
    if (campaign->target_count == 0)
        return;
    if (!campaign->compile.tensorflow && !campaign->compile.caffe && !campaign->compile.onnx)
        COMPLAIN(loading, "compile.formats", "is empty, but there are targets to compile");
    if (campaign->search.population > campaign->search.evaluations)
        COMPLAIN(loading, "search.population", "%d is more than search.evaluations %d",
                 campaign->search.population, campaign->search.evaluations);
    if (campaign->search.evaluations < campaign->target_count)
        COMPLAIN(loading, "search.evaluations", "%d is fewer than the %d targets; each needs one",
                 campaign->search.evaluations, campaign->target_count);
    if (campaign->dataset.holdout == 0)
        COMPLAIN(loading, "dataset.holdout",
                 "is 0, but a search measures sub-networks on held-out images");
}

/* Writes out what "auto", "the space's" and an empty name stand for. */
static void resolve(const struct loading *loading)
{
    struct campaign *campaign = loading->campaign;
    bool is_trained = campaign->teacher.from[0] == 0;
    if (campaign->teacher.epochs < 0)
        campaign->teacher.epochs = is_trained ? 180 : 0;
    if (campaign->teacher.warmup_epochs < 0)
        campaign->teacher.warmup_epochs = campaign->teacher.epochs / 36;
    if (campaign->teacher.rate < 0)
        campaign->teacher.rate = is_trained ? 2.6 * campaign->batch.global / 2048 : 0;
    if (campaign->optimiser.dropout < 0)
        campaign->optimiser.dropout = loading->space.dropout;
    if (campaign->resolution_count == 0) {
        campaign->resolution_count = loading->space.resolution_count;
        memcpy(campaign->resolutions, loading->space.resolutions, sizeof campaign->resolutions);
    }
    if (campaign->search.population == 0) {
        int quarter = campaign->search.evaluations / 4;
        campaign->search.population = quarter < 2 ? 2 : quarter > 50 ? 50 : quarter;
    }
    if (campaign->run_folder[0] == 0)
        snprintf(campaign->run_folder, sizeof campaign->run_folder, "runs/%s", campaign->name);
}

static void check_teacher(const struct loading *loading)
{
    const struct campaign *campaign = loading->campaign;
    if (campaign->teacher.from[0] == 0 && campaign->teacher.epochs == 0)
        COMPLAIN(loading, "teacher.epochs", "is 0, and there is no teacher.from to start from");
    if (campaign->teacher.from[0] && campaign->teacher.epochs > 0)
        COMPLAIN(loading, "teacher.epochs",
                 "teacher.from is given, so nothing is trained; remove one of the two");
}

static void check_notify(const struct loading *loading)
{
    const struct campaign *campaign = loading->campaign;
    if (campaign->notify_count > 0 && campaign->notify[0][0] == 0)
        COMPLAIN(loading, "notify", "the first word is the program, and may not be empty");
}

/* What the rows of the schema cannot see alone. */
static void check_whole(struct loading *loading)
{
    load_space_file(loading);
    check_names(loading);
    check_batch(loading);
    check_nodes(loading);
    check_helpers(loading);
    check_teacher(loading);
    if (loading->has_space)
        check_rows(loading);
    check_search(loading);
    check_notify(loading);
}

enum err campaign_load(const char *path, const struct campaign_override *overrides,
                       int override_count, struct campaign *campaign)
{
    enum err err = ERR_OK;
    struct yaml *yaml = NULL;
    struct campaign *made = mem_alloc(sizeof *made);
    struct loading *loading = mem_alloc(sizeof *loading);
    loading->errors = yaml_errors_create();
    loading->campaign = made;
    TRY(yaml_open(path, &yaml));
    for (int i = 0; i < override_count; i++)
        TRY(yaml_set(yaml, overrides[i].key, overrides[i].value));
    loading->root = yaml_root(yaml);
    bool is_map = schema_fill(campaign_schema(), loading->root, loading->errors, made);
    if (strlen(path) >= sizeof made->path)
        TRY(err_set(ERR_CONFIG, "%s: the path is longer than %zu characters", path,
                    sizeof made->path - 1));
    snprintf(made->path, sizeof made->path, "%s", path);
    if (is_map)
        check_whole(loading);
    TRY(yaml_errors_end(loading->errors));
    resolve(loading);
    *campaign = *made;
out:
    yaml_errors_destroy(loading->errors);
    mem_free(loading);
    mem_free(made);
    yaml_close(&yaml);
    return err;
}

enum err campaign_recall(const char *text, const struct space *space, struct campaign *campaign)
{
    enum err err = ERR_OK;
    struct yaml *yaml = NULL;
    struct loading *loading = mem_alloc(sizeof *loading);
    loading->errors = yaml_errors_create();
    loading->campaign = campaign;
    loading->space = *space;
    TRY(yaml_parse("the recorded campaign", text, strlen(text), &yaml));
    loading->root = yaml_root(yaml);
    schema_fill(campaign_schema(), loading->root, loading->errors, campaign);
    check_rows(loading);
    TRY(yaml_errors_end(loading->errors));
out:
    yaml_errors_destroy(loading->errors);
    mem_free(loading);
    yaml_close(&yaml);
    return err;
}

enum err campaign_target_choices(const struct target *target, const struct space *space,
                                 const struct schedule *schedule, struct open_choices *open)
{
    schedule_trained(schedule, space, open);
    return camera_device_narrow(&target->device, space, open);
}
