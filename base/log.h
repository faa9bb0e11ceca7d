/* The log: one event, one line, key=value, to one sink (standard error, or a file). Rank 0 says
 * info; any rank may say error. Numbers that somebody will plot are metrics, not log lines. Any
 * thread may call. */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include "base/err.h"

enum log_level { LOG_ERROR, LOG_WARN, LOG_INFO, LOG_DEBUG };

/* Who speaks: put before every message. Called once by main() before threads start. rank -1: no
 * rank. */
void log_open(enum log_level level, int rank);
/* Adds (or with "" clears) a context shown on every line, e.g. "job=kernel". Copied, 64 bytes at
 * most. */
void log_context(const char *context);
/* The message is free text or key=value pairs; ts, level, host and rank are added. */
void log_line(enum log_level level, const char *format, ...) PRINTF_LIKE(2, 3);

/* For what others can cause as often as they like: a warning a second at most, and how many were
 * left out before it. Zero: none yet. One thread at a time. */
struct log_rate {
    double next_s;
    unsigned long long left_out;
};
void log_warn_rate(struct log_rate *rate, const char *format, ...) PRINTF_LIKE(2, 3);
/* Tells of those that were left out since the last one, if any: "12 more " and `what`. */
void log_rate_end(struct log_rate *rate, const char *what);

#define log_error(...) log_line(LOG_ERROR, __VA_ARGS__)
#define log_warn(...)  log_line(LOG_WARN, __VA_ARGS__)
#define log_info(...)  log_line(LOG_INFO, __VA_ARGS__)
#define log_debug(...) log_line(LOG_DEBUG, __VA_ARGS__)

#endif
