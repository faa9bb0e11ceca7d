#include "cluster/view_tee.h"

/* Both, where they listen. */
#define TELL(own_, what, ...)                                                                      \
    do {                                                                                           \
        const struct view_tee *tee_ = (own_);                                                      \
        for (int i_ = 0; i_ < 2; i_++)                                                             \
            if (tee_->views[i_]->what)                                                             \
                tee_->views[i_]->what(tee_->views[i_]->own, __VA_ARGS__);                          \
    } while (0)

static void on_started(void *own, const struct gang *gang, bool is_resume, uint64_t step)
{
    TELL(own, started, gang, is_resume, step);
}

static void on_adopted(void *own, const struct gang *gang)
{
    TELL(own, adopted, gang);
}

static void on_progress(void *own, const struct gang *gang)
{
    TELL(own, progress, gang);
}

static void on_checkpoint(void *own, const struct gang *gang, uint64_t step)
{
    TELL(own, checkpoint, gang, step);
}

static void on_warning(void *own, const struct gang *gang, const char *text)
{
    TELL(own, warning, gang, text);
}

static void on_done(void *own, const struct gang *gang, double seconds)
{
    TELL(own, done, gang, seconds);
}

static void on_failed(void *own, const struct gang *gang, enum err error, const char *text,
                      const char *tail, double retry_s)
{
    TELL(own, failed, gang, error, text, tail, retry_s);
}

static void on_excluded(void *own, const struct gang *gang, const struct bad_nodes *nodes)
{
    TELL(own, excluded, gang, nodes);
}

static void on_full(void *own, const char *text)
{
    TELL(own, full, text);
}

static void on_stopped(void *own, const struct gang *gang)
{
    TELL(own, stopped, gang);
}

static void on_stopping(void *own, const struct gang *gang, int count)
{
    TELL(own, stopping, gang, count);
}

static void on_tick(void *own)
{
    const struct view_tee *tee = own;
    for (int i = 0; i < 2; i++)
        if (tee->views[i]->tick)
            tee->views[i]->tick(tee->views[i]->own);
}

void view_tee_init(struct view_tee *tee, const struct loop_view *first,
                   const struct loop_view *second)
{
    /* a function that is added to the view is added here */
    _Static_assert(sizeof(struct loop_view) == 13 * sizeof(void *), "view_tee passes twelve on");
    *tee = (struct view_tee){.views = {first, second},
                             .view = {.own = tee,
                                      .started = on_started,
                                      .adopted = on_adopted,
                                      .progress = on_progress,
                                      .checkpoint = on_checkpoint,
                                      .warning = on_warning,
                                      .done = on_done,
                                      .failed = on_failed,
                                      .excluded = on_excluded,
                                      .full = on_full,
                                      .stopped = on_stopped,
                                      .stopping = on_stopping,
                                      .tick = on_tick}};
}
