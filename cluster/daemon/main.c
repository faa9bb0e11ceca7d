/* glowworm-scheduler: the daemon that runs people's campaigns on one machine. */
#include "base/file.h"
#include "base/log.h"
#include "base/processors.h"
#include "base/program.h"
#include "base/version/version.h"
#include "cluster/daemon/daemon_options.h"
#include "cluster/interrupt.h"
#include "cluster/machine_memory.h"
#include <stdio.h>

static enum err serve(const struct daemon_words *words)
{
    enum err err = ERR_OK;
    char glowworm[2048];
    struct machine_memory memory;
    struct daemon_cfg cfg = {.folder = words->folder,
                             .glowworm = glowworm,
                             .capacity.cores = words->cores ? words->cores : processors_allowed(),
                             .capacity.jobs = program_is_in_path("sbatch") ? words->jobs : 0,
                             .stop_asked = interrupt_count(),
                             .stops_runs = words->stops_runs,
                             .listen = words->listen,
                             .allow = words->allow,
                             .wants_page = words->wants_page,
                             .page_port = words->page_port};
    TRY(program_find("glowworm", glowworm, sizeof glowworm));
    TRY(machine_memory_read("", &memory));
    cfg.capacity.memory_bytes = memory.total_bytes;
    interrupt_watch();
    TRY(daemon_run(&cfg));
out:
    return err;
}

static void print_help(FILE *out)
{
    struct text text;
    text_init(&text);
    daemon_options_help(&text);
    fputs(text_get(&text), out);
    text_fini(&text);
}

int main(int argc, char **argv)
{
    struct daemon_words words;
    file_open_standard();
    signal(SIGCHLD, SIG_DFL); /* who ignores it hands that down, and no child's end could be seen */
    log_open(LOG_INFO, -1);
    enum err err = daemon_options_read(argc, argv, &words);
    if (err == ERR_OK && words.wants_help)
        print_help(stdout);
    else if (err == ERR_OK && words.wants_version)
        printf("glowworm-scheduler %s\n%s", version_text(), version_libraries());
    else if (err == ERR_OK)
        err = serve(&words);
    if (err != ERR_OK)
        fprintf(stderr, "glowworm-scheduler: %s\n", err_text());
    if (err == ERR_USAGE)
        print_help(stderr);
    return err_exit_code(err);
}
