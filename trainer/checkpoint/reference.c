#include "base/mem.h"
#include "trainer/checkpoint/checkpoint.h"

typedef enum err look(struct checkpoint_store *store, const char *name,
                      struct checkpoint *checkpoint);

static enum err look_at(const char *reference, look *looks, struct checkpoint *checkpoint)
{
    enum err err = ERR_OK;
    char *path = NULL, *name = NULL;
    struct checkpoint_store *store = NULL;
    TRY(checkpoint_reference(reference, &path, &name));
    struct checkpoint_store_cfg cfg = {.path = path, .keep = 1};
    TRY(checkpoint_store_open(&cfg, &store));
    TRY(looks(store, name, checkpoint));
out:
    checkpoint_store_close(&store);
    mem_free(path);
    mem_free(name);
    return err;
}

enum err checkpoint_load_reference(const char *reference, struct checkpoint *checkpoint)
{
    return look_at(reference, checkpoint_load, checkpoint);
}

enum err checkpoint_peek_reference(const char *reference, struct checkpoint *checkpoint)
{
    return look_at(reference, checkpoint_peek, checkpoint);
}
