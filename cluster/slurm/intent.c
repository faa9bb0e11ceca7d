#include "cluster/slurm/intent.h"
#include "base/file.h"
#include "base/mem.h"
#include <ctype.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FORMAT    1
#define MAX_BYTES 65536

static void take(char *to, size_t room, const char *from)
{
    snprintf(to, room, "%s", from);
}
#define TAKE(to, from) take((to), sizeof(to), (from))

void intent_read(const char *run_folder, struct intent *intent)
{
    char *bytes = NULL, *path = file_join(run_folder, INTENT_NAME);
    const char *uuid = NULL, *job = NULL, *key = "", *before = "";
    int is_settled = 1; /* of an earlier version */
    size_t size = 0;
    *intent = (struct intent){0};
    json_t *json = file_read(path, MAX_BYTES, &bytes, &size) == ERR_OK
                       ? json_loadb(bytes, size, 0, NULL)
                       : NULL;
    if (json && json_unpack(json, "{s:s, s:s, s?s, s?s, s?b}", "uuid", &uuid, "job", &job, "key",
                            &key, "before", &before, "settled", &is_settled) == 0) {
        TAKE(intent->uuid, uuid);
        TAKE(intent->job, job);
        TAKE(intent->key, key);
        TAKE(intent->before, before);
        intent->is_settled = is_settled;
    }
    json_decref(json);
    mem_free(bytes);
    mem_free(path);
}

enum err intent_write(const char *run_folder, const struct intent *intent)
{
    json_t *json = json_pack("{s:i, s:s, s:s, s:s, s:s, s:b}", "format", FORMAT, "uuid",
                             intent->uuid, "job", intent->job, "key", intent->key, "before",
                             intent->before, "settled", intent->is_settled);
    char *text = json ? json_dumps(json, JSON_INDENT(2)) : NULL;
    char *path = file_join(run_folder, INTENT_NAME);
    enum err err = text ? file_write(path, text, strlen(text))
                        : err_set(ERR_MEMORY, "no room for " INTENT_NAME);
    free(text);
    json_decref(json);
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
