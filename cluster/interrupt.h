/* Ctrl-C and its relatives (INT, TERM, HUP), counted: the first asks for an orderly stop, and what
 * the next ones mean is the command's choice. One per process; the handler only counts. */
#ifndef CLUSTER_INTERRUPT_H
#define CLUSTER_INTERRUPT_H

#include <signal.h>

/* From now on the three are counted instead of ending the process; one that was ignored when the
 * program started (nohup) stays ignored. Whoever reads our words may go away (Ctrl-C ends "| tee"
 * too): a broken pipe no longer ends the process, writing to it fails. */
void interrupt_watch(void);
/* As if the first had come, from elsewhere than a signal (a stop file); nothing where one has. */
void interrupt_first(void);
/* How many came; the address is good for ever. */
const volatile sig_atomic_t *interrupt_count(void);
/* The first that came, 0: none. */
int interrupt_signal(void);

#endif
