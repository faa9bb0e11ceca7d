#include "cluster/campaign_run.h"
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/published.h"
#include "base/text.h"
#include "cluster/apart.h"
#include "trainer/data/dataset.h"
#include <getopt.h>
#include <stdio.h>
#include <string.h>

static enum err add_override(struct campaign_options *options, const char *key, const char *value)
{
    if (options->override_count == CAMPAIGN_RUN_MAX_OVERRIDES)
        return err_set(ERR_USAGE, "more than %d --set options", CAMPAIGN_RUN_MAX_OVERRIDES);
    options->overrides[options->override_count++] = (struct campaign_override){key, value};
    return ERR_OK;
}

static enum err add_assignment(struct campaign_options *options, char *text)
{
    char *equals = strchr(text, '=');
    if (!equals || equals == text)
        return err_set(ERR_USAGE, "--set takes KEY=VALUE, e.g. --set teacher.epochs=5, not \"%s\"",
                       text);
    *equals = '\0';
    if (strcmp(text, "run_folder") == 0) /* the last one counts */
        options->folder = NULL;
    return add_override(options, text, equals + 1);
}

/* As YAML that gives the same text, whatever it holds. */
static enum err add_run_folder(struct campaign_options *options, const char *folder)
{
    int room = (int)sizeof options->run_folder, at = 0;
    options->folder = folder;
    char *quoted = options->run_folder;
    at += snprintf(quoted, (size_t)room, "\"");
    for (const char *c = folder; *c && at < room - 8; c++) {
        bool is_control = (unsigned char)*c < ' ';
        at += snprintf(quoted + at, (size_t)(room - at),
                       is_control                ? "\\x%02x"
                       : *c == '"' || *c == '\\' ? "\\%c"
                                                 : "%c",
                       *c);
    }
    snprintf(quoted + at, (size_t)(room - at), "\"");
    if (at >= room - 8)
        return err_set(ERR_USAGE, "the name of the run's folder is too long");
    return add_override(options, "run_folder", quoted);
}

static enum err take_page(const char *port_text, struct campaign_options *options)
{
    long port = 0;
    if (port_text && text_to_int(port_text, 1, 65535, &port) != ERR_OK)
        return err_set(ERR_USAGE, "--page takes a port of 1 to 65535, or none, not \"%s\"",
                       port_text);
    options->wants_page = true;
    options->page_port = (int)port;
    return ERR_OK;
}

/* What only one of the commands knows. */
static enum err take_own(int option, const char *command, struct campaign_options *options)
{
    long priority = 0;
    bool is_run = strcmp(command, "run") == 0, is_submit = strcmp(command, "submit") == 0;
    bool is_slurm = strcmp(command, "slurm submit") == 0;
    if (option == 'p' && is_run)
        return take_page(optarg, options);
    if (option == 'P' && is_submit && text_to_int(optarg, -1000, 1000, &priority) != ERR_OK)
        return err_set(ERR_USAGE, "--priority takes a number of -1000 to 1000, not \"%s\"", optarg);
    if (option == 't' && is_run)
        options->takes_over = true;
    else if (option == 'P' && is_submit)
        options->priority = (int)priority;
    else if (option == 'h' && is_submit)
        options->is_held = true;
    else if (option == 'F' && is_submit)
        options->scheduler = optarg;
    else if (option == 'w' && is_slurm)
        options->waits = true;
    else if (option == 'o' && is_slurm)
        options->key = optarg;
    else
        return err_set(ERR_USAGE, "that option is not known, or lacks its value");
    return ERR_OK;
}

enum err campaign_options_read(int argc, char **argv, struct campaign_options *options)
{
    static const struct option known[] = {
        {"set", required_argument, NULL, 's'},      {"run-folder", required_argument, NULL, 'f'},
        {"site", required_argument, NULL, 'S'},     {"json", no_argument, NULL, 'j'},
        {"page", optional_argument, NULL, 'p'},     {"take-over", no_argument, NULL, 't'},
        {"priority", required_argument, NULL, 'P'}, {"held", no_argument, NULL, 'h'},
        {"folder", required_argument, NULL, 'F'},   {"wait", no_argument, NULL, 'w'},
        {"once", required_argument, NULL, 'o'},     {NULL, 0, NULL, 0}};
    enum err err = ERR_OK;
    memset(options, 0, sizeof *options);
    for (int option; (option = getopt_long(argc, argv, "", known, NULL)) != -1;) {
        if (option == 's')
            TRY(add_assignment(options, optarg));
        else if (option == 'f')
            TRY(add_run_folder(options, optarg));
        else if (option == 'S')
            options->site = optarg;
        else if (option == 'j')
            options->wants_json = true;
        else
            TRY(take_own(option, argv[0], options));
    }
    if (argc - optind != 1)
        TRY(err_set(ERR_USAGE, "name one campaign file"));
    options->path = argv[optind];
out:
    return err;
}

static enum err read_dataset(struct campaign_run *run)
{
    enum err err = ERR_OK;
    struct dataset *dataset = NULL;
    uint32_t *records = NULL;
    const char *path = run->campaign.dataset.path;
    err = dataset_open(path, &dataset);
    if (err == ERR_NOT_FOUND)
        err = err_set(ERR_NOT_FOUND,
                      "there is no dataset %s; make it with \"glowworm dataset import SOURCE %s\"",
                      path, path);
    TRY(err);
    const struct dataset_info *info = dataset_info(dataset);
    run->dataset = info->content;
    TRY(campaign_check_images(&run->campaign, info->channels));
    TRY(campaign_space(&run->campaign, info->classes, info->channels, &run->space));
    TRY(dataset_split(dataset, SPLIT_TRAIN, run->campaign.dataset.holdout, &records,
                      &run->train_images));
    run->holdout_images = info->train_count - run->train_images;
    run->test_images = info->test_count;
    run->image_side = info->max_height > info->max_width ? info->max_height : info->max_width;
out:
    mem_free(records);
    dataset_close(&dataset);
    return err;
}

enum err campaign_run_open(const struct campaign_options *options, struct campaign_run **run)
{
    enum err err = ERR_OK;
    struct campaign_run *made = mem_alloc(sizeof *made);
    TRY(campaign_load(options->path, options->overrides, options->override_count, &made->campaign));
    made->folder = made->campaign.run_folder;
    made->checkpoints = published_find_store(made->folder, PUBLISHED_CHECKPOINTS);
    made->journal = published_find_store(made->folder, PUBLISHED_JOURNAL);
    made->resolved = file_join(made->folder, "campaign.yaml");
    TRY(read_dataset(made));
    TRY(given_teacher_read(made->campaign.teacher.from, &made->teacher));
    campaign_schedule(&made->campaign, &made->space, &made->schedule);
    TRY(schedule_give(&made->schedule, &made->space, &made->teacher.trained));
    struct graph_cfg graph = {&made->campaign, &made->space, &made->schedule, &made->dataset,
                              made->teacher.content};
    graph_build(&graph, &made->graph);
    *run = made;
    made = NULL;
out:
    campaign_run_close(&made);
    return err;
}

void campaign_run_move_stores(struct campaign_run *run, const char *stores)
{
    mem_free(run->checkpoints);
    mem_free(run->journal);
    run->checkpoints = file_join(stores, PUBLISHED_CHECKPOINTS);
    run->journal = file_join(stores, PUBLISHED_JOURNAL);
}

void campaign_run_close(struct campaign_run **run)
{
    if (!*run)
        return;
    graph_fini(&(*run)->graph);
    mem_free((*run)->checkpoints);
    mem_free((*run)->journal);
    mem_free((*run)->resolved);
    mem_free(*run);
    *run = NULL;
}

enum err campaign_run_check(void *own, const char *content)
{
    enum err err = ERR_OK;
    const struct campaign_run *run = own;
    struct checkpoint_store *store = NULL;
    struct checkpoint_store_cfg cfg = {.path = run->checkpoints, .keep = 1};
    uint64_t read_bytes = 0;
    TRY(checkpoint_store_open(&cfg, &store)); /* ERR_NOT_FOUND: nothing was trained yet */
    TRY(checkpoint_verify(store, content, &read_bytes));
out:
    checkpoint_store_close(&store);
    return err;
}

struct checking {
    void *run;
    const char *content;
};

static enum err check_now(void *own)
{
    const struct checking *checking = own;
    return campaign_run_check(checking->run, checking->content);
}

static enum err check_apart(void *own, const char *content)
{
    const struct campaign_run *run = own;
    struct checking checking = {own, content};
    return apart(check_now, &checking, run->checkpoints);
}

enum err campaign_run_survey(struct campaign_run *run, struct journal *journal,
                             struct survey *survey)
{
    struct survey_cfg cfg = {.journal = journal,
                             .graph = &run->graph,
                             .run_folder = run->folder,
                             .check = check_apart,
                             .own = run};
    return survey_take(&cfg, survey);
}

/* *hash: what "<stage>/final" is to name, where the store has it and names another. */
static bool is_misnamed(struct checkpoint_store *store, const char *stage, const char *content,
                        struct hash *hash)
{
    char name[80], hex[HASH_HEX_BYTES] = "";
    struct checkpoint named = {0}, wanted = {0};
    snprintf(name, sizeof name, "%s/final", stage);
    if (checkpoint_peek(store, name, &named) == ERR_OK)
        hash_hex(&named.content, hex);
    bool is_wanted = strcmp(hex, content) != 0 && hash_parse(content, hash) &&
                     checkpoint_peek(store, content, &wanted) == ERR_OK;
    checkpoint_fini(&named);
    checkpoint_fini(&wanted);
    return is_wanted;
}

struct naming {
    const struct campaign_run *run;
    const struct survey *survey;
};

/* *misnamed: how many names are wrong; they are set right where the store is open to write. */
static enum err name_finals(const struct naming *naming, bool is_writer, int *misnamed)
{
    enum err err = ERR_OK;
    const struct campaign_run *run = naming->run;
    struct checkpoint_store *store = NULL;
    struct checkpoint_store_cfg cfg = {
        .path = run->checkpoints, .is_writer = is_writer, .keep = run->campaign.checkpoint.keep};
    *misnamed = 0;
    TRY(checkpoint_store_open(&cfg, &store));
    for (int i = 0; i < naming->survey->count; i++) {
        const struct graph_stage *node = &run->graph.stages[i];
        const struct survey_stage *stage = &naming->survey->stages[i];
        char name[80];
        struct hash content;
        if (node->kind != STAGE_TRAIN || stage->verdict != SURVEY_DONE ||
            !is_misnamed(store, node->name, stage->record.content, &content))
            continue;
        snprintf(name, sizeof name, "%s/final", node->name);
        if (is_writer)
            TRY(checkpoint_name(store, name, &content));
        ++*misnamed;
    }
out:
    checkpoint_store_close(&store);
    return err;
}

/* A gang that was left running, and goes on, writes the store: then the names, which nothing
 * depends on, wait for the next start. A store that nobody has written to has none. */
static enum err name_all(void *own)
{
    enum err err = ERR_OK;
    int misnamed = 0;
    err = name_finals(own, false, &misnamed);
    if (err == ERR_OK && misnamed > 0)
        err = name_finals(own, true, &misnamed);
    if (err == ERR_AGAIN) {
        log_warn("names of checkpoints follow the campaign at the next start: %s", err_text());
        err = ERR_OK;
    }
    return err == ERR_NOT_FOUND ? ERR_OK : err;
}

enum err campaign_run_name_checkpoints(const struct campaign_run *run, const struct survey *survey)
{
    struct naming naming = {run, survey};
    return file_exists(run->checkpoints) ? apart(name_all, &naming, run->checkpoints) : ERR_OK;
}
