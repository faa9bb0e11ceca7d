#include "base/published.h"
#include "base/file.h"
#include "base/mem.h"
#include <dirent.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

/* Nothing behind the numbers: what is being made has another name. */
static bool read_name(const char *name, struct published_state *state)
{
    unsigned long long claim = 0, sequence = 0;
    char again[64];
    if (sscanf(name, "state-%llu-%llu", &claim, &sequence) != 2)
        return false;
    snprintf(again, sizeof again, "state-%llu-%llu", claim, sequence);
    *state = (struct published_state){claim, sequence};
    return strcmp(name, again) == 0;
}

bool published_is_newer(const struct published_state *state, const struct published_state *than)
{
    return state->claim != than->claim ? state->claim > than->claim
                                       : state->sequence > than->sequence;
}

/* Into a list of the newest, in order. */
static void insert(struct published_state *states, int *count, int room,
                   const struct published_state *state)
{
    int at = *count;
    while (at > 0 && published_is_newer(state, &states[at - 1]))
        at--;
    if (at == room)
        return;
    int moved = (*count < room ? *count : room - 1) - at;
    memmove(&states[at + 1], &states[at], (size_t)moved * sizeof *states);
    states[at] = *state;
    *count += *count < room;
}

int published_list(const char *run_folder, struct published_state *states, int room)
{
    int count = 0;
    struct published_state state;
    char *path = file_join(run_folder, "published");
    DIR *list = opendir(path);
    for (struct dirent *entry; list && (entry = readdir(list));)
        if (read_name(entry->d_name, &state))
            insert(states, &count, room, &state);
    if (list)
        closedir(list);
    mem_free(path);
    return count;
}

void published_name(const struct published_state *state, char name[PUBLISHED_NAME])
{
    snprintf(name, PUBLISHED_NAME, "published/state-%llu-%llu", (unsigned long long)state->claim,
             (unsigned long long)state->sequence);
}

char *published_path(const char *run_folder, const struct published_state *state,
                     const char *inside)
{
    char name[PUBLISHED_NAME];
    published_name(state, name);
    char *folder = file_join(run_folder, name);
    if (!inside[0])
        return folder;
    char *path = file_join(folder, inside);
    mem_free(folder);
    return path;
}

/* Scratch is a place that others may write to: what another user made there is not what our link
 * meant. */
static bool leads_home(const char *path)
{
    struct stat link, end;
    if (lstat(path, &link) != 0)
        return false;
    if (!S_ISLNK(link.st_mode))
        return true;
    return stat(path, &end) == 0 && S_ISDIR(end.st_mode) && end.st_uid == link.st_uid;
}

char *published_find_store(const char *run_folder, const char *store)
{
    struct published_state newest;
    char *path = file_join(run_folder, store);
    if (leads_home(path) || published_list(run_folder, &newest, 1) == 0)
        return path;
    mem_free(path);
    return published_path(run_folder, &newest, store);
}
