/* A tile is a run of rows (pixels) of a map: some rows of one image, or several whole images. It is
 * the unit in which 1x1 convolutions load views, form gradients, and add up in fp32. The plan cuts
 * a map into tiles and groups of tiles by its shape alone; a group is one job's work, in order, and
 * groups end where images end. */
#ifndef KERNELS_CPU_TILE_H
#define KERNELS_CPU_TILE_H

#include "kernels/cpu/map.h"
#include "kernels/cpu/product.h"
#include "kernels/cpu/view.h"

struct tile {
    int image, images; /* images > 1: all their rows */
    int first, rows;   /* rows within each image */
};

struct tile_plan {
    int N, HW;
    int rows;          /* of a tile inside an image; HW when a tile takes whole images */
    int images;        /* of a tile */
    int groups;        /* group g: images [N g / groups, N (g + 1) / groups) */
    int blocks, width; /* columns are cut into `blocks` of `width`, the last may be narrower */
};

/* rows_per_tile and jobs (groups * blocks) are aims; `columns` is what blocks cut. */
struct tile_plan tile_plan_make(struct dims map, int rows_per_tile, int columns, int jobs);
/* Cuts the columns again, for groups * blocks to reach `jobs`. */
void tile_plan_cut(struct tile_plan *plan, int columns, int jobs);

static inline int tile_plan_jobs(const struct tile_plan *plan)
{
    return plan->groups * plan->blocks;
}

/* The most rows a tile has. */
static inline int tile_plan_rows(const struct tile_plan *plan)
{
    return plan->rows * plan->images;
}

/* The first image of a group, of the last's successor N: groups hold whole multiples of a tile's
 * images. */
int tile_group_image(const struct tile_plan *plan, int group);
/* The first tile of a group, and the next one; false behind the group's last. */
struct tile tile_first(const struct tile_plan *plan, int group);
bool tile_next(const struct tile_plan *plan, int group, struct tile *tile);

static inline size_t tile_row(const struct tile_plan *plan, const struct tile *tile)
{
    return (size_t)tile->image * (size_t)plan->HW + (size_t)tile->first;
}

static inline int tile_rows(const struct tile *tile)
{
    return tile->images * tile->rows;
}

/* Columns [c0,c1) of a tile of a map of C channels; column c0, a multiple of PANEL, is column 0 of
 * panels and strips. */
struct tile_columns {
    const struct tile_plan *plan;
    const struct tile *tile;
    int C, c0, c1;
};

/* The rows of a tile in a map of C channels, or NULL. */
static inline const map_value *tile_start(const struct tile_plan *plan, const struct tile *tile,
                                          const map_value *map, int C)
{
    return map ? map + tile_row(plan, tile) * (size_t)C : NULL;
}

/* A product is also kept in a strip, the tile's rows of a few columns, which stay in the
 * first-level cache until they are summed. */
enum { STRIP = 3 * PANEL };

#ifdef ISA_SUFFIX

/* to = the view, columns behind the last 0 up to a whole vector. */
void MAP_NAME(prologue_view)(const struct tile_columns *at, const struct view *view,
                             const struct channels *channels, const struct operand *to);

/* to = dz. */
void MAP_NAME(prologue_grad)(const struct tile_columns *at, const struct grad *grad,
                             const struct channels *channels, const struct operand *to);

/* Adds sum z and sum z^2 of a strip of z to sums (2,C). */
void MAP_NAME(epilogue_sums)(const struct tile_columns *at, const float *strip, double *sums);

/* Adds what the sink asks for of a strip of q to `sums`, shaped as its sums (2,C) or gate_sums
 * (N,3,C). */
void MAP_NAME(epilogue_sink_sums)(const struct tile_columns *at, const float *strip,
                                  const struct grad_sink *sink, const struct channels *of,
                                  double *sums);

#endif
#endif
