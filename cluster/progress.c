#include "cluster/progress.h"
#include "base/clock.h"
#include "base/mem.h"
#include "base/text.h"
#include <math.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define REFRESH_S   0.2
#define DEFAULT_ROW 80
#define PIECE_BYTES 512 /* of a write: a pipe or terminal with room takes it whole */

struct pace { /* of an attempt, for the ETA: when its first progress came, and at which step */
    double first_s;
    uint64_t first_computed;
};

struct progress {
    struct progress_cfg cfg;
    struct loop_view view;
    struct text waiting; /* lines that nobody takes yet; sent: how much of it is out */
    size_t sent;
    bool has_line;           /* an unfinished line is on the terminal */
    double said_s;           /* the last line of progress */
    const struct gang *gang; /* the one that spoke last */
    struct pace paces[PLAN_MAX_STAGES];
};

void progress_look(struct progress_cfg *cfg)
{
    const char *no_colour = getenv("NO_COLOR"), *terminal = getenv("TERM");
    cfg->is_terminal = isatty(fileno(cfg->out)) && !(terminal && strcmp(terminal, "dumb") == 0);
    cfg->has_colour = cfg->is_terminal && !(no_colour && no_colour[0]);
}

void progress_duration(double seconds, char text[32])
{
    long whole = lround(seconds);
    if (seconds < 10)
        snprintf(text, 32, "%.1f s", seconds);
    else if (whole < 60)
        snprintf(text, 32, "%ld s", whole);
    else if (whole < 3600)
        snprintf(text, 32, "%ld min %02ld s", whole / 60, whole % 60);
    else
        snprintf(text, 32, "%ld h %02ld min", whole / 3600, whole / 60 % 60);
}

static int terminal_width(FILE *out)
{
    struct winsize size;
    if (ioctl(fileno(out), TIOCGWINSZ, &size) != 0 || size.ws_col < 20)
        return DEFAULT_ROW;
    return size.ws_col;
}

static bool is_taken(FILE *out)
{
    struct pollfd ready = {.fd = fileno(out), .events = POLLOUT};
    return poll(&ready, 1, 0) > 0;
}

/* We run on the loop's only thread: a stopped terminal (Ctrl-S, a pager, a stalled connection) must
 * not stop the pulses that keep the gang alive, so what it does not take waits here. */
static void write_waiting(struct progress *progress)
{
    struct text *waiting = &progress->waiting;
    FILE *out = progress->cfg.out;
    while (progress->sent < waiting->size && is_taken(out)) {
        size_t left = waiting->size - progress->sent;
        size_t piece = left < PIECE_BYTES ? left : PIECE_BYTES;
        fwrite(waiting->bytes + progress->sent, 1, piece, out);
        fflush(out);
        progress->sent += piece;
    }
    if (progress->sent == waiting->size)
        waiting->size = progress->sent = 0;
}

static void clear_line(struct progress *progress)
{
    if (progress->has_line)
        text_add(&progress->waiting, "\r\033[K");
    progress->has_line = false;
}

static void say(struct progress *progress, const char *colour, const char *text)
{
    clear_line(progress);
    if (progress->cfg.has_colour && colour[0])
        text_add(&progress->waiting, "\033[%sm%s\033[0m\n", colour, text);
    else
        text_add(&progress->waiting, "%s\n", text);
    write_waiting(progress);
}

/* Steps of the latest progress that took time. */
static uint64_t computed(const struct gang_progress *latest)
{
    return latest->step > latest->reused ? latest->step - latest->reused : 0;
}

/* "kernel 120/640 19 %  loss 0.412  2140 images/s  35 s left" */
static void format_line(const struct progress *progress, struct text *line)
{
    const struct gang_progress *latest = &progress->gang->progress;
    const struct pace *pace = &progress->paces[progress->gang->stage];
    char left[32];
    text_add(line, "  %s", progress->gang->lease.name);
    if (latest->steps > 0)
        text_add(line, " %llu/%llu %3.0f %%", (unsigned long long)latest->step,
                 (unsigned long long)latest->steps,
                 100.0 * (double)latest->step / (double)latest->steps);
    if (latest->doing[0] && strcmp(latest->doing, "training") != 0)
        text_add(line, "  %s", latest->doing);
    if (progress->gang->helpers > 0)
        text_add(line, "  on %d gangs", 1 + progress->gang->helpers);
    if (latest->reused > 0)
        text_add(line, "  reused %llu of %llu", (unsigned long long)latest->reused,
                 (unsigned long long)latest->step);
    if (latest->loss > 0)
        text_add(line, "  loss %.4f", latest->loss);
    if (latest->accuracy >= 0 && latest->accuracy <= 1)
        text_add(line, "  accuracy %.2f %%", 100 * latest->accuracy);
    if (latest->images_per_second > 0)
        text_add(line, "  %.0f images/s", latest->images_per_second);
    uint64_t steps = computed(latest) - pace->first_computed;
    if (computed(latest) > pace->first_computed && latest->steps >= latest->step) {
        double each = (clock_seconds() - pace->first_s) / (double)steps;
        progress_duration(each * (double)(latest->steps - latest->step), left);
        text_add(line, "  %s left", left);
    }
}

static void show_line(struct progress *progress)
{
    struct text line;
    if (progress->waiting.size > 0) /* the next line of progress will do */
        return;
    text_init(&line);
    format_line(progress, &line);
    if (progress->cfg.is_terminal) {
        int width = terminal_width(progress->cfg.out) - 1; /* the last column would wrap */
        text_add(&progress->waiting, "\r\033[K%.*s", width, text_get(&line));
        progress->has_line = true;
    } else {
        text_add(&progress->waiting, "%s\n", text_get(&line));
    }
    write_waiting(progress);
    progress->said_s = clock_seconds();
    text_fini(&line);
}

static void on_started(void *own, const struct gang *gang, bool is_resume, uint64_t step)
{
    struct progress *progress = own;
    const struct graph *graph = progress->cfg.graph;
    struct text line;
    text_init(&line);
    text_add(&line, "[%d/%d] %s", gang->stage + 1, graph->count, gang->lease.name);
    if (is_resume)
        text_add(&line, " goes on at step %llu", (unsigned long long)step);
    if (gang->lease.attempt > 1)
        text_add(&line, " (attempt %d)", gang->lease.attempt);
    say(progress, "1", text_get(&line));
    progress->paces[gang->stage] = (struct pace){0};
    progress->said_s = clock_seconds();
    text_fini(&line);
}

static void on_adopted(void *own, const struct gang *gang)
{
    struct progress *progress = own;
    struct text line;
    text_init(&line);
    text_add(&line, "found the gang of %s that was left running (attempt %d, step %llu)",
             gang->lease.name, gang->lease.attempt, (unsigned long long)gang->progress.step);
    say(progress, "1", text_get(&line));
    progress->paces[gang->stage] = (struct pace){0};
    text_fini(&line);
}

static void on_progress(void *own, const struct gang *gang)
{
    struct progress *progress = own;
    struct pace *pace = &progress->paces[gang->stage];
    progress->gang = gang;
    if (pace->first_s == 0 || computed(&gang->progress) < pace->first_computed)
        *pace = (struct pace){clock_seconds(), computed(&gang->progress)};
    double pause = progress->cfg.is_terminal ? REFRESH_S : progress->cfg.every_s;
    if (clock_seconds() - progress->said_s >= pause)
        show_line(progress);
}

static void on_done(void *own, const struct gang *gang, double seconds)
{
    struct progress *progress = own;
    const struct gang_progress *latest = &gang->progress;
    char line[160], duration[32];
    progress_duration(seconds, duration);
    int size = snprintf(line, sizeof line, "  %s done in %s", gang->lease.name, duration);
    if (latest->reused > 0)
        snprintf(line + size, sizeof line - (size_t)size, ", reused %llu of %llu measurements",
                 (unsigned long long)latest->reused, (unsigned long long)latest->step);
    say(progress, "32", line);
}

static void on_warning(void *own, const struct gang *gang, const char *text)
{
    struct text line;
    text_init(&line);
    text_add(&line, "  %s, warning: %s", gang->lease.name, text);
    say(own, "33", text_get(&line));
    text_fini(&line);
}

static void on_failed(void *own, const struct gang *gang, enum err error, const char *text,
                      const char *tail, double retry_s)
{
    struct progress *progress = own;
    struct text line;
    char pause[32];
    text_init(&line);
    text_add(&line, "  %s failed (%s): %s", gang->lease.name, err_name(error), text);
    say(progress, "31", text_get(&line));
    if (tail[0])
        text_add(&progress->waiting, "  the last lines of %s/%s:\n%s%s", progress->cfg.run_folder,
                 gang->log, tail, tail[strlen(tail) - 1] == '\n' ? "" : "\n");
    if (retry_s >= 0) {
        progress_duration(retry_s, pause);
        text_add(&progress->waiting, "  tried again in %s\n", pause);
    }
    write_waiting(progress);
    text_fini(&line);
}

static void on_full(void *own, const char *text)
{
    struct text line;
    text_init(&line);
    text_add(&line,
             text ? "waiting for room on a disk: %s; what runs goes on, nothing is started"
                  : "there is room on the disk again: it goes on",
             text);
    say(own, "33", text_get(&line));
    text_fini(&line);
}

static const char *what_a_stop_keeps(const struct progress *progress, const struct gang *gang)
{
    switch (progress->cfg.graph->stages[gang->stage].kind) {
    case STAGE_EVALUATE:
    case STAGE_SEARCH:
        return "keeps what it has measured";
    case STAGE_COMPILE:
    case STAGE_CHECK:
    case STAGE_VALIDATE:
    case STAGE_REPORT:
        return "ends, and begins anew next time";
    default:
        return "ends its step and saves a checkpoint";
    }
}

static void on_stopping(void *own, const struct gang *gang, int count)
{
    struct progress *progress = own;
    struct text line;
    text_init(&line);
    if (!gang)
        text_add(&line, "stopping");
    else if (count == 1)
        text_add(&line, "stopping: %s %s", gang->lease.name, what_a_stop_keeps(progress, gang));
    else if (count == 2)
        text_add(&line,
                 "still going on: %s at step %llu (%s); log: %s/%s. Once more kills it: the work "
                 "since its last checkpoint is lost",
                 gang->lease.name, (unsigned long long)gang->progress.step,
                 gang->progress.doing[0] ? gang->progress.doing : "no word yet",
                 progress->cfg.run_folder, gang->log);
    else
        text_add(&line, "killing %s", gang->lease.name);
    say(progress, "33", text_get(&line));
    text_fini(&line);
}

static void on_tick(void *own)
{
    write_waiting(own);
}

struct progress *progress_create(const struct progress_cfg *cfg)
{
    struct progress *progress = mem_alloc(sizeof *progress);
    progress->cfg = *cfg;
    progress->view = (struct loop_view){.own = progress,
                                        .started = on_started,
                                        .adopted = on_adopted,
                                        .progress = on_progress,
                                        .warning = on_warning,
                                        .done = on_done,
                                        .failed = on_failed,
                                        .full = on_full,
                                        .stopping = on_stopping,
                                        .tick = on_tick};
    return progress;
}

void progress_destroy(struct progress **progress)
{
    if (!*progress)
        return;
    clear_line(*progress);
    struct text *waiting = &(*progress)->waiting; /* nothing runs any more: it may take its time */
    if (waiting->size > 0)
        fwrite(waiting->bytes + (*progress)->sent, 1, waiting->size - (*progress)->sent,
               (*progress)->cfg.out);
    text_fini(waiting);
    mem_free(*progress);
    *progress = NULL;
}

const struct loop_view *progress_view(struct progress *progress)
{
    return &progress->view;
}
