#include "trainer/evaluate/exchange_memory.h"
#include "base/mem.h"
#include <stdint.h>
#include <string.h>

struct wish {
    struct exchange_score score;
    char *subnet;
    bool is_answered; /* otherwise it becomes part of the share */
};

struct memory {
    struct exchange exchange;
    struct exchange_record *records; /* (record_count) their bytes are owned */
    int record_count, record_room;
    enum exchange_aim aim;
    struct wish *wishes; /* (wish_count) */
    int wish_count, next;
    struct exchange_score *share; /* of the last EXCHANGE_SHARE */
};

static struct exchange_record *find(struct memory *memory, const struct hash *key)
{
    for (int i = 0; i < memory->record_count; i++)
        if (hash_equal(&memory->records[i].key, key))
            return &memory->records[i];
    return NULL;
}

static void forget_wishes(struct memory *memory)
{
    for (int i = 0; i < memory->wish_count; i++)
        mem_free(memory->wishes[i].subnet);
    mem_free(memory->wishes);
    mem_free(memory->share);
    memory->wishes = NULL;
    memory->share = NULL;
    memory->wish_count = memory->next = 0;
}

static void want(struct exchange *exchange, enum exchange_aim aim,
                 const struct exchange_score *scores, int count)
{
    struct memory *memory = exchange->own;
    forget_wishes(memory);
    memory->aim = aim;
    memory->wishes = mem_array((size_t)count, sizeof *memory->wishes);
    memory->wish_count = count;
    for (int i = 0; i < count; i++) {
        struct wish *wish = &memory->wishes[i];
        wish->score = scores[i];
        wish->subnet = mem_string(scores[i].subnet);
        wish->score.subnet = wish->subnet;
    }
}

static void be_ready(struct exchange *exchange)
{
    (void)exchange; /* the share comes unasked */
}

/* What nobody knows, once. */
static enum err give_share(struct memory *memory, struct exchange_event *event)
{
    int count = 0;
    if (memory->share)
        return ERR_AGAIN;
    memory->share = mem_array((size_t)memory->wish_count + 1, sizeof *memory->share);
    for (int i = 0; i < memory->wish_count; i++)
        if (!memory->wishes[i].is_answered)
            memory->share[count++] = memory->wishes[i].score;
    if (count == 0)
        return ERR_AGAIN;
    *event =
        (struct exchange_event){.kind = EXCHANGE_SHARE, .scores = memory->share, .count = count};
    return ERR_OK;
}

static enum err next(struct exchange *exchange, struct exchange_event *event)
{
    struct memory *memory = exchange->own;
    while (memory->next < memory->wish_count) {
        struct wish *wish = &memory->wishes[memory->next++];
        const struct exchange_record *known = find(memory, &wish->score.key);
        bool will_do = known && known->detail >= wish->score.detail;
        if (!will_do && memory->aim == EXCHANGE_WANT)
            continue;
        wish->is_answered = true;
        *event =
            (struct exchange_event){.kind = EXCHANGE_RECORD, .record = {.key = wish->score.key}};
        if (will_do)
            event->record = *known;
        return ERR_OK;
    }
    return give_share(memory, event);
}

static struct exchange_record *add_record(struct memory *memory)
{
    size_t item = sizeof *memory->records, old = (size_t)memory->record_room;
    if (memory->record_count == memory->record_room) {
        memory->record_room = 2 * memory->record_room + 16;
        memory->records = mem_grow(memory->records, old * item, (size_t)memory->record_room * item);
    }
    return &memory->records[memory->record_count++];
}

static void keep(struct exchange *exchange, const struct exchange_record *record)
{
    struct memory *memory = exchange->own;
    struct exchange_record *kept = find(memory, &record->key);
    if (kept)
        mem_free((void *)(uintptr_t)kept->bytes);
    else
        kept = add_record(memory);
    void *copy = mem_alloc(record->size_bytes);
    memcpy(copy, record->bytes, record->size_bytes);
    *kept = *record;
    kept->bytes = copy;
}

struct exchange *exchange_memory_create(void)
{
    struct memory *memory = mem_alloc(sizeof *memory);
    memory->exchange = (struct exchange){
        .own = memory, .want = want, .ready = be_ready, .next = next, .keep = keep};
    return &memory->exchange;
}

void exchange_memory_destroy(struct exchange **pointer)
{
    if (!*pointer)
        return;
    struct memory *memory = (*pointer)->own;
    forget_wishes(memory);
    for (int i = 0; i < memory->record_count; i++)
        mem_free((void *)(uintptr_t)memory->records[i].bytes);
    mem_free(memory->records);
    mem_free(memory);
    *pointer = NULL;
}
