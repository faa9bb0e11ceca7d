/* What a launch did with memory, for the line that GPU_EMULATOR_REPORT gets of it (emulator.h).
 *
 * A warp's lanes run one after another here, on a card together. Which of their accesses are one
 * instruction of the warp is worked out from where in the code they are and the how many-th each is
 * there of its lane since the warp's lanes last waited for each other. It is exact where all lanes
 * come by the same way; where lanes of one warp skip rounds of a loop, accesses of different rounds
 * are taken together until the next barrier or collective. */
#include "tests/support/cuda/internal.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

enum { SECTOR_BYTES = 32, BANKS = 32, BANK_BYTES = 4, MOST_SITES = 8192 };

/* The accesses that are one instruction. */
struct together {
    uint32_t lanes;
    uint8_t size_bytes[LANES];
    uintptr_t at[LANES];
};

struct site {
    const void *code; /* NULL: none */
    enum watched what;
    uint32_t times[LANES]; /* since the warp's lanes last met */
    struct together *list; /* (room), used of them */
    uint32_t used, room;
};

struct sector {                         /* of an allocation */
    uint32_t read_block, written_block; /* the last that did: its number since the start */
    uint32_t read_launch, written_launch;
    uint32_t read_bytes, written_bytes; /* bits, of that launch */
};

struct allocation_count { /* by one launch */
    struct sector *sectors;
    uint32_t launch;
    struct memory_count count;
};

static struct {
    bool is_on;
    uint32_t launch, block;
    struct launch_count count;
    struct site sites[MOST_SITES];
    uint16_t busy[MOST_SITES]; /* those with accesses, (busy_count) */
    int busy_count;
} counters;

void counters_begin_launch(void)
{
    counters.is_on = getenv("GPU_EMULATOR_REPORT") != NULL;
    counters.launch++;
    counters.count = {};
    gpu_space.loaded_bytes = gpu_space.stored_bytes = 0;
}

bool counters_are_on(void)
{
    return counters.is_on;
}

void counters_begin_block(void)
{
    counters.block++;
}

/* ---- of each allocation */

static struct allocation_count *count_of(struct gpu_allocation *allocation)
{
    struct allocation_count *of = allocation->counted;
    size_t size_bytes = allocation->extent.end - allocation->extent.begin;
    if (!of) {
        of = static_cast<struct allocation_count *>(calloc(1, sizeof *of));
        if (of)
            of->sectors = static_cast<struct sector *>(
                calloc((size_bytes + SECTOR_BYTES - 1) / SECTOR_BYTES, sizeof *of->sectors));
        if (!of || !of->sectors)
            emulator_refuse("no memory to count what %zu bytes are used for", size_bytes);
        allocation->counted = of;
    }
    if (of->launch != counters.launch)
        of->count = {};
    of->launch = counters.launch;
    return of;
}

void counters_forget(struct gpu_allocation *allocation)
{
    if (allocation->counted)
        free(allocation->counted->sectors);
    free(allocation->counted);
    allocation->counted = NULL;
}

static void touch(uint32_t *block, uint32_t *launch, uint32_t *bytes, uint64_t *by_blocks,
                  uint64_t *once, uint32_t mask)
{
    if (*launch != counters.launch)
        *bytes = 0;
    *launch = counters.launch;
    if (*block != counters.block)
        *by_blocks += SECTOR_BYTES;
    *block = counters.block;
    *once += (uint64_t)__builtin_popcount(mask & ~*bytes);
    *bytes |= mask;
}

static uint32_t bytes_mask(uint64_t from, size_t size_bytes)
{
    return (uint32_t)(((UINT64_C(1) << size_bytes) - 1) << from % SECTOR_BYTES);
}

static void count_memory(enum watched what, uint64_t from, size_t size_bytes)
{
    struct gpu_allocation *in = gpu_space.chunks[from / GPU_CHUNK_BYTES]->of;
    struct allocation_count *of = count_of(in);
    struct memory_count *count = &of->count;
    uint64_t offset = from - in->extent.begin;
    struct sector *sector = &of->sectors[offset / SECTOR_BYTES];
    uint32_t mask = bytes_mask(offset, size_bytes);
    if (what == WATCHED_LOAD) {
        count->loaded += size_bytes;
        touch(&sector->read_block, &sector->read_launch, &sector->read_bytes, &count->read,
              &count->read_once, mask);
    } else {
        count->stored += size_bytes;
        touch(&sector->written_block, &sector->written_launch, &sector->written_bytes,
              &count->written, &count->written_once, mask);
    }
}

/* ---- of each warp */

static struct site *site_of(const void *code, enum watched what)
{
    size_t i = ((uintptr_t)code ^ (uintptr_t)code >> 7) % MOST_SITES;
    for (int tries = 0; tries < MOST_SITES; tries++, i = (i + 1) % MOST_SITES) {
        struct site *site = &counters.sites[i];
        if (site->code == code && site->what == what)
            return site;
        if (site->code)
            continue;
        site->code = code;
        site->what = what;
        return site;
    }
    block_refuse("more than %d places in the code that use memory", MOST_SITES);
}

static struct together *together_at(struct site *site, uint32_t time)
{
    if (time >= site->room) {
        site->room = time < 32 ? 64 : 2 * time;
        site->list =
            static_cast<struct together *>(realloc(site->list, site->room * sizeof *site->list));
        if (!site->list)
            emulator_refuse("no memory to note accesses");
    }
    if (site->used == 0)
        counters.busy[counters.busy_count++] = (uint16_t)(site - counters.sites);
    for (; site->used <= time; site->used++)
        site->list[site->used].lanes = 0;
    return &site->list[time];
}

void counters_note(enum watched what, uintptr_t at, size_t size_bytes, const void *code)
{
    int lane = gpu_block.current->lane;
    struct site *site = site_of(code, what);
    struct together *together = together_at(site, site->times[lane]++);
    together->lanes |= UINT32_C(1) << lane;
    together->at[lane] = at;
    together->size_bytes[lane] = (uint8_t)size_bytes;
    if (what <= WATCHED_STORE)
        count_memory(what, at, size_bytes);
}

/* The sectors that lanes touch, and which bytes of them. */
static void count_sectors(const struct together *together)
{
    uint64_t numbers[LANES];
    uint32_t bytes[LANES];
    int count = 0, used = 0;
    for (uint32_t left = together->lanes; left; left &= left - 1) {
        int lane = __builtin_ctz(left), i = count - 1;
        uint64_t number = together->at[lane] / SECTOR_BYTES;
        while (i >= 0 && numbers[i] != number)
            i--;
        if (i < 0) {
            i = count++;
            numbers[i] = number;
            bytes[i] = 0;
        }
        bytes[i] |= bytes_mask(together->at[lane], together->size_bytes[lane]);
    }
    for (int i = 0; i < count; i++)
        used += __builtin_popcount(bytes[i]);
    uint64_t from = together->at[__builtin_ctz(together->lanes)];
    struct memory_count *memory = &count_of(gpu_space.chunks[from / GPU_CHUNK_BYTES]->of)->count;
    memory->sectors += (uint64_t)count * SECTOR_BYTES;
    memory->used += (uint64_t)used;
    counters.count.sectors += (uint64_t)count * SECTOR_BYTES;
    counters.count.used += (uint64_t)used;
}

/* How many words the busiest bank gives to these lanes; 0: there are none. */
static int bank_passes(const struct together *together, uint32_t lanes)
{
    uintptr_t words[BANKS][LANES];
    int counts[BANKS] = {0}, most = 0;
    for (uint32_t left = lanes; left; left &= left - 1) {
        int lane = __builtin_ctz(left);
        uintptr_t first = together->at[lane] / BANK_BYTES;
        uintptr_t last = (together->at[lane] + together->size_bytes[lane] - 1) / BANK_BYTES;
        for (uintptr_t word = first; word <= last; word++) {
            int bank = (int)(word % BANKS), i = 0;
            while (i < counts[bank] && words[bank][i] != word)
                i++;
            if (i == counts[bank])
                words[bank][counts[bank]++] = word;
            most = counts[bank] > most ? counts[bank] : most;
        }
    }
    return most;
}

/* Accesses of 8 bytes go by halves of the warp, of 16 by quarters. */
static void count_banks(const struct together *together)
{
    int size = together->size_bytes[__builtin_ctz(together->lanes)];
    int parts = size <= 4 ? 1 : size / 4, lanes = LANES / parts;
    uint32_t part = lanes == LANES ? UINT32_MAX : (UINT32_C(1) << lanes) - 1;
    for (int i = 0; i < parts; i++) {
        int passes = bank_passes(together, together->lanes & part << i * lanes);
        counters.count.shared_accesses += passes > 0;
        counters.count.shared_passes += (uint64_t)passes;
    }
}

void counters_lanes_met(void)
{
    for (int i = 0; i < counters.busy_count; i++) {
        struct site *site = &counters.sites[counters.busy[i]];
        for (uint32_t k = 0; k < site->used; k++)
            if (site->what <= WATCHED_STORE)
                count_sectors(&site->list[k]);
            else
                count_banks(&site->list[k]);
        memset(site->times, 0, sizeof site->times);
        site->used = 0;
    }
    counters.busy_count = 0;
}

/* ---- the report */

static void write_memory(FILE *file)
{
    const char *comma = "";
    for (struct gpu_allocation *next = memory_first(); next; next = next->next) {
        const struct allocation_count *of = next->counted;
        if (!of || of->launch != counters.launch)
            continue;
        const struct memory_count *c = &of->count;
        fprintf(file,
                "%s{\"at\":%llu,\"size\":%llu,\"loaded\":%llu,\"stored\":%llu,\"read\":%llu,"
                "\"written\":%llu,\"read_once\":%llu,\"written_once\":%llu,\"sectors\":%llu,"
                "\"used\":%llu}",
                comma, (unsigned long long)(gpu_space.base + next->extent.begin),
                (unsigned long long)(next->extent.end - next->extent.begin),
                (unsigned long long)c->loaded, (unsigned long long)c->stored,
                (unsigned long long)c->read, (unsigned long long)c->written,
                (unsigned long long)c->read_once, (unsigned long long)c->written_once,
                (unsigned long long)c->sectors, (unsigned long long)c->used);
        comma = ",";
    }
}

void counters_end_launch(const struct gpu_kernel *kernel, size_t static_bytes)
{
    const char *path = getenv("GPU_EMULATOR_REPORT");
    const struct launch_count *c = &counters.count;
    if (!counters.is_on || !path)
        return;
    FILE *file = fopen(path, "a");
    if (!file)
        emulator_refuse("GPU_EMULATOR_REPORT=%s: %s", path, strerror(errno));
    fprintf(file,
            "{\"kernel\":\"%s\",\"grid\":[%u,%u,%u],\"block\":[%u,%u,%u],\"shared\":%zu,"
            "\"loaded\":%llu,\"stored\":%llu,\"sectors\":%llu,\"used\":%llu,"
            "\"shared_accesses\":%llu,\"shared_passes\":%llu,\"memory\":[",
            kernel->name, kernel->grid.x, kernel->grid.y, kernel->grid.z, kernel->block.x,
            kernel->block.y, kernel->block.z, kernel->shared_bytes + static_bytes,
            (unsigned long long)gpu_space.loaded_bytes, (unsigned long long)gpu_space.stored_bytes,
            (unsigned long long)c->sectors, (unsigned long long)c->used,
            (unsigned long long)c->shared_accesses, (unsigned long long)c->shared_passes);
    write_memory(file);
    fputs("]}\n", file);
    if (fclose(file))
        emulator_refuse("GPU_EMULATOR_REPORT=%s: %s", path, strerror(errno));
}
