#include "cluster/daemon/runner_end.h"
#include <signal.h>
#include <stdio.h>
#include <string.h>

#define DONE_STAGE     ((int64_t)1 << 40) /* more than the steps of one */
#define PAUSE_MS       1000
#define PAUSE_MAX_MS   60000
#define MOST_DOUBLINGS 6
#define SYSTEM_MS      10000 /* whoever stops programs may stop us next */
#define FULL_MS        30000
#define EXIT_IO        74
#define EXIT_AGAIN     75
#define EXIT_REQUEUE   85
#define EXIT_CTRL_C    (128 + SIGINT)
#define EXIT_SIGTERM   (128 + SIGTERM)

enum end_kind {
    END_DONE,
    END_FAILED,
    END_STOPPED,    /* in good order, by a person */
    END_TERMINATED, /* in good order, by SIGTERM */
    END_BUSY,       /* something is in the way that may pass */
    END_FULL,       /* of its disk; what could be saved was */
    END_LOST
};

static enum end_kind kind_of_code(int code)
{
    switch (code) {
    case 0:
        return END_DONE;
    case EXIT_CTRL_C:
        return END_STOPPED;
    case EXIT_SIGTERM:
        return END_TERMINATED;
    case EXIT_AGAIN:
    case EXIT_REQUEUE:
        return END_BUSY;
    default:
        return END_FAILED;
    }
}

/* Of a runner whose exit code nobody knows. */
static enum end_kind kind_of_status(const struct run_status *status)
{
    switch (status->state) {
    case RUN_STATE_DONE:
        return END_DONE;
    case RUN_STATE_STOPPED:
        return status->signal == SIGTERM ? END_TERMINATED : END_STOPPED;
    case RUN_STATE_FAILED:
        return strcmp(status->error, err_name(ERR_AGAIN)) == 0 ? END_BUSY : END_FAILED;
    default:
        return END_LOST;
    }
}

/* On a full disk its last word may not have found room either, nor its exit code a reader. */
static bool is_full(const struct runner_seen *seen)
{
    const struct run_status *status = seen->status;
    if (status && run_state_is_end(status->state))
        return strcmp(status->error, err_name(ERR_FULL)) == 0;
    bool may_be = seen->code == EXIT_IO || (seen->code < 0 && seen->signal == 0);
    return may_be && (seen->has_no_room || (status && status->waits[0]));
}

static enum end_kind kind_of(const struct runner_seen *seen)
{
    if (is_full(seen))
        return END_FULL;
    if (seen->code >= 0)
        return kind_of_code(seen->code);
    return seen->status && seen->signal == 0 ? kind_of_status(seen->status) : END_LOST;
}

/* text: may be its own. */
static void say(struct submitted *campaign, const char *text)
{
    if (text != campaign->text)
        snprintf(campaign->text, sizeof campaign->text, "%s", text);
}

static void end(struct submitted *campaign, enum submitted_state state, const char *text)
{
    campaign->state = state;
    campaign->not_before_ms = 0;
    say(campaign, text);
}

static void wait_until(struct submitted *campaign, int64_t at_ms, const char *text)
{
    end(campaign, SUBMITTED_WAITING, text);
    campaign->not_before_ms = at_ms;
}

static const char *reason_of(const struct runner_seen *seen)
{
    if (seen->status && seen->status->text[0])
        return seen->status->text;
    return seen->last_words[0] ? seen->last_words : "it says no reason; its log may";
}

static int64_t pause_ms(int tries)
{
    return tries < MOST_DOUBLINGS ? (int64_t)PAUSE_MS << tries : PAUSE_MAX_MS;
}

static void try_again(struct submitted *campaign, const struct runner_seen *seen,
                      const char *reason, int64_t now_ms)
{
    char text[SUBMITTED_TEXT];
    if (seen->progress > campaign->progress)
        campaign->losses = 0;
    campaign->losses++;
    if (campaign->losses >= RUNNER_MOST_LOSSES) {
        snprintf(text, sizeof text, "tried %d times without getting on: %.900s", campaign->losses,
                 reason);
        end(campaign, SUBMITTED_FAILED, text);
        return;
    }
    wait_until(campaign, now_ms + pause_ms(campaign->losses), reason);
}

/* For as long as it takes. */
static void wait_longer(struct submitted *campaign, const char *reason, int64_t now_ms)
{
    campaign->blocked += campaign->blocked < MOST_DOUBLINGS;
    wait_until(campaign, now_ms + pause_ms(campaign->blocked), reason);
}

static void judge_lost(struct submitted *campaign, const struct runner_seen *seen, int64_t now_ms)
{
    char text[128] = "its runner vanished without a last word";
    if (seen->is_rebooted) {
        wait_until(campaign, 0, "its machine was started anew");
        return;
    }
    if (submitted_is_for_slurm(campaign)) {
        wait_longer(campaign, "nobody waits for its job now; it is looked for again", now_ms);
        return;
    }
    if (seen->signal == SIGKILL)
        snprintf(text, sizeof text,
                 "its runner was killed (by a person, or by the system for want of memory)");
    else if (seen->signal != 0)
        snprintf(text, sizeof text, "its runner died of signal %d (%s)", seen->signal,
                 strsignal(seen->signal));
    try_again(campaign, seen, text, now_ms);
}

/* Nobody has seen the end of its job. */
static bool may_have_job(const struct submitted *campaign, enum end_kind kind)
{
    return campaign->may_have_job &&
           (kind == END_LOST || kind == END_TERMINATED || kind == END_FULL);
}

/* We asked it to stop, and it did not fail of itself meanwhile. */
static bool is_wanted(const struct submitted *campaign, enum end_kind kind)
{
    return campaign->state == SUBMITTED_STOPPING && kind != END_DONE && kind != END_FAILED &&
           !campaign->may_have_job;
}

void runner_end_judge(struct submitted *campaign, const struct runner_seen *seen, int64_t now_ms)
{
    enum end_kind kind = kind_of(seen);
    if (campaign->state == SUBMITTED_RUNNING)
        campaign->then = SUBMITTED_WAITING;
    campaign->may_have_job = may_have_job(campaign, kind);
    bool is_wish = is_wanted(campaign, kind);
    campaign->exit_code = seen->code;
    campaign->ended_ms = now_ms;
    if (is_wish)
        end(campaign, campaign->then, campaign->text);
    else if (kind == END_DONE)
        end(campaign, SUBMITTED_DONE, "");
    else if (kind == END_STOPPED)
        end(campaign, SUBMITTED_CANCELLED, "stopped by a person");
    else if (kind == END_TERMINATED)
        wait_until(campaign, now_ms + SYSTEM_MS, "the system ended its runner (SIGTERM)");
    else if (kind == END_BUSY && submitted_is_for_slurm(campaign))
        try_again(campaign, seen, reason_of(seen), now_ms);
    else if (kind == END_BUSY)
        wait_longer(campaign, reason_of(seen), now_ms);
    else if (kind == END_FULL)
        wait_until(campaign, now_ms + FULL_MS, reason_of(seen));
    else if (kind == END_LOST)
        judge_lost(campaign, seen, now_ms);
    else
        end(campaign, SUBMITTED_FAILED, reason_of(seen));
    if (kind != END_LOST && kind != END_BUSY && kind != END_FULL)
        campaign->losses = 0;
    if (kind != END_BUSY && !campaign->may_have_job)
        campaign->blocked = 0;
    if (seen->progress > campaign->progress)
        campaign->progress = seen->progress;
}

int64_t runner_progress(const struct run_status *status)
{
    int64_t sum = 0;
    for (int i = 0; i < status->stage_count; i++) {
        const struct stage_status *stage = &status->stages[i];
        int64_t step = stage->step < DONE_STAGE ? stage->step : DONE_STAGE;
        sum += stage->state == STAGE_STATE_DONE ? DONE_STAGE : step;
    }
    return sum;
}
