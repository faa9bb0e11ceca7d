/* A command that may not take long: an argument vector, never a shell, in a session of its own that
 * is killed when the time is over. What it says is kept. The thread that calls waits. */
#ifndef CLUSTER_TIMED_COMMAND_H
#define CLUSTER_TIMED_COMMAND_H

#include "base/err.h"
#include "scheduler/process.h"
#include <signal.h>

struct timed_limit {
    double most_s;
    const volatile sig_atomic_t *interrupts; /* one more of them ends it too; NULL: none does */
};

struct timed_result {
    bool is_over; /* the limit was reached: it was killed */
    int code;     /* exit code, -1 when a signal ended it */
    int signal;   /* 0: none */
    double seconds;
    char output[4096]; /* the beginning of what it said, fit for a terminal */
};

/* argv and environment ("NAME=value" over ours) end with NULL. ERR_UNAVAILABLE: there is no such
 * program; ERR_IO, ERR_AGAIN, ERR_FULL. That it fails is no error here. */
MUST_CHECK enum err timed_command(const char *const *argv, const char *const *environment,
                                  const struct timed_limit *limit, struct timed_result *result);

/* The same for whoever starts it otherwise: `start` runs with the path of its log. */
typedef enum err timed_start(void *own, const char *log_path, struct process *process);
MUST_CHECK enum err timed_process(timed_start *start, void *own, const struct timed_limit *limit,
                                  struct timed_result *result);

#endif
