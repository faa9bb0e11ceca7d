/* glowworm dataset check: which images of a data set a person should look at. */
#include "base/file.h"
#include "base/mem.h"
#include "cluster/apart.h"
#include "cluster/command.h"
#include "cluster/dataset_words.h"
#include "cluster/quality/quality_check.h"
#include "trainer/data/image_file.h"
#include <getopt.h>
#include <stdio.h>
#include <unistd.h>

struct check_options {
    struct quality_check_cfg cfg;
    const char *output; /* NULL: beside the data set */
    bool wants_json;
};

/* On a terminal only: a log would have a line of each. */
static void show_progress(uint32_t done, uint32_t all)
{
    if (done % 100 == 0 || done == all)
        fprintf(stderr, "\rlooking: %u of %u images%s", done, all, done == all ? "\n" : "");
}

static enum err parse_options(int argc, char **argv, struct check_options *options)
{
    static const struct option known[] = {{"run", required_argument, NULL, 'r'},
                                          {"target", required_argument, NULL, 'T'},
                                          {"confidence", required_argument, NULL, 'c'},
                                          {"output", required_argument, NULL, 'o'},
                                          {"json", no_argument, NULL, 'j'},
                                          {NULL, 0, NULL, 0}};
    enum err err = ERR_OK;
    optind = 0;
    opterr = 0;
    options->cfg.progress = isatty(STDERR_FILENO) ? show_progress : NULL;
    for (int option; (option = getopt_long(argc, argv, "", known, NULL)) != -1;) {
        if (option == '?')
            TRY(err_set(ERR_USAGE, "an unknown option, or one without its value"));
        if (option == 'r')
            options->cfg.run = optarg;
        if (option == 'T')
            options->cfg.target = optarg;
        if (option == 'c' && text_to_double(optarg, 0, 1, &options->cfg.confidence) != ERR_OK)
            TRY(err_set(ERR_USAGE, "--confidence must be 0 to 1, not \"%s\"", optarg));
        if (option == 'o')
            options->output = optarg;
        options->wants_json |= option == 'j';
    }
    if (argc - optind != 1)
        TRY(err_set(ERR_USAGE, "the path of one dataset is needed"));
    if (options->cfg.target && !options->cfg.run)
        TRY(err_set(ERR_USAGE, "--target names a network of a run: --run RUN"));
    options->cfg.path = argv[optind];
out:
    return err;
}

/* DATASET.check.html: returns owned. */
static char *page_beside(const char *dataset)
{
    struct text path;
    char *plain = file_without_slash(dataset);
    text_init(&path);
    text_add(&path, "%s.check.html", plain);
    char *page = mem_string(text_get(&path));
    text_fini(&path);
    mem_free(plain);
    return page;
}

static void print_counts(const struct quality_check *check, const char *page)
{
    printf("%s: %u images\n", dataset_path(check->dataset), check->count);
    for (int kind = check->network ? 0 : FINDING_MISLABELLED + 1; kind < FINDING_KINDS; kind++)
        printf("  %-12s %8u\n", finding_names[kind], check->findings[kind].count);
    printf("  %-12s %8u groups, %u of them across splits\n", "alike", check->groups,
           check->crossing);
    printf("to look at: %s\n", page);
}

static enum err tell(const struct check_options *options, const struct quality_check *check)
{
    enum err err = ERR_OK;
    struct text html;
    json_t *json = NULL;
    char *page = options->output ? mem_string(options->output) : page_beside(options->cfg.path);
    text_init(&html);
    TRY(quality_page(check, &html));
    TRY(file_write(page, text_get(&html), html.size));
    if (options->wants_json) {
        TRY(quality_json(check, &json));
        dataset_print_json(json);
    } else {
        print_counts(check, page);
    }
out:
    text_fini(&html);
    mem_free(page);
    return err;
}

static enum err check_and_tell(void *own)
{
    const struct check_options *options = own;
    enum err err = ERR_OK;
    struct quality_check check = {.count = 0};
    TRY(image_file_start());
    TRY(quality_check_run(&options->cfg, &check));
    TRY(tell(options, &check));
out:
    quality_check_fini(&check);
    return err;
}

enum err cmd_dataset_check(int argc, char **argv)
{
    enum err err = ERR_OK;
    struct check_options options = {.cfg = {.confidence = QUALITY_CONFIDENT}};
    TRY(parse_options(argc, argv, &options));
    TRY(apart(check_and_tell, &options, options.cfg.path));
out:
    return err;
}
