/* Channel sorting before an expansion is opened (OFA sec. 3.3; reference:
 * re_organize_middle_weights in dynamic_layers.py): important middle channels come first, so that
 * the narrower sub-network starts from the best of the wider one. */
#include "base/mem.h"
#include "trainer/supernet/param_table.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

struct ranked {
    double importance;
    int channel;
};

static int by_importance(const void *left, const void *right)
{
    const struct ranked *l = left, *r = right;
    if (l->importance != r->importance)
        return l->importance < r->importance ? 1 : -1;
    return l->channel - r->channel; /* ties keep their order */
}

/* order[new] = old, sorted within [borders[i], borders[i + 1]). */
static void rank_channels(struct ranked *ranked, const int *borders, int border_count, int *order)
{
    for (int i = 0; i + 1 < border_count; i++)
        qsort(ranked + borders[i], (size_t)(borders[i + 1] - borders[i]), sizeof *ranked,
              by_importance);
    for (int c = 0; c < borders[border_count - 1]; c++)
        order[c] = ranked[c].channel;
}

/* A (rows, columns) matrix inside a flat array: L1 norm of every column. */
static void measure_columns(const float *matrix, int rows, int columns, struct ranked *ranked)
{
    for (int c = 0; c < columns; c++)
        ranked[c] = (struct ranked){0.0, c};
    for (int r = 0; r < rows; r++)
        for (int c = 0; c < columns; c++)
            ranked[c].importance += fabs((double)matrix[(size_t)r * (size_t)columns + (size_t)c]);
}

static void permute_columns(float *matrix, int rows, int columns, const int *order)
{
    float *row = mem_array((size_t)columns, sizeof *row);
    for (int r = 0; r < rows; r++) {
        float *target = matrix + (size_t)r * (size_t)columns;
        memcpy(row, target, (size_t)columns * sizeof *row);
        for (int c = 0; c < columns; c++)
            target[c] = row[order[c]];
    }
    mem_free(row);
}

static void permute_rows(float *matrix, int rows, int columns, const int *order)
{
    size_t row_bytes = (size_t)columns * sizeof(float);
    float *copy = mem_array((size_t)rows, row_bytes);
    memcpy(copy, matrix, (size_t)rows * row_bytes);
    for (int r = 0; r < rows; r++)
        memcpy(matrix + (size_t)r * (size_t)columns, copy + (size_t)order[r] * (size_t)columns,
               row_bytes);
    mem_free(copy);
}

/* Host copies of everything that moves with a channel. */
struct host_arrays {
    float *weights, *momentum, *means, *variances;
};

static void permute_norm(const struct supernet *net, struct host_arrays *host,
                         const struct conv_slot *conv, const int *order)
{
    const struct norm_slot *norm = &net->norms[conv->norm];
    permute_columns(host->means + norm->statistic, 1, norm->C, order);
    permute_columns(host->variances + norm->statistic, 1, norm->C, order);
    float *flat[] = {host->weights, host->momentum};
    for (int i = 0; i < 2; i++) {
        if (!flat[i])
            continue;
        permute_columns(flat[i] + norm->gamma, 1, norm->C, order);
        permute_columns(flat[i] + norm->beta, 1, norm->C, order);
    }
}

/* The middle channels of one block in one flat array (weights or momentum), norms excepted. */
static void permute_middle(float *flat, const struct block_slot *slot, const int *order)
{
    permute_columns(flat + slot->project.weight, slot->K, slot->middle, order);
    permute_columns(flat + slot->depthwise.weight, slot->side * slot->side, slot->middle, order);
    permute_rows(flat + slot->expand.weight, slot->middle, slot->C, order);
    if (!slot->has_se)
        return;
    permute_rows(flat + slot->expand_w, slot->middle, slot->hidden, order);
    permute_columns(flat + slot->expand_b, 1, slot->middle, order);
    permute_columns(flat + slot->reduce_w, slot->hidden, slot->middle, order);
}

static void permute_hidden(float *flat, const struct block_slot *slot, const int *order)
{
    permute_columns(flat + slot->expand_w, slot->middle, slot->hidden, order);
    permute_rows(flat + slot->reduce_w, slot->hidden, slot->middle, order);
    permute_columns(flat + slot->reduce_b, 1, slot->hidden, order);
}

/* Adds a border unless there is one. */
static void add_border(int border, int *borders, int *count)
{
    if (border > borders[*count - 1])
        borders[(*count)++] = border;
}

/* Ascending borders [0, ..., widest]: the widths that sub-networks were trained for. */
static int list_borders(const struct block_spec *spec, const struct choices *trained, int middle,
                        int borders[SPACE_MAX_CHOICES + 2])
{
    int count = 1;
    borders[0] = 0;
    for (int i = 0; i < trained->count; i++)
        if (space_middle(spec, trained->value[i]) < middle)
            add_border(space_middle(spec, trained->value[i]), borders, &count);
    add_border(middle, borders, &count);
    return count;
}

/* The same for the hidden units of squeeze-excite, of which a narrower block has fewer. */
static int list_hidden_borders(const struct space *space, int b, const struct choices *given,
                               int middle, int borders[SPACE_MAX_CHOICES + 2])
{
    int middles[SPACE_MAX_CHOICES + 2], count = 1;
    int middle_count = list_borders(&space->blocks[b - 1], given, middle, middles);
    borders[0] = 0;
    for (int i = 1; i < middle_count; i++)
        add_border(space_hidden(space, middles[i]), borders, &count);
    return count;
}

static void sort_block(const struct supernet *net, struct host_arrays *host, int b,
                       const struct choices *trained, const struct choices *given)
{
    const struct block_slot *slot = &net->param_table->blocks[b];
    struct ranked *ranked = mem_array((size_t)slot->middle, sizeof *ranked);
    int *order = mem_array((size_t)slot->middle, sizeof *order);
    int borders[SPACE_MAX_CHOICES + 2];
    int count = list_borders(&net->space->blocks[b - 1], trained, slot->middle, borders);

    measure_columns(host->weights + slot->project.weight, slot->K, slot->middle, ranked);
    rank_channels(ranked, borders, count, order);
    permute_middle(host->weights, slot, order);
    if (host->momentum)
        permute_middle(host->momentum, slot, order);
    permute_norm(net, host, &slot->depthwise, order);
    permute_norm(net, host, &slot->expand, order);

    if (slot->has_se) {
        count = list_hidden_borders(net->space, b, given, slot->middle, borders);
        measure_columns(host->weights + slot->expand_w, slot->middle, slot->hidden, ranked);
        rank_channels(ranked, borders, count, order);
        permute_hidden(host->weights, slot, order);
        if (host->momentum)
            permute_hidden(host->momentum, slot, order);
    }
    mem_free(order);
    mem_free(ranked);
}

static enum err fetch(const struct supernet *net, const float *from, size_t count, float **host)
{
    *host = mem_array(count, sizeof **host);
    return net->device->ops->download(net->device, *host, from, count * sizeof **host);
}

static void put_back(const struct supernet *net, float *to, const float *host, size_t count)
{
    net->device->ops->upload(net->device, to, host, count * sizeof *host);
}

enum err supernet_sort_channels(struct supernet *net, float *momentum,
                                const struct choices *trained, const struct choices *given)
{
    enum err err = ERR_OK;
    struct host_arrays host = {0};
    TRY(fetch(net, net->weights, net->weight_count, &host.weights));
    TRY(fetch(net, net->means, net->statistic_count, &host.means));
    TRY(fetch(net, net->variances, net->statistic_count, &host.variances));
    if (momentum)
        TRY(fetch(net, momentum, net->weight_count, &host.momentum));
    for (int b = 1; b < net->param_table->block_count; b++)
        sort_block(net, &host, b, trained, given);
    put_back(net, net->weights, host.weights, net->weight_count);
    put_back(net, net->means, host.means, net->statistic_count);
    put_back(net, net->variances, host.variances, net->statistic_count);
    if (momentum)
        put_back(net, momentum, host.momentum, net->weight_count);
    supernet_cast(net, 0, net->weight_count);
out:
    mem_free(host.weights);
    mem_free(host.means);
    mem_free(host.variances);
    mem_free(host.momentum);
    return err;
}
