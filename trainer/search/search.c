/* Evolution per target; what one target had measured serves the others. A generation: the most
 * accurate quarter of what fits are parents, half of the children are mutants, half crosses, all
 * shrunk to the bound. */
#include "trainer/search/search.h"
#include "base/mem.h"
#include "base/rng.h"
#include "trainer/search/genes.h"
#include "trainer/spec/cost.h"
#include <string.h>

struct search {
    const struct search_cfg *cfg;
    struct evaluator *evaluator;
    search_progress *progress;
    void *progress_own;
    struct search_result *result;
    uint64_t generation;
};

void search_result_fini(struct search_result *result)
{
    mem_free(result->candidates);
    memset(result, 0, sizeof *result);
}

static enum err open_pool(const struct search_cfg *cfg, const struct target *target,
                          struct gene_pool *pool)
{
    enum err err = ERR_OK;
    *pool = (struct gene_pool){cfg->space, cfg->open, target};
    TRY(camera_device_narrow(&target->device, cfg->space, &pool->open));
    TRY(target_check(target, cfg->space, &pool->open));
out:
    return err == ERR_OK ? ERR_OK : err_prefix(err, "target %s", target->name);
}

static bool is_known(const struct search *search, const struct candidate *more, int more_count,
                     const struct subnet *subnet)
{
    const struct space *space = search->cfg->space;
    for (int i = 0; i < search->result->candidate_count; i++)
        if (subnet_equal(space, &search->result->candidates[i].subnet, subnet))
            return true;
    for (int i = 0; i < more_count; i++)
        if (subnet_equal(space, &more[i].subnet, subnet))
            return true;
    return false;
}

/* Can the pool's device run this candidate, which another target may have drawn? */
static bool is_in_pool(const struct gene_pool *pool, const struct candidate *candidate)
{
    return subnet_find_closed(pool->space, &candidate->subnet, &pool->open) < 0 &&
           genes_fit(pool, &candidate->subnet);
}

/* Among the equally accurate, which a small hold-out has many of, the one with the lower loss, then
 * the smaller one. */
static bool is_better(const struct candidate *candidate, const struct candidate *other)
{
    if (candidate->accuracy != other->accuracy)
        return candidate->accuracy > other->accuracy;
    if (candidate->loss != other->loss)
        return candidate->loss < other->loss;
    return candidate->macs < other->macs;
}

/* Indices of what fits, the best first; returns how many. */
static int rank_fitting(const struct search *search, const struct gene_pool *pool, int *order)
{
    const struct search_result *result = search->result;
    int count = 0;
    for (int i = 0; i < result->candidate_count; i++) {
        if (!is_in_pool(pool, &result->candidates[i]))
            continue;
        int at = count++;
        for (; at > 0 && is_better(&result->candidates[i], &result->candidates[order[at - 1]]);
             at--)
            order[at] = order[at - 1];
        order[at] = i;
    }
    return count;
}

/* Uniform architectures are strong and cheap to try: they are half of the first generation. */
static bool draw_uniform(const struct gene_pool *pool, struct gene_draws *draws, int number,
                         struct subnet *subnet)
{
    const struct open_choices *open = &pool->open;
    const struct space *space = pool->space;
    int per_depth = open->kernels.count * open->expansions.count;
    if (number >= per_depth * open->depths.count)
        return false;
    int kernel = number % open->kernels.count,
        expansion = number / open->kernels.count % open->expansions.count;
    genes_random(pool, draws, subnet); /* its resolution */
    subnet_uniform(space, open->kernels.value[kernel], open->expansions.value[expansion],
                   open->depths.value[number / per_depth], subnet->resolution, subnet);
    subnet_canonical(space, subnet);
    return true;
}

static void draw_child(const struct search *search, const struct gene_pool *pool, const int *order,
                       int fitting, struct gene_draws *draws, struct subnet *child)
{
    const struct search_cfg *cfg = search->cfg;
    const struct candidate *all = search->result->candidates;
    int parents = fitting < 4                 ? fitting
                  : fitting < cfg->population ? (fitting + 3) / 4
                                              : (cfg->population + 3) / 4;
    if (cfg->is_random || parents == 0) {
        genes_random(pool, draws, child);
        return;
    }
    uint64_t bits = rng(draws->seed, RNG_SEARCH, draws->generation, draws->candidate, 1u << 20);
    uint64_t other =
        rng(draws->seed, RNG_SEARCH, draws->generation, draws->candidate, (1u << 20) + 1);
    const struct subnet *left = &all[order[rng_below(bits, (uint32_t)parents)]].subnet;
    const struct subnet *right = &all[order[rng_below(other, (uint32_t)parents)]].subnet;
    if (draws->candidate % 2 == 0) {
        *child = *left;
        genes_mutate(pool, draws, cfg->mutation, child);
    } else {
        genes_cross(pool, draws, left, right, child);
        genes_mutate(pool, draws, cfg->mutation / 4, child);
    }
}

/* Up to `wanted` candidates nobody has measured yet; fewer when the pool is nearly exhausted. */
static int draw_generation(struct search *search, const struct gene_pool *pool, int *uniform,
                           int wanted, struct candidate *batch)
{
    enum { TRIES_PER_CANDIDATE = 200 };
    int *order = mem_array((size_t)search->result->candidate_count + 1, sizeof *order);
    int fitting = rank_fitting(search, pool, order), count = 0;
    for (uint64_t try = 0; count < wanted && try < (uint64_t)wanted * TRIES_PER_CANDIDATE; try++) {
        struct gene_draws draws = {search->cfg->seed, search->generation, try, 0};
        struct candidate *candidate = &batch[count];
        memset(candidate, 0, sizeof *candidate);
        if (!search->cfg->is_random && count < wanted / 2 &&
            draw_uniform(pool, &draws, *uniform, &candidate->subnet))
            (*uniform)++;
        else
            draw_child(search, pool, order, fitting, &draws, &candidate->subnet);
        candidate->macs = cost_of(pool->space, &candidate->subnet).macs;
        if (!genes_fit(pool, &candidate->subnet)) {
            if (search->cfg->is_random)
                continue;
            genes_shrink(pool, &draws, &candidate->subnet);
            candidate->macs = cost_of(pool->space, &candidate->subnet).macs;
        }
        if (!is_known(search, batch, count, &candidate->subnet))
            count++;
    }
    search->generation++;
    mem_free(order);
    return count;
}

static void take_measured(void *listener, int done)
{
    const struct search *search = listener;
    search->progress(search->progress_own, search->result->candidate_count + done);
}

/* Until the budget is used up or nothing is left to draw. */
static enum err search_target(struct search *search, const struct target *target, int budget)
{
    enum err err = ERR_OK;
    struct search_result *result = search->result;
    struct gene_pool pool;
    int uniform = 0, population = search->cfg->population;
    TRY(open_pool(search->cfg, target, &pool));
    while (budget > 0) {
        struct candidate *batch = result->candidates + result->candidate_count;
        int wanted = budget < population ? budget : population;
        int count = draw_generation(search, &pool, &uniform, wanted, batch);
        if (count == 0)
            break;
        TRY(search->evaluator->measure(search->evaluator, batch, count));
        result->candidate_count += count;
        budget -= count;
    }
out:
    return err;
}

static enum err choose_winner(const struct search *search, int target, struct search_winner *winner)
{
    enum err err = ERR_OK;
    struct gene_pool pool;
    const struct target *wanted = &search->cfg->targets[target];
    int *order = mem_array((size_t)search->result->candidate_count + 1, sizeof *order);
    TRY(open_pool(search->cfg, wanted, &pool));
    if (rank_fitting(search, &pool, order) == 0)
        TRY(err_set(
            ERR_CONFIG,
            "target %s: none of the %d sub-networks measured fits; raise search.evaluations",
            wanted->name, search->result->candidate_count));
    winner->candidate = order[0];
    struct cost cost = cost_of(search->cfg->space, &search->result->candidates[order[0]].subnet);
    winner->latency_ms = camera_device_latency_ms(&wanted->device, &cost);
out:
    mem_free(order);
    return err;
}

enum err search_run(const struct search_cfg *cfg, struct evaluator *evaluator,
                    search_progress *progress, void *own, struct search_result *result)
{
    enum err err = ERR_OK;
    struct search_result found = {0};
    struct search search = {cfg, evaluator, progress, own, &found, 0};
    evaluator->measured = progress ? take_measured : NULL;
    evaluator->listener = &search;
    struct gene_pool pool;
    for (int t = 0; t < cfg->target_count; t++) /* before anything is measured */
        TRY(open_pool(cfg, &cfg->targets[t], &pool));
    found.candidates = mem_array((size_t)cfg->evaluations, sizeof *found.candidates);
    for (int t = 0; t < cfg->target_count; t++) {
        int budget = (cfg->evaluations - found.candidate_count) / (cfg->target_count - t);
        TRY(search_target(&search, &cfg->targets[t], budget));
    }
    for (int t = 0; t < cfg->target_count; t++)
        TRY(choose_winner(&search, t, &found.winners[t]));
    *result = found;
    memset(&found, 0, sizeof found);
out:
    evaluator->measured = NULL; /* its listener ends here */
    search_result_fini(&found);
    return err;
}

void search_front(const struct search_result *result, bool *on_front)
{
    for (int i = 0; i < result->candidate_count; i++) {
        const struct candidate *mine = &result->candidates[i];
        on_front[i] = true;
        for (int j = 0; j < result->candidate_count && on_front[i]; j++) {
            const struct candidate *other = &result->candidates[j];
            if (other->macs <= mine->macs && other->accuracy >= mine->accuracy &&
                (other->macs < mine->macs || other->accuracy > mine->accuracy || j < i))
                on_front[i] = false;
        }
    }
}
