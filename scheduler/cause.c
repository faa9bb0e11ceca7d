#include "scheduler/cause.h"
#include <string.h>

#define CRASHES 5

const char *const cause_names[CAUSE_COUNT + 1] = {
    [CAUSE_NONE] = "done",
    [CAUSE_STOPPED] = "stopped",
    [CAUSE_PREEMPTED] = "preempted",
    [CAUSE_TIME_LIMIT] = "time limit",
    [CAUSE_RUNNER] = "runner gone",
    [CAUSE_CRASH] = "crash",
    [CAUSE_LOST] = "lost",
    [CAUSE_BUSY] = "busy",
    [CAUSE_NODE] = "bad node",
    [CAUSE_INPUT] = "bad input",
    [CAUSE_CONFIG] = "bad configuration",
    [CAUSE_MEMORY] = "out of memory",
    [CAUSE_DISK] = "disk",
    [CAUSE_BUG] = "bug",
    [CAUSE_FAILED] = "failed",
    [CAUSE_MISSING] = "missing",
    [CAUSE_FULL] = "disk full",
    [CAUSE_HELD] = "held",
};

static const struct {
    int limit;           /* 0: any number */
    enum cause together; /* counts with this one */
    const char *cure;
} rows[CAUSE_COUNT] = {
    [CAUSE_NONE] = {0, CAUSE_NONE, ""},
    [CAUSE_STOPPED] = {0, CAUSE_STOPPED, ""},
    [CAUSE_PREEMPTED] = {20, CAUSE_PREEMPTED,
                         "its job was taken away every time before anything new was saved: use a "
                         "partition or an account that is left more time"},
    [CAUSE_TIME_LIMIT] = {3, CAUSE_TIME_LIMIT,
                          "the time of its job was over every time before anything new was saved: "
                          "ask for more (time in the site's file)"},
    [CAUSE_RUNNER] = {0, CAUSE_RUNNER, ""},
    [CAUSE_CRASH] = {CRASHES, CAUSE_CRASH, ""},
    [CAUSE_LOST] = {CRASHES, CAUSE_CRASH, ""},
    [CAUSE_BUSY] = {CRASHES, CAUSE_CRASH, ""},
    [CAUSE_NODE] = {20, CAUSE_NODE, ""},
    [CAUSE_INPUT] = {1, CAUSE_INPUT, ""},
    [CAUSE_CONFIG] = {1, CAUSE_CONFIG, ""},
    [CAUSE_MEMORY] = {1, CAUSE_MEMORY,
                      "it would not fit the next time either: give it more (resources.memory in a "
                      "job of Slurm), or take fewer ranks (resources.ranks), fewer gangs beside "
                      "each other (resources.gangs), or smaller micro-batches (batch.micro)"},
    [CAUSE_DISK] = {1, CAUSE_DISK, ""},
    [CAUSE_BUG] = {2, CAUSE_BUG, "this is a bug of glowworm's: please report it with that log"},
    [CAUSE_FAILED] = {1, CAUSE_FAILED, ""},
    [CAUSE_MISSING] = {1, CAUSE_MISSING, ""},
    [CAUSE_FULL] = {0, CAUSE_FULL, ""},
    [CAUSE_HELD] = {1, CAUSE_HELD, ""},
};

const char *cause_name(enum cause cause)
{
    return cause_names[cause];
}

enum cause cause_of(enum err error)
{
    switch (error) {
    case ERR_OK:
        return CAUSE_NONE;
    case ERR_USAGE:
    case ERR_CONFIG:
        return CAUSE_CONFIG;
    case ERR_DATA:
    case ERR_NOT_FOUND:
        return CAUSE_INPUT;
    case ERR_UNAVAILABLE:
        return CAUSE_MISSING;
    case ERR_IO:
        return CAUSE_DISK;
    case ERR_FULL:
        return CAUSE_FULL;
    case ERR_MEMORY:
        return CAUSE_MEMORY;
    case ERR_PEER:
        return CAUSE_LOST;
    case ERR_AGAIN:
        return CAUSE_BUSY;
    case ERR_INTERRUPTED:
    case ERR_REQUEUE:
        return CAUSE_STOPPED;
    case ERR_HELD:
        return CAUSE_HELD;
    case ERR_FAILED:
    case ERR_NUMERIC:
        return CAUSE_FAILED;
    }
    BUG("an error of number %d", (int)error);
}

bool cause_is_of_job(enum cause cause)
{
    return cause == CAUSE_PREEMPTED || cause == CAUSE_TIME_LIMIT;
}

const char *cause_cure(enum cause cause)
{
    return rows[cause].cure;
}

int cause_limit(enum cause cause)
{
    return rows[cause].limit;
}

void budget_add(struct budget *budget, enum cause cause, bool made_progress)
{
    if (made_progress)
        memset(budget, 0, sizeof *budget);
    budget->spent[cause]++;
}

int budget_spent(const struct budget *budget, enum cause cause)
{
    int spent = 0;
    for (int i = 0; i < CAUSE_COUNT; i++)
        if (rows[i].together == rows[cause].together)
            spent += budget->spent[i];
    return spent;
}

bool budget_is_used_up(const struct budget *budget, enum cause cause)
{
    return cause_limit(cause) > 0 && budget_spent(budget, cause) >= cause_limit(cause);
}
