/* glowworm run: a campaign from images to bundles on this machine, with the scheduler inside. The
 * journal is the run's lock, held from the first look at the folder to the last word. */
#include "base/clock.h"
#include "base/fault.h"
#include "base/fence.h"
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/program.h"
#include "cluster/campaign_run.h"
#include "cluster/command.h"
#include "cluster/descriptors.h"
#include "cluster/estimate.h"
#include "cluster/interrupt.h"
#include "cluster/next_command.h"
#include "cluster/notify.h"
#include "cluster/page/page.h"
#include "cluster/page/page_address.h"
#include "cluster/progress.h"
#include "cluster/run_hints.h"
#include "cluster/run_memory.h"
#include "cluster/run_table.h"
#include "cluster/scratch/copier.h"
#include "cluster/scratch/run_scratch.h"
#include "cluster/scratch/state.h"
#include "cluster/slurm/job_end.h"
#include "cluster/slurm/left_jobs.h"
#include "cluster/status/status_writer.h"
#include "cluster/verdict.h"
#include "cluster/view_tee.h"
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define EVERY_S  10.0
#define LEAVES_S 60.0

struct programs {
    char glowworm[2048], worker[2048];
};

static enum err find_programs(struct programs *programs)
{
    enum err err = program_path(programs->glowworm, sizeof programs->glowworm);
    return err != ERR_OK
               ? err
               : program_find("glowworm-worker", programs->worker, sizeof programs->worker);
}

/* The folder may be another runner's since we looked. */
static enum err write_resolved(const struct campaign_run *run, uint64_t claim)
{
    enum err err = ERR_OK;
    const struct fence fence = {run->folder, claim};
    struct text yaml;
    text_init(&yaml);
    campaign_write(&run->campaign, &yaml);
    TRY(FAULT("run.surveyed"));
    TRY(fence_write(&fence, run->resolved, text_get(&yaml), yaml.size));
out:
    text_fini(&yaml);
    return err;
}

/* From now on the journal's idea of what the campaign asks for is this one. */
static enum err write_current(const struct campaign_run *run, struct journal *journal)
{
    struct current_stage current[PLAN_MAX_STAGES];
    for (int i = 0; i < run->graph.count; i++) {
        const struct graph_stage *stage = &run->graph.stages[i];
        current[i] = (struct current_stage){stage->name, stage->inputs, &stage->key};
    }
    return journal_set_current(journal, current, run->graph.count);
}

/* What an edit or a loss makes run again, before anything starts. */
static void say_what_runs(const struct campaign_run *run, const struct survey *survey)
{
    int done = survey->count - survey->to_do;
    fprintf(stderr, "campaign %s in %s: %d stages, %d done\n", run->campaign.name, run->folder,
            survey->count, done);
    for (int i = 0; i < survey->count; i++) {
        struct text line;
        text_init(&line);
        verdict_explain(run->graph.stages[i].name, &survey->stages[i], &line);
        if (line.size > 0)
            fprintf(stderr, "%s\n", text_get(&line));
        text_fini(&line);
    }
    struct text hints;
    text_init(&hints);
    run_hints(run, &hints);
    fputs(text_get(&hints), stderr);
    text_fini(&hints);
}

/* A run under way: what its steps share. All borrowed. */
struct running {
    struct campaign_run *run;
    struct journal *journal;
    struct run_scratch *scratch; /* NULL: its stores lie in its folder */
    const struct programs *programs;
    const struct machine_memory *machine;
    const struct launch_cfg *launch; /* but for its programs */
    struct status_writer *status;
    struct copier *copier; /* with scratch */
    const struct campaign_options *options;
    struct page *page; /* NULL: none is wanted, or there can be none */
    bool had_nothing_to_do, is_published;
};

static enum err find_published(void *own, const char *content, char folder[PUBLISHED_NAME])
{
    const struct campaign_run *run = own;
    struct published_state state;
    enum err err = state_find(run->folder, content, &state);
    if (err == ERR_OK)
        published_name(&state, folder);
    return err;
}

static enum err run_stages(const struct running *running, const struct survey *survey)
{
    enum err err = ERR_OK;
    struct campaign_run *run = running->run;
    struct view_tee tee, tee_copier;
    struct copier *copier = running->copier;
    size_t stage_bytes[PLAN_MAX_STAGES];
    struct progress *progress = NULL;
    struct progress_cfg looks = {.out = stderr,
                                 .every_s = EVERY_S,
                                 .graph = &run->graph,
                                 .survey = survey,
                                 .run_folder = run->folder};
    struct gang_limits limits = gang_limits_default();
    limits.rank_s = run->campaign.resources.stall_seconds;
    run_memory_of_stages(run, stage_bytes);
    struct launch_cfg launch = *running->launch;
    launch.worker = running->programs->worker;
    launch.glowworm = running->programs->glowworm;
    progress_look(&looks);
    progress = progress_create(&looks);
    view_tee_init(&tee, progress_view(progress), status_writer_view(running->status));
    if (copier)
        view_tee_init(&tee_copier, &tee.view, copier_view(copier));
    struct loop_cfg cfg = {.journal = running->journal,
                           .graph = &run->graph,
                           .survey = survey,
                           .campaign = &run->campaign,
                           .run_folder = run->folder,
                           .campaign_path = run->resolved,
                           .launch = launch,
                           .limits = limits,
                           .capacity = {.gangs = campaign_gangs_of_node(&run->campaign),
                                        .memory_bytes = running->machine->total_bytes,
                                        .stage_bytes = stage_bytes},
                           .check = campaign_run_check,
                           .check_own = run,
                           .find_published = find_published,
                           .check_owner = running->scratch ? run_scratch_check : NULL,
                           .owner = running->scratch,
                           .stop_asked = interrupt_count(),
                           .why_stopped = launch.allocation ? job_end_cause : NULL,
                           .was_stopped = &run->was_stopped,
                           .view = copier ? &tee_copier.view : &tee.view};
    TRY(loop_run(&cfg));
out:
    progress_destroy(&progress);
    return err;
}

static enum err print_results(const struct campaign_run *run,
                              const struct campaign_options *options)
{
    enum err err = ERR_OK;
    struct run_results results = {0};
    struct text table;
    text_init(&table);
    TRY(run_results_load(run->folder, &results));
    if (options->wants_json) {
        json_t *json = run_table_json(&results);
        json_object_set_new(json, "campaign", json_string(run->campaign.name));
        json_object_set_new(json, "run_folder", json_string(run->folder));
        char *text = json_dumps(json, JSON_INDENT(2));
        puts(text ? text : "{}");
        free(text);
        json_decref(json);
    } else {
        run_table_write(&results, &table);
        fputs(text_get(&table), stdout);
    }
out:
    text_fini(&table);
    run_results_fini(&results);
    return err;
}

/* Another runner has the run: nobody is told anything by this one. */
static bool is_lost(const struct running *running)
{
    return running->scratch && run_scratch_check(running->scratch) != ERR_OK;
}

/* A run goes on without its page. */
static void open_page(struct running *running)
{
    const struct campaign_run *run = running->run;
    struct page_cfg cfg = {.count = 1,
                           .folders = &run->folder,
                           .source = PAGE_OWN_RUN,
                           .port = running->options->page_port};
    if (page_open(&cfg, &running->page) != ERR_OK) {
        log_warn("the run goes on without a page: %s", err_text());
        return;
    }
    fprintf(stderr, "page: %s\n", page_address(running->page));
    if (page_address_write(run->folder, page_address(running->page)) != ERR_OK)
        log_warn("\"glowworm status\" cannot tell where the page is: %s", err_text());
}

static void close_page(struct running *running)
{
    if (running->page && !is_lost(running))
        page_address_remove(running->run->folder);
    page_close(&running->page);
}

static enum err run_surveyed(struct running *running, struct survey *survey)
{
    enum err err = ERR_OK;
    struct campaign_run *run = running->run;
    struct run_estimate *estimate = mem_alloc(sizeof *estimate);
    bool is_known = estimate_run(run, survey, estimate) == ERR_OK;
    status_writer_begin(running->status, survey, is_known ? estimate : NULL);
    say_what_runs(run, survey);
    if (survey->to_do == 0) {
        fprintf(stderr, "the campaign is finished: nothing to do\n");
        running->had_nothing_to_do = true;
        goto out;
    }
    TRY(write_current(run, running->journal));
    page_address_remove(run->folder); /* of a runner that was killed */
    if (running->options->wants_page)
        open_page(running);
    TRY(run_stages(running, survey));
out:
    mem_free(estimate);
    return err;
}

static enum err run_looked_at(struct running *running)
{
    enum err err = ERR_OK;
    int leftovers = 0;
    struct campaign_run *run = running->run;
    struct machine_memory machine;
    struct run_memory memory;
    struct survey *survey = mem_alloc(sizeof *survey);
    running->machine = &machine;
    const struct loop_cfg run_before = {.journal = running->journal,
                                        .graph = &run->graph,
                                        .campaign = &run->campaign,
                                        .run_folder = run->folder,
                                        .launch = *running->launch,
                                        .stop_asked = interrupt_count()};
    TRY(loop_clear_leftovers(&run_before, &leftovers));
    TRY(campaign_run_survey(run, running->journal, survey));
    TRY(run_memory_survey(run, survey, &machine, &memory));
    TRY(campaign_run_name_checkpoints(run, survey));
    TRY(write_resolved(run, running->launch->claim));
    TRY(run_surveyed(running, survey));
out:
    survey_fini(survey);
    mem_free(survey);
    return err;
}

/* The text of `why` is kept. A run that had nothing to do ends unheard. */
static void tell_end(const struct running *running, enum err why)
{
    char *text = mem_string(err_text());
    if (!running->had_nothing_to_do && !is_lost(running))
        notify_end(&running->run->campaign, status_writer_status(running->status));
    if (why != ERR_OK)
        err_set(why, "%s", text);
    mem_free(text);
}

/* However the run ended, what it did is to be seen elsewhere. Returns `why` with its text kept. */
static enum err publish_last(struct running *running, enum err why)
{
    if (!running->copier || is_lost(running))
        return why;
    char *text = mem_string(err_text());
    running->is_published = copier_finish(running->copier) == ERR_OK;
    if (!running->is_published)
        log_warn("%s: what it did since it was last published is in %s only", err_text(),
                 running->launch->stores);
    if (why != ERR_OK)
        err_set(why, "%s", text);
    mem_free(text);
    return why;
}

/* With the journal held: who looks at the folder from elsewhere is told of the run. */
static enum err run_locked(struct running *running, const char *command)
{
    struct campaign_run *run = running->run;
    struct status_writer_cfg cfg = {.run_folder = run->folder,
                                    .claim = running->launch->claim,
                                    .campaign = run->campaign.name,
                                    .device = run->campaign.resources.device,
                                    .command = command,
                                    .graph = &run->graph,
                                    .stop = interrupt_first,
                                    .stop_signal = interrupt_signal};
    running->status = status_writer_create(&cfg);
    struct copier_cfg copier = {.glowworm = running->programs->glowworm,
                                .run_folder = run->folder,
                                .stores = running->launch->stores,
                                .claim = running->launch->claim,
                                .every_s = run->campaign.checkpoint.publish_seconds,
                                .meanwhile = status_writer_view(running->status),
                                .stop_asked = interrupt_count()};
    if (running->scratch)
        running->copier = copier_create(&copier);
    enum err err = publish_last(running, run_looked_at(running));
    status_writer_end(running->status, err);
    tell_end(running, err);
    close_page(running);
    copier_destroy(&running->copier);
    status_writer_destroy(&running->status);
    return err;
}

/* One that was taken over on this machine ends within seconds of its sign. */
static enum err hold(struct running *running)
{
    struct campaign_run *run = running->run;
    double end = clock_seconds() + (running->options->takes_over ? LEAVES_S : 0);
    enum err err = journal_open(run->journal, JOURNAL_WRITE, &running->journal);
    while (err == ERR_AGAIN && clock_seconds() < end && *interrupt_count() == 0) {
        nanosleep(&(struct timespec){.tv_nsec = 100000000}, NULL);
        err = journal_open(run->journal, JOURNAL_WRITE, &running->journal);
    }
    return err == ERR_AGAIN
               ? err_prefix(err, "%s is being run already (\"glowworm cancel\" stops it)",
                            run->folder)
               : err;
}

/* The journal is the run's lock on this machine; where several may see its folder, a claim is
 * before that. */
static enum err run_held(struct running *running, struct launch_cfg *launch, const char *command)
{
    enum err err = ERR_OK;
    struct campaign_run *run = running->run;
    if (running->scratch) {
        launch->stores = run_scratch_stores(running->scratch);
        launch->claim = run_scratch_claim(running->scratch);
        campaign_run_move_stores(run, launch->stores);
    }
    TRY(hold(running));
    if (running->scratch)
        run_scratch_unlock(running->scratch);
    TRY(run_locked(running, command));
out:
    journal_close(&running->journal);
    return err;
}

/* Nothing was done that is not published, or nothing was done at all. */
static enum claim_end find_end(const struct running *running)
{
    return running->is_published ? CLAIM_PUBLISHED : CLAIM_ENDED;
}

static enum err run_claimed(struct campaign_run *run, const struct campaign_options *options,
                            struct launch_cfg *launch, const char *command)
{
    enum err err = ERR_OK;
    struct programs programs;
    struct running running = {
        .run = run, .launch = launch, .options = options, .programs = &programs};
    struct run_scratch_cfg scratch = {.campaign = &run->campaign,
                                      .run_folder = run->folder,
                                      .mode = options->takes_over ? CLAIM_TAKE_OVER : CLAIM_IF_FREE,
                                      .leaves_s = options->takes_over ? LEAVES_S : 0,
                                      .stop_asked = interrupt_count()};
    TRY(find_programs(&programs));
    TRY(file_make_private(run->folder));
    TRY(run_scratch_open(&scratch, &running.scratch));
    TRY(run_held(&running, launch, command));
out:
    run_scratch_close(&running.scratch, find_end(&running));
    return err;
}

/* Gangs are steps of the job that we are in, where the campaign says so. */
static enum err choose_launcher(const struct campaign_run *run, const char *site,
                                struct allocation *allocation, struct launch_cfg *launch)
{
    enum err err = ERR_OK;
    const struct campaign *campaign = &run->campaign;
    *launch = (struct launch_cfg){
        .ranks = campaign->resources.ranks, .run_folder = run->folder, .mpirun = "mpirun"};
    if (strcmp(campaign->resources.launcher, "slurm") != 0)
        return campaign_nodes(campaign) == 1 && campaign->resources.helper_jobs == 0
                   ? ERR_OK
                   : err_set(ERR_CONFIG,
                             "the campaign asks for %d nodes and %d jobs of helpers "
                             "(resources.nodes, resources.gangs_per_node, resources.helper_jobs), "
                             "and resources.launcher is local, which knows this machine only: "
                             "\"glowworm slurm submit\" asks for nodes",
                             campaign_nodes(campaign), campaign->resources.helper_jobs);
    TRY(allocation_read(allocation));
    TRY(allocation_divide(allocation, campaign, &launch->share));
    launch->allocation = allocation;
    launch->nodes = campaign->resources.nodes;
    launch->site = site;
out:
    return err;
}

/* As it was typed, for a shell. */
static void add_command(int argc, char **argv, struct text *command)
{
    text_add(command, "glowworm run");
    for (int i = 1; i < argc; i++) {
        char *word = next_command_word(argv[i]);
        text_add(command, " %s", word);
        mem_free(word);
    }
}

/* A full disk may be this node's own: that is no reason to stay away, and stays the error. Returns
 * `why`, or how the run comes back. */
static enum err end_job(const struct job_end_cfg *ending, const struct campaign_run *run,
                        enum err why)
{
    if (why != ERR_INTERRUPTED && !(why == ERR_FULL && run->was_stopped))
        return why;
    char *text = mem_string(err_text());
    enum err err = job_end(ending, interrupt_signal());
    if (why == ERR_FULL && err == ERR_INTERRUPTED)
        err = err_set(why, "%s", text);
    mem_free(text);
    return err;
}

/* Of helpers. The text of `why` is kept. */
static void end_left_jobs(const struct campaign_run *run, enum err why)
{
    char *text = mem_string(err_text());
    left_jobs_cancel(run->folder);
    if (why != ERR_OK)
        err_set(why, "%s", text);
    mem_free(text);
}

enum err cmd_run(int argc, char **argv)
{
    enum err err = ERR_OK;
    struct campaign_options *options = mem_alloc(sizeof *options);
    struct campaign_run *run = NULL;
    struct allocation allocation;
    struct launch_cfg launch = {0};
    struct job_end_cfg ending = {.allocation = &allocation, .options = options};
    struct text command;
    text_init(&command);
    add_command(argc, argv, &command); /* before the options are taken apart */
    TRY(campaign_options_read(argc, argv, options));
    TRY(campaign_run_open(options, &run));
    TRY(choose_launcher(run, options->site, &allocation, &launch));
    TRY(notify_check(&run->campaign));
    descriptors_raise(descriptors_needed(&run->campaign));
    interrupt_watch();
    ending.campaign = &run->campaign;
    if (launch.allocation)
        TRY(job_end_watch(&ending));
    TRY(run_claimed(run, options, &launch, text_get(&command)));
    TRY(print_results(run, options));
out:
    if (launch.allocation) /* nobody holds the run any more */
        err = end_job(&ending, run, err);
    if (launch.share.jobs > 0)
        end_left_jobs(run, err);
    campaign_run_close(&run);
    text_fini(&command);
    mem_free(options);
    return err;
}
