#include "trainer/search/genes.h"
#include "base/rng.h"
#include "trainer/spec/cost.h"
#include <math.h>

/* As in the reference: one resolution is worth many blocks. */
#define RESOLUTION_RATE 0.5

static uint64_t draw(struct gene_draws *draws)
{
    return rng(draws->seed, RNG_SEARCH, draws->generation, draws->candidate, draws->next++);
}

static int draw_choice(struct gene_draws *draws, const struct choices *choices)
{
    return choices->value[rng_below(draw(draws), (uint32_t)choices->count)];
}

static int draw_resolution(const struct space *space, struct gene_draws *draws)
{
    return space->resolutions[rng_below(draw(draws), (uint32_t)space->resolution_count)];
}

/* The canonical form keeps the space's smallest choices in blocks that are skipped; the device need
 * not run those when a deeper stage wakes the block. */
static void fit_to_pool(const struct gene_pool *pool, struct subnet *subnet)
{
    for (int b = 0; b < pool->space->block_count; b++) {
        if (choices_find(&pool->open.kernels, subnet->kernel[b]) < 0)
            subnet->kernel[b] = (int8_t)choices_min(&pool->open.kernels);
        if (choices_find(&pool->open.expansions, subnet->expansion[b]) < 0)
            subnet->expansion[b] = (int8_t)choices_min(&pool->open.expansions);
    }
    subnet_canonical(pool->space, subnet);
}

void genes_random(const struct gene_pool *pool, struct gene_draws *draws, struct subnet *subnet)
{
    subnet_smallest(pool->space, pool->space->resolutions[0], subnet);
    genes_mutate(pool, draws, 1.0, subnet);
}

void genes_mutate(const struct gene_pool *pool, struct gene_draws *draws, double rate,
                  struct subnet *subnet)
{
    const struct space *space = pool->space;
    if (rng_unit(draw(draws)) < fmax(rate, RESOLUTION_RATE))
        subnet->resolution = draw_resolution(space, draws);
    for (int b = 0; b < space->block_count; b++) {
        if (rng_unit(draw(draws)) < rate)
            subnet->kernel[b] = (int8_t)draw_choice(draws, &pool->open.kernels);
        if (rng_unit(draw(draws)) < rate)
            subnet->expansion[b] = (int8_t)draw_choice(draws, &pool->open.expansions);
    }
    for (int s = 0; s < space->elastic_stage_count; s++)
        if (rng_unit(draw(draws)) < rate)
            subnet->depth[s] = (int8_t)draw_choice(draws, &pool->open.depths);
    fit_to_pool(pool, subnet);
}

void genes_cross(const struct gene_pool *pool, struct gene_draws *draws, const struct subnet *left,
                 const struct subnet *right, struct subnet *child)
{
    const struct space *space = pool->space;
    *child = *left;
    if (draw(draws) & 1)
        child->resolution = right->resolution;
    for (int b = 0; b < space->block_count; b++) {
        if (draw(draws) & 1)
            child->kernel[b] = right->kernel[b];
        if (draw(draws) & 1)
            child->expansion[b] = right->expansion[b];
    }
    for (int s = 0; s < space->elastic_stage_count; s++)
        if (draw(draws) & 1)
            child->depth[s] = right->depth[s];
    fit_to_pool(pool, child);
}

/* The next smaller choice, or the same when there is none. */
static int8_t smaller(const struct choices *choices, int8_t value)
{
    int position = choices_find(choices, value);
    return position > 0 ? (int8_t)choices->value[position - 1] : value;
}

static void shrink_resolution(const struct space *space, struct subnet *subnet)
{
    for (int i = space->resolution_count - 1; i > 0; i--)
        if (space->resolutions[i] == subnet->resolution) {
            subnet->resolution = space->resolutions[i - 1];
            return;
        }
}

static void shrink_one_gene(const struct gene_pool *pool, struct gene_draws *draws,
                            struct subnet *subnet)
{
    const struct space *space = pool->space;
    int genes = 2 * space->block_count + space->elastic_stage_count + 1;
    int gene = (int)rng_below(draw(draws), (uint32_t)genes);
    if (gene < space->block_count) {
        subnet->kernel[gene] = smaller(&pool->open.kernels, subnet->kernel[gene]);
    } else if (gene < 2 * space->block_count) {
        gene -= space->block_count;
        subnet->expansion[gene] = smaller(&pool->open.expansions, subnet->expansion[gene]);
    } else if (gene < genes - 1) {
        gene -= 2 * space->block_count;
        subnet->depth[gene] = smaller(&pool->open.depths, subnet->depth[gene]);
    } else {
        shrink_resolution(space, subnet);
    }
}

bool genes_fit(const struct gene_pool *pool, const struct subnet *subnet)
{
    struct cost cost = cost_of(pool->space, subnet);
    return target_fits(pool->target, &cost) &&
           camera_device_runs(&pool->target->device, pool->space, subnet);
}

/* The device does not run this sub-network here, but does at the smallest resolution. */
static bool is_too_large_a_map(const struct gene_pool *pool, const struct subnet *subnet)
{
    const struct camera_device *device = &pool->target->device;
    struct subnet smallest = *subnet;
    smallest.resolution = pool->space->resolutions[0];
    return !camera_device_runs(device, pool->space, subnet) &&
           camera_device_runs(device, pool->space, &smallest);
}

void genes_shrink(const struct gene_pool *pool, struct gene_draws *draws, struct subnet *subnet)
{
    while (is_too_large_a_map(pool, subnet))
        shrink_resolution(pool->space, subnet);
    while (!genes_fit(pool, subnet))
        shrink_one_gene(pool, draws, subnet);
    subnet_canonical(pool->space, subnet);
}
