#include "cluster/slurm/job_news.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/text.h"
#include "cluster/json_file.h"
#include <ctype.h>
#include <stdio.h>
#include <string.h>

#define FORMAT    1
#define MAX_BYTES 65536

json_t *job_news_json(const struct job_news *news)
{
    const struct queued *queued = &news->queued;
    return json_pack("{s:i, s:s, s:s, s:s, s:s, s:b, s:b, s:b}", "format", FORMAT, "job",
                     queued->job, "state", queued->state, "reason", queued->reason, "nodes",
                     queued->nodes, "listed", queued->is_there, "ended", queued->has_ended,
                     "silent", news->is_silent);
}

enum err job_news_write(const char *run_folder, const struct job_news *news)
{
    char *path = file_join(run_folder, JOB_NEWS_NAME);
    enum err err = json_file_write(path, job_news_json(news));
    mem_free(path);
    return err;
}

static void take(char *to, size_t room, const char *from)
{
    struct text safe;
    text_init(&safe);
    text_add_safe(&safe, from, strlen(from));
    snprintf(to, room, "%s", text_get(&safe));
    text_fini(&safe);
}
#define TAKE(to, from) take((to), sizeof(to), (from))

static bool parse(json_t *json, struct job_news *news)
{
    int is_there = 0, has_ended = 0, is_silent = 0;
    const char *job = NULL, *state = NULL, *reason = NULL, *nodes = NULL;
    if (json_unpack(json, "{s:s, s:s, s:s, s:s, s:b, s:b, s:b}", "job", &job, "state", &state,
                    "reason", &reason, "nodes", &nodes, "listed", &is_there, "ended", &has_ended,
                    "silent", &is_silent) != 0)
        return false;
    TAKE(news->queued.job, job);
    TAKE(news->queued.state, state);
    TAKE(news->queued.reason, reason);
    TAKE(news->queued.nodes, nodes);
    news->queued.is_there = is_there;
    news->queued.has_ended = has_ended;
    news->is_silent = is_silent;
    return true;
}

bool job_news_read(const char *run_folder, struct job_news *news)
{
    json_t *json = NULL;
    char *path = file_join(run_folder, JOB_NEWS_NAME);
    *news = (struct job_news){0};
    bool is_read = json_file_read(path, MAX_BYTES, &json) == ERR_OK && parse(json, news);
    json_decref(json);
    mem_free(path);
    return is_read;
}

/* "on n1", "(Priority)", "". */
static void add_where(const struct queued *queued, char where[160])
{
    bool runs = queued->nodes[0] && strcmp(queued->state, "RUNNING") == 0;
    where[0] = '\0';
    if (runs)
        snprintf(where, 160, " on %s", queued->nodes);
    else if (queued->reason[0])
        snprintf(where, 160, " in Slurm (%s)", queued->reason);
}

void job_news_text(const struct job_news *news, char text[JOB_NEWS_TEXT])
{
    const struct queued *queued = &news->queued;
    char state[32], where[160];
    int i = 0;
    for (; queued->state[i]; i++)
        state[i] = (char)tolower((unsigned char)queued->state[i]);
    state[i] = '\0';
    add_where(queued, where);
    const char *without = news->is_silent ? "submitted" : "not in Slurm any more";
    snprintf(text, JOB_NEWS_TEXT, "job %s: %s%s%s", queued->job, queued->is_there ? state : without,
             queued->is_there ? where : "", news->is_silent ? "; Slurm does not answer now" : "");
}
