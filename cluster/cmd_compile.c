/* glowworm compile: camera bundles from a run's final weights. */
#include "base/fence.h"
#include "base/file.h"
#include "base/mem.h"
#include "cluster/command.h"
#include "cluster/json_file.h"
#include "cluster/probes.h"
#include "cluster/report.h"
#include "scheduler/protocol.h"
#include "trainer/compile.h"
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_SEARCH ((size_t)256 << 20)

struct compile_options {
    const char *run;    /* the folder */
    const char *target; /* NULL: every target of the campaign */
    const char *subnet; /* NULL: what the search chose */
    const char *device; /* of --subnet; NULL: the first target's */
    const char *folder; /* of --subnet or --probes */
    const char *probes; /* a device whose rules are to be tried; NULL: none, a run is compiled */
};

static enum err parse_options(int argc, char **argv, struct compile_options *options)
{
    static const struct option known[] = {
        {"target", required_argument, NULL, 't'}, {"subnet", required_argument, NULL, 's'},
        {"device", required_argument, NULL, 'd'}, {"to", required_argument, NULL, 'o'},
        {"probes", required_argument, NULL, 'p'}, {NULL, 0, NULL, 0}};
    for (int option; (option = getopt_long(argc, argv, "", known, NULL)) != -1;) {
        const char **value = option == 't'   ? &options->target
                             : option == 's' ? &options->subnet
                             : option == 'd' ? &options->device
                             : option == 'o' ? &options->folder
                             : option == 'p' ? &options->probes
                                             : NULL;
        if (!value)
            return err_set(ERR_USAGE, "unknown option");
        *value = optarg;
    }
    if (options->probes)
        return argc == optind && options->folder && !options->subnet && !options->target &&
                       !options->device
                   ? ERR_OK
                   : err_set(ERR_USAGE, "--probes DEVICE takes --to FOLDER, and nothing else");
    if (argc - optind != 1)
        return err_set(ERR_USAGE, "name one run's folder");
    options->run = argv[optind];
    if ((options->subnet != NULL) != (options->folder != NULL))
        return err_set(ERR_USAGE, "--subnet and --to FOLDER go together");
    if (options->target && !file_is_name(options->target))
        return err_set(ERR_USAGE, "--target %s: use letters, digits, - and _", options->target);
    return ERR_OK;
}

/* The sub-network the search chose for a target. */
static enum err find_choice(const struct workbench *bench, const char *target,
                            struct subnet *subnet)
{
    enum err err = ERR_OK;
    char *path = file_join(bench->folder, "results/search.json");
    json_t *search = NULL;
    err = json_file_read(path, MAX_SEARCH, &search);
    if (err == ERR_NOT_FOUND)
        err_set(err, "there is no %s: the search has to be done before a target is compiled", path);
    TRY(err);
    const char *found = run_results_choice(search, target);
    if (!found)
        TRY(err_set(ERR_NOT_FOUND,
                    "%s chose nothing for target %s: name one of its targets, or a sub-network by "
                    "--subnet",
                    path, target));
    TRY(subnet_parse(&bench->blueprint.space, found, subnet));
out:
    json_decref(search);
    mem_free(path);
    return err;
}

static enum err compile_target(struct workbench *bench, const struct target *target)
{
    enum err err = ERR_OK;
    struct subnet subnet;
    char *bundles = file_join(bench->folder, "bundles"), *folder = file_join(bundles, target->name);
    TRY(find_choice(bench, target->name, &subnet));
    TRY(file_make_folders(bundles));
    struct compile_request request = {target->name, folder, &target->device, &subnet,
                                      target->latency_ms_max};
    TRY(compile_subnet(bench, &request));
    printf("%s\n", folder);
out:
    mem_free(folder);
    mem_free(bundles);
    return err;
}

static enum err compile_given(struct workbench *bench, const struct compile_options *options)
{
    enum err err = ERR_OK;
    struct subnet subnet;
    struct camera_device device;
    if (options->device)
        TRY(camera_device_load(options->device, &device));
    else if (bench->blueprint.campaign->target_count > 0)
        device = bench->blueprint.campaign->targets[0].device;
    else
        TRY(err_set(ERR_USAGE, "the campaign has no targets: say --device NAME"));
    TRY(subnet_parse(&bench->blueprint.space, options->subnet, &subnet));
    if (subnet.resolution == 0)
        subnet.resolution =
            bench->blueprint.space.resolutions[bench->blueprint.space.resolution_count - 1];
    struct compile_request request = {options->target ? options->target : "subnet", options->folder,
                                      &device, &subnet, 0};
    TRY(compile_subnet(bench, &request));
    printf("%s\n", options->folder);
out:
    return err;
}

static enum err compile_targets(struct workbench *bench, const char *only)
{
    enum err err = ERR_OK;
    int done = 0;
    for (int t = 0; t < bench->blueprint.campaign->target_count; t++) {
        if (only && strcmp(only, bench->blueprint.campaign->targets[t].name) != 0)
            continue;
        TRY(compile_target(bench, &bench->blueprint.campaign->targets[t]));
        done++;
    }
    if (done == 0)
        TRY(err_set(ERR_USAGE, "the campaign has no target %s (search.targets names them)",
                    only ? only : "at all"));
out:
    return err;
}

/* Without a run: what the device's table says is enough. */
static enum err write_probes(const struct compile_options *options)
{
    enum err err = ERR_OK;
    struct camera_device *device = mem_alloc(sizeof *device);
    TRY(camera_device_load(options->probes, device));
    TRY(probes_write(device, options->folder));
    printf("%s\n", options->folder);
out:
    mem_free(device);
    return err;
}

static enum err compile_run(const struct compile_options *options)
{
    enum err err = ERR_OK;
    struct campaign *campaign = mem_alloc(sizeof *campaign);
    struct comm comm;
    struct workbench *bench = NULL;
    char *path = file_join(options->run, "campaign.yaml");
    comm_alone(&comm);
    TRY(campaign_load(path, NULL, 0, campaign));
    struct workbench_cfg cfg = {.campaign = campaign,
                                .folder = options->run,
                                .stores = getenv(PROTOCOL_STORES),
                                .claim = fence_given_claim(),
                                .comm = &comm,
                                .precision = COMPILE_PRECISION,
                                .only_reads = true};
    TRY(workbench_open(&cfg, &bench));
    if (options->subnet)
        TRY(compile_given(bench, options));
    else
        TRY(compile_targets(bench, options->target));
out:
    workbench_close(&bench);
    mem_free(path);
    mem_free(campaign);
    return err;
}

enum err cmd_compile(int argc, char **argv)
{
    struct compile_options options = {0};
    enum err err = parse_options(argc, argv, &options);
    if (err != ERR_OK)
        return err;
    return options.probes ? write_probes(&options) : compile_run(&options);
}
