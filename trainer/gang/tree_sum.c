/* The sum over leaves in the binary tree that halves [0, M): see comm.h and DESIGN section 3. */
#include "base/mem.h"
#include "trainer/gang/comm.h"
#include <stdlib.h>
#include <string.h>

#define MAX_NODES 64 /* a run of leaves is at most 2 log2(M) whole subtrees, and M < 2^31 */

struct node { /* a whole subtree that is summed: leaves [lo, hi) */
    int lo, hi;
    void *values;
};

struct spare { /* a buffer not in use */
    void *values;
    bool is_zero;
};

struct tree_sum {
    struct tree_sum_cfg cfg;
    struct comm *comm;
    int leaves;
    size_t count, item_bytes;
    bool is_total;   /* the total is out: the next leaf starts a new sum */
    bool is_cleared; /* and its buffer is zero again */

    int first, end, next;         /* this rank's leaves, and the one to come */
    struct node nodes[MAX_NODES]; /* stack: whole subtrees so far, in order */
    int node_count;
    struct spare spare[MAX_NODES];
    int spare_count;
    void *open; /* the leaf being written */

    /* the exchange; NULL in a gang of one */
    struct node *parts; /* whole subtrees of all ranks, in order, this rank's shard of each */
    int part_count;
    size_t *numbers; /* six arrays of size: counts and offsets of send, receive and shards */
    void *packed;    /* own subtrees by destination; NULL while there is only one */
    void *received;
    void *total;
};

/* Visits the largest whole subtrees of [first, end) in order: into nodes (may be NULL); returns how
 * many. */
static int cover(int lo, int hi, int first, int end, struct node *nodes)
{
    if (hi <= first || end <= lo)
        return 0;
    if (first <= lo && hi <= end) {
        if (nodes)
            *nodes = (struct node){.lo = lo, .hi = hi};
        return 1;
    }
    int middle = (int)(((int64_t)lo + hi) / 2);
    int left = cover(lo, middle, first, end, nodes);
    return left + cover(middle, hi, first, end, nodes ? nodes + left : NULL);
}

/* Whether [a, b) and [b, c) are the two halves of a node of the tree over [0, leaves). */
static bool are_halves(int leaves, int a, int b, int c)
{
    int lo = 0, hi = leaves;
    while (hi - lo > 1) {
        int middle = (int)(((int64_t)lo + hi) / 2);
        if (lo == a && hi == c)
            return middle == b;
        if (b < middle)
            hi = middle;
        else if (b > middle)
            lo = middle;
        else
            return false; /* b splits this node, and it is not [a, c) */
    }
    return false;
}

static struct device *device_of(const struct tree_sum *sum)
{
    return sum->cfg.on_device ? sum->cfg.on_device->device : NULL;
}

/* left += right, right = 0. */
static void fold_host(bool is_double, size_t count, void *right, void *left)
{
    for (size_t i = 0; i < count; i++) {
        if (is_double)
            ((double *)left)[i] += ((double *)right)[i];
        else
            ((float *)left)[i] += ((float *)right)[i];
    }
    memset(right, 0, count * (is_double ? sizeof(double) : sizeof(float)));
}

static void fold(const struct tree_sum *sum, size_t count, void *right, void *left)
{
    struct device *device = device_of(sum);
    if (!device)
        fold_host(sum->cfg.is_double, count, right, left);
    else if (sum->cfg.is_double)
        device->ops->fold_doubles(device, count, right, left);
    else
        device->ops->fold(device, count, right, left);
}

static void put_back(struct tree_sum *sum, void *values, bool is_zero)
{
    sum->spare[sum->spare_count++] = (struct spare){values, is_zero};
}

/* Pushes a summed node and folds it with the left halves that wait for it. */
static void push(struct tree_sum *sum, struct node node)
{
    while (sum->node_count > 0) {
        struct node *left = &sum->nodes[sum->node_count - 1];
        if (!are_halves(sum->leaves, left->lo, node.lo, node.hi))
            break;
        if (node.values) { /* NULL while counting how many buffers it takes */
            fold(sum, sum->count, node.values, left->values);
            put_back(sum, node.values, true);
        }
        node = (struct node){.lo = left->lo, .hi = node.hi, .values = left->values};
        sum->node_count--;
    }
    sum->nodes[sum->node_count++] = node;
}

/* The most buffers alive at once: the stack, and the open leaf. Leaves the stack empty. */
static int buffers_needed(struct tree_sum *sum)
{
    int most = 0;
    for (int leaf = sum->first; leaf < sum->end; leaf++) {
        if (sum->node_count + 1 > most)
            most = sum->node_count + 1;
        push(sum, (struct node){.lo = leaf, .hi = leaf + 1});
    }
    sum->node_count = 0;
    return most;
}

/* As tree_sum_create() and plan_exchange() take it, and comm_staged.c with each exchange. */
size_t tree_sum_bytes(int size, int leaves, size_t leaf_bytes)
{
    size_t most = 0, parts = 0;
    size_t shard = (leaf_bytes + (size_t)size - 1) / (size_t)size;
    for (int rank = 0; rank < size; rank++)
        parts += (size_t)cover(0, leaves, comm_first(leaves, size, rank),
                               comm_first(leaves, size, rank + 1), NULL);
    for (int rank = 0; rank < size; rank++) {
        struct tree_sum sum = {.leaves = leaves,
                               .first = comm_first(leaves, size, rank),
                               .end = comm_first(leaves, size, rank + 1)};
        size_t own = (size_t)cover(0, leaves, sum.first, sum.end, NULL), received = parts * shard;
        size_t bytes = (size_t)buffers_needed(&sum) * leaf_bytes;
        if (size > 1) {
            bytes += (own > 1 ? own * leaf_bytes : 0) + received + leaf_bytes;
            bytes += own * leaf_bytes + (received > leaf_bytes ? received : leaf_bytes);
        }
        most = bytes > most ? bytes : most;
    }
    return most;
}

/* Zeroed. */
static enum err take_memory(const struct tree_sum *sum, size_t size_bytes, void **memory)
{
    struct device *device = device_of(sum);
    size_t rounded = (size_bytes + 63) / 64 * 64;
    rounded = rounded > 0 ? rounded : 64;
    if (device)
        return device->ops->alloc(device, rounded, memory);
    *memory = aligned_alloc(64, rounded);
    if (!*memory)
        return err_set(ERR_MEMORY, "no memory for %zu MB of sums", size_bytes >> 20);
    memset(*memory, 0, rounded);
    return ERR_OK;
}

static void give_memory(const struct tree_sum *sum, void *memory)
{
    struct device *device = device_of(sum);
    if (device)
        device->ops->free(device, memory);
    else
        free(memory);
}

static size_t shard_start(const struct tree_sum *sum, int rank)
{
    return sum->count * (size_t)rank / (size_t)sum->comm->size;
}

static size_t shard_count(const struct tree_sum *sum, int rank)
{
    return shard_start(sum, rank + 1) - shard_start(sum, rank);
}

/* Who sends what to whom is the same for every sum: laid out once. */
static enum err plan_exchange(struct tree_sum *sum)
{
    enum err err = ERR_OK;
    int size = sum->comm->size;
    size_t mine = shard_count(sum, sum->comm->rank), received = 0, sent = 0;
    sum->numbers = mem_array((size_t)size * 6, sizeof *sum->numbers);
    size_t *send_counts = sum->numbers, *send_offsets = send_counts + size;
    size_t *receive_counts = send_offsets + size, *receive_offsets = receive_counts + size;
    size_t *shard_counts = receive_offsets + size, *shard_offsets = shard_counts + size;
    size_t own =
        (size_t)cover(0, sum->leaves, sum->first, sum->end, NULL); /* subtrees of this rank */
    sum->parts = mem_array((size_t)size * MAX_NODES, sizeof *sum->parts);
    for (int rank = 0; rank < size; rank++) {
        int parts = cover(0, sum->leaves, comm_first(sum->leaves, size, rank),
                          comm_first(sum->leaves, size, rank + 1), sum->parts + sum->part_count);
        sum->part_count += parts;
        shard_counts[rank] = shard_count(sum, rank);
        shard_offsets[rank] = shard_start(sum, rank);
        send_counts[rank] = own * shard_counts[rank];
        send_offsets[rank] = sent;
        receive_counts[rank] = (size_t)parts * mine;
        receive_offsets[rank] = received;
        sent += send_counts[rank];
        received += receive_counts[rank];
    }
    if (own > 1)
        TRY(take_memory(sum, own * sum->count * sum->item_bytes, &sum->packed));
    TRY(take_memory(sum, received * sum->item_bytes, &sum->received));
    TRY(take_memory(sum, sum->count * sum->item_bytes, &sum->total));
out:
    return err;
}

enum err tree_sum_create(const struct tree_sum_cfg *cfg, struct tree_sum **result)
{
    enum err err = ERR_OK;
    struct comm *comm = cfg->comm;
    struct tree_sum *sum = mem_alloc(sizeof *sum);
    if (cfg->leaves < 1)
        BUG("a tree of %d leaves", cfg->leaves);
    *sum = (struct tree_sum){.cfg = *cfg,
                             .comm = comm,
                             .leaves = cfg->leaves,
                             .count = cfg->count,
                             .item_bytes = cfg->is_double ? sizeof(double) : sizeof(float),
                             .first = comm_first(cfg->leaves, comm->size, comm->rank),
                             .end = comm_first(cfg->leaves, comm->size, comm->rank + 1)};
    sum->next = sum->first;
    for (int needed = buffers_needed(sum); sum->spare_count < needed; sum->spare_count++) {
        struct spare *spare = &sum->spare[sum->spare_count];
        TRY(take_memory(sum, sum->count * sum->item_bytes, &spare->values));
        spare->is_zero = true;
    }
    if (comm->size > 1)
        TRY(plan_exchange(sum));
    *result = sum;
    sum = NULL;
out:
    tree_sum_destroy(&sum);
    return err;
}

void tree_sum_destroy(struct tree_sum **pointer)
{
    struct tree_sum *sum = *pointer;
    if (!sum)
        return;
    for (int i = 0; i < sum->spare_count; i++)
        give_memory(sum, sum->spare[i].values);
    for (int i = 0; i < sum->node_count; i++)
        give_memory(sum, sum->nodes[i].values);
    give_memory(sum, sum->open);
    give_memory(sum, sum->packed);
    give_memory(sum, sum->received);
    give_memory(sum, sum->total);
    mem_free(sum->numbers);
    mem_free(sum->parts);
    mem_free(sum);
    *pointer = NULL;
}

static void begin_again(struct tree_sum *sum)
{
    while (sum->node_count > 0)
        put_back(sum, sum->nodes[--sum->node_count].values, sum->is_cleared);
    sum->next = sum->first;
    sum->is_total = false;
    sum->is_cleared = false;
}

void tree_sum_cleared(struct tree_sum *sum)
{
    sum->is_cleared = sum->comm->size == 1; /* else the total is no leaf's buffer */
}

static void clear(const struct tree_sum *sum, void *values)
{
    struct device *device = device_of(sum);
    if (device)
        device->ops->zero(device, sum->count * sum->item_bytes, values);
    else
        memset(values, 0, sum->count * sum->item_bytes);
}

void *tree_sum_leaf(struct tree_sum *sum)
{
    if (sum->is_total)
        begin_again(sum);
    if (sum->open || sum->next >= sum->end)
        BUG("leaf %d of [%d, %d) asked for out of turn", sum->next, sum->first, sum->end);
    struct spare spare = sum->spare[--sum->spare_count];
    sum->open = spare.values;
    if (!spare.is_zero)
        clear(sum, sum->open);
    return sum->open;
}

void tree_sum_close_leaf(struct tree_sum *sum)
{
    struct node leaf = {.lo = sum->next, .hi = sum->next + 1, .values = sum->open};
    if (!sum->open)
        BUG("a leaf closed that was never opened");
    sum->open = NULL;
    sum->next++;
    push(sum, leaf);
}

void tree_sum_forget(struct tree_sum *sum)
{
    if (sum->open)
        put_back(sum, sum->open, false);
    sum->open = NULL;
    begin_again(sum);
}

static void copy_piece(const struct tree_sum *sum, size_t size_bytes, const void *from, void *to)
{
    struct device *device = device_of(sum);
    if (device)
        device->ops->copy(device, size_bytes, from, to);
    else
        memcpy(to, from, size_bytes);
}

/* The send buffer: for each destination, its shard of every own subtree in order. */
static const void *pack(struct tree_sum *sum)
{
    if (!sum->packed) /* one subtree lies as it is sent; none sends nothing */
        return sum->node_count > 0 ? sum->nodes[0].values : sum->received;
    char *to = sum->packed;
    for (int rank = 0; rank < sum->comm->size; rank++) {
        size_t start = shard_start(sum, rank) * sum->item_bytes;
        size_t bytes = shard_count(sum, rank) * sum->item_bytes;
        for (int node = 0; node < sum->node_count; node++, to += bytes)
            copy_piece(sum, bytes, (const char *)sum->nodes[node].values + start, to);
    }
    return sum->packed;
}

/* Sums the parts below [lo, hi) in the tree's order, in place; *part walks over them. */
static void *fold_parts(struct tree_sum *sum, int lo, int hi, int *part)
{
    if (sum->parts[*part].lo == lo && sum->parts[*part].hi == hi)
        return sum->parts[(*part)++].values;
    int middle = (int)(((int64_t)lo + hi) / 2);
    void *left = fold_parts(sum, lo, middle, part);
    void *right = fold_parts(sum, middle, hi, part);
    fold(sum, shard_count(sum, sum->comm->rank), right, left);
    return left;
}

static enum err exchange(struct tree_sum *sum, const struct device_exchange *e)
{
    struct comm *comm = sum->comm;
    struct device_comm *on_device = sum->cfg.on_device;
    if (on_device)
        return on_device->exchange(on_device, e);
    return comm->exchange(comm, e->send, e->send_counts, e->send_offsets, e->receive,
                          e->receive_counts, e->receive_offsets, e->item_bytes);
}

static enum err gather_all(struct tree_sum *sum, const struct device_exchange *e)
{
    struct comm *comm = sum->comm;
    struct device_comm *on_device = sum->cfg.on_device;
    if (on_device)
        return on_device->gather_all(on_device, e);
    return comm->gather_all(comm, e->send, e->receive, e->receive_counts, e->receive_offsets,
                            e->item_bytes);
}

enum err tree_sum_total(struct tree_sum *sum, void **total)
{
    enum err err = ERR_OK;
    if (sum->next != sum->end || (sum->is_total && sum->first != sum->end))
        BUG("the total asked for at leaf %d of [%d, %d)", sum->next, sum->first, sum->end);
    sum->is_total = true;
    if (sum->comm->size == 1) {
        *total = sum->nodes[0].values;
        return ERR_OK;
    }
    size_t *numbers = sum->numbers, n = (size_t)sum->comm->size;
    size_t mine = shard_count(sum, sum->comm->rank) * sum->item_bytes;
    struct device_exchange shards = {.send = pack(sum),
                                     .send_counts = numbers,
                                     .send_offsets = numbers + n,
                                     .receive = sum->received,
                                     .receive_counts = numbers + 2 * n,
                                     .receive_offsets = numbers + 3 * n,
                                     .item_bytes = sum->item_bytes};
    TRY(exchange(sum, &shards));
    for (int part = 0; part < sum->part_count; part++)
        sum->parts[part].values = (char *)sum->received + (size_t)part * mine;
    int part = 0;
    struct device_exchange all = {.send = fold_parts(sum, 0, sum->leaves, &part),
                                  .receive = sum->total,
                                  .receive_counts = numbers + 4 * n,
                                  .receive_offsets = numbers + 5 * n,
                                  .item_bytes = sum->item_bytes};
    TRY(gather_all(sum, &all));
    *total = sum->total;
out:
    return err;
}
