#include "cluster/slurm/site.h"
#include "base/yaml/schema.h"
#include "trainer/spec/lookup.h"
#include <ctype.h>
#include <stdio.h>
#include <string.h>

#define FIELD(field) KNOB_FIELD(site, field)

static const struct knob site_knobs[] = {
    {"partition", KNOB_TEXT, FIELD(partition), .fallback = "\"\"",
     .help = "where jobs go; empty: the cluster's default"},
    {"account", KNOB_TEXT, FIELD(account), .fallback = "\"\"", .help = "whom they are charged to"},
    {"qos", KNOB_TEXT, FIELD(qos), .fallback = "\"\"", .help = "their quality of service"},
    {"time", KNOB_REAL, FIELD(time_seconds), .fallback = "auto", .low = 60, .high = 1e8,
     .unit = UNIT_SECONDS, .words = "auto=0",
     .help = "after which Slurm ends a job; auto: the partition's default"},
    {"signal_before_end", KNOB_REAL, FIELD(signal_seconds), .fallback = "2m", .low = 10,
     .high = 86400, .unit = UNIT_SECONDS,
     .help = "a run stops and saves so long before the end of its time"},
    {"gpu", KNOB_TEXT, FIELD(gpu), .fallback = "\"\"",
     .help = "type of GPU, where resources.gpus_per_rank asks for some; empty: any"},
    {"modules", KNOB_TEXTS, KNOB_LIST(site, modules, module_count), .fallback = "[]",
     .help = "names for \"module load\""},
    {"arguments", KNOB_TEXTS, KNOB_LIST(site, arguments, argument_count), .fallback = "[]",
     .help = "more options for sbatch, such as --constraint=avx512"},
    {"spare_nodes", KNOB_INT, FIELD(spare_nodes), .fallback = "0", .low = 0, .high = 64,
     .help =
         "nodes that a job is asked for beside resources.nodes, so that gangs of several can do "
         "without a bad one"},
    {"scratch", KNOB_TEXT, FIELD(scratch), .fallback = "\"\"",
     .help = "TMPDIR of the job, a folder of its node; empty: as it is"},
    {"requeue", KNOB_ENUM, FIELD(requeue), .fallback = "scontrol",
     .words = "exit|scontrol|continuation",
     .help = "how an interrupted run comes back: by exit code 85 (where RequeueExit has it), by "
             "scontrol requeue, or by a job that it submits behind its own"},
};
static const struct schema schema = {site_knobs, sizeof site_knobs / sizeof *site_knobs,
                                     sizeof(struct site)};

const struct schema *site_schema(void)
{
    return &schema;
}

static bool is_plain(const char *text, const char *others)
{
    for (const char *at = text; *at; at++)
        if (!isalnum((unsigned char)*at) && !strchr(others, *at))
            return false;
    return text[0] != '-';
}

struct check { /* of one site */
    const struct yaml_node *root;
    struct yaml_errors *errors;
};

static void check_name(const struct check *check, const char *path, const char *text)
{
    if (!is_plain(text, "_.-:"))
        yaml_complain(check->errors, yaml_nearest(check->root, path), path,
                      "a name of letters, digits and _.-: is meant");
}

static void check_modules(const struct check *check, const struct site *site)
{
    for (int i = 0; i < site->module_count; i++)
        if (!is_plain(site->modules[i], "_.-+/"))
            yaml_complain(check->errors, yaml_nearest(check->root, "modules"), "modules",
                          "\"%s\" is no name of a module: letters, digits and _.-+/ are meant",
                          site->modules[i]);
}

/* What the submission itself says, or what would take a job's end or output away from it; sbatch
 * takes an option by its beginning, too. */
static bool is_ours(const char *option)
{
    static const char *const ours[] = {"parsable", "open-mode",  "job-name",   "comment",  "output",
                                       "error",    "chdir",      "export",     "nodes",    "ntasks",
                                       "signal",   "requeue",    "no-requeue", "wrap",     "array",
                                       "wait",     "dependency", "input",      "test-only"};
    size_t size = strcspn(option + 2, "=");
    for (size_t i = 0; i < sizeof ours / sizeof *ours; i++)
        if (size <= strlen(ours[i]) && strncmp(option + 2, ours[i], size) == 0)
            return true;
    return false;
}

static void check_arguments(const struct check *check, const struct site *site)
{
    for (int i = 0; i < site->argument_count; i++) {
        const char *word = site->arguments[i];
        const struct yaml_node *node = yaml_nearest(check->root, "arguments");
        bool is_option = strncmp(word, "--", 2) == 0 && is_plain(word + 2, "_.-+/=:,@[]*&|");
        if (!is_option)
            yaml_complain(check->errors, node, "arguments",
                          "\"%s\" is no --option or --option=value of plain letters", word);
        else if (is_ours(word))
            yaml_complain(check->errors, node, "arguments", "\"%s\" is for the submission to say",
                          word);
    }
}

static void check_site(const struct check *check, const struct site *site)
{
    check_name(check, "partition", site->partition);
    check_name(check, "account", site->account);
    check_name(check, "qos", site->qos);
    check_name(check, "gpu", site->gpu);
    check_modules(check, site);
    check_arguments(check, site);
    if (site->scratch[0] && site->scratch[0] != '/')
        yaml_complain(check->errors, yaml_nearest(check->root, "scratch"), "scratch",
                      "a path from / is meant, since it is another machine's");
    if (site->time_seconds > 0 && site->signal_seconds >= site->time_seconds)
        yaml_complain(check->errors, yaml_nearest(check->root, "signal_before_end"),
                      "signal_before_end", "a job that begins to end when it starts does nothing");
}

enum err site_load(const char *name_or_path, struct site *site)
{
    enum err err = ERR_OK;
    char path[1024];
    struct yaml *yaml = NULL;
    struct yaml_errors *errors = yaml_errors_create();
    if (strcmp(name_or_path, SITE_DEFAULT) != 0) {
        TRY(lookup_find(name_or_path, "sites", NULL, path, sizeof path));
        TRY(yaml_open(path, &yaml));
    } else {
        TRY(yaml_parse("a site of defaults", "{}", 2, &yaml));
    }
    struct check check = {yaml_root(yaml), errors};
    memset(site, 0, sizeof *site);
    if (schema_fill(&schema, yaml_root(yaml), errors, site))
        check_site(&check, site);
    TRY(yaml_errors_end(errors));
out:
    yaml_errors_destroy(errors);
    yaml_close(&yaml);
    return err;
}
