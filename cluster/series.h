/* A growing list of points, for plots. One thread. */
#ifndef CLUSTER_SERIES_H
#define CLUSTER_SERIES_H

struct series { /* starts zeroed */
    double *x, *y;
    int count, room;
};

void series_add(struct series *series, double x, double y);
void series_fini(struct series *series); /* accepts a zeroed one */

#endif
