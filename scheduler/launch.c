#include "base/fence.h"
#include "base/mem.h"
#include "scheduler/launch_internal.h"
#include "scheduler/mpi_folder.h"
#include "scheduler/protocol.h"
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MAX_WORD 4096

static char *write_word(const char *format, va_list arguments)
{
    char *word = mem_alloc(MAX_WORD);
    if (vsnprintf(word, MAX_WORD, format, arguments) >= MAX_WORD)
        BUG("a word of more than %d bytes for a process", MAX_WORD);
    return word;
}

static void keep_word(struct words *words, char *word)
{
    if (words->count == LAUNCH_WORDS)
        BUG("more than %d words for a process", LAUNCH_WORDS);
    words->list[words->count++] = word;
}

void words_add(struct words *words, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    keep_word(words, write_word(format, arguments));
    va_end(arguments);
}

void words_add_default(struct words *words, const char *format, ...)
{
    char name[64];
    va_list arguments;
    va_start(arguments, format);
    char *setting = write_word(format, arguments);
    va_end(arguments);
    snprintf(name, sizeof name, "%.*s", (int)strcspn(setting, "="), setting);
    if (getenv(name))
        mem_free(setting);
    else
        keep_word(words, setting);
}

static void words_fini(struct words *words)
{
    for (int i = 0; i < words->count; i++)
        mem_free(words->list[i]);
}

/* Ranks of one machine talk through shared memory. */
static void add_mpi(const char *folder, bool is_wide, struct words *environment)
{
    /* without this choice a fast network's own path would be taken, which heeds no btl */
    words_add_default(environment, "OMPI_MCA_pml=ob1");
    words_add_default(environment, "OMPI_MCA_btl=self,vader%s", is_wide ? ",tcp" : "");
    words_add_default(environment, MPI_FOLDER_SEGMENTS "%s", folder);
    words_add_default(environment, MPI_FOLDER_SESSIONS "%s", folder);
    /* the kernel's copy between processes is refused in many containers, with a warning */
    words_add_default(environment, "OMPI_MCA_btl_vader_single_copy_mechanism=none");
    /* fewer cores than ranks: a waiting rank gives its core away */
    words_add_default(environment, "OMPI_MCA_mpi_yield_when_idle=1");
}

static void add_gang(const struct launch_cfg *cfg, const struct launch *launch, struct words *argv,
                     struct words *environment)
{
    if (launch_has_mpi(cfg))
        add_mpi(launch->mpi_folder, launch_is_wide(cfg), environment);
    if (launch->is_job)
        launch_slurm_job(cfg, launch, argv);
    else if (cfg->allocation)
        launch_slurm_gang(cfg, launch, argv);
    else
        launch_local_gang(cfg, argv, environment);
}

static void add_host(const struct launch_cfg *cfg, const struct launch *launch, struct words *argv)
{
    static const char *const verbs[] = {[STAGE_COMPILE] = "compile",
                                        [STAGE_CHECK] = "check",
                                        [STAGE_VALIDATE] = "validate",
                                        [STAGE_REPORT] = "report"};
    words_add(argv, "%s", cfg->glowworm);
    words_add(argv, "%s", verbs[launch->stage->kind]);
    words_add(argv, "%s", cfg->run_folder);
    if (launch->target[0]) {
        words_add(argv, "--target");
        words_add(argv, "%s", launch->target);
    }
}

void launch_mark(const char *endpoint, char *mark, int room)
{
    snprintf(mark, (size_t)room, PROTOCOL_ENDPOINT "=%s", endpoint);
}

void launch_gang_mark(const char *endpoint, uint64_t lease_epoch, char *mark, int room)
{
    snprintf(mark, (size_t)room, PROTOCOL_GANG "=%llu@%s", (unsigned long long)lease_epoch,
             endpoint);
}

void launch_reach(const struct launch_cfg *cfg, const char *endpoint, uint64_t lease_epoch,
                  struct process *process)
{
    process->is_wide = launch_leaves_node(cfg);
    if (cfg->allocation)
        launch_gang_mark(endpoint, lease_epoch, process->mark, sizeof process->mark);
}

/* srun tells its tasks where it was called; of another job that is not where we are. */
static void add_address(const struct launch_cfg *cfg, const struct launch *launch,
                        struct words *environment)
{
    char host[256] = "*";
    if (launch->is_job && gethostname(host, sizeof host - 1) != 0)
        snprintf(host, sizeof host, "%s", cfg->allocation->node);
    words_add(environment, PROTOCOL_ADDRESS "=tcp://%s:%d", host, launch->port);
    words_add(environment, PROTOCOL_KEYS "=%s/" PROTOCOL_KEYS_FOLDER, cfg->run_folder);
}

static void add_ours(const struct launch_cfg *cfg, const struct launch *launch,
                     struct words *environment)
{
    char mark[MAX_WORD];
    if (launch->port > 0)
        add_address(cfg, launch, environment);
    launch_mark(launch->endpoint, mark, sizeof mark);
    words_add(environment, "%s", mark);
    launch_gang_mark(launch->endpoint, launch->lease_epoch, mark, sizeof mark);
    words_add(environment, "%s", mark);
    words_add(environment, PROTOCOL_TOKEN "=%s", launch->token);
    words_add(environment, PROTOCOL_LEASE "=%llu", (unsigned long long)launch->lease_epoch);
    if (cfg->stores)
        words_add(environment, PROTOCOL_STORES "=%s", cfg->stores);
    if (cfg->claim > 0)
        words_add(environment, FENCE_ENVIRONMENT "=%llu", (unsigned long long)cfg->claim);
}

static enum err check_program(const char *program)
{
    if (program && strchr(program, '/') && access(program, X_OK) != 0)
        return err_set(ERR_UNAVAILABLE, "the program %s is not there; build it, or reinstall",
                       program);
    return ERR_OK;
}

enum err launch_check(const struct launch_cfg *cfg, const char *mpi_folder, const char *log_path,
                      struct process *process)
{
    enum err err = ERR_OK;
    struct words argv = {0}, environment = {0};
    TRY(check_program(cfg->worker));
    add_gang(cfg, &(struct launch){.mpi_folder = mpi_folder}, &argv, &environment);
    words_add(&argv, "--check");
    struct process_cfg process_cfg = {.argv = (const char *const *)argv.list,
                                      .environment = (const char *const *)environment.list,
                                      .log_path = log_path};
    TRY(process_start(&process_cfg, process));
out:
    words_fini(&argv);
    words_fini(&environment);
    return err;
}

enum err launch_start(const struct launch_cfg *cfg, const struct launch *launch,
                      struct process *process)
{
    enum err err = ERR_OK;
    struct words argv = {0}, environment = {0};
    bool is_host = launch->stage->is_host;
    add_ours(cfg, launch, &environment);
    TRY(check_program(is_host ? cfg->glowworm : cfg->worker));
    if (is_host)
        add_host(cfg, launch, &argv);
    else
        add_gang(cfg, launch, &argv, &environment);
    struct process_cfg process_cfg = {.argv = (const char *const *)argv.list,
                                      .environment = (const char *const *)environment.list,
                                      .log_path = launch->log_path,
                                      .may_outlive_us = !is_host};
    TRY(process_start(&process_cfg, process));
    if (!is_host)
        launch_reach(cfg, launch->endpoint, launch->lease_epoch, process);
out:
    words_fini(&argv);
    words_fini(&environment);
    return err;
}

void launch_host_result(const struct graph_stage *stage, const char *target, char *path, int room)
{
    if (stage->kind == STAGE_REPORT)
        snprintf(path, (size_t)room, "report.html");
    else
        snprintf(path, (size_t)room, "bundles/%s/%s.json", target,
                 stage->kind == STAGE_CHECK      ? "check"
                 : stage->kind == STAGE_VALIDATE ? "validate"
                                                 : "bundle");
}
