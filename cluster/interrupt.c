#include "cluster/interrupt.h"
#include <stddef.h>

/* What a handler may touch; nobody else writes here. */
static volatile sig_atomic_t count;
static volatile sig_atomic_t first;

static const int signals[] = {SIGINT, SIGTERM, SIGHUP};

static void handle(int signal)
{
    if (count == 0)
        first = signal;
    if (count < 1000)
        count = count + 1;
}

void interrupt_watch(void)
{
    for (int i = 0; i < 3; i++) {
        struct sigaction old, action = {.sa_handler = handle};
        sigemptyset(&action.sa_mask);
        if (sigaction(signals[i], NULL, &old) == 0 && old.sa_handler != SIG_IGN)
            sigaction(signals[i], &action, NULL); /* no SA_RESTART: waiting calls end */
    }
    signal(SIGPIPE, SIG_IGN);
}

void interrupt_first(void)
{
    sigset_t all, before;
    sigemptyset(&all);
    for (int i = 0; i < 3; i++)
        sigaddset(&all, signals[i]);
    sigprocmask(SIG_BLOCK, &all, &before); /* nobody counts meanwhile */
    if (count == 0)
        handle(SIGINT);
    sigprocmask(SIG_SETMASK, &before, NULL);
}

const volatile sig_atomic_t *interrupt_count(void)
{
    return &count;
}

int interrupt_signal(void)
{
    return first;
}
