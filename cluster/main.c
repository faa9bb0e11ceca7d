/* From a person to everything else: finds the command's row and runs it; turns an error into an exit code. */
#include "base/log.h"
#include "cluster/command.h"
#include <stdio.h>
#include <string.h>

static const struct command commands[] = {
    {NULL, NULL, NULL, NULL, NULL} /* rows are added by the file that implements them */
};

static void print_usage(FILE *out)
{
    fprintf(out, "usage: glowworm COMMAND [OPTIONS]\n\n");
    for (const struct command *c = commands; c->noun; c++)
        fprintf(out, "  glowworm %s%s%s %s\n      %s\n", c->noun, c->verb ? " " : "",
                c->verb ? c->verb : "", c->usage, c->help);
}

static const struct command *find_command(int argc, char **argv, int *words)
{
    for (const struct command *c = commands; c->noun; c++) {
        *words = c->verb ? 2 : 1;
        if (argc > *words - 1 + 0 && argc > *words && strcmp(argv[1], c->noun) == 0 &&
            (!c->verb || strcmp(argv[2], c->verb) == 0))
            return c;
        if (!c->verb && argc == 2 && strcmp(argv[1], c->noun) == 0)
            return c;
    }
    return NULL;
}

int main(int argc, char **argv)
{
    int words = 0;
    log_open(LOG_WARN, -1);
    const struct command *command = find_command(argc, argv, &words);
    if (!command) {
        print_usage(argc > 1 && strcmp(argv[1], "--help") == 0 ? stdout : stderr);
        return argc > 1 && strcmp(argv[1], "--help") == 0 ? 0 : 2;
    }
    char name[64];
    snprintf(name, sizeof name, "%s%s%s", command->noun, command->verb ? " " : "",
             command->verb ? command->verb : "");
    argv[words] = name;
    enum err err = command->run(argc - words, argv + words);
    if (err != ERR_OK)
        fprintf(stderr, "glowworm %s: %s\n", name, err_text());
    if (err == ERR_USAGE)
        fprintf(stderr, "usage: glowworm %s %s\n", name, command->usage);
    return err_exit_code(err);
}
