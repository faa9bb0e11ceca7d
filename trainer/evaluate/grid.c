#include "trainer/evaluate/grid.h"
#include <stdio.h>
#include <string.h>

/* What the space has only one choice of says nothing. */
static void name_row(const struct space *space, struct grid_row *row, int kernel, int expansion,
                     int depth)
{
    char k[8] = "", e[8] = "", d[8] = "";
    if (space->kernels.count > 1)
        snprintf(k, sizeof k, " K%d", kernel);
    if (space->expansions.count > 1)
        snprintf(e, sizeof e, " E%d", expansion);
    if (space->elastic_stage_count > 0)
        snprintf(d, sizeof d, " D%d", depth);
    snprintf(row->label, sizeof row->label, "%s%s%s", k, e, d);
    memmove(row->label, row->label + 1, strlen(row->label)); /* the leading space */
}

static void add(const struct space *space, struct grid *grid, int kernel, int expansion, int depth,
                int resolution)
{
    struct subnet biggest, smallest;
    struct grid_row *row = &grid->rows[grid->count];
    subnet_uniform(space, kernel, expansion, depth, resolution, &row->subnet);
    subnet_canonical(space, &row->subnet);
    for (int i = 0; i < grid->count; i++)
        if (subnet_equal(space, &grid->rows[i].subnet, &row->subnet))
            return;
    subnet_biggest(space, resolution, &biggest);
    subnet_smallest(space, resolution, &smallest);
    if (subnet_equal(space, &biggest, &row->subnet))
        snprintf(row->label, sizeof row->label, "biggest");
    else if (subnet_equal(space, &smallest, &row->subnet))
        snprintf(row->label, sizeof row->label, "smallest");
    else
        name_row(space, row, kernel, expansion, depth);
    grid->count++;
}

static int corner(const struct choices *choices, int is_min)
{
    return is_min ? choices_min(choices) : choices_max(choices);
}

void grid_of(const struct space *space, const struct open_choices *open, int resolution,
             struct grid *grid)
{
    *grid = (struct grid){0};
    for (int corners = 0; corners < GRID_MAX; corners++)
        add(space, grid, corner(&open->kernels, corners & 1),
            corner(&open->expansions, corners >> 1 & 1), corner(&open->depths, corners >> 2 & 1),
            resolution);
}
