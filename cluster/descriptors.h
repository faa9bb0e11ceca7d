/* The limit of open files that this process has. One thread. */
#ifndef CLUSTER_DESCRIPTORS_H
#define CLUSTER_DESCRIPTORS_H

#include "trainer/spec/campaign.h"

/* What a runner of this campaign needs at once: a connection of each gang and of each of its ranks,
 * and its own files. */
long descriptors_needed(const struct campaign *campaign);
/* Raises the limit to `needed`, where it is lower. Where the system forbids so many, people are
 * told what to do, and it is raised as far as it goes. */
void descriptors_raise(long needed);

#endif
