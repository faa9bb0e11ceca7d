#include "cluster/status/status_reader.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/mem.h"
#include "cluster/json_file.h"
#include "cluster/status/status_journal.h"
#include "scheduler/process.h"
#include "trainer/record/json_name.h"
#include <math.h>
#include <string.h>

#define MAX_BYTES ((size_t)4 << 20)
#define GONE_S    5.0 /* a fresh one is believed: its runner may be seen by another name */

/* On this machine the runner itself can be looked for. */
static enum runner_state judge(const struct run_status *status, double age_s)
{
    char place[192];
    process_place(place, sizeof place);
    if (run_state_is_end(status->state))
        return RUNNER_ENDED;
    const char *theirs = strrchr(status->place, ' '), *ours = strrchr(place, ' ');
    bool is_here = process_place_is_same(status->place, place);
    bool is_restarted = !is_here && theirs && ours && strcmp(theirs, ours) == 0;
    bool is_gone = is_here && (int64_t)process_started_ticks(status->pid) != status->started_ticks;
    if ((is_gone && fabs(age_s) > GONE_S) || (is_restarted && fabs(age_s) > STATUS_STALE_S))
        return RUNNER_GONE;
    return fabs(age_s) > STATUS_STALE_S ? RUNNER_SILENT : RUNNER_THERE;
}

enum err status_read_published(const char *run_folder, struct found_status *found)
{
    enum err err = ERR_OK;
    char *path = file_join(run_folder, "published/status.json");
    json_t *json = NULL;
    TRY(json_file_read(path, MAX_BYTES, &json));
    err = run_status_parse(json, &found->status);
    TRY(err == ERR_OK ? err : err_prefix(err, "%s", path));
    found->is_from_journal = false;
    found->age_s = (double)(clock_wall_ms() - found->status.written_ms) / 1000.0;
    found->runner = judge(&found->status, found->age_s);
out:
    json_decref(json);
    mem_free(path);
    return err;
}

enum err status_read(const char *run_folder, struct found_status *found)
{
    enum err err = status_read_published(run_folder, found);
    if (err != ERR_NOT_FOUND)
        return err;
    found->is_from_journal = true;
    found->age_s = NAN;
    found->runner = RUNNER_UNKNOWN;
    return status_from_journal(run_folder, &found->status);
}

const char *runner_state_name(enum runner_state state)
{
    static const char *const names[] = {[RUNNER_THERE] = "there",
                                        [RUNNER_SILENT] = "silent",
                                        [RUNNER_GONE] = "gone",
                                        [RUNNER_ENDED] = "ended",
                                        [RUNNER_UNKNOWN] = "unknown"};
    return names[state];
}

json_t *status_json(const struct found_status *found, const char *folder)
{
    json_t *json = run_status_json(&found->status);
    json_object_set_new(json, "folder", json_name(folder));
    json_object_set_new(json, "runner", json_string(runner_state_name(found->runner)));
    json_object_set_new(json, "age_seconds",
                        isfinite(found->age_s) ? json_real(found->age_s) : json_null());
    json_object_set_new(json, "source", json_string(found->is_from_journal ? "journal" : "status"));
    return json;
}
