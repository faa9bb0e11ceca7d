#include "kernels/cpu/divide.h"
#include "kernels/cpu/tile.h"

enum {
    BLOCK_STEP = STRIP, /* columns */
    BLOCK_LEAST = STRIP
};

static int at_most(int value, int limit)
{
    return value < limit ? value : limit;
}

struct tile_plan tile_plan_make(struct dims map, int rows_per_tile, int columns, int jobs)
{
    struct tile_plan plan = {.N = map.N, .HW = map.H * map.W, .images = 1, .blocks = 1};
    if (plan.HW >= rows_per_tile) { /* equal pieces of an image */
        plan.rows = divide_up(plan.HW, divide_up(plan.HW, rows_per_tile));
    } else {
        plan.rows = plan.HW;
        plan.images = at_most(plan.N, rows_per_tile / plan.HW);
    }
    plan.groups = at_most(jobs, divide_up(plan.N, plan.images));
    tile_plan_cut(&plan, columns, jobs);
    return plan;
}

void tile_plan_cut(struct tile_plan *plan, int columns, int jobs)
{
    int wanted = at_most(divide_up(jobs, plan->groups), columns / BLOCK_LEAST);
    int width = divide_up(columns, wanted > 1 ? wanted : 1);
    plan->width = divide_up(width, BLOCK_STEP) * BLOCK_STEP;
    plan->blocks = divide_up(columns, plan->width);
}

int tile_group_image(const struct tile_plan *plan, int group)
{
    int units = divide_up(plan->N, plan->images);
    int unit = (int)((long)units * group / plan->groups);
    return at_most(unit * plan->images, plan->N);
}

struct tile tile_first(const struct tile_plan *plan, int group)
{
    int image = tile_group_image(plan, group);
    return (struct tile){image, at_most(plan->images, plan->N - image), 0, plan->rows};
}

bool tile_next(const struct tile_plan *plan, int group, struct tile *tile)
{
    tile->first += tile->rows;
    if (tile->first < plan->HW) {
        tile->rows = at_most(plan->rows, plan->HW - tile->first);
        return true;
    }
    int image = tile->image + tile->images;
    if (image >= tile_group_image(plan, group + 1))
        return false;
    *tile = (struct tile){image, at_most(plan->images, plan->N - image), 0, plan->rows};
    return true;
}
