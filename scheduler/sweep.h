/* Folders of runs whose runner and gangs are gone: killed, they could not remove them. Only ours:
 * as a runner makes them, of this user, locked by nobody, named in the environment of no process.
 * One thread at a time. */
#ifndef SCHEDULER_SWEEP_H
#define SCHEDULER_SWEEP_H

/* Removes sockets' folders and what Open MPI left; returns how many folders. What cannot be removed
 * is left for the next. */
int sweep_leftovers(void);

#endif
