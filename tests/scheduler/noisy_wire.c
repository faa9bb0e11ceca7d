/* Between the link and its wire (linked with --wrap): what a gang says and hears is lost, comes
 * twice, late, or behind what was said later, as FAKE_NOISE (a number, the seed) and the lease
 * decide. Unset or 0: nothing happens. The link's thread alone comes here. */
#include "base/mem.h"
#include "base/rng.h"
#include "base/wire/wire.h"
#include <stdlib.h>
#include <string.h>

#define LOST      17 /* of a hundred... */
#define LATE      17
#define DOUBLED   17
#define MOST_LATE 6 /* calls */
#define MAX_HELD  64

enum err __real_wire_send(struct wire *, const struct wire_peer *, const void *, size_t);
enum err __real_wire_receive(struct wire *, int, struct wire_message *);
enum err __wrap_wire_send(struct wire *, const struct wire_peer *, const void *, size_t);
enum err __wrap_wire_receive(struct wire *, int, struct wire_message *);

struct held {
    uint8_t *bytes; /* owned */
    size_t size;
    int calls; /* until it comes */
};

struct way { /* there, or back */
    uint64_t index, draws;
    struct held held[MAX_HELD];
    int count;
};

static struct way there = {.index = 0}, back = {.index = 1};
static uint8_t *given; /* what was received last, where we kept it; owned */

static uint64_t number(const char *name)
{
    const char *text = getenv(name);
    return text ? strtoull(text, NULL, 10) : 0;
}

static int draw(struct way *way, int below)
{
    uint64_t bits =
        rng(number("FAKE_NOISE"), RNG_TEST, number("GLOWWORM_LEASE"), way->index, way->draws++);
    return (int)rng_below(bits, (uint32_t)below);
}

static void hold(struct way *way, const void *bytes, size_t size)
{
    if (way->count == MAX_HELD)
        return;
    struct held *held = &way->held[way->count++];
    *held = (struct held){mem_alloc(size + 1), size, 1 + draw(way, MOST_LATE)};
    memcpy(held->bytes, bytes, size);
}

/* False: it does not come now. */
static bool passes(struct way *way, const void *bytes, size_t size)
{
    int fate = number("FAKE_NOISE") > 0 ? draw(way, 100) : 100;
    if (fate >= LOST && fate < LOST + LATE + DOUBLED)
        hold(way, bytes, size);
    return fate >= LOST + LATE;
}

/* The first whose time has come; the caller's. NULL: none. */
static uint8_t *release(struct way *way, size_t *size)
{
    for (int i = 0; i < way->count; i++) {
        if (way->held[i].calls > 0)
            continue;
        uint8_t *bytes = way->held[i].bytes;
        *size = way->held[i].size;
        way->held[i] = way->held[--way->count];
        return bytes;
    }
    return NULL;
}

static void count_call(struct way *way)
{
    for (int i = 0; i < way->count; i++)
        way->held[i].calls -= way->held[i].calls > 0;
}

enum err __wrap_wire_send(struct wire *wire, const struct wire_peer *peer, const void *payload,
                          size_t size_bytes)
{
    enum err err = ERR_OK;
    size_t size = 0;
    uint8_t *late;
    count_call(&there);
    if (passes(&there, payload, size_bytes))
        err = __real_wire_send(wire, peer, payload, size_bytes);
    while (err == ERR_OK && (late = release(&there, &size))) {
        err = __real_wire_send(wire, peer, late, size);
        mem_free(late);
    }
    return err;
}

enum err __wrap_wire_receive(struct wire *wire, int timeout_ms, struct wire_message *message)
{
    size_t size = 0;
    mem_free(given);
    given = NULL;
    count_call(&back);
    if ((given = release(&back, &size))) {
        *message = (struct wire_message){.payload = given, .size_bytes = size};
        return ERR_OK;
    }
    enum err err = __real_wire_receive(wire, timeout_ms, message);
    if (err == ERR_OK && !passes(&back, message->payload, message->size_bytes))
        err = ERR_AGAIN;
    return err;
}
