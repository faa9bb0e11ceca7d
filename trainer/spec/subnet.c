/* Sub-networks as text, as genes of a draw, and as what really runs. */
#include "trainer/spec/subnet.h"
#include "base/mem.h"
#include "base/rng.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_RESOLUTION 4096

int subnet_depth(const struct space *space, const struct subnet *subnet, int stage)
{
    if (!space->stages[stage].is_elastic)
        return space->stages[stage].block_count;
    int position = 0; /* among the open stages */
    for (int i = 0; i < stage; i++)
        position += space->stages[i].is_elastic;
    return subnet->depth[position];
}

bool subnet_has_block(const struct space *space, const struct subnet *subnet, int block)
{
    const struct block_spec *spec = &space->blocks[block];
    return spec->index_in_stage < subnet_depth(space, subnet, spec->stage);
}

int subnet_find_closed(const struct space *space, const struct subnet *subnet,
                       const struct open_choices *open)
{
    for (int b = 0; b < space->block_count; b++) {
        int stage = space->blocks[b].stage;
        bool is_open = choices_find(&open->kernels, subnet->kernel[b]) >= 0 &&
                       choices_find(&open->expansions, subnet->expansion[b]) >= 0 &&
                       (!space->stages[stage].is_elastic ||
                        choices_find(&open->depths, subnet_depth(space, subnet, stage)) >= 0);
        if (subnet_has_block(space, subnet, b) && !is_open)
            return b;
    }
    return -1;
}

void subnet_uniform(const struct space *space, int kernel, int expansion, int depth, int resolution,
                    struct subnet *subnet)
{
    memset(subnet, 0, sizeof *subnet);
    subnet->resolution = resolution;
    for (int i = 0; i < space->block_count; i++) {
        subnet->kernel[i] = (int8_t)kernel;
        subnet->expansion[i] = (int8_t)expansion;
    }
    for (int i = 0; i < space->elastic_stage_count; i++)
        subnet->depth[i] = (int8_t)depth;
}

void subnet_biggest(const struct space *space, int resolution, struct subnet *subnet)
{
    subnet_uniform(space, choices_max(&space->kernels), choices_max(&space->expansions),
                   choices_max(&space->depths), resolution, subnet);
}

void subnet_smallest(const struct space *space, int resolution, struct subnet *subnet)
{
    struct open_choices all = {space->kernels, space->expansions, space->depths};
    subnet_smallest_open(space, &all, resolution, subnet);
}

void subnet_smallest_open(const struct space *space, const struct open_choices *open,
                          int resolution, struct subnet *subnet)
{
    subnet_uniform(space, choices_min(&open->kernels), choices_min(&open->expansions),
                   choices_min(&open->depths), resolution, subnet);
}

void subnet_canonical(const struct space *space, struct subnet *subnet)
{
    for (int i = 0; i < SPACE_MAX_BLOCKS; i++) {
        bool runs = i < space->block_count && subnet_has_block(space, subnet, i);
        bool exists = i < space->block_count;
        if (!runs) {
            subnet->kernel[i] = (int8_t)(exists ? choices_min(&space->kernels) : 0);
            subnet->expansion[i] = (int8_t)(exists ? choices_min(&space->expansions) : 0);
        }
    }
    for (int i = space->elastic_stage_count; i < SPACE_MAX_STAGES; i++)
        subnet->depth[i] = 0;
}

bool subnet_equal(const struct space *space, const struct subnet *left, const struct subnet *right)
{
    struct subnet a = *left, b = *right;
    subnet_canonical(space, &a);
    subnet_canonical(space, &b);
    return a.resolution == b.resolution && memcmp(a.kernel, b.kernel, sizeof a.kernel) == 0 &&
           memcmp(a.expansion, b.expansion, sizeof a.expansion) == 0 &&
           memcmp(a.depth, b.depth, sizeof a.depth) == 0;
}

static int8_t draw(const struct choices *choices, uint64_t bits)
{
    return (int8_t)choices->value[rng_below(bits, (uint32_t)choices->count)];
}

/* OFA sec. 3.3: all kernels, then all expansions, then all depths, every one on its own. */
void subnet_sample(const struct space *space, const struct open_choices *open, uint64_t seed,
                   uint64_t step, int index, struct subnet *subnet)
{
    uint64_t gene = (uint64_t)index << 16;
    memset(subnet, 0, sizeof *subnet);
    for (int i = 0; i < space->block_count; i++)
        subnet->kernel[i] = draw(&open->kernels, rng(seed, RNG_SUBNET, 0, step, gene++));
    for (int i = 0; i < space->block_count; i++)
        subnet->expansion[i] = draw(&open->expansions, rng(seed, RNG_SUBNET, 0, step, gene++));
    for (int i = 0; i < space->elastic_stage_count; i++)
        subnet->depth[i] = draw(&open->depths, rng(seed, RNG_SUBNET, 0, step, gene++));
}

static void add_list(struct text *text, const char *name, const int8_t *value, int count)
{
    text_add(text, " %s=", name);
    bool is_uniform = true;
    for (int i = 1; i < count; i++)
        is_uniform = is_uniform && value[i] == value[0];
    for (int i = 0; i < (is_uniform ? 1 : count); i++)
        text_add(text, "%s%d", i ? "," : "", value[i]);
}

void subnet_format(const struct space *space, const struct subnet *subnet, struct text *text)
{
    struct text words;
    text_init(&words);
    if (subnet->resolution > 0)
        text_add(&words, " r=%d", subnet->resolution);
    add_list(&words, "k", subnet->kernel, space->block_count);
    add_list(&words, "e", subnet->expansion, space->block_count);
    if (space->elastic_stage_count > 0)
        add_list(&words, "d", subnet->depth, space->elastic_stage_count);
    text_add(text, "%s", text_get(&words) + 1);
    text_fini(&words);
}

/* "3, 5 or 7" */
static void list_choices(const struct choices *choices, struct text *text)
{
    for (int i = 0; i < choices->count; i++)
        text_add(text, "%s%d",
                 i == 0                    ? ""
                 : i == choices->count - 1 ? " or "
                                           : ", ",
                 choices->value[i]);
}

static enum err refuse_choice(const struct space *space, const char *gene, int value,
                              const char *where, const struct choices *choices)
{
    struct text all;
    text_init(&all);
    list_choices(choices, &all);
    enum err err = err_set(ERR_CONFIG, "sub-network: %s=%d (%s): space %s has only %s", gene, value,
                           where, space->name, text_get(&all));
    text_fini(&all);
    return err;
}

static enum err check_genes(const struct space *space, const char *gene, const int8_t *value,
                            int count, const struct choices *choices)
{
    for (int i = 0; i < count; i++) {
        char where[64];
        snprintf(where, sizeof where, "%s %d of %d", gene[0] == 'd' ? "open stage" : "block", i + 1,
                 count);
        if (choices_find(choices, value[i]) < 0)
            return refuse_choice(space, gene, value[i], where, choices);
    }
    return ERR_OK;
}

enum err subnet_check(const struct space *space, const struct subnet *subnet)
{
    enum err err = ERR_OK;
    if (subnet->resolution < 0 || subnet->resolution > MAX_RESOLUTION)
        TRY(err_set(ERR_CONFIG, "sub-network: r=%d: a resolution is 1 to %d pixels",
                    subnet->resolution, MAX_RESOLUTION));
    TRY(check_genes(space, "k", subnet->kernel, space->block_count, &space->kernels));
    TRY(check_genes(space, "e", subnet->expansion, space->block_count, &space->expansions));
    TRY(check_genes(space, "d", subnet->depth, space->elastic_stage_count, &space->depths));
out:
    return err;
}

/* "7,5,3" or "7" into count values. */
static enum err parse_list(const char *gene, const char *text, int count, int8_t *values)
{
    int found = 0;
    for (const char *at = text; *at;) {
        char *end = NULL;
        long value = strtol(at, &end, 10);
        if (end == at || at[0] == '+' || at[0] == ' ' || value < 0 || value > 127 ||
            (*end && *end != ',') || (*end == ',' && !end[1]))
            return err_set(ERR_CONFIG,
                           "sub-network: %s=%s is not a list of numbers such as %s=3,5,3", gene,
                           text, gene);
        if (found < count)
            values[found] = (int8_t)value;
        found++;
        at = *end ? end + 1 : end;
    }
    if (found == 1)
        for (int i = 1; i < count; i++)
            values[i] = values[0];
    else if (found != count)
        return err_set(ERR_CONFIG,
                       "sub-network: %s= has %d entries; this space needs %d (or one for all)",
                       gene, found, count);
    return ERR_OK;
}

/* One word "name=value" of the text form. seen: one bit per name. */
static enum err parse_word(const struct space *space, char *word, unsigned *seen,
                           struct subnet *subnet)
{
    static const char *const names[] = {"r", "k", "e", "d"};
    char *mark = strchr(word, '=');
    size_t which = 0;
    if (mark)
        *mark = 0;
    while (which < 4 && (!mark || strcmp(word, names[which]) != 0))
        which++;
    if (which == 4)
        return err_set(ERR_CONFIG,
                       "sub-network: '%.40s' is not understood; write r=96 k=7 e=6 d=4 (lists: "
                       "k=7,5,3,...), biggest or smallest",
                       word);
    if (*seen & 1u << which)
        return err_set(ERR_CONFIG, "sub-network: %s= is there twice", word);
    *seen |= 1u << which;
    if (which == 0) {
        char *end = NULL;
        long value = strtol(mark + 1, &end, 10);
        if (end == mark + 1 || *end || value < 1 || value > MAX_RESOLUTION)
            return err_set(ERR_CONFIG, "sub-network: r=%.40s: a resolution is 1 to %d pixels",
                           mark + 1, MAX_RESOLUTION);
        subnet->resolution = (int)value;
        return ERR_OK;
    }
    if (which == 3)
        return parse_list(word, mark + 1, space->elastic_stage_count, subnet->depth);
    return parse_list(word, mark + 1, space->block_count,
                      which == 1 ? subnet->kernel : subnet->expansion);
}

enum err subnet_parse(const struct space *space, const char *text, struct subnet *subnet)
{
    enum err err = ERR_OK;
    struct subnet made = {0};
    unsigned seen = 0;
    char *copy = mem_string(text), *rest = NULL;
    for (char *word = strtok_r(copy, " \t\n", &rest); word; word = strtok_r(NULL, " \t\n", &rest)) {
        if (strcmp(word, "biggest") == 0 || strcmp(word, "smallest") == 0) {
            int resolution = made.resolution;
            if (seen & ~1u)
                TRY(err_set(ERR_CONFIG, "sub-network: '%s' says everything but r=", word));
            if (word[0] == 'b')
                subnet_biggest(space, resolution, &made);
            else
                subnet_smallest(space, resolution, &made);
            seen |= 2 | 4 | 8;
            continue;
        }
        TRY(parse_word(space, word, &seen, &made));
    }
    if (space->elastic_stage_count == 0)
        seen |= 8;
    for (unsigned i = 1; i < 4; i++)
        if (!(seen & 1u << i))
            TRY(err_set(ERR_CONFIG, "sub-network '%.60s': %c= is missing", text, "rked"[i]));
    TRY(subnet_check(space, &made));
    *subnet = made;
out:
    mem_free(copy);
    return err;
}
