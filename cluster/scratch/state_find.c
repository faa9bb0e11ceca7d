/* Which copy of the stores holds a checkpoint. */
#include "base/mem.h"
#include "cluster/scratch/state.h"
#include "trainer/checkpoint/checkpoint.h"

static enum err look_in(const char *run_folder, const struct published_state *state,
                        const char *content)
{
    enum err err = ERR_OK;
    char *path = published_path(run_folder, state, PUBLISHED_CHECKPOINTS);
    struct checkpoint_store *store = NULL;
    struct checkpoint_store_cfg cfg = {.path = path, .keep = 1};
    struct checkpoint found = {0};
    TRY(checkpoint_store_open(&cfg, &store));
    TRY(checkpoint_peek(store, content, &found));
out:
    checkpoint_fini(&found);
    checkpoint_store_close(&store);
    mem_free(path);
    return err;
}

enum err state_find(const char *run_folder, const char *content, struct published_state *state)
{
    struct published_state states[STATE_KEPT];
    int count = published_list(run_folder, states, STATE_KEPT);
    enum err err = err_set(ERR_NOT_FOUND, "nothing was published that holds %.16s", content);
    for (int i = 0; i < count && err != ERR_OK; i++) {
        *state = states[i];
        err = look_in(run_folder, state, content);
    }
    return err;
}
