#include "trainer/evaluate/exchange_store.h"
#include "base/mem.h"
#include "trainer/checkpoint/measurement_record.h"
#include "trainer/evaluate/exchange_memory.h"

struct stored {
    struct exchange exchange;
    struct checkpoint_store *store;
    struct exchange *memory; /* what is known of it, and what it deals out */
};

/* What the store has becomes known; how much detail a record has, whoever asked looks. */
static void recall(struct stored *stored, const struct exchange_score *score)
{
    struct text packed;
    text_init(&packed);
    if (measurement_find_packed(stored->store, &score->key, &packed) == ERR_OK) {
        struct exchange_record record = {.key = score->key,
                                         .detail = score->detail,
                                         .bytes = packed.bytes,
                                         .size_bytes = packed.size};
        stored->memory->keep(stored->memory, &record);
    }
    text_fini(&packed);
}

static void want(struct exchange *exchange, enum exchange_aim aim,
                 const struct exchange_score *scores, int count)
{
    struct stored *stored = exchange->own;
    for (int i = 0; i < count && aim == EXCHANGE_ASK; i++)
        recall(stored, &scores[i]);
    stored->memory->want(stored->memory, aim, scores, count);
}

static void be_ready(struct exchange *exchange)
{
    (void)exchange;
}

static enum err next(struct exchange *exchange, struct exchange_event *event)
{
    struct stored *stored = exchange->own;
    return stored->memory->next(stored->memory, event);
}

static enum err write(const struct measurement *measurement, void *store)
{
    measurement_keep(store, measurement);
    return ERR_OK;
}

static void keep(struct exchange *exchange, const struct exchange_record *record)
{
    struct stored *stored = exchange->own;
    struct store_bytes key = {record->key.bytes, HASH_BYTES};
    struct store_bytes packed = {record->bytes, record->size_bytes};
    stored->memory->keep(stored->memory, record);
    if (measurement_record_unpack(key, packed, write, stored->store) != ERR_OK)
        BUG("a measurement that was just made: %s", err_text());
}

static void finish(struct exchange *exchange)
{
    struct stored *stored = exchange->own;
    checkpoint_finish(stored->store);
}

struct exchange *exchange_store_create(struct checkpoint_store *store)
{
    struct stored *stored = mem_alloc(sizeof *stored);
    stored->store = store;
    stored->memory = exchange_memory_create();
    stored->exchange = *stored->memory;
    stored->exchange.own = stored;
    stored->exchange.want = want;
    stored->exchange.ready = be_ready;
    stored->exchange.next = next;
    stored->exchange.keep = keep;
    stored->exchange.finish = finish;
    return &stored->exchange;
}

void exchange_store_destroy(struct exchange **pointer)
{
    if (!*pointer)
        return;
    struct stored *stored = (*pointer)->own;
    exchange_memory_destroy(&stored->memory);
    mem_free(stored);
    *pointer = NULL;
}
