#include "cluster/series.h"
#include "base/mem.h"

void series_add(struct series *series, double x, double y)
{
    if (series->count == series->room) {
        int room = series->room ? 2 * series->room : 256;
        size_t old = (size_t)series->room * sizeof(double), bytes = (size_t)room * sizeof(double);
        series->x = mem_grow(series->x, old, bytes);
        series->y = mem_grow(series->y, old, bytes);
        series->room = room;
    }
    series->x[series->count] = x;
    series->y[series->count++] = y;
}

void series_fini(struct series *series)
{
    mem_free(series->x);
    mem_free(series->y);
    *series = (struct series){0};
}
