/* The sum over leaves in the binary tree that halves [0, M): see comm.h and DESIGN section 3. */
#include "base/mem.h"
#include "trainer/comm.h"
#include <stdlib.h>
#include <string.h>

#define MAX_NODES 64 /* a run of leaves is at most 2 log2(M) whole subtrees, and M < 2^31 */

struct node { /* a whole subtree that is summed: leaves [lo, hi) */
    int lo, hi;
    void *values;
};

struct tree_sum {
    struct comm *comm;
    int leaves;
    size_t count, item_bytes;
    bool is_double;
    bool is_total; /* the total is out: the next leaf starts a new sum */

    int first, end, next;         /* this rank's leaves, and the one to come */
    struct node nodes[MAX_NODES]; /* stack: whole subtrees so far, in order */
    int node_count;
    void *spare[MAX_NODES]; /* buffers not in use */
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

static void add_into(const struct tree_sum *sum, void *left, const void *right, size_t count)
{
    if (sum->is_double) {
        double *to = left;
        const double *from = right;
        for (size_t i = 0; i < count; i++)
            to[i] += from[i];
    } else {
        float *to = left;
        const float *from = right;
        for (size_t i = 0; i < count; i++)
            to[i] += from[i];
    }
}

/* Pushes a summed node and folds it with the left halves that wait for it. */
static void push(struct tree_sum *sum, struct node node)
{
    while (sum->node_count > 0) {
        struct node *left = &sum->nodes[sum->node_count - 1];
        if (!are_halves(sum->leaves, left->lo, node.lo, node.hi))
            break;
        if (node.values) { /* NULL while counting how many buffers it takes */
            add_into(sum, left->values, node.values, sum->count);
            sum->spare[sum->spare_count++] = node.values;
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

static enum err take_memory(size_t size_bytes, void **memory)
{
    size_t rounded = (size_bytes + 63) / 64 * 64;
    *memory = aligned_alloc(64, rounded > 0 ? rounded : 64);
    if (!*memory)
        return err_set(ERR_MEMORY, "no memory for %zu MB of sums", size_bytes >> 20);
    return ERR_OK;
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
        TRY(take_memory(own * sum->count * sum->item_bytes, &sum->packed));
    TRY(take_memory(received * sum->item_bytes, &sum->received));
    TRY(take_memory(sum->count * sum->item_bytes, &sum->total));
out:
    return err;
}

enum err tree_sum_create(struct comm *comm, int leaves, size_t count, bool is_double,
                         struct tree_sum **result)
{
    enum err err = ERR_OK;
    struct tree_sum *sum = mem_alloc(sizeof *sum);
    if (leaves < 1)
        BUG("a tree of %d leaves", leaves);
    *sum = (struct tree_sum){.comm = comm,
                             .leaves = leaves,
                             .count = count,
                             .is_double = is_double,
                             .item_bytes = is_double ? sizeof(double) : sizeof(float),
                             .first = comm_first(leaves, comm->size, comm->rank),
                             .end = comm_first(leaves, comm->size, comm->rank + 1)};
    sum->next = sum->first;
    for (int needed = buffers_needed(sum); sum->spare_count < needed; sum->spare_count++)
        TRY(take_memory(count * sum->item_bytes, &sum->spare[sum->spare_count]));
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
        free(sum->spare[i]);
    for (int i = 0; i < sum->node_count; i++)
        free(sum->nodes[i].values);
    free(sum->open);
    free(sum->packed);
    free(sum->received);
    free(sum->total);
    mem_free(sum->numbers);
    mem_free(sum->parts);
    mem_free(sum);
    *pointer = NULL;
}

static void begin_again(struct tree_sum *sum)
{
    while (sum->node_count > 0)
        sum->spare[sum->spare_count++] = sum->nodes[--sum->node_count].values;
    sum->next = sum->first;
    sum->is_total = false;
}

void *tree_sum_leaf(struct tree_sum *sum)
{
    if (sum->is_total)
        begin_again(sum);
    if (sum->open || sum->next >= sum->end)
        BUG("leaf %d of [%d, %d) asked for out of turn", sum->next, sum->first, sum->end);
    sum->open = sum->spare[--sum->spare_count];
    memset(sum->open, 0, sum->count * sum->item_bytes);
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
        sum->spare[sum->spare_count++] = sum->open;
    sum->open = NULL;
    begin_again(sum);
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
            memcpy(to, (const char *)sum->nodes[node].values + start, bytes);
    }
    return sum->packed;
}

/* Sums the parts below [lo, hi) in the tree's order, in place; *part walks over them. */
static void *fold(struct tree_sum *sum, int lo, int hi, int *part)
{
    if (sum->parts[*part].lo == lo && sum->parts[*part].hi == hi)
        return sum->parts[(*part)++].values;
    int middle = (int)(((int64_t)lo + hi) / 2);
    void *left = fold(sum, lo, middle, part);
    const void *right = fold(sum, middle, hi, part);
    add_into(sum, left, right, shard_count(sum, sum->comm->rank));
    return left;
}

enum err tree_sum_total(struct tree_sum *sum, const void **total)
{
    enum err err = ERR_OK;
    struct comm *comm = sum->comm;
    if (sum->next != sum->end || (sum->is_total && sum->first != sum->end))
        BUG("the total asked for at leaf %d of [%d, %d)", sum->next, sum->first, sum->end);
    sum->is_total = true;
    if (comm->size == 1) {
        *total = sum->nodes[0].values;
        return ERR_OK;
    }
    size_t *numbers = sum->numbers;
    size_t n = (size_t)comm->size, mine = shard_count(sum, comm->rank) * sum->item_bytes;
    TRY(comm->exchange(comm, pack(sum), numbers, numbers + n, sum->received, numbers + 2 * n,
                       numbers + 3 * n, sum->item_bytes));
    for (int part = 0; part < sum->part_count; part++)
        sum->parts[part].values = (char *)sum->received + (size_t)part * mine;
    int part = 0;
    const void *root = fold(sum, 0, sum->leaves, &part);
    TRY(comm->gather_all(comm, root, sum->total, numbers + 4 * n, numbers + 5 * n,
                         sum->item_bytes));
    *total = sum->total;
out:
    return err;
}
