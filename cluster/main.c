/* From a person to everything else: finds the command's row and runs it; turns an error into an
 * exit code. */
#include "base/file.h"
#include "base/log.h"
#include "base/text.h"
#include "base/version/version.h"
#include "cluster/command.h"
#include "cluster/interrupt.h"
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

/* In the order a person meets them; each row is one command, its function in cmd_<noun>.c. */
const struct command commands[] = {
    {"run", NULL,
     "CAMPAIGN.yaml [--set KEY=VALUE]... [--run-folder FOLDER] [--site SITE] [--page[=PORT]] "
     "[--take-over] "
     "[--json]",
     "train, shrink, search and compile a campaign; the same command continues it", cmd_run},
    {"plan", NULL, "CAMPAIGN.yaml [--set KEY=VALUE]... [--run-folder FOLDER] [--json]",
     "say what a run would do, what is done already, and what it costs; start nothing", cmd_plan},
    {"status", NULL, "RUN... [--json]",
     "what a run does: its stages, why they wait, how long they take; a line each of several",
     cmd_status},
    {"logs", NULL, "RUN [STAGE] [--follow] [--lines N]",
     "the newest log of the stage that runs, or of a stage; -f: as it is written, -n: so many "
     "lines",
     cmd_logs},
    {"top", NULL, "RUN...", "the same as status, live in a terminal; q leaves", cmd_top},
    {"page", NULL, "RUN... [--port N] [--token-file FILE]",
     "the same in a browser, with curves: a page on 127.0.0.1, until Ctrl-C", cmd_page},
    {"cancel", NULL, "RUN [--wait]",
     "stop a run from wherever its folder is seen, as Ctrl-C does: it goes on later", cmd_cancel},
    {"submit", NULL,
     "CAMPAIGN.yaml [--site SITE] [--set KEY=VALUE]... [--run-folder FOLDER] [--priority N] "
     "[--held] [--folder FOLDER] [--json]",
     "give a campaign to glowworm-scheduler, which runs it when there is room, or with --site "
     "hands it to Slurm",
     cmd_submit},
    {"queue", "set", "ID --priority N | --hold | --release [--folder FOLDER]",
     "change when a submitted campaign runs; one that is held waits until it is released",
     cmd_queue_set},
    {"queue", "remove", "ID... [--folder FOLDER]",
     "take campaigns out of the queue; one that runs is stopped first; the run's folder stays",
     cmd_queue_remove},
    {"queue", NULL, "[--all] [--folder FOLDER] [--json]",
     "the campaigns that glowworm-scheduler runs, that wait, and why", cmd_queue},
    {"key", "generate", "FILE",
     "make a pair of keys, FILE and FILE.pub, for a scheduler of another machine",
     cmd_key_generate},
    {"doctor", NULL, "[CAMPAIGN.yaml] [--run-folder FOLDER] [--json]",
     "check this machine: MPI, GPU, file systems, Slurm, keys, clock, limits; a cure for each",
     cmd_doctor},
    {"slurm", "submit",
     "CAMPAIGN.yaml [--site SITE] [--set KEY=VALUE]... [--run-folder FOLDER] [--wait] "
     "[--once NAME] [--json]",
     "run a campaign as a job of Slurm; the same command continues it, and never submits it twice; "
     "--wait: until the run has ended",
     cmd_slurm_submit},
    {"slurm", "script", "CAMPAIGN.yaml [--site SITE] [--set KEY=VALUE]... [--run-folder FOLDER]",
     "print the job that submit would submit", cmd_slurm_script},
    {"slurm", "helper", "RUN --runner PID --log FILE [--site SITE]",
     "a job that helps a run to measure; its runner asks for it (resources.helper_jobs)",
     cmd_slurm_helper},
    {"publish", NULL, "RUN --claim N --stores FOLDER",
     "copy a run from scratch for other machines; its runner does so by itself", cmd_publish},
    {"compile", NULL,
     "RUN [--target NAME] | RUN --subnet TEXT --to FOLDER [--device NAME] | --probes DEVICE --to "
     "FOLDER",
     "write camera bundles from a run's final weights; or tiny networks that try a device's rules",
     cmd_compile},
    {"check", NULL,
     "BUNDLE [--images N] [--run RUN] [--loss POINTS] [--threads N] [--json] | RUN --target NAME",
     "what a bundle loses in the camera's fp16 arithmetic, layer by layer; fails beyond --loss",
     cmd_check},
    {"validate", NULL,
     "BUNDLE --camera ID|simulated | RUN --target NAME [--budget MS] [--flash "
     "[--keep|--overwrite]] [--images N] "
     "[--run RUN] [--to FOLDER] [--json] | --list [--json] | --restore [--camera ID] | "
     "--fit VERDICT... --to FILE [--device NAME]",
     "run a bundle on a camera, compare its answers with the emulation and time it; the camera is "
     "put back as it was",
     cmd_validate},
    {"predict", NULL,
     "BUNDLE IMAGE... [--top N] [--bits N] [--bayer RG|GR|GB|BG] [--raw WIDTHxHEIGHT] [--json]",
     "classify images with a bundle", cmd_predict},
    {"report", NULL, "RUN [--output FILE]", "write a run's page, report.html", cmd_report},
    {"dataset", "import",
     "SOURCE... DEST [--side N] [--grey] [--bits N] [--bayer RG|GR|GB|BG] [--raw WIDTHxHEIGHT] "
     "[--format raw|jpeg] [--quality Q] [--labels FILE] [--max-pixels N] [--threads N] [--force] "
     "[--json]",
     "make a dataset from class folders or a list of image files, or from IDX files",
     cmd_dataset_import},
    {"dataset", "info", "PATH [--json]", "what is in a dataset", cmd_dataset_info},
    {"dataset", "verify", "PATH [--threads N] [--json]",
     "read, decode and hash every image of a dataset again", cmd_dataset_verify},
    {"dataset", "check",
     "PATH [--run RUN [--target NAME] [--confidence P]] [--output FILE] [--json]",
     "a page of the images to look at: blurred, blank, over-exposed, alike, perhaps mislabelled",
     cmd_dataset_check},
    {"space", "show", "SPACE [--width W] [--classes N] [--channels N] [--json]",
     "the table of stages of a search space", cmd_space_show},
    {"space", "count", "SPACE [--json]", "how many sub-networks a space has", cmd_space_count},
    {"space", "cost",
     "SPACE [--subnet TEXT] [--width W] [--classes N] [--channels N] [--resolution R] [--json] | "
     "SPACE --csv FILE",
     "multiply-accumulates and parameters of sub-networks", cmd_space_cost},
    {"checkpoint", "list", "PATH [--json]", "the checkpoints of a store or run",
     cmd_checkpoint_list},
    {"checkpoint", "show",
     "PATH[@NAME] [--tensors] [--sort name|size|min|max|mean|deviation|nan|inf] [--json]",
     "what a checkpoint is and comes from; the statistics of its tensors", cmd_checkpoint_show},
    {"checkpoint", "log", "PATH[@NAME] [--json]",
     "how the checkpoints of a store (or the ancestors of one) follow from each other",
     cmd_checkpoint_log},
    {"checkpoint", "diff",
     "PATH[@NAME] PATH[@NAME] [--sort relative|largest|changed|name] [--json]",
     "which tensors differ, and by how much; ends with 1 where any does", cmd_checkpoint_diff},
    {"checkpoint", "verify", "PATH[@NAME] [--json]",
     "read and hash every tensor and measurement again", cmd_checkpoint_verify},
    {"checkpoint", "measurements", "PATH[@NAME] [--json]",
     "what was measured on the checkpoints of a run", cmd_checkpoint_measurements},
    {"checkpoint", "export", "PATH[@NAME] FILE.safetensors [--force] [--json]",
     "write a checkpoint's weights under the reference's names", cmd_checkpoint_export},
    {"checkpoint", "import",
     "FILE.safetensors --space SPACE --classes N [--channels N] [--width W] "
     "[--trained all|biggest|\"k=3,5,7 e=3,4,6 d=2,3,4\"] DEST [--json]",
     "make a checkpoint from weights trained elsewhere", cmd_checkpoint_import},
    {"checkpoint", "prune", "PATH [--keep N] [--former] [--yes] [--json]",
     "say which checkpoints nothing needs; with --yes, let them go", cmd_checkpoint_prune},
    {"evaluate", NULL,
     "CHECKPOINT --subnet TEXT --input IMAGES.npy --output LOGITS.npy [--mode eval|train] "
     "[--device NAME] [--threads N] [--isa NAME] [--precision NAME] [--json]",
     "run a sub-network of a checkpoint on images", cmd_evaluate},
    {"help", "campaign", "", "every knob of a campaign file: its default, range and meaning",
     cmd_help_campaign},
    {"help", "man", "[campaign|scheduler|camera-sim]",
     "the manual page of this program, the campaign file, glowworm-scheduler or "
     "glowworm-camera-sim, as man reads it",
     cmd_help_man},
    {"help", "completion", "",
     "completion for bash of commands, options and knobs, as bash reads it", cmd_help_completion},
    {NULL, NULL, NULL, NULL, NULL}};

const char command_exit_codes[] =
    "0 done, 1 failed, 2 usage, 65 bad data, 69 something is not there, 70 our bug,\n"
    "71 out of memory, 74 input or output, 75 try again, 78 bad configuration,\n"
    "85 its job asks to be queued again, 86 held for a person,\n"
    "130 interrupted, 143 ended by SIGTERM.\n";

void command_name(const struct command *command, char name[COMMAND_NAME])
{
    snprintf(name, COMMAND_NAME, "%s%s%s", command->noun, command->verb ? " " : "",
             command->verb ? command->verb : "");
}

static void print_commands(FILE *out)
{
    fprintf(out, "usage: glowworm COMMAND [OPTIONS]\n\n");
    for (const struct command *c = commands; c->noun; c++) {
        char name[COMMAND_NAME];
        command_name(c, name);
        fprintf(out, "  %-23s  %s\n", name, c->help);
    }
    fprintf(out,
            "\n\"glowworm COMMAND --help\" shows a command's options, \"glowworm --version\" "
            "what this is.\n"
            "Exit codes: %s",
            command_exit_codes);
}

static void print_command(FILE *out, const struct command *command)
{
    char name[COMMAND_NAME];
    command_name(command, name);
    fprintf(out, "usage: glowworm %s %s\n  %s\n", name, command->usage, command->help);
}

static void print_version(void)
{
    printf("glowworm %s\n%s", version_text(), version_libraries());
}

/* The row whose words argv begins with; *words: how many they are. */
static const struct command *find_command(int argc, char **argv, int *words)
{
    for (const struct command *c = commands; c->noun; c++) {
        *words = c->verb ? 2 : 1;
        if (argc > *words && strcmp(argv[1], c->noun) == 0 &&
            (!c->verb || strcmp(argv[2], c->verb) == 0))
            return c;
    }
    return NULL;
}

static const struct command *find_nearest(const char *words)
{
    const struct command *nearest = NULL;
    int best = (int)strlen(words) / 2 + 1; /* further off is another word */
    for (const struct command *c = commands; c->noun; c++) {
        char name[COMMAND_NAME];
        command_name(c, name);
        int distance = text_distance(words, name);
        if (distance < best) {
            best = distance;
            nearest = c;
        }
    }
    return nearest;
}

/* A noun alone: its verbs. False when it is no noun. */
static bool print_verbs(const char *noun)
{
    bool is_noun = false;
    for (const struct command *c = commands; c->noun; c++)
        if (c->verb && strcmp(noun, c->noun) == 0) {
            print_command(stderr, c);
            is_noun = true;
        }
    return is_noun;
}

static int refuse(int argc, char **argv)
{
    char words[128], name[COMMAND_NAME];
    if (argc < 2) {
        print_commands(stderr);
        return err_exit_code(ERR_USAGE);
    }
    if (print_verbs(argv[1]) && argc == 2)
        return err_exit_code(ERR_USAGE);
    bool has_verb = argc > 2 && argv[2][0] != '-';
    snprintf(words, sizeof words, "%s%s%s", argv[1], has_verb ? " " : "", has_verb ? argv[2] : "");
    const struct command *nearest = find_nearest(words);
    if (!nearest)
        nearest = find_nearest(argv[1]);
    fprintf(stderr, "glowworm: there is no command \"%s\"", words);
    if (nearest) {
        command_name(nearest, name);
        fprintf(stderr, "; did you mean \"%s\"?\n", name);
    } else {
        fprintf(stderr, "; \"glowworm --help\" lists them\n");
    }
    return err_exit_code(ERR_USAGE);
}

static bool wants_help(int argc, char **argv)
{
    for (int i = 1; i < argc && strcmp(argv[i], "--") != 0; i++)
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0)
            return true;
    return false;
}

static int run_command(const struct command *command, int argc, char **argv)
{
    char name[COMMAND_NAME];
    command_name(command, name);
    argv[0] = name;
    if (wants_help(argc, argv)) {
        print_command(stdout, command);
        return 0;
    }
    enum err err = command->run(argc, argv);
    if ((fflush(stdout) != 0 || ferror(stdout)) && err == ERR_OK)
        err = err_set(ERR_IO, "standard output cannot be written");
    if (err != ERR_OK && err_text()[0])
        fprintf(stderr, "glowworm %s: %s\n", name, err_text());
    if (err == ERR_USAGE)
        print_command(stderr, command);
    if (err == ERR_INTERRUPTED && interrupt_signal() == SIGTERM)
        return 128 + SIGTERM;
    return err_exit_code(err);
}

int main(int argc, char **argv)
{
    int words = 0;
    file_open_standard();
    signal(SIGCHLD, SIG_DFL); /* who ignores it hands that down, and no child's end could be seen */
    log_open(LOG_WARN, -1);
    const struct command *command = find_command(argc, argv, &words);
    if (command)
        return run_command(command, argc - words, argv + words);
    if (argc > 1 && strcmp(argv[1], "--version") == 0)
        print_version();
    else if (argc > 1 && (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 ||
                          strcmp(argv[1], "help") == 0))
        print_commands(stdout);
    else
        return refuse(argc, argv);
    return 0;
}
