/* How long checkpoint_save() stalls a training step, and how fast the async writer writes.
 * usage: bench_checkpoint_stall [FOLDER [MEGABYTES [SAVES]]]
 * Each save changes every tensor, so that nothing is found in the store already; it begins when the
 * one before is durable, as in training, where a checkpoint interval is far longer than a save. */
#include "base/clock.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/rng.h"
#include "base/text.h"
#include "trainer/checkpoint/checkpoint.h"
#include <stdio.h>
#include <stdlib.h>

#define TENSORS 200

static void make_checkpoint(struct checkpoint *checkpoint, uint64_t size_bytes)
{
    *checkpoint = (struct checkpoint){.position = {.stage = "teacher"}, .tensor_count = TENSORS};
    checkpoint->tensors = mem_array(TENSORS, sizeof *checkpoint->tensors);
    for (int i = 0; i < TENSORS; i++) {
        struct tensor *tensor = &checkpoint->tensors[i];
        snprintf(tensor->name, sizeof tensor->name, "tensor-%d", i);
        tensor->rank = 1;
        tensor->count = size_bytes / sizeof(float) / TENSORS;
        tensor->shape[0] = (int64_t)tensor->count;
        tensor->values = mem_array(tensor->count, sizeof(float));
        for (uint64_t e = 0; e < tensor->count; e++)
            tensor->values[e] = (float)rng_unit(rng(1, RNG_TEST, 0, (uint64_t)i, e));
    }
}

static enum err measure(struct checkpoint_store *store, struct checkpoint *checkpoint, int save,
                        double *stall_ms)
{
    enum err err = ERR_OK;
    struct checkpoint_saved saved = {0};
    checkpoint->position.step = (uint64_t)save;
    for (int i = 0; i < TENSORS; i++)
        checkpoint->tensors[i].values[0] = (float)save;
    double start = clock_seconds();
    TRY(checkpoint_save(store, checkpoint));
    double stalled = clock_seconds();
    TRY(checkpoint_wait(store));
    double durable = clock_seconds();
    checkpoint_saved(store, &saved);
    *stall_ms = 1e3 * (stalled - start);
    printf("save %2d: stall %6.1f ms, durable after %7.1f ms, %6.1f MB/s\n", save, *stall_ms,
           1e3 * (durable - start), 1e-6 * (double)saved.written_bytes / saved.seconds);
out:
    return err;
}

int main(int argc, char **argv)
{
    enum err err = ERR_OK;
    long megabytes = 100, saves = 10;
    char folder[] = "/tmp/glowworm-bench-XXXXXX";
    struct checkpoint checkpoint = {0};
    struct checkpoint_store *store = NULL;
    const char *path = argc > 1 ? argv[1] : mkdtemp(folder);
    if (argc > 2)
        TRY(text_to_int(argv[2], 1, 100000, &megabytes));
    if (argc > 3)
        TRY(text_to_int(argv[3], 1, 10000, &saves));
    make_checkpoint(&checkpoint, (uint64_t)megabytes * 1000000);
    struct checkpoint_store_cfg cfg = {.path = path, .is_writer = true, .keep = 3};
    TRY(checkpoint_store_open(&cfg, &store));
    double most_ms = 0;
    for (int save = 1; save <= (int)saves; save++) {
        double stall_ms = 0;
        TRY(measure(store, &checkpoint, save, &stall_ms));
        most_ms = stall_ms > most_ms ? stall_ms : most_ms;
    }
    printf("%ld MB: longest stall %.1f ms\n", megabytes, most_ms);
out:
    if (err != ERR_OK)
        fprintf(stderr, "%s\n", err_text());
    checkpoint_store_close(&store);
    checkpoint_fini(&checkpoint);
    if (argc <= 1 && path && file_remove_folder(path) != ERR_OK)
        fprintf(stderr, "%s\n", err_text());
    return err_exit_code(err);
}
