#include "cluster/notify.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/program.h"
#include "base/text.h"
#include "cluster/interrupt.h"
#include "cluster/timed_command.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MOST_S 60.0
#define FACTS  7

/* "NAME=value", owned. A value may hold anything but an end. */
static char *fact(const char *name, const char *value)
{
    struct text text;
    text_init(&text);
    text_add(&text, "GLOWWORM_%s=%s", name, value);
    char *copy = mem_string(text_get(&text));
    text_fini(&text);
    return copy;
}

static char *count_fact(const char *name, int count)
{
    char digits[16];
    snprintf(digits, sizeof digits, "%d", count);
    return fact(name, digits);
}

static void say_how_it_went(const struct timed_result *result, const char *program)
{
    int first = (int)strcspn(result->output, "\n");
    if (result->is_over)
        log_warn("notify: %s was killed: an interrupt came, or it took longer than %.0f s", program,
                 MOST_S);
    else if (result->signal)
        log_warn("notify: %s died of signal %d: %.*s", program, result->signal, first,
                 result->output);
    else if (result->code != 0)
        log_warn("notify: %s ended with %d: %.*s", program, result->code, first, result->output);
}

enum err notify_check(const struct campaign *campaign)
{
    const char *program = campaign->notify[0];
    if (campaign->notify_count == 0)
        return ERR_OK;
    bool is_there = strchr(program, '/') ? access(program, X_OK) == 0 : program_is_in_path(program);
    return is_there ? ERR_OK
                    : err_set(ERR_CONFIG, "notify: there is no program \"%s\" %s", program,
                              strchr(program, '/') ? "that may be run" : "in PATH");
}

void notify_end(const struct campaign *campaign, const struct run_status *status)
{
    const char *argv[CAMPAIGN_MAX_NOTIFY + 1] = {NULL};
    struct timed_limit limit = {.most_s = MOST_S, .interrupts = interrupt_count()};
    struct timed_result result;
    if (campaign->notify_count == 0)
        return;
    for (int i = 0; i < campaign->notify_count; i++)
        argv[i] = campaign->notify[i];
    char *facts[FACTS + 1] = {fact("CAMPAIGN", status->campaign),
                              fact("RUN", status->run_folder),
                              fact("STATE", run_state_name(status->state)),
                              fact("ERROR", status->error),
                              fact("TEXT", status->text),
                              count_fact("DONE", run_status_count(status, STAGE_STATE_DONE)),
                              count_fact("STAGES", status->stage_count),
                              NULL};
    if (timed_command(argv, (const char *const *)facts, &limit, &result) != ERR_OK)
        log_warn("notify: %s", err_text());
    else
        say_how_it_went(&result, argv[0]);
    for (int i = 0; i < FACTS; i++)
        mem_free(facts[i]);
}
