#include "cluster/slurm/intent.h"
#include "base/file.h"
#include "base/mem.h"
#include "cluster/json_file.h"
#include <ctype.h>
#include <stdio.h>
#include <string.h>

#define FORMAT    1
#define MAX_BYTES 65536

/* False: it does not fit, so it is not ours. */
static bool take(char *to, size_t room, const char *from)
{
    return snprintf(to, room, "%s", from) < (int)room;
}
#define TAKE(to, from) take((to), sizeof(to), (from))

void intent_read(const char *run_folder, struct intent *intent)
{
    char *path = file_join(run_folder, INTENT_NAME);
    const char *uuid = NULL, *job = NULL, *key = "", *before = "";
    int is_settled = 1; /* of an earlier version */
    json_t *json = NULL;
    *intent = (struct intent){0};
    if (json_file_read(path, MAX_BYTES, &json) == ERR_OK &&
        json_unpack(json, "{s:s, s:s, s?s, s?s, s?b}", "uuid", &uuid, "job", &job, "key", &key,
                    "before", &before, "settled", &is_settled) == 0) {
        intent->is_settled = is_settled;
        if (!TAKE(intent->uuid, uuid) || !TAKE(intent->job, job) || !TAKE(intent->key, key) ||
            !TAKE(intent->before, before))
            *intent = (struct intent){0};
    }
    json_decref(json);
    mem_free(path);
}

enum err intent_write(const char *run_folder, const struct intent *intent)
{
    json_t *json = json_pack("{s:i, s:s, s:s, s:s, s:s, s:b}", "format", FORMAT, "uuid",
                             intent->uuid, "job", intent->job, "key", intent->key, "before",
                             intent->before, "settled", intent->is_settled);
    char *path = file_join(run_folder, INTENT_NAME);
    enum err err = json_file_write(path, json);
    mem_free(path);
    return err;
}

void intent_name_runner(const struct run_status *status, char runner[INTENT_RUNNER])
{
    snprintf(runner, INTENT_RUNNER, "%s %lld %lld", status->place, (long long)status->pid,
             (long long)status->started_ticks);
}

bool intent_is_key(const char *text)
{
    size_t size = 0;
    while (isalnum((unsigned char)text[size]) || (text[size] && strchr("_.-", text[size])))
        size++;
    return size > 0 && size < INTENT_KEY && text[size] == '\0';
}
