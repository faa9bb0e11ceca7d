#include "cluster/interrupt.h"
#include <stddef.h>
#include <sys/time.h>

/* What a handler may touch; nobody else writes here. */
static volatile sig_atomic_t count;
static volatile sig_atomic_t first;
static volatile sig_atomic_t is_in_job;
static volatile sig_atomic_t is_requested;

static const int signals[] = {SIGINT, SIGTERM, SIGHUP, SIGUSR1, SIGALRM};
#define BY_PEOPLE 3 /* of them */
#define ALL       5

static void handle(int signal)
{
    if (count == 0)
        first = signal;
    if (is_in_job && count > 0 && signal != SIGINT)
        return;
    if (count < 1000)
        count = count + 1;
}

static void watch(int from, int to)
{
    for (int i = from; i < to; i++) {
        struct sigaction old, action = {.sa_handler = handle};
        sigemptyset(&action.sa_mask);
        if (sigaction(signals[i], NULL, &old) == 0 && old.sa_handler != SIG_IGN)
            sigaction(signals[i], &action, NULL); /* no SA_RESTART: waiting calls end */
    }
}

void interrupt_watch(void)
{
    watch(0, BY_PEOPLE);
    signal(SIGPIPE, SIG_IGN);
}

void interrupt_watch_job(void)
{
    is_in_job = 1;
    watch(BY_PEOPLE, ALL);
}

static void note_request(int signal)
{
    (void)signal;
    is_requested = 1;
}

void interrupt_watch_request(void)
{
    sigset_t held; /* by who started us: process_cfg.holds_requests */
    struct sigaction action = {.sa_handler = note_request};
    sigemptyset(&action.sa_mask);
    sigaction(SIGUSR1, &action, NULL);
    sigemptyset(&held);
    sigaddset(&held, SIGUSR1);
    sigprocmask(SIG_UNBLOCK, &held, NULL);
}

bool interrupt_requested(void)
{
    return is_requested;
}

void interrupt_in(int64_t seconds)
{
    struct itimerval timer = {.it_value.tv_sec = seconds > 0 ? seconds : 1};
    setitimer(ITIMER_REAL, &timer, NULL);
}

void interrupt_first(void)
{
    sigset_t all, before;
    sigemptyset(&all);
    for (int i = 0; i < ALL; i++)
        sigaddset(&all, signals[i]);
    sigprocmask(SIG_BLOCK, &all, &before); /* nobody counts meanwhile */
    if (count == 0)
        handle(SIGINT);
    sigprocmask(SIG_SETMASK, &before, NULL);
}

void interrupt_take_as_term(void)
{
    if (count > 0) /* the handler writes it no more */
        first = SIGTERM;
}

const volatile sig_atomic_t *interrupt_count(void)
{
    return &count;
}

int interrupt_signal(void)
{
    return first;
}
