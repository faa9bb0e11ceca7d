/* Ctrl-C and its relatives (INT, TERM, HUP), counted: the first asks for an orderly stop, and what
 * the next ones mean is the command's choice. One per process; the handler only counts. */
#ifndef CLUSTER_INTERRUPT_H
#define CLUSTER_INTERRUPT_H

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>

/* From now on the three are counted instead of ending the process; one that was ignored when the
 * program started (nohup) stays ignored. Whoever reads our words may go away (Ctrl-C ends "| tee"
 * too): a broken pipe no longer ends the process, writing to it fails. */
void interrupt_watch(void);
/* The same in a job of a batch system, behind interrupt_watch(): USR1 asks too, and what the system
 * sends again, or sends besides, counts no more; only INT is a person's second and third word. */
void interrupt_watch_job(void);
/* From now on USR1 is a request of its own, which is none of the interrupts: what it asks for, the
 * command says. */
void interrupt_watch_request(void);
bool interrupt_requested(void);
/* ALRM then, which asks likewise. */
void interrupt_in(int64_t seconds);
/* As if the first had come, from elsewhere than a signal (a stop file); nothing where one has. */
void interrupt_first(void);
/* Whichever came, it counts as TERM: what it ended goes on elsewhere. */
void interrupt_take_as_term(void);
/* How many came; the address is good for ever. */
const volatile sig_atomic_t *interrupt_count(void);
/* The first that came, 0: none; SIGTERM behind interrupt_take_as_term(). */
int interrupt_signal(void);

#endif
