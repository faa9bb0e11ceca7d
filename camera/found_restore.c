/* found_state.h's other half: a camera is put back as it was found. */
#include "base/file.h"
#include "base/mem.h"
#include "camera/found_json.h"
#include "camera/found_state.h"
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static enum err put_back_node(struct camera *camera, const struct found_node *found)
{
    enum err err = ERR_OK;
    if (found->selector[0])
        TRY(camera_set(camera, found->selector, &found->entry));
    TRY(camera_set(camera, found->node, &found->value));
out:
    return err;
}

/* It may have been in flash: there it is put back, which keeps it at least as long. */
static enum err put_back_network(const struct found_state *state, struct camera *camera)
{
    enum err err = ERR_OK;
    struct camera_file file = {.camera = camera, .name = CAMERA_FILE_NETWORK};
    char *bytes = NULL, *path = found_state_kept(state);
    size_t size = 0;
    struct hash hash;
    TRY(file_read(path, FOUND_MOST_NETWORK, &bytes, &size));
    hash = hash_of(bytes, size);
    if (!hash_equal(&hash, &state->kept_hash))
        TRY(err_set(ERR_FAILED,
                    "%s is not the network that was read from the camera: put the "
                    "right one there, or remove found.json beside it",
                    path));
    TRY(camera_file_write(
        &file, state->kept_memory == CAMERA_MEMORY_DDR ? CAMERA_MEMORY_DDR : CAMERA_MEMORY_FLASH,
        bytes, size));
out:
    mem_free(bytes);
    mem_free(path);
    return err;
}

static enum err put_back_files(struct found_state *state, struct camera *camera)
{
    enum err err = ERR_OK;
    struct camera_file image = {.camera = camera, .name = CAMERA_FILE_IMAGE};
    struct camera_file network = {.camera = camera, .name = CAMERA_FILE_NETWORK};
    if (state->is_image_ours)
        TRY(camera_file_delete(&image));
    if (!state->is_network_ours || state->network_stays)
        goto out;
    if (state->has_kept)
        TRY(put_back_network(state, camera));
    else
        TRY(camera_file_delete(&network));
out:
    return err;
}

/* What another process began goes on when it is gone: taking pictures locks nodes, an open file
 * locks files. */
static enum err end_what_runs(const struct found_state *state, struct camera *camera)
{
    enum err err = ERR_OK;
    TRY(camera->ops->stop(camera));
    if (camera_has(camera, "AcquisitionStop") &&
        camera_execute(camera, "AcquisitionStop") == ERR_PEER)
        TRY(ERR_PEER);
    if (state->has_used_files)
        TRY(camera_file_close_all(camera));
out:
    return err;
}

/* The first thing that failed is what is told; a camera that is away ends it. */
struct putting_back {
    enum err err;
    int failed;
    char first[1024];
};

static void count_failure(struct putting_back *back, enum err err)
{
    if (err == ERR_OK)
        return;
    if (back->failed++ == 0)
        snprintf(back->first, sizeof back->first, "%s", err_text());
    if (back->err != ERR_PEER)
        back->err = err;
}

static enum err finish(const struct found_state *state)
{
    char *path = file_join(state->folder, FOUND_FILE), *kept = found_state_kept(state);
    enum err err = unlink(path) == 0 ? ERR_OK : err_set(ERR_IO, "%s cannot be removed", path);
    if (err == ERR_OK && kept && !state->network_stays)
        unlink(kept);                 /* it is on the camera again; left behind it does no harm */
    file_remove_parts(state->folder); /* of one that was killed as it wrote */
    file_sync_folder(state->folder);
    mem_free(kept);
    mem_free(path);
    return err;
}

enum err found_state_restore(struct found_state *state, struct camera *camera, enum network_end end)
{
    struct putting_back back = {.err = ERR_OK};
    /* for whoever goes on where this is cut off */
    enum err noted = end == NETWORK_STAYS ? found_state_let_stay(state) : ERR_OK;
    count_failure(&back, end_what_runs(state, camera));
    if (back.err == ERR_OK)
        count_failure(&back, put_back_files(state, camera));
    for (int n = state->count - 1; n >= 0 && back.err != ERR_PEER; n--)
        count_failure(&back, put_back_node(camera, &state->nodes[n]));
    if (back.failed > 0)
        count_failure(&back, noted);
    else
        return finish(state);
    return err_set(back.err == ERR_PEER ? ERR_PEER : ERR_FAILED,
                   "the camera is not as it was found, %d thing%s failed, first: %s; connect it, "
                   "then \"glowworm validate --restore\"",
                   back.failed, back.failed == 1 ? "" : "s", back.first);
}
