#include "tests/kernels/host_copies.h"
#include "base/err.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

float narrow_widened(uint16_t value)
{
    uint32_t bits = (uint32_t)value << 16;
    float wide;
    memcpy(&wide, &bits, sizeof wide);
    return wide;
}

/* Written apart from the product's: the two neighbours are compared. */
uint16_t narrow_value(float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    uint16_t down = (uint16_t)(bits >> 16), up = (uint16_t)(down + 1);
    if (isnan(value))
        return down | 0x40;
    if (isinf(value) || narrow_widened(down) == value)
        return down;
    double below = fabs((double)value - (double)narrow_widened(down));
    double above = fabs((double)narrow_widened(up) - (double)value);
    if (isinf(narrow_widened(up))) /* as if there were a number behind the largest */
        above = fabs(ldexp(copysign(1, (double)value), 128) - (double)value);
    return below < above ? down : above < below ? up : down & 1 ? up : down;
}

static void *allocate(size_t size_bytes)
{
    void *memory = malloc(size_bytes ? size_bytes : 1);
    if (!memory)
        abort();
    return memory;
}

static void narrow(const float *from, size_t count, uint16_t *to)
{
    for (size_t i = 0; i < count; i++) {
        to[i] = narrow_value(from[i]);
        if (!isnan(from[i]) && narrow_widened(to[i]) != from[i])
            BUG("a test's map holds %.9g, which is no bf16", (double)from[i]);
    }
}

static void widen(const uint16_t *from, size_t count, float *to)
{
    for (size_t i = 0; i < count; i++)
        to[i] = narrow_widened(from[i]);
}

static size_t device_bytes(const struct host_copy *copy)
{
    return copy->count * (copy->is_narrow ? sizeof(uint16_t) : copy->item_bytes);
}

static void take_memory(struct host_copies *copies, struct host_copy *copy)
{
    const struct device_ops *ops = copies->of->ops;
    size_t bytes = device_bytes(copy);
    copy->is_on_device = !copies->of->is_host;
    if (copy->is_on_device && ops->alloc(copies->device, bytes ? bytes : 1, &copy->at) != ERR_OK) {
        fprintf(stderr, "%s\n", err_text());
        copy->is_on_device = false;
    }
    if (!copy->is_on_device)
        copy->at = allocate(bytes);
}

static void put(struct host_copies *copies, const struct host_copy *copy, const void *from)
{
    if (copy->is_on_device)
        copies->of->ops->upload(copies->device, copy->at, from, device_bytes(copy));
    else
        memcpy(copy->at, from, device_bytes(copy));
}

static void fill_nan(struct host_copies *copies, const struct host_copy *copy)
{
    void *nans = allocate(device_bytes(copy));
    memset(nans, 0xff, device_bytes(copy));
    put(copies, copy, nans);
    free(nans);
}

static void bring(struct host_copies *copies, const struct host_copy *copy)
{
    if (!copy->is_narrow) {
        put(copies, copy, copy->host);
        return;
    }
    uint16_t *map = allocate(device_bytes(copy));
    narrow(copy->host, copy->count, map);
    put(copies, copy, map);
    free(map);
}

static struct host_copy *find(struct host_copies *copies, const void *host)
{
    for (int i = 0; i < copies->count; i++)
        if (copies->all[i].host == host)
            return &copies->all[i];
    return NULL;
}

static struct host_copy *add(struct host_copies *copies, const struct host_copy *copy)
{
    if (copies->count == copies->room) {
        copies->room = copies->room ? 2 * copies->room : 32;
        copies->all = realloc(copies->all, (size_t)copies->room * sizeof *copies->all);
        if (!copies->all)
            abort();
    }
    struct host_copy *added = &copies->all[copies->count++];
    *added = *copy;
    take_memory(copies, added);
    fill_nan(copies, added);
    return added;
}

static void *hold(struct host_copies *copies, unsigned way, const struct host_copy *copy)
{
    struct host_copy *held = find(copies, copy->host);
    if (held && (device_bytes(held) != device_bytes(copy) || held->is_narrow != copy->is_narrow))
        BUG("an array of %zu bytes is named again with %zu", device_bytes(held),
            device_bytes(copy));
    if (!held)
        held = add(copies, copy);
    if (way & ~held->way & COPY_IN)
        bring(copies, held);
    held->way |= way;
    return held->at;
}

void *copies_array(struct host_copies *copies, unsigned way, const void *host, size_t size_bytes)
{
    if (!host || copies->of->is_host)
        return (void *)host;
    return hold(copies, way,
                &(struct host_copy){.host = (void *)host, .count = size_bytes, .item_bytes = 1});
}

void *copies_map(struct host_copies *copies, unsigned way, const void *floats, size_t count)
{
    bool is_narrow = copies->of->map_bytes != sizeof(float);
    if (!floats || (copies->of->is_host && !is_narrow))
        return (void *)floats;
    return hold(copies, way,
                &(struct host_copy){.host = (void *)floats,
                                    .count = count,
                                    .item_bytes = sizeof(float),
                                    .is_narrow = is_narrow});
}

/* The bytes that the device has now, or NaN. */
static void take_back(struct host_copies *copies, const struct host_copy *copy, void *to)
{
    if (!copy->is_on_device)
        memcpy(to, copy->at, device_bytes(copy));
    else if (copies->of->ops->download(copies->device, to, copy->at, device_bytes(copy)) !=
             ERR_OK) {
        fprintf(stderr, "%s\n", err_text());
        memset(to, 0xff, device_bytes(copy));
    }
}

static void end(struct host_copies *copies, struct host_copy *copy)
{
    if (copy->way & COPY_OUT && copy->is_narrow) {
        uint16_t *map = allocate(device_bytes(copy));
        take_back(copies, copy, map);
        widen(map, copy->count, copy->host);
        free(map);
    } else if (copy->way & COPY_OUT)
        take_back(copies, copy, copy->host);
    if (copy->is_on_device)
        copies->of->ops->free(copies->device, copy->at);
    else
        free(copy->at);
}

void copies_end(struct host_copies *copies)
{
    for (int i = 0; i < copies->count; i++)
        end(copies, &copies->all[i]);
    free(copies->all);
    copies->all = NULL;
    copies->count = copies->room = 0;
}
