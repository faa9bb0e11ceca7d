/* Names of nodes as Slurm writes many of them in one word: "n[1-3,07],gpu-1,r[0-1]c[00-31]". Pure.
 */
#ifndef SCHEDULER_NODE_LIST_H
#define SCHEDULER_NODE_LIST_H

#include <stdbool.h>

/* Whether this one is among them. A part that is not understood holds none. */
bool node_list_has(const char *list, const char *node);

#endif
