/* glowworm check: a compiled bundle in the camera's arithmetic. */
#include "base/fence.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/processors.h"
#include "cluster/check/check_run.h"
#include "cluster/check/check_text.h"
#include "cluster/command.h"
#include "cluster/opened_bundle.h"
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { DEFAULT_IMAGES = 500, DEFAULT_LOSS = 1 }; /* as the campaign's */

struct check_options {
    struct bundle_check_cfg cfg;
    const char *target; /* of the run that is named instead of a bundle; NULL: none */
    char *bundle;       /* of that target; owned */
    bool is_json;
};

/* On a terminal only: a log would have a line of each. */
static void show_progress(int done, int all)
{
    fprintf(stderr, "\rchecking: %d of %d images%s", done, all, done == all ? "\n" : "");
}

static enum err parse_number(const char *name, const char *text, long most, int *value)
{
    long number = 0;
    if (text_to_int(text, 1, most, &number) != ERR_OK)
        return err_set(ERR_USAGE, "--%s must be 1 to %ld, not \"%s\"", name, most, text);
    *value = (int)number;
    return ERR_OK;
}

static enum err take_option(int option, const char *value, struct check_options *options)
{
    switch (option) {
    case 'i':
        return parse_number("images", value, 1000000, &options->cfg.images);
    case 't':
        return parse_number("threads", value, 1024, &options->cfg.threads);
    case 'r':
        options->cfg.run = value;
        return ERR_OK;
    case 'T':
        options->target = value;
        return file_is_name(value)
                   ? ERR_OK
                   : err_set(ERR_USAGE, "--target %s: use letters, digits, - and _", value);
    case 'j':
        options->is_json = true;
        return ERR_OK;
    case 'l':
        return text_to_double(value, 0, 100, &options->cfg.loss_max) == ERR_OK
                   ? ERR_OK
                   : err_set(ERR_USAGE, "--loss must be 0 to 100 points, not \"%s\"", value);
    default:
        return err_set(ERR_USAGE, "unknown option");
    }
}

static enum err parse_options(int argc, char **argv, struct check_options *options)
{
    static const struct option known[] = {{"images", required_argument, NULL, 'i'},
                                          {"threads", required_argument, NULL, 't'},
                                          {"run", required_argument, NULL, 'r'},
                                          {"loss", required_argument, NULL, 'l'},
                                          {"json", no_argument, NULL, 'j'},
                                          {"target", required_argument, NULL, 'T'},
                                          {NULL, 0, NULL, 0}};
    enum err err = ERR_OK;
    options->cfg = (struct bundle_check_cfg){
        .loss_max = -1, .progress = isatty(STDERR_FILENO) ? show_progress : NULL};
    optind = 0; /* from the start, whoever parsed before */
    for (int option; (option = getopt_long(argc, argv, "", known, NULL)) != -1;)
        TRY(take_option(option, optarg, options));
    if (argc - optind != 1)
        TRY(err_set(ERR_USAGE, "name one bundle's folder, or a run's and --target NAME"));
    options->cfg.bundle = argv[optind];
out:
    return err;
}

/* What was not given. */
static void set_defaults(int images, int threads, double loss_max, struct bundle_check_cfg *cfg)
{
    cfg->images = cfg->images ? cfg->images : images;
    cfg->threads = cfg->threads ? cfg->threads : threads;
    cfg->loss_max = cfg->loss_max >= 0 ? cfg->loss_max : loss_max;
}

/* As the stage of the campaign does it. */
static enum err take_campaign(struct check_options *options)
{
    enum err err = ERR_OK;
    const char *run = options->cfg.bundle;
    char *path = file_join(run, "campaign.yaml"), *bundles = file_join(run, "bundles");
    struct campaign *campaign = mem_alloc(sizeof *campaign);
    TRY(campaign_load(path, NULL, 0, campaign));
    set_defaults(campaign->check.images, campaign->resources.threads, campaign->check.loss_max,
                 &options->cfg);
    options->bundle = file_join(bundles, options->target);
    options->cfg.bundle = options->bundle;
    options->cfg.run = run;
out:
    mem_free(campaign);
    mem_free(bundles);
    mem_free(path);
    return err;
}

static enum err write_part(const char *bundle, const char *name, const char *bytes, size_t size)
{
    char *path = file_join(bundle, name);
    enum err err = file_write(path, bytes, size);
    mem_free(path);
    return err;
}

/* On standard output first, where nothing hinders it; then check.json and check.html of the bundle.
 */
static enum err tell_check(const struct bundle_check *check, bool is_json)
{
    enum err err = ERR_OK;
    struct text html;
    json_t *json = check_json(check);
    char *text = json_dumps(json, JSON_INDENT(2) | JSON_REAL_PRECISION(9));
    text_init(&html);
    if (!text)
        BUG("a check without its JSON");
    check_page(check, &html);
    if (is_json)
        printf("%s\n", text);
    else
        check_print(check);
    fflush(stdout);
    if (check->images.run)
        TRY(fence_check(&(struct fence){check->images.run, fence_given_claim()}));
    TRY(write_part(check->cfg.bundle, "check.json", text, strlen(text)));
    TRY(write_part(check->cfg.bundle, "check.html", text_get(&html), html.size));
out:
    text_fini(&html);
    free(text);
    json_decref(json);
    return err;
}

/* One that failed with `err` leaves no earlier verdict behind, which would be believed. */
static enum err remove_verdict(const struct bundle_check *check, enum err err)
{
    static const char *const names[] = {"check.json", "check.html"};
    const char *run = check->images.run ? check->images.run : check->cfg.run;
    char *why = mem_string(err_text());
    bool is_ours = !run || fence_check(&(struct fence){run, fence_given_claim()}) == ERR_OK;
    for (int n = 0; n < 2 && is_ours && check->list; n++) {
        char *path = file_join(check->cfg.bundle, names[n]);
        unlink(path);
        mem_free(path);
    }
    err = err_set(err, "%s", why);
    mem_free(why);
    return err;
}

enum err cmd_check(int argc, char **argv)
{
    enum err err = ERR_OK;
    struct check_options options = {0};
    struct bundle_check *check = mem_alloc(sizeof *check);
    TRY(parse_options(argc, argv, &options));
    if (options.target)
        TRY(take_campaign(&options));
    TRY(opened_bundle_check_writable(options.cfg.bundle, "copy the bundle, and check the copy"));
    set_defaults(DEFAULT_IMAGES, processors_allowed(), DEFAULT_LOSS, &options.cfg);
    err = bundle_check_run(&options.cfg, check);
    if (err != ERR_OK)
        TRY(remove_verdict(check, err));
    TRY(tell_check(check, options.is_json));
    if (json_array_size(check->failures) > 0)
        TRY(err_set(ERR_FAILED, "%s does not pass: %s", options.cfg.bundle,
                    json_string_value(json_array_get(check->failures, 0))));
out:
    bundle_check_fini(check);
    mem_free(check);
    mem_free(options.bundle);
    return err;
}
