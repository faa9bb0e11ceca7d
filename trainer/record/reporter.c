#include "trainer/record/reporter.h"
#include "base/log.h"

bool reporter_wants_stop(const struct reporter *reporter)
{
    const struct observer *observer = reporter->observer;
    return observer && observer->wants_stop && observer->wants_stop(observer->own);
}

static void move(const struct reporter *reporter)
{
    const struct observer *observer = reporter->observer;
    if (observer && observer->work)
        atomic_fetch_add(&observer->work->done, 1);
}

void reporter_progress(struct reporter *reporter, const struct progress *progress)
{
    const struct observer *observer = reporter->observer;
    reporter->last = *progress;
    move(reporter);
    if (reporter->rank == 0 && observer && observer->progress)
        observer->progress(observer->own, progress);
}

void reporter_is_alive(struct reporter *reporter)
{
    const struct progress last = reporter->last;
    if (last.doing)
        reporter_progress(reporter, &last);
    else
        move(reporter);
}

struct rank_work *reporter_work(const struct reporter *reporter)
{
    return reporter->observer ? reporter->observer->work : NULL;
}

void reporter_set_waiting(const struct reporter *reporter, enum reporter_wait wait)
{
    struct rank_work *work = reporter_work(reporter);
    if (work)
        atomic_store(&work->is_waiting, wait == REPORTER_WAITS);
}

void reporter_warn(const struct reporter *reporter, const char *text)
{
    const struct observer *observer = reporter->observer;
    if (reporter->rank != 0)
        return;
    log_warn("%s", text);
    if (observer && observer->warning)
        observer->warning(observer->own, text);
}

void reporter_saved(const struct reporter *reporter, uint64_t step, const struct hash *content)
{
    const struct observer *observer = reporter->observer;
    if (reporter->rank == 0 && observer && observer->saved)
        observer->saved(observer->own, step, content);
}
