#include "scheduler/launch.h"
#include "scheduler/mpi_folder.h"
#include "scheduler/protocol.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MAX_WORDS 32
#define SETTING   512

struct words { /* an argument list or an environment; the strings are borrowed */
    int count;
    const char *list[MAX_WORDS + 1]; /* NULL at the end */
};

static void add(struct words *words, const char *text)
{
    if (words->count == MAX_WORDS)
        BUG("more than %d words for a process", MAX_WORDS);
    words->list[words->count++] = text;
}

/* "NAME=value" as a default: what the person's environment says already stays. */
static void add_default(struct words *words, const char *setting)
{
    char name[64];
    snprintf(name, sizeof name, "%.*s", (int)strcspn(setting, "="), setting);
    if (!getenv(name))
        add(words, setting);
}

struct gang_words {
    char ranks[16], segments[SETTING], sessions[SETTING];
};

/* A gang of this machine talks through shared memory and listens nowhere else; ranks times threads
 * are what the campaign says, so Open MPI neither counts slots nor binds; root is allowed because a
 * container often has nobody else. */
static void add_gang(const struct launch_cfg *cfg, const struct gang_words *own, struct words *argv,
                     struct words *environment)
{
    if (cfg->mpirun) {
        const char *words[] = {cfg->mpirun, "-n",   own->ranks,
                               "--bind-to", "none", "--oversubscribe"};
        for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
            add(argv, words[i]);
        add_default(environment, "OMPI_ALLOW_RUN_AS_ROOT=1");
        add_default(environment, "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1");
        /* without this choice a fast network's own path would be taken, which heeds no btl */
        add_default(environment, "OMPI_MCA_pml=ob1");
        add_default(environment, "OMPI_MCA_btl=self,vader");
        add_default(environment, own->segments);
        add_default(environment, own->sessions);
        /* the kernel's copy between processes is refused in many containers, with a warning */
        add_default(environment, "OMPI_MCA_btl_vader_single_copy_mechanism=none");
        add_default(environment, "OMPI_MCA_oob_tcp_if_include=lo");
        /* fewer cores than ranks: a waiting rank gives its core away */
        add_default(environment, "OMPI_MCA_mpi_yield_when_idle=1");
    }
    add(argv, cfg->worker);
}

static void add_host(const struct launch_cfg *cfg, const struct launch *launch, struct words *argv)
{
    add(argv, cfg->glowworm);
    add(argv, launch->stage->kind == STAGE_COMPILE ? "compile" : "report");
    add(argv, cfg->run_folder);
    if (launch->stage->kind == STAGE_COMPILE) {
        add(argv, "--target");
        add(argv, launch->target);
    }
}

void launch_mark(const char *endpoint, char *mark, int room)
{
    snprintf(mark, (size_t)room, PROTOCOL_ENDPOINT "=%s", endpoint);
}

static enum err check_program(const char *program)
{
    if (program && strchr(program, '/') && access(program, X_OK) != 0)
        return err_set(ERR_UNAVAILABLE, "the program %s is not there; build it, or reinstall",
                       program);
    return ERR_OK;
}

static void set_gang_words(const struct launch_cfg *cfg, const char *mpi_folder,
                           struct gang_words *own)
{
    snprintf(own->ranks, sizeof own->ranks, "%d", cfg->ranks);
    snprintf(own->segments, sizeof own->segments, MPI_FOLDER_SEGMENTS "%s", mpi_folder);
    snprintf(own->sessions, sizeof own->sessions, MPI_FOLDER_SESSIONS "%s", mpi_folder);
}

enum err launch_check(const struct launch_cfg *cfg, const char *mpi_folder, const char *log_path,
                      struct process *process)
{
    enum err err = ERR_OK;
    struct words argv = {0}, environment = {0};
    struct gang_words own;
    set_gang_words(cfg, mpi_folder, &own);
    TRY(check_program(cfg->worker));
    add_gang(cfg, &own, &argv, &environment);
    add(&argv, "--check");
    struct process_cfg process_cfg = {
        .argv = argv.list, .environment = environment.list, .log_path = log_path};
    TRY(process_start(&process_cfg, process));
out:
    return err;
}

enum err launch_start(const struct launch_cfg *cfg, const struct launch *launch,
                      struct process *process)
{
    enum err err = ERR_OK;
    struct words argv = {0}, environment = {0};
    char mark[SETTING], token[SETTING], lease[SETTING];
    struct gang_words own;
    launch_mark(launch->endpoint, mark, sizeof mark);
    snprintf(token, sizeof token, PROTOCOL_TOKEN "=%s", launch->token);
    snprintf(lease, sizeof lease, PROTOCOL_LEASE "=%llu", (unsigned long long)launch->lease_epoch);
    set_gang_words(cfg, launch->mpi_folder, &own);
    add(&environment, mark);
    add(&environment, token);
    add(&environment, lease);
    TRY(check_program(launch->stage->is_host ? cfg->glowworm : cfg->worker));
    if (launch->stage->is_host)
        add_host(cfg, launch, &argv);
    else
        add_gang(cfg, &own, &argv, &environment);
    struct process_cfg process_cfg = {.argv = argv.list,
                                      .environment = environment.list,
                                      .log_path = launch->log_path,
                                      .may_outlive_us = !launch->stage->is_host};
    TRY(process_start(&process_cfg, process));
out:
    return err;
}

void launch_host_result(const struct graph_stage *stage, const char *target, char *path, int room)
{
    if (stage->kind == STAGE_COMPILE)
        snprintf(path, (size_t)room, "bundles/%s/bundle.json", target);
    else
        snprintf(path, (size_t)room, "report.html");
}
