/* glowworm space show|count|cost: what a search space consists of, how many sub-networks it has and
 * what they cost. */
#include "base/text.h"
#include "cluster/command.h"
#include "cluster/space_csv.h"
#include "trainer/spec/lookup.h"
#include <getopt.h>
#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SOME_CLASSES 1000 /* where the number of classes was not said: ImageNet's */

struct request { /* the command line of all three */
    const char *space;
    double width;
    long classes, channels, resolution;
    const char *subnet, *csv;
    bool has_json;
};

static enum err read_options(int argc, char **argv, struct request *request)
{
    static const struct option options[] = {{"subnet", required_argument, NULL, 's'},
                                            {"width", required_argument, NULL, 'w'},
                                            {"classes", required_argument, NULL, 'c'},
                                            {"channels", required_argument, NULL, 'n'},
                                            {"resolution", required_argument, NULL, 'r'},
                                            {"csv", required_argument, NULL, 'f'},
                                            {"json", no_argument, NULL, 'j'},
                                            {NULL, 0, NULL, 0}};
    enum err err = ERR_OK;
    *request = (struct request){.width = 1, .classes = SOME_CLASSES, .channels = 3};
    for (int option; (option = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        if (option == 's')
            request->subnet = optarg;
        else if (option == 'f')
            request->csv = optarg;
        else if (option == 'j')
            request->has_json = true;
        else if (option == 'w')
            TRY(text_to_double(optarg, 0.1, 4, &request->width));
        else if (option == 'c')
            TRY(text_to_int(optarg, 1, 100000, &request->classes));
        else if (option == 'n')
            TRY(text_to_int(optarg, 1, 3, &request->channels));
        else if (option == 'r')
            TRY(text_to_int(optarg, 1, 4096, &request->resolution));
        else
            TRY(err_set(ERR_USAGE, "that option is not known, or lacks its value"));
    }
    if (argc - optind != 1)
        TRY(err_set(ERR_USAGE, "name one space: configs/spaces/<name>.yaml by name or path"));
    request->space = argv[optind];
    if (request->csv && (request->subnet || request->has_json))
        TRY(err_set(ERR_USAGE, "--csv goes with neither --subnet nor --json"));
out:
    if (err == ERR_DATA) /* a number of the command line */
        err = err_prefix(ERR_USAGE, "an option's number");
    return err;
}

static enum err open_space(int argc, char **argv, struct request *request, struct space *space)
{
    enum err err = ERR_OK;
    char path[1024];
    TRY(read_options(argc, argv, request));
    TRY(lookup_find(request->space, "spaces", NULL, path, sizeof path));
    TRY(space_load(path, request->width, (int)request->classes, (int)request->channels, space));
out:
    return err;
}

static void print_json(json_t *object)
{
    char *text = json_dumps(object, JSON_INDENT(2) | JSON_PRESERVE_ORDER | JSON_REAL_PRECISION(15));
    if (text)
        puts(text);
    free(text);
    json_decref(object);
}

static const char *act_name(enum act act)
{
    static const char *const names[] = {"none", "relu", "relu6", "hswish"};
    return names[act];
}

static void list_ints(const int *value, int count, const char *comma, struct text *text)
{
    for (int i = 0; i < count; i++)
        text_add(text, "%s%d", i ? comma : "", value[i]);
}

/* "128..224 step 4" where that says it all. */
static void list_resolutions(const struct space *space, struct text *text)
{
    const int *sides = space->resolutions, count = space->resolution_count;
    bool is_even = count > 2;
    for (int i = 2; i < count; i++)
        is_even = is_even && sides[i] - sides[i - 1] == sides[1] - sides[0];
    if (is_even)
        text_add(text, "%d..%d step %d", sides[0], sides[count - 1], sides[1] - sides[0]);
    else
        list_ints(sides, count, " ", text);
}

/* "24/32/40": middle widths of a block by expansion. */
static void list_middles(const struct space *space, int block, struct text *text)
{
    for (int e = 0; e < space->expansions.count; e++)
        text_add(text, "%s%d", e ? "/" : "",
                 space_middle(&space->blocks[block], space->expansions.value[e]));
}

static void print_stage(const struct space *space, int index)
{
    const struct stage *stage = &space->stages[index];
    struct text depth, first, rest;
    text_init(&depth);
    text_init(&first);
    text_init(&rest);
    if (stage->is_elastic)
        list_ints(space->depths.value, space->depths.count, "/", &depth);
    else
        text_add(&depth, "%d", stage->block_count);
    list_middles(space, stage->first_block, &first);
    if (stage->block_count > 1)
        list_middles(space, stage->first_block + 1, &rest);
    printf("stage %-6d %-8s %6d  %-7s %-3s %6d  %-16s %s\n", index + 1, text_get(&depth),
           stage->stride, act_name(stage->act), stage->has_se ? "yes" : "no", stage->width,
           text_get(&first), text_get(&rest));
    text_fini(&depth);
    text_fini(&first);
    text_fini(&rest);
}

static const char *padding_name(const struct space *space)
{
    return space->padding == PAD_SAME ? "tf" : "symmetric";
}

static void print_part(const char *name, const char *stride, enum act act, int width)
{
    printf("%-12s %-8s %6s  %-7s %-3s %6d\n", name, "1", stride, act_name(act), "no", width);
}

static void print_space(const struct space *space)
{
    struct text lists;
    char stem[8], first[8];
    text_init(&lists);
    list_ints(space->kernels.value, space->kernels.count, "/", &lists);
    text_add(&lists, ", expansions ");
    list_ints(space->expansions.value, space->expansions.count, "/", &lists);
    text_add(&lists, ", depths ");
    list_ints(space->depths.value, space->depths.count, "/", &lists);
    text_add(&lists, ", resolutions ");
    list_resolutions(space, &lists);
    printf("space %s, width %g, %d classes, %d input channels; batch norm eps %g, dropout %g, "
           "padding %s\n",
           space->name, space->width_multiplier, space->classes, space->channels, space->norm_eps,
           space->dropout, padding_name(space));
    printf("kernels %s\n\n", text_get(&lists));
    printf("%-12s %-8s %6s  %-7s %-3s %6s  %-16s %s\n", "part", "blocks", "stride", "act", "se",
           "width", "middle, first", "middle, others");
    snprintf(stem, sizeof stem, "%d", space->stem_stride);
    snprintf(first, sizeof first, "%d", space->first_stride);
    print_part("stem 3x3", stem, space->stem_act, space->stem_width);
    print_part("first 3x3", first, space->first_act, space->first_width);
    for (int i = 0; i < space->stage_count; i++)
        print_stage(space, i);
    if (space->expand_width > 0)
        print_part("expand 1x1", "1", space->expand_act, space->expand_width);
    if (space->mix_width > 0)
        print_part("mix", "-", space->mix_act, space->mix_width);
    print_part("classifier", "-", ACT_NONE, space->classes);
    text_fini(&lists);
}

static json_t *json_ints(const int *value, int count)
{
    json_t *list = json_array();
    for (int i = 0; i < count; i++)
        json_array_append_new(list, json_integer(value[i]));
    return list;
}

static json_t *stage_json(const struct space *space, int index)
{
    const struct stage *stage = &space->stages[index];
    int all[1] = {stage->block_count};
    json_t *depths =
        stage->is_elastic ? json_ints(space->depths.value, space->depths.count) : json_ints(all, 1);
    return json_pack("{s:i, s:i, s:s, s:b, s:o}", "width", stage->width, "stride", stage->stride,
                     "act", act_name(stage->act), "se", stage->has_se, "depths", depths);
}

static json_t *space_json(const struct space *space)
{
    json_t *stages = json_array();
    for (int i = 0; i < space->stage_count; i++)
        json_array_append_new(stages, stage_json(space, i));
    json_t *object =
        json_pack("{s:s, s:f, s:i, s:i, s:f, s:f}", "space", space->name, "width",
                  space->width_multiplier, "classes", space->classes, "channels", space->channels,
                  "norm_eps", space->norm_eps, "dropout", space->dropout);
    json_object_set_new(object, "padding", json_string(padding_name(space)));
    json_object_set_new(object, "divisor", json_integer(space->divisor));
    json_object_set_new(object, "kernels", json_ints(space->kernels.value, space->kernels.count));
    json_object_set_new(object, "expansions",
                        json_ints(space->expansions.value, space->expansions.count));
    json_object_set_new(object, "depths", json_ints(space->depths.value, space->depths.count));
    json_object_set_new(object, "resolutions",
                        json_ints(space->resolutions, space->resolution_count));
    json_object_set_new(object, "stem",
                        json_pack("{s:i, s:i, s:s}", "width", space->stem_width, "stride",
                                  space->stem_stride, "act", act_name(space->stem_act)));
    json_object_set_new(object, "first",
                        json_pack("{s:i, s:i, s:s, s:b}", "width", space->first_width, "stride",
                                  space->first_stride, "act", act_name(space->first_act),
                                  "shortcut", space->first_has_shortcut));
    json_object_set_new(object, "stages", stages);
    json_object_set_new(object, "head",
                        json_pack("{s:i, s:s, s:i, s:s}", "expand", space->expand_width,
                                  "expand_act", act_name(space->expand_act), "mix",
                                  space->mix_width, "mix_act", act_name(space->mix_act)));
    return object;
}

enum err cmd_space_show(int argc, char **argv)
{
    enum err err = ERR_OK;
    struct request request;
    struct space space;
    TRY(open_space(argc, argv, &request, &space));
    if (request.has_json)
        print_json(space_json(&space));
    else
        print_space(&space);
out:
    return err;
}

enum err cmd_space_count(int argc, char **argv)
{
    enum err err = ERR_OK;
    struct request request;
    struct space space;
    struct text digits;
    text_init(&digits);
    TRY(open_space(argc, argv, &request, &space));
    space_count(&space, &digits);
    if (request.has_json) /* the exact number as text: it is beyond what JSON readers keep */
        print_json(json_pack("{s:s, s:s, s:i}", "space", space.name, "subnets", text_get(&digits),
                             "resolutions", space.resolution_count));
    else
        printf("%s: %s sub-networks (%.4g), each at %d resolution%s\n", space.name,
               text_get(&digits), strtod(text_get(&digits), NULL), space.resolution_count,
               space.resolution_count == 1 ? "" : "s");
out:
    text_fini(&digits);
    return err;
}

static void print_cost(const struct space *space, const struct subnet *subnet, const char *name)
{
    struct cost cost = cost_of(space, subnet);
    struct text text;
    text_init(&text);
    subnet_format(space, subnet, &text);
    printf("%-9s %12lld %10lld %10lld  %s\n", name, (long long)cost.macs,
           (long long)cost.parameters, (long long)cost.map_elements, text_get(&text));
    text_fini(&text);
}

static json_t *cost_json(const struct space *space, const struct subnet *subnet)
{
    struct cost cost = cost_of(space, subnet);
    struct text text;
    text_init(&text);
    subnet_format(space, subnet, &text);
    json_t *object = json_pack("{s:s, s:I, s:I, s:I}", "subnet", text_get(&text), "macs",
                               (json_int_t)cost.macs, "params", (json_int_t)cost.parameters,
                               "map_elements", (json_int_t)cost.map_elements);
    text_fini(&text);
    return object;
}

/* One sub-network, or the biggest and the smallest when none was named. */
static enum err show_costs(const struct request *request, const struct space *space)
{
    enum err err = ERR_OK;
    const char *texts[2] = {"biggest", "smallest"};
    struct subnet subnets[2];
    int count = request->subnet ? 1 : 2;
    if (request->subnet)
        texts[0] = request->subnet;
    for (int i = 0; i < count; i++) {
        TRY(subnet_parse(space, texts[i], &subnets[i]));
        if (request->resolution > 0 && subnets[i].resolution > 0 &&
            subnets[i].resolution != request->resolution)
            TRY(err_set(ERR_USAGE, "--resolution %ld and r=%d disagree", request->resolution,
                        subnets[i].resolution));
        if (request->resolution > 0)
            subnets[i].resolution = (int)request->resolution;
        if (subnets[i].resolution == 0)
            subnets[i].resolution = space->resolutions[space->resolution_count - 1];
    }
    if (request->has_json) {
        json_t *list = json_array();
        for (int i = 0; i < count; i++)
            json_array_append_new(list, cost_json(space, &subnets[i]));
        print_json(list);
        goto out;
    }
    printf("%-9s %12s %10s %10s  %s\n", "", "macs", "params", "map floats", "sub-network");
    for (int i = 0; i < count; i++)
        print_cost(space, &subnets[i], request->subnet ? "" : texts[i]);
out:
    return err;
}

enum err cmd_space_cost(int argc, char **argv)
{
    enum err err = ERR_OK;
    struct request request;
    struct space space;
    struct text csv;
    text_init(&csv);
    TRY(open_space(argc, argv, &request, &space));
    if (!request.csv) {
        TRY(show_costs(&request, &space));
    } else {
        TRY(space_csv_count(request.csv, &space, (int)request.resolution, &csv));
        fputs(text_get(&csv), stdout);
    }
out:
    text_fini(&csv);
    return err;
}
