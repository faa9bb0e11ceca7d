/* A full disk ends no run. What the journal cannot take is not believed and not acknowledged, so it
 * is said again; no process is started for which there might be no line in the journal; an end that
 * cannot be written waits. When there is room again, all goes on where it stands. */
#include "base/clock.h"
#include "base/log.h"
#include "base/room.h"
#include "scheduler/loop_internal.h"
#include <string.h>

#define LOOK_S     1.0  /* between two looks for room... */
#define LOOK_MAX_S 30.0 /* ...where it was there and still not enough */
#define RELAPSE_S  60.0

static void begin(struct loop *loop)
{
    double now = clock_seconds();
    bool is_relapse = loop->full.ended_s > 0 && now - loop->full.ended_s < RELAPSE_S;
    double first_s = loop->cfg->look_for_room_s > 0 ? loop->cfg->look_for_room_s : LOOK_S;
    double pause_s = is_relapse ? 2 * loop->full.pause_s : first_s;
    loop->full.pause_s = pause_s < LOOK_MAX_S ? pause_s : LOOK_MAX_S;
    loop->full.look_s = now + loop->full.pause_s;
    loop->full.is_full = true;
    log_warn("the run waits for room on its disk: nothing is started, what runs goes on: %s",
             err_text());
    VIEW(loop, full, err_text());
}

static void end(struct loop *loop)
{
    loop->full.is_full = false;
    loop->full.ended_s = clock_seconds();
    log_warn("there is room on the run's disk again: it goes on");
    VIEW(loop, full, NULL);
}

enum err full_heed(struct loop *loop, enum err err)
{
    if (err != ERR_FULL)
        return err;
    if (!loop->full.is_full)
        begin(loop);
    return ERR_OK;
}

/* Where the journal lies, and where logs and results go. */
enum err full_look(const struct loop *loop)
{
    enum err err = ERR_OK;
    TRY(room_check(journal_folder(loop->cfg->journal), ROOM_BYTES));
    TRY(room_check(loop->cfg->run_folder, ROOM_BYTES));
out:
    return err;
}

bool full_holds(struct loop *loop)
{
    if (!loop->full.is_full || clock_seconds() < loop->full.look_s)
        return loop->full.is_full;
    loop->full.look_s = clock_seconds() + loop->full.pause_s;
    if (full_look(loop) == ERR_OK)
        end(loop);
    return loop->full.is_full;
}

bool full_allows_start(struct loop *loop)
{
    return !full_holds(loop) && full_heed(loop, full_look(loop)) == ERR_OK && !loop->full.is_full;
}
