#include "base/log.h"
#include "base/clock.h"
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* One of the two places with mutable globals (STYLE 24): the sink is the process's. */
static atomic_int shown_level = LOG_WARN;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static char who[128];    /* "host=a rank=0", under the lock */
static char context[64]; /* under the lock */

#define LINE_BYTES 10240 /* longer than an err_text() */

static const char *const level_names[] = {"error", "warn", "info", "debug"};

void log_open(enum log_level level, int rank)
{
    char host[64] = "unknown";
    gethostname(host, sizeof host - 1);
    pthread_mutex_lock(&lock);
    if (rank < 0)
        snprintf(who, sizeof who, " host=%s", host);
    else
        snprintf(who, sizeof who, " host=%s rank=%d", host, rank);
    pthread_mutex_unlock(&lock);
    atomic_store(&shown_level, (int)level);
}

void log_context(const char *text)
{
    pthread_mutex_lock(&lock);
    snprintf(context, sizeof context, "%s", text);
    pthread_mutex_unlock(&lock);
}

/* One event stays one line, whatever the message holds. */
static void join_lines(char *text)
{
    for (; *text; text++)
        if (*text == '\n' || *text == '\r')
            *text = ' ';
}

static int print_head(char *line, size_t room, enum log_level level)
{
    char time[32];
    clock_wall_text(time);
    pthread_mutex_lock(&lock);
    int used = snprintf(line, room, "ts=%s level=%s%s%s%s ", time, level_names[level], who,
                        context[0] ? " " : "", context);
    pthread_mutex_unlock(&lock);
    return used;
}

void log_line(enum log_level level, const char *format, ...)
{
    if ((int)level > atomic_load_explicit(&shown_level, memory_order_relaxed))
        return;
    char line[LINE_BYTES];
    int head = print_head(line, sizeof line, level);
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(line + head, sizeof line - (size_t)head - 1, format, arguments);
    va_end(arguments);
    join_lines(line);
    size_t size = strlen(line);
    line[size++] = '\n';
    /* One write per line: lines of threads and of ranks sharing a file do not mix. */
    ssize_t written = write(STDERR_FILENO, line, size);
    (void)written; /* nobody is left to tell */
}

#define RATE_S 1.0 /* between two lines of a kind */

void log_warn_rate(struct log_rate *rate, const char *format, ...)
{
    char text[LINE_BYTES - 512], more[64] = "";
    double now = clock_seconds();
    if (now < rate->next_s) {
        rate->left_out++;
        return;
    }
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    if (rate->left_out > 0)
        snprintf(more, sizeof more, " (%llu more before it)", rate->left_out);
    log_warn("%s%s", text, more);
    *rate = (struct log_rate){.next_s = now + RATE_S};
}

void log_rate_end(struct log_rate *rate, const char *what)
{
    if (rate->left_out > 0)
        log_warn("%llu more %s", rate->left_out, what);
    *rate = (struct log_rate){0};
}

void err_trace(const char *file, int line, const char *call)
{
    log_debug("trace=%s:%d call=%s", file, line, call);
}
