#include "cluster/slurm/queue.h"
#include "cluster/slurm/ask.h"
#include <stdio.h>
#include <string.h>
#include <time.h>

/* The comment stands last: it may hold anything. */
#define FORMAT "--format=%i|%T|%r|%N|%k"

static bool is_end(const char *state)
{
    static const char *const ends[] = {"COMPLETED", "FAILED",        "CANCELLED", "TIMEOUT",
                                       "NODE_FAIL", "OUT_OF_MEMORY", "BOOT_FAIL", "DEADLINE",
                                       "PREEMPTED", "REVOKED"};
    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++)
        if (strcmp(state, ends[i]) == 0)
            return true;
    return false;
}

/* Up to the next bar; NULL: there is none in this line. */
static const char *take_field(const char *at, char *field, size_t room)
{
    size_t size = at ? strcspn(at, "|\n") : 0;
    if (!at || at[size] != '|')
        return NULL;
    snprintf(field, room, "%.*s", (int)size, at);
    return at + size + 1;
}

static bool read_line(const char *line, const char *uuid, struct queued *queued)
{
    *queued = (struct queued){.is_there = true};
    const char *at = take_field(line, queued->job, sizeof queued->job);
    at = take_field(at, queued->state, sizeof queued->state);
    at = take_field(at, queued->reason, sizeof queued->reason);
    at = take_field(at, queued->nodes, sizeof queued->nodes);
    if (!at || !queued->job[0] || !queued->state[0])
        return false;
    if (strcmp(queued->reason, "None") == 0)
        queued->reason[0] = '\0';
    size_t size = strcspn(at, "\n");
    queued->has_ended = is_end(queued->state);
    return size == strlen(uuid) && strncmp(at, uuid, size) == 0;
}

void queue_find_in(const char *listed, const char *uuid, struct queued *found)
{
    struct queued one;
    *found = (struct queued){0};
    for (const char *line = listed; *line;) {
        if (read_line(line, uuid, &one) && (!found->is_there || found->has_ended))
            *found = one;
        line += strcspn(line, "\n");
        line += *line == '\n';
    }
}

enum err queue_find(const char *uuid, struct queued *found)
{
    enum err err = ERR_OK;
    struct answer answer = {0};
    const char *argv[] = {"squeue", "--noheader", "--me", "--states=all", FORMAT, NULL};
    TRY(ask_surely(argv, &answer));
    queue_find_in(answer.output, uuid, found);
out:
    answer_fini(&answer);
    return err;
}

/* One field of one job. */
static enum err ask_field(const char *job, const char *format, char *field, int room)
{
    enum err err = ERR_OK;
    char which[64];
    struct answer answer = {0};
    snprintf(which, sizeof which, "--jobs=%s", job);
    const char *argv[] = {"squeue", "--noheader", "--states=all", which, format, NULL};
    TRY(ask_surely(argv, &answer));
    snprintf(field, (size_t)room, "%.*s", (int)strcspn(answer.output, "\n"), answer.output);
out:
    answer_fini(&answer);
    return err;
}

enum err queue_state(const char *job, char state[32])
{
    return ask_field(job, "--format=%T", state, 32);
}

enum err queue_end(const char *job, int64_t *end_s)
{
    enum err err = ERR_OK;
    char text[64];
    struct tm tm = {.tm_isdst = -1};
    TRY(ask_field(job, "--format=%e", text, sizeof text));
    const char *behind = strptime(text, "%Y-%m-%dT%H:%M:%S", &tm);
    *end_s = behind && *behind == '\0' ? (int64_t)mktime(&tm) : 0;
out:
    return err;
}
