/* The `glowworm` command: a verb, or a noun and a verb, one row each in main.c's table, one
 * cmd_<noun>.c file per noun. Results go to standard output, progress and errors to standard error;
 * every read verb takes --json. */
#ifndef CLUSTER_COMMAND_H
#define CLUSTER_COMMAND_H

#include "base/err.h"

#define COMMAND_NAME 64

struct command {
    const char *noun;  /* "dataset", or the verb itself: "run" */
    const char *verb;  /* "import", or NULL */
    const char *usage; /* "SOURCE DEST [--holdout N]" */
    const char *help;  /* one line */
    /* argv[0] is the command's own name ("dataset import"), argv[1..argc) its arguments: ready for
     * getopt_long. ERR_USAGE (with err_set) makes main() print the usage line. */
    enum err (*run)(int argc, char **argv);
};

/* main.c's table, in the order a person meets them; the row behind the last has no noun. */
extern const struct command commands[];
/* What the program ends with, as --help prints it. */
extern const char command_exit_codes[];
/* "dataset import" */
void command_name(const struct command *command, char name[COMMAND_NAME]);

enum err cmd_space_show(int argc, char **argv);
enum err cmd_space_count(int argc, char **argv);
enum err cmd_space_cost(int argc, char **argv);
enum err cmd_dataset_import(int argc, char **argv);
enum err cmd_dataset_info(int argc, char **argv);
enum err cmd_dataset_verify(int argc, char **argv);
enum err cmd_dataset_check(int argc, char **argv);
enum err cmd_checkpoint_list(int argc, char **argv);
enum err cmd_checkpoint_show(int argc, char **argv);
enum err cmd_checkpoint_verify(int argc, char **argv);
enum err cmd_checkpoint_measurements(int argc, char **argv);
enum err cmd_checkpoint_log(int argc, char **argv);
enum err cmd_checkpoint_diff(int argc, char **argv);
enum err cmd_checkpoint_export(int argc, char **argv);
enum err cmd_checkpoint_import(int argc, char **argv);
enum err cmd_checkpoint_prune(int argc, char **argv);
enum err cmd_evaluate(int argc, char **argv);
enum err cmd_run(int argc, char **argv);
enum err cmd_slurm_script(int argc, char **argv);
enum err cmd_slurm_submit(int argc, char **argv);
enum err cmd_slurm_helper(int argc, char **argv);
enum err cmd_publish(int argc, char **argv);
enum err cmd_plan(int argc, char **argv);
enum err cmd_status(int argc, char **argv);
enum err cmd_logs(int argc, char **argv);
enum err cmd_top(int argc, char **argv);
enum err cmd_page(int argc, char **argv);
enum err cmd_cancel(int argc, char **argv);
enum err cmd_submit(int argc, char **argv);
enum err cmd_queue(int argc, char **argv);
enum err cmd_queue_set(int argc, char **argv);
enum err cmd_queue_remove(int argc, char **argv);
enum err cmd_key_generate(int argc, char **argv);
enum err cmd_doctor(int argc, char **argv);
enum err cmd_compile(int argc, char **argv);
enum err cmd_check(int argc, char **argv);
enum err cmd_validate(int argc, char **argv);
enum err cmd_predict(int argc, char **argv);
enum err cmd_report(int argc, char **argv);
enum err cmd_help_campaign(int argc, char **argv);
enum err cmd_help_man(int argc, char **argv);
enum err cmd_help_completion(int argc, char **argv);

#endif
