#include "cluster/daemon/daemon_options.h"
#include <getopt.h>
#include <stdio.h>
#include <string.h>

#define MAX_OPTIONS 16
#define USUAL_JOBS  100
#define MOST_JOBS   10000

const struct daemon_option daemon_options[] = {
    {"folder", "FOLDER",
     "its folder, on a local disk: else $GLOWWORM_SCHEDULER, $XDG_STATE_HOME/glowworm or "
     "~/.local/state/glowworm"},
    {"cores", "N", "processors that campaigns may take together: else all that it may use itself"},
    {"jobs", "N",
     "jobs that campaigns for Slurm may have there at a time: else 100; 0: none, which is so, too, "
     "where there is no sbatch"},
    {"page", "[PORT]", "a page of all campaigns on 127.0.0.1; its address is logged"},
    {"listen", "tcp://HOST:PORT", "be asked from other machines, too, by those of --allow"},
    {"allow", "FILE", "their public keys, one a line (\"glowworm key generate\")"},
    {"stop-runs", NULL,
     "at its end stop what runs, too, each with a checkpoint; else runs go on by themselves"},
    {"help", NULL, "this"},
    {"version", NULL, "what this is"},
    {NULL, NULL, NULL}};

const char daemon_description[] =
    "Takes campaigns (\"glowworm submit CAMPAIGN.yaml\") and runs them on this machine, by\n"
    "priority, each as a \"glowworm run\" of its own; those for Slurm (\"--site SITE\") it hands "
    "to\n"
    "Slurm, each as a job of its own, and watches. \"glowworm queue\" shows them. Ctrl-C and\n"
    "SIGTERM end it; its runs go on, and the next one on its folder finds them.\n";

enum option_place {
    OPTION_FOLDER,
    OPTION_CORES,
    OPTION_JOBS,
    OPTION_PAGE,
    OPTION_LISTEN,
    OPTION_ALLOW,
    OPTION_STOP_RUNS,
    OPTION_HELP,
    OPTION_VERSION
};

static enum err take(int place, struct daemon_words *words, const char **folder)
{
    long number = 0;
    switch (place) {
    case OPTION_FOLDER:
        *folder = optarg;
        break;
    case OPTION_CORES:
        if (text_to_int(optarg, 1, SUBMITTED_MAX_CORES, &number) != ERR_OK)
            return err_set(ERR_USAGE, "--cores takes a number of processors, not \"%s\"", optarg);
        words->cores = (int)number;
        break;
    case OPTION_JOBS:
        if (text_to_int(optarg, 0, MOST_JOBS, &number) != ERR_OK)
            return err_set(ERR_USAGE, "--jobs takes a number of jobs, 0 to %d, not \"%s\"",
                           MOST_JOBS, optarg);
        words->jobs = (int)number;
        break;
    case OPTION_PAGE:
        if (optarg && text_to_int(optarg, 1, 65535, &number) != ERR_OK)
            return err_set(ERR_USAGE, "--page takes a port of 1 to 65535, or none, not \"%s\"",
                           optarg);
        words->wants_page = true;
        words->page_port = (int)number;
        break;
    case OPTION_LISTEN:
        words->listen = optarg;
        break;
    case OPTION_ALLOW:
        words->allow = optarg;
        break;
    case OPTION_STOP_RUNS:
        words->stops_runs = true;
        break;
    case OPTION_HELP:
        words->wants_help = true;
        break;
    case OPTION_VERSION:
        words->wants_version = true;
        break;
    default:
        return err_set(ERR_USAGE, "that option is not known, or lacks its value");
    }
    return ERR_OK;
}

static int kind_of(const struct daemon_option *option)
{
    if (!option->argument)
        return no_argument;
    return option->argument[0] == '[' ? optional_argument : required_argument;
}

enum err daemon_options_read(int argc, char **argv, struct daemon_words *words)
{
    enum err err = ERR_OK;
    struct option known[MAX_OPTIONS + 1] = {{0}};
    const char *folder = NULL;
    int place;
    memset(words, 0, sizeof *words);
    words->jobs = USUAL_JOBS;
    for (int i = 0; daemon_options[i].name; i++)
        known[i] = (struct option){daemon_options[i].name, kind_of(&daemon_options[i]), NULL, i};
    while ((place = getopt_long(argc, argv, "", known, NULL)) != -1)
        TRY(take(place, words, &folder));
    if (optind < argc)
        TRY(err_set(ERR_USAGE,
                    "it takes options only, not \"%s\"; a campaign is submitted with "
                    "\"glowworm submit\"",
                    argv[optind]));
    if (!words->listen != !words->allow)
        TRY(err_set(ERR_USAGE, "--listen and --allow belong together"));
    if (words->listen && strncmp(words->listen, "tcp://", 6) != 0)
        TRY(err_set(ERR_USAGE, "--listen takes tcp://HOST:PORT, not \"%s\"", words->listen));
    if (!words->wants_help && !words->wants_version)
        TRY(daemon_folder_find(folder, words->folder));
out:
    return err;
}

void daemon_option_text(const struct daemon_option *option, char text[64])
{
    const char *argument = option->argument ? option->argument : "";
    bool may_lack = argument[0] == '[';
    snprintf(text, 64, "--%s%s%s", option->name,
             may_lack      ? "[="
             : argument[0] ? " "
                           : "",
             may_lack ? argument + 1 : argument);
}

void daemon_options_help(struct text *text)
{
    text_add(text, "usage: glowworm-scheduler [OPTIONS]\n%s\n", daemon_description);
    for (const struct daemon_option *option = daemon_options; option->name; option++) {
        char name[64];
        daemon_option_text(option, name);
        text_add(text, "  %-24s  %s\n", name, option->help);
    }
}
