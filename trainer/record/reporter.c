#include "trainer/record/reporter.h"
#include "base/log.h"

bool reporter_wants_stop(const struct reporter *reporter)
{
    const struct observer *observer = reporter->observer;
    return observer && observer->wants_stop && observer->wants_stop(observer->own);
}

void reporter_progress(struct reporter *reporter, const struct progress *progress)
{
    const struct observer *observer = reporter->observer;
    reporter->last = *progress;
    if (reporter->rank == 0 && observer && observer->progress)
        observer->progress(observer->own, progress);
}

void reporter_is_alive(struct reporter *reporter)
{
    const struct progress last = reporter->last;
    if (last.doing)
        reporter_progress(reporter, &last);
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
