/* Makes a run's folder as a campaign that was edited once would leave it in the middle: checkpoints
 * and journal, nothing trained. For tests of what reads such folders.
 * usage: make_run FOLDER. Prints "LABEL CONTENT" for every checkpoint. */
#include "base/text.h"
#include "scheduler/journal.h"
#include "tests/checkpoint/fixture.h"
#include <math.h>
#include <stdlib.h>

#define BEFORE  "campaign: made\noptimiser: {decay: 3e-5, momentum: 0.9}\ncheckpoint: {keep: 2}\n"
#define AFTER   "campaign: made\noptimiser: {decay: 5e-4, momentum: 0.9}\ncheckpoint: {keep: 2}\n"
#define FOREIGN "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"

static void must(enum err err)
{
    if (err == ERR_OK)
        return;
    fprintf(stderr, "%s\n", err_text());
    abort();
}

struct made {
    const char *label, *stage, *campaign, *lineage;
    struct hash key;
    uint64_t step;
    bool is_final;
    int parent; /* index, -1: none, -2: of another store */
    struct hash content;
};

static struct made made[] = {
    {"teacher-10", "teacher", BEFORE, "v1; cpu x86-64-v2", {{1}}, 10, false, -2, {{0}}},
    {"teacher-30", "teacher", BEFORE, "v1; cpu x86-64-v2", {{1}}, 30, true, -2, {{0}}},
    {"kernel-9", "kernel", BEFORE, "v1; cpu x86-64-v2", {{2}}, 9, true, 1, {{0}}},
    {"again-6", "kernel", AFTER, "v2; cpu x86-64-v2", {{3}}, 6, false, 1, {{0}}},
    {"again-11", "kernel", AFTER, "v2; cpu x86-64-v3", {{3}}, 11, true, 1, {{0}}},
    {"depth-4", "depth-1", AFTER, "v2; cpu x86-64-v3", {{4}}, 4, false, 4, {{0}}},
    {"depth-7", "depth-1", AFTER, "v2; cpu x86-64-v3", {{4}}, 7, false, 4, {{0}}},
    {"depth-8", "depth-1", AFTER, "v2; cpu x86-64-v3", {{4}}, 8, false, 4, {{0}}}};
enum { MADE = sizeof made / sizeof *made, AGAIN_11 = 4, DEPTH_4 = 5, DEPTH_8 = 7 };

static void set_text(char **to, const char *text)
{
    mem_free(*to);
    *to = mem_string(text);
}

/* The last one's first tensor has a NaN, an infinity, and five times 2. */
static void spoil(struct tensor *tensor)
{
    for (uint64_t i = 0; i < tensor->count; i++)
        tensor->values[i] = i == 0 ? NAN : i == 1 ? -INFINITY : 2;
}

static void save(struct checkpoint_store *store, int i)
{
    struct checkpoint checkpoint;
    struct checkpoint_saved saved;
    char hex[HASH_HEX_BYTES] = "";
    make_checkpoint(made[i].stage, made[i].step, &checkpoint);
    checkpoint.position.is_final = made[i].is_final;
    set_text(&checkpoint.meta.campaign, made[i].campaign);
    set_text(&checkpoint.meta.lineage, made[i].lineage);
    if (made[i].parent >= 0)
        hash_hex(&made[made[i].parent].content, hex);
    set_text(&checkpoint.meta.parent, made[i].parent == -2 ? FOREIGN : hex);
    hash_hex(&made[i].key, hex);
    set_text(&checkpoint.meta.stage_key, hex);
    if (i == DEPTH_8)
        spoil(&checkpoint.tensors[0]);
    must(checkpoint_save(store, &checkpoint));
    must(checkpoint_wait(store));
    if (!checkpoint_saved(store, &saved))
        abort();
    made[i].content = saved.content;
    hash_hex(&saved.content, hex);
    printf("%s %s\n", made[i].label, hex);
    checkpoint_fini(&checkpoint);
}

/* A stage done with this checkpoint, or begun and known to have come so far. */
static void record(struct journal *journal, int i)
{
    struct lease lease;
    char hex[HASH_HEX_BYTES];
    struct stage_outcome done = {.content = hex, .step = made[i].step};
    hash_hex(&made[i].content, hex);
    must(journal_lease(journal, &made[i].key, made[i].stage, "", LEASE_GOES_ON, &lease));
    must(journal_checkpoint(journal, &lease, made[i].step, made[i].step + 1, hex));
    if (made[i].is_final)
        must(journal_end(journal, &lease, &done));
}

int main(int argc, char **argv)
{
    struct checkpoint_store *store = NULL;
    struct journal *journal = NULL;
    if (argc != 2)
        return 2;
    char *checkpoints = file_join(argv[1], "checkpoints"), *path = file_join(argv[1], "journal");
    must(open_at(checkpoints, true, MADE, &store));
    for (int i = 0; i < MADE; i++)
        save(store, i);
    must(journal_open(path, JOURNAL_WRITE, &journal));
    for (int i = 1; i < MADE; i++)
        if (made[i].is_final || i == DEPTH_4)
            record(journal, i);
    struct current_stage current[] = {{"teacher", "", &made[1].key},
                                      {"kernel", "", &made[AGAIN_11].key},
                                      {"depth-1", "", &made[DEPTH_4].key}};
    must(journal_set_current(journal, current, 3));
    journal_close(&journal);
    checkpoint_store_close(&store);
    mem_free(checkpoints);
    mem_free(path);
    return 0;
}
