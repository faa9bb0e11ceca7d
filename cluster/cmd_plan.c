/* glowworm plan: the stages of a campaign, what is done, what the rest costs, what could be left
 * out. Starts nothing and writes nothing. */
#include "base/mem.h"
#include "cluster/campaign_run.h"
#include "cluster/command.h"
#include "cluster/estimate.h"
#include "cluster/progress.h"
#include "cluster/run_hints.h"
#include "cluster/run_memory.h"
#include "cluster/status/run_status.h"
#include "cluster/verdict.h"
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

struct plan_view {
    struct campaign_run *run;
    struct survey survey;
    struct run_estimate estimate;
    struct machine_memory machine;
    struct run_memory memory;
    struct text hints;
    char excluded[512]; /* nodes, "n2,n7" */
};

static void print_stage(const struct plan_view *plan, int i)
{
    const struct survey_stage *stage = &plan->survey.stages[i];
    const struct stage_estimate *estimate = &plan->estimate.stages[i];
    char steps[32] = "-", macs[32] = "-", time[32] = "-", state[64];
    if (estimate->steps > 0)
        snprintf(steps, sizeof steps, "%llu", (unsigned long long)estimate->steps);
    if (estimate->macs > 0)
        snprintf(macs, sizeof macs, "%.3g T", estimate->macs / 1e12);
    snprintf(state, sizeof state, "%s", verdict_word(stage->verdict));
    if (stage->verdict == SURVEY_DONE)
        progress_duration(stage->record.seconds, time);
    else
        progress_duration(estimate->seconds, time);
    if (stage->verdict == SURVEY_PARTIAL)
        snprintf(state, sizeof state, "begun, at step %llu",
                 (unsigned long long)stage->record.step);
    printf("%-16s %-22s %8s  %10s  %s%s\n", plan->run->graph.stages[i].name, state, steps, macs,
           stage->verdict == SURVEY_DONE ? "took " : "", time);
}

static void print_device_memory(const struct plan_view *plan)
{
    const struct run_memory *memory = &plan->memory;
    if (memory->device_stage < 0)
        return;
    printf("memory of device %s: up to %.2f GB a rank in stage %s",
           plan->run->campaign.resources.device, (double)memory->device_bytes / 1e9,
           plan->run->graph.stages[memory->device_stage].name);
    if (memory->scratch_bytes == 0)
        printf(", and what its operations work in");
    if (plan->machine.card_bytes > 0)
        printf("; a card here has %.2f GB", (double)plan->machine.card_bytes / 1e9);
    printf("\n");
}

static void print_memory(const struct plan_view *plan)
{
    const struct run_memory *memory = &plan->memory;
    print_device_memory(plan);
    if (memory->stage < 0)
        return;
    printf("memory: up to %.2f GB", (double)memory->footprint.gang_bytes / 1e9);
    if (memory->ranks > 1)
        printf(" (%d ranks)", memory->ranks);
    printf(" in stage %s; %s %.2f GB\n", plan->run->graph.stages[memory->stage].name,
           plan->machine.whose, (double)plan->machine.total_bytes / 1e9);
}

static void print_plan(const struct plan_view *plan)
{
    const struct campaign_run *run = plan->run;
    char time[32];
    printf("campaign %s in %s: %u images to train on, %u held out, %u to test\n\n",
           run->campaign.name, run->folder, run->train_images, run->holdout_images,
           run->test_images);
    printf("%-16s %-22s %8s  %10s  %s\n", "stage", "state", "steps", "MACs", "time");
    for (int i = 0; i < run->graph.count; i++)
        print_stage(plan, i);
    progress_duration(plan->estimate.seconds, time);
    printf("\nleft: about %s at %.3g GMAC/s (%s)\n", time, plan->estimate.macs_per_second / 1e9,
           plan->estimate.is_measured ? "measured in this run"
                                      : "assumed, nothing was measured in this run yet");
    print_memory(plan);
    for (int i = 0; i < run->graph.count; i++) {
        struct text line;
        text_init(&line);
        verdict_explain(run->graph.stages[i].name, &plan->survey.stages[i], &line);
        if (line.size > 0)
            printf("%s\n", text_get(&line));
        text_fini(&line);
    }
    if (plan->hints.size > 0)
        printf("\n%s", text_get(&plan->hints));
}

static json_t *stage_json(const struct plan_view *plan, int i)
{
    const struct survey_stage *stage = &plan->survey.stages[i];
    const struct graph_stage *node = &plan->run->graph.stages[i];
    const struct stage_estimate *estimate = &plan->estimate.stages[i];
    char key[HASH_HEX_BYTES];
    hash_hex(&node->key, key);
    json_t *json =
        json_pack("{s:s, s:s, s:s, s:s, s:I, s:I, s:f, s:f, s:i, s:f}", "name", node->name, "state",
                  verdict_word(stage->verdict), "why", stage->why, "key", key, "steps",
                  (json_int_t)estimate->steps, "step", (json_int_t)stage->record.step, "macs",
                  estimate->macs, "seconds_left", estimate->seconds, "attempts",
                  stage->record.attempts, "seconds_spent", stage->record.seconds);
    json_t *needs = json_array();
    for (int d = 0; d < node->dependency_count; d++)
        json_array_append_new(needs,
                              json_string(plan->run->graph.stages[node->dependencies[d]].name));
    json_object_set_new(json, "needs", needs);
    json_object_set_new(json, "causes", run_status_causes(stage->record.ends));
    return json;
}

/* Bytes; of the stage that takes most, and of each of its parts on rank 0. */
static json_t *memory_json(const struct plan_view *plan)
{
    const struct run_memory *memory = &plan->memory;
    const struct footprint *footprint = &memory->footprint;
    const char *stage = memory->stage < 0 ? "" : plan->run->graph.stages[memory->stage].name;
    return json_pack(
        "{s:s, s:i, s:I, s:I, s:I, s:I, s:I, s:{s:I, s:I, s:I, s:I, s:I, s:I}}", "stage", stage,
        "ranks", memory->ranks, "needed", (json_int_t)footprint->gang_bytes, "there",
        (json_int_t)plan->machine.total_bytes, "of_rank_0", (json_int_t)footprint->rank_bytes,
        "of_device", (json_int_t)memory->device_bytes, "of_card",
        (json_int_t)plan->machine.card_bytes, "parts", "weights",
        (json_int_t)footprint->weight_bytes, "sums", (json_int_t)footprint->sum_bytes,
        "activations", (json_int_t)footprint->activation_bytes, "images",
        (json_int_t)footprint->image_bytes, "checkpoint", (json_int_t)footprint->checkpoint_bytes,
        "program", (json_int_t)footprint->program_bytes);
}

static void print_json(const struct plan_view *plan)
{
    json_t *stages = json_array(), *hints = json_array();
    for (int i = 0; i < plan->run->graph.count; i++)
        json_array_append_new(stages, stage_json(plan, i));
    for (const char *hint = text_get(&plan->hints); *hint;) {
        size_t size = strcspn(hint, "\n");
        json_array_append_new(hints, json_stringn(hint, size));
        hint += size + (hint[size] == '\n');
    }
    json_t *json = json_pack(
        "{s:s, s:s, s:s, s:o, s:f, s:f, s:b, s:o, s:o}", "campaign", plan->run->campaign.name,
        "excluded", plan->excluded, "run_folder", plan->run->folder, "stages", stages,
        "seconds_left", plan->estimate.seconds, "macs_per_second", plan->estimate.macs_per_second,
        "is_measured", plan->estimate.is_measured, "hints", hints, "memory", memory_json(plan));
    char *text = json_dumps(json, JSON_INDENT(2));
    puts(text ? text : "{}");
    free(text);
    json_decref(json);
}

static enum err find_excluded(struct journal *journal, struct plan_view *plan)
{
    enum err err = ERR_OK;
    struct bad_nodes *nodes = mem_alloc(sizeof *nodes);
    if (journal)
        TRY(bad_nodes_recall(journal, nodes));
    bad_nodes_write(nodes, plan->excluded, sizeof plan->excluded);
out:
    mem_free(nodes);
    return err;
}

static enum err open_journal(const struct campaign_run *run, struct journal **journal)
{
    enum err err = journal_open(run->journal, JOURNAL_READ, journal);
    return err == ERR_NOT_FOUND ? ERR_OK : err; /* nothing was run yet */
}

enum err cmd_plan(int argc, char **argv)
{
    enum err err = ERR_OK;
    struct campaign_options *options = mem_alloc(sizeof *options);
    struct plan_view *plan = mem_alloc(sizeof *plan);
    struct journal *journal = NULL;
    text_init(&plan->hints);
    TRY(campaign_options_read(argc, argv, options));
    if (options->site)
        TRY(err_set(ERR_USAGE, "a plan is the same at every site"));
    TRY(campaign_run_open(options, &plan->run));
    TRY(open_journal(plan->run, &journal));
    TRY(find_excluded(journal, plan));
    TRY(campaign_run_survey(plan->run, journal, &plan->survey));
    TRY(run_memory_survey(plan->run, &plan->survey, &plan->machine, &plan->memory));
    TRY(estimate_run(plan->run, &plan->survey, &plan->estimate));
    campaign_hints(&plan->run->campaign, &plan->run->space, &plan->run->schedule,
                   plan->run->image_side, &plan->hints);
    run_hints(plan->run, &plan->hints);
    if (options->wants_json)
        print_json(plan);
    else
        print_plan(plan);
out:
    journal_close(&journal);
    survey_fini(&plan->survey);
    campaign_run_close(&plan->run);
    text_fini(&plan->hints);
    mem_free(plan);
    mem_free(options);
    return err;
}
