/* glowworm doctor: looks for what would keep a campaign from running here. */
#include "base/mem.h"
#include "base/program.h"
#include "cluster/command.h"
#include "cluster/doctor/doctor.h"
#include "cluster/next_command.h"
#include "trainer/spec/campaign.h"
#include <getopt.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

struct request {
    const char *campaign, *run_folder; /* borrowed; NULL: not named */
    bool wants_json;
};

static enum err read_options(int argc, char **argv, struct request *request)
{
    static const struct option options[] = {{"run-folder", required_argument, NULL, 'f'},
                                            {"json", no_argument, NULL, 'j'},
                                            {NULL, 0, NULL, 0}};
    enum err err = ERR_OK;
    *request = (struct request){0};
    for (int option; (option = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        if (option == 'f')
            request->run_folder = optarg;
        else if (option == 'j')
            request->wants_json = true;
        else
            TRY(err_set(ERR_USAGE, "that option is not known, or lacks its value"));
    }
    if (argc - optind > 1)
        TRY(err_set(ERR_USAGE, "name one campaign file, or none"));
    request->campaign = argv[optind];
out:
    return err;
}

/* What the checks look at. A campaign that does not load is a finding of its own check. */
static void find_subject(const struct request *request, struct campaign *campaign,
                         struct doctor_subject *subject)
{
    *subject = (struct doctor_subject){.campaign_path = request->campaign,
                                       .run_folder = ".",
                                       .scratch = "",
                                       .ranks = 1,
                                       .threads = 1};
    snprintf(subject->device, sizeof subject->device, "auto");
    if (request->campaign && campaign_load(request->campaign, NULL, 0, campaign) == ERR_OK) {
        subject->run_folder = campaign->run_folder;
        subject->scratch = campaign->resources.scratch;
        subject->ranks = campaign->resources.ranks;
        subject->threads = campaign->resources.threads;
        snprintf(subject->device, sizeof subject->device, "%s", campaign->resources.device);
        if (precision_parse(campaign->precision, &subject->precision) != ERR_OK)
            subject->precision = PRECISION_FP32; /* no campaign that loads has another word */
    }
    if (request->run_folder)
        subject->run_folder = request->run_folder;
}

struct listing {
    const struct request *request;
    json_t *findings;
    int counts[3];
    bool has_colour;
};

static const char *level_name(enum finding_level level)
{
    static const char *const names[] = {
        [FINDING_OK] = "ok", [FINDING_WARNING] = "warning", [FINDING_PROBLEM] = "problem"};
    return names[level];
}

static void print_finding(const struct listing *listing, const struct finding *finding)
{
    static const char *const colours[] = {"32", "33", "31"};
    char start[16] = "";
    if (listing->has_colour)
        snprintf(start, sizeof start, "\033[%sm", colours[finding->level]);
    printf("%s%-8s%s %-14s %s\n", start, level_name(finding->level), start[0] ? "\033[0m" : "",
           finding->check, finding->reason);
    if (finding->cure[0])
        printf("%-8s %-14s cure: %s\n", "", "", finding->cure);
}

static void on_found(void *own, const struct finding *finding)
{
    struct listing *listing = own;
    listing->counts[finding->level]++;
    if (!listing->request->wants_json) {
        print_finding(listing, finding);
        fflush(stdout);
        return;
    }
    json_t *row =
        json_pack("{s:s, s:s, s:s, s:s}", "check", finding->check, "level",
                  level_name(finding->level), "reason", finding->reason, "cure", finding->cure);
    if (row) /* a name in it may be no UTF-8 */
        json_array_append_new(listing->findings, row);
}

static void print_json(const struct listing *listing)
{
    json_t *json =
        json_pack("{s:O, s:i, s:i}", "findings", listing->findings, "warnings",
                  listing->counts[FINDING_WARNING], "problems", listing->counts[FINDING_PROBLEM]);
    char *text = json_dumps(json, JSON_INDENT(2));
    puts(text ? text : "{}");
    free(text);
    json_decref(json);
}

static enum err conclude(const struct listing *listing)
{
    int problems = listing->counts[FINDING_PROBLEM];
    if (listing->request->wants_json)
        print_json(listing);
    if (problems > 0)
        return err_set(ERR_FAILED, "%d problem%s: campaigns will not run well here", problems,
                       problems > 1 ? "s" : "");
    if (!listing->request->wants_json)
        next_command("what it would do, and what that costs", "glowworm plan %s",
                     listing->request->campaign ? listing->request->campaign : "CAMPAIGN.yaml");
    return ERR_OK;
}

enum err cmd_doctor(int argc, char **argv)
{
    enum err err = ERR_OK;
    struct request request;
    struct doctor_subject subject;
    char glowworm[2048], worker[2048];
    const char *no_colour = getenv("NO_COLOR");
    struct listing listing = {.request = &request, .findings = json_array()};
    struct campaign *campaign = mem_alloc(sizeof *campaign);
    TRY(read_options(argc, argv, &request));
    listing.has_colour = isatty(STDOUT_FILENO) && !(no_colour && no_colour[0]);
    find_subject(&request, campaign, &subject);
    TRY(program_path(glowworm, sizeof glowworm));
    TRY(program_beside("glowworm-worker", worker, sizeof worker));
    subject.worker = worker;
    subject.glowworm = glowworm;
    for (const struct check *check = doctor_checks; check->name; check++)
        doctor_run(check, &subject, on_found, &listing);
    TRY(conclude(&listing));
out:
    json_decref(listing.findings);
    mem_free(campaign);
    return err;
}
