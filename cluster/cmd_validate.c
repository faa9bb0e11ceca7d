/* glowworm validate: a compiled bundle on a camera. */
#include "base/file.h"
#include "base/mem.h"
#include "base/text.h"
#include "camera/camera_module.h"
#include "cluster/command.h"
#include "cluster/interrupt.h"
#include "cluster/opened_bundle.h"
#include "cluster/validate/camera_place.h"
#include "cluster/validate/fit_verdicts.h"
#include "cluster/validate/simulator.h"
#include "cluster/validate/validation_run.h"
#include "cluster/validate/validation_text.h"
#include "cluster/validate/verdict_files.h"
#include "trainer/record/json_name.h"
#include "trainer/spec/campaign.h"
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { DEFAULT_IMAGES = 32 };

struct validate_options {
    struct validation_cfg cfg;
    const char *camera, *to;
    const char *target; /* of the run that is named instead of a bundle; NULL: none */
    char *bundle;       /* of that target; owned */
    char target_camera[CAMERA_TEXT];
    const char *device; /* of --fit; NULL: what the verdicts name */
    bool is_json, lists, restores, fits, keeps, overwrites;
};

/* On a terminal only: a log would have a line of each. */
static void show_progress(const char *what, size_t done, size_t all)
{
    fprintf(stderr, "\r%s: %zu of %zu%s", what, done, all, done == all ? "\n" : "");
}

static enum err take_number(int option, const char *value, struct validate_options *options)
{
    long images = 0;
    if (option == 'b')
        return text_to_double(value, 0.001, 1e6, &options->cfg.budget_ms) == ERR_OK
                   ? ERR_OK
                   : err_set(ERR_USAGE, "--budget is in milliseconds, not \"%s\"", value);
    if (text_to_int(value, 1, 100000, &images) != ERR_OK)
        return err_set(ERR_USAGE, "--images must be 1 to 100000, not \"%s\"", value);
    options->cfg.images = (int)images;
    return ERR_OK;
}

static enum err take_option(int option, const char *value, struct validate_options *options)
{
    switch (option) {
    case 'c':
        options->camera = value;
        return ERR_OK;
    case 'r':
        options->cfg.run = value;
        return ERR_OK;
    case 'T':
        options->target = value;
        return file_is_name(value)
                   ? ERR_OK
                   : err_set(ERR_USAGE, "--target %s: use letters, digits, - and _", value);
    case 't':
        options->to = value;
        return ERR_OK;
    case 'i':
    case 'b':
        return take_number(option, value, options);
    case 'f':
        options->cfg.memory = CAMERA_MEMORY_FLASH;
        return ERR_OK;
    case 'k':
        options->keeps = true;
        return ERR_OK;
    case 'o':
        options->overwrites = true;
        return ERR_OK;
    case 'l':
        options->lists = true;
        return ERR_OK;
    case 'p':
        options->restores = true;
        return ERR_OK;
    case 'F':
        options->fits = true;
        return ERR_OK;
    case 'd':
        options->device = value;
        return ERR_OK;
    case 'j':
        options->is_json = true;
        return ERR_OK;
    default:
        return err_set(ERR_USAGE, "unknown option");
    }
}

/* A network in DDR goes back where it was by itself; who writes to flash says what he wants. */
static enum err choose_existing(struct validate_options *options)
{
    if (options->keeps && options->overwrites)
        return err_set(ERR_USAGE, "--keep and --overwrite exclude each other");
    options->cfg.existing = options->overwrites ? FOUND_NETWORK_OVERWRITE
                            : options->keeps || options->cfg.memory != CAMERA_MEMORY_FLASH
                                ? FOUND_NETWORK_KEEP
                                : FOUND_NETWORK_REFUSE;
    return ERR_OK;
}

static enum err check_words(int words, char **argv, struct validate_options *options)
{
    if (options->fits)
        return words > 0 && options->to
                   ? ERR_OK
                   : err_set(ERR_USAGE, "--fit takes verdicts (validate.json), and --to FILE for "
                                        "the device's new file");
    if (options->lists || options->restores)
        return words == 0
                   ? ERR_OK
                   : err_set(ERR_USAGE, "--list and --restore take no bundle, not \"%s\"", argv[0]);
    if (words != 1)
        return err_set(ERR_USAGE, "name one bundle's folder, or a run's and --target NAME");
    if (!options->camera && !options->target)
        return err_set(ERR_USAGE, "name the camera with --camera (--list shows those that are "
                                  "there), or --camera simulated");
    options->cfg.bundle = argv[0];
    return choose_existing(options);
}

static enum err parse_options(int argc, char **argv, struct validate_options *options)
{
    static const struct option known[] = {{"camera", required_argument, NULL, 'c'},
                                          {"images", required_argument, NULL, 'i'},
                                          {"run", required_argument, NULL, 'r'},
                                          {"budget", required_argument, NULL, 'b'},
                                          {"to", required_argument, NULL, 't'},
                                          {"target", required_argument, NULL, 'T'},
                                          {"flash", no_argument, NULL, 'f'},
                                          {"keep", no_argument, NULL, 'k'},
                                          {"overwrite", no_argument, NULL, 'o'},
                                          {"list", no_argument, NULL, 'l'},
                                          {"restore", no_argument, NULL, 'p'},
                                          {"fit", no_argument, NULL, 'F'},
                                          {"device", required_argument, NULL, 'd'},
                                          {"json", no_argument, NULL, 'j'},
                                          {NULL, 0, NULL, 0}};
    enum err err = ERR_OK;
    options->cfg =
        (struct validation_cfg){.images = DEFAULT_IMAGES,
                                .memory = CAMERA_MEMORY_DDR,
                                .stop = interrupt_count(),
                                .progress = isatty(STDERR_FILENO) ? show_progress : NULL};
    optind = 0; /* from the start, whoever parsed before */
    for (int option; (option = getopt_long(argc, argv, "", known, NULL)) != -1;)
        TRY(take_option(option, optarg, options));
    TRY(check_words(argc - optind, argv + optind, options));
out:
    return err;
}

static const struct target *find_target(const struct campaign *campaign, const char *name)
{
    for (int t = 0; t < campaign->target_count; t++)
        if (strcmp(campaign->targets[t].name, name) == 0)
            return &campaign->targets[t];
    return NULL;
}

/* As the stage of the campaign does it. */
static enum err take_campaign(struct validate_options *options)
{
    enum err err = ERR_OK;
    const char *run = options->cfg.bundle;
    char *path = file_join(run, "campaign.yaml"), *bundles = file_join(run, "bundles");
    struct campaign *campaign = mem_alloc(sizeof *campaign);
    TRY(campaign_load(path, NULL, 0, campaign));
    const struct target *target = find_target(campaign, options->target);
    if (!target)
        TRY(err_set(ERR_USAGE, "the campaign has no target %s", options->target));
    snprintf(options->target_camera, sizeof options->target_camera, "%s", target->camera);
    options->camera = options->camera ? options->camera : options->target_camera;
    if (!options->camera[0])
        TRY(err_set(ERR_USAGE, "target %s names no camera: say which with --camera",
                    options->target));
    if (options->cfg.budget_ms == 0)
        options->cfg.budget_ms = target->latency_ms_max;
    options->bundle = file_join(bundles, options->target);
    options->cfg.bundle = options->bundle;
    options->cfg.run = run;
out:
    mem_free(campaign);
    mem_free(bundles);
    mem_free(path);
    return err;
}

static struct verdict_files files_of(const struct validate_options *options,
                                     const struct validation *validation)
{
    return options->to
               ? (struct verdict_files){options->to, NULL}
               : (struct verdict_files){options->cfg.bundle, validation->check.images.run
                                                                 ? validation->check.images.run
                                                                 : options->cfg.run};
}

/* On standard output first, where nothing hinders it; then validate.json and validate.html. */
static enum err tell(const struct validation *validation, const struct validate_options *options)
{
    struct verdict_files files = files_of(options, validation);
    json_t *json = validation_json(validation);
    char *text = json_dumps(json, JSON_INDENT(2) | JSON_REAL_PRECISION(9));
    if (!text)
        BUG("a validation without its JSON");
    if (options->is_json)
        printf("%s\n", text);
    else
        validation_print(validation);
    fflush(stdout);
    enum err err = verdict_files_write(&files, text, validation);
    free(text);
    json_decref(json);
    return err;
}

static enum err open_and_measure(struct camera_place *place, struct validation *validation,
                                 struct camera **camera)
{
    enum err err = camera_place_open(place, validation->check.bundle.shape.channels, camera);
    if (err != ERR_OK)
        return err;
    validation->cfg.id = place->id;
    if (place->starts_simulator) /* what is found on it ends with it */
        validation->cfg.state = place->simulator.folder;
    return validation_measure(validation, *camera);
}

/* What an earlier validation said is void once this one begins, whatever becomes of it, and where
 * the bundle is not what it was. */
static enum err measure(const struct validate_options *options, struct camera_place *place,
                        struct validation *validation, struct camera **camera)
{
    enum err err = validation_prepare(&options->cfg, validation);
    struct verdict_files files = files_of(options, validation);
    if (err == ERR_DATA && validation->check.list)
        return verdict_files_fail(&files, err);
    if (err == ERR_OK)
        err = verdict_files_void(&files, "it was begun, and did not come to its end");
    if (err != ERR_OK)
        return err;
    err = open_and_measure(place, validation, camera);
    return err == ERR_OK || validation->is_judged ? err : verdict_files_fail(&files, err);
}

/* Told though the camera could not be put back, which stays what went wrong. */
static enum err tell_verdict(const struct validation *validation,
                             const struct validate_options *options, enum err why)
{
    char text[2048];
    if (!validation->is_judged)
        return why;
    snprintf(text, sizeof text, "%s", why == ERR_OK ? "" : err_text());
    enum err err = tell(validation, options);
    return why == ERR_OK ? err : err_set(why, "%s", text);
}

static enum err validate(struct validate_options *options, struct validation *validation)
{
    enum err err = ERR_OK;
    struct camera_place place = {0};
    struct camera *camera = NULL;
    char *state = NULL;
    if (options->target)
        TRY(take_campaign(options));
    if (!options->to)
        TRY(opened_bundle_check_writable(options->cfg.bundle, "say where else with --to FOLDER"));
    TRY(camera_place_parse(options->camera, &place));
    TRY(camera_place_state(&state));
    options->cfg.state = state;
    options->cfg.is_simulated = place.is_simulated;
    TRY(tell_verdict(validation, options, measure(options, &place, validation, &camera)));
    /* on a terminal the reasons stand above already */
    bool is_told = isatty(STDOUT_FILENO) && !options->is_json;
    if (validation->verdict.failures > 0)
        TRY(err_set(ERR_FAILED, "%s does not pass on the camera%s%s", options->cfg.bundle,
                    is_told ? "" : ": ", is_told ? "" : validation->verdict.failure[0]));
out:
    camera_close(&camera);
    camera_place_fini(&place);
    mem_free(state);
    return err;
}

enum err cmd_validate(int argc, char **argv)
{
    enum err err = ERR_OK;
    struct validate_options options = {0};
    struct validation *validation = mem_alloc(sizeof *validation);
    TRY(parse_options(argc, argv, &options));
    interrupt_watch();
    if (options.fits)
        TRY(fit_verdicts(&(struct fit_cfg){(const char *const *)argv + optind, argc - optind,
                                           options.device, options.to}));
    else if (options.lists)
        TRY(camera_place_list(options.is_json));
    else if (options.restores)
        TRY(camera_place_restore(options.camera));
    else
        TRY(validate(&options, validation));
out:
    validation_fini(validation);
    mem_free(validation);
    mem_free(options.bundle);
    return err;
}
