#include "camera/found_state.h"
#include "base/file.h"
#include "base/mem.h"
#include "camera/found_json.h"
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static enum err save(const struct found_state *state)
{
    char *path = file_join(state->folder, FOUND_FILE), *text = found_json_write(state);
    enum err err = file_write_private(path, text, strlen(text));
    mem_free(text);
    mem_free(path);
    return err;
}

bool found_state_exists(const char *folder)
{
    char *path = file_join(folder, FOUND_FILE);
    bool is_there = file_exists(path);
    mem_free(path);
    return is_there;
}

enum err found_state_begin(const char *folder, const struct camera_identity *camera,
                           struct found_state **state)
{
    if (found_state_exists(folder))
        return err_set(ERR_AGAIN,
                       "%s/" FOUND_FILE " is of a validation that did not put the camera back: "
                       "\"glowworm validate --restore\" does",
                       folder);
    struct found_state *made = mem_alloc(sizeof *made);
    made->folder = mem_string(folder);
    made->camera = *camera;
    enum err err = save(made);
    if (err == ERR_OK)
        *state = made;
    else
        found_state_close(&made);
    return err;
}

enum err found_state_load(const char *folder, struct found_state **state)
{
    enum err err = ERR_OK;
    char *bytes = NULL, *path = file_join(folder, FOUND_FILE);
    size_t size = 0;
    int file = -1;
    struct found_state *made = mem_alloc(sizeof *made);
    made->folder = mem_string(folder);
    TRY(file_open_plain(path, &file));
    TRY(file_read_from(file, path, FOUND_MOST_BYTES, &bytes, &size));
    err = found_json_read(bytes, size, made);
    if (err != ERR_OK)
        TRY(err_prefix(err, "%s", path));
    *state = made;
    made = NULL;
out:
    if (file >= 0)
        close(file);
    found_state_close(&made);
    mem_free(bytes);
    mem_free(path);
    return err;
}

void found_state_close(struct found_state **state)
{
    if (*state)
        mem_free((*state)->folder);
    mem_free(*state);
    *state = NULL;
}

static bool is_noted(const struct found_state *state, const struct found_node *node)
{
    for (int n = 0; n < state->count; n++) {
        const struct found_node *noted = &state->nodes[n];
        if (strcmp(noted->node, node->node) == 0 && strcmp(noted->selector, node->selector) == 0 &&
            (!node->selector[0] || camera_value_equal(&noted->entry, &node->entry)))
            return true;
    }
    return false;
}

static enum err add(struct found_state *state, const struct found_node *found)
{
    if (state->count == FOUND_NODES)
        BUG("more than %d nodes of a camera are changed", FOUND_NODES);
    state->nodes[state->count++] = *found;
    return save(state);
}

static enum err note(struct found_state *state, struct camera *camera, struct found_node *found)
{
    if (is_noted(state, found))
        return ERR_OK;
    enum err err = camera_get(camera, found->node, &found->value);
    return err == ERR_OK ? add(state, found) : err;
}

enum err found_state_note(struct found_state *state, struct camera *camera, const char *node)
{
    struct found_node found = {0};
    snprintf(found.node, sizeof found.node, "%s", node);
    return note(state, camera, &found);
}

enum err found_state_note_selected(struct found_state *state, struct camera *camera,
                                   const char *node, const char *selector)
{
    struct found_node found = {0};
    snprintf(found.node, sizeof found.node, "%s", node);
    snprintf(found.selector, sizeof found.selector, "%s", selector);
    enum err err = camera_get(camera, selector, &found.entry);
    return err == ERR_OK ? note(state, camera, &found) : err;
}

enum err found_state_pass(struct found_state *state, struct camera *camera, const char *node,
                          const char *selector, const char *text)
{
    struct found_node found = {.value = {.kind = CAMERA_ENUMERATION}};
    snprintf(found.node, sizeof found.node, "%s", node);
    snprintf(found.selector, sizeof found.selector, "%s", selector);
    snprintf(found.value.text, sizeof found.value.text, "%s", text);
    enum err err = camera_get(camera, selector, &found.entry);
    return err == ERR_OK ? add(state, &found) : err;
}

enum err found_state_note_files(struct found_state *state, struct camera *camera)
{
    static const char *const nodes[] = {"FileOperationSelector", "FileOpenMode", "FileAccessLength",
                                        "FileAccessOffset"};
    enum err err = ERR_OK;
    TRY(found_state_note(state, camera, "FileSelector"));
    for (size_t n = 0; n < sizeof nodes / sizeof *nodes; n++)
        if (camera_is_writable(camera, nodes[n]))
            TRY(found_state_note_selected(state, camera, nodes[n], "FileSelector"));
    state->has_used_files = true; /* last: closing files, too, changes what was noted */
    TRY(save(state));
out:
    return err;
}

char *found_state_kept(const struct found_state *state)
{
    char hex[HASH_HEX_BYTES], name[HASH_HEX_BYTES + 16];
    if (!state->has_kept)
        return NULL;
    hash_hex(&state->kept_hash, hex);
    snprintf(name, sizeof name, "network-%.16s.kept", hex);
    return file_join(state->folder, name);
}

enum err found_state_keep_network(struct found_state *state, const struct camera_file *file)
{
    enum err err = ERR_OK;
    char *bytes = NULL, *path = NULL;
    size_t size = 0;
    enum camera_memory memory = CAMERA_MEMORY_ANY;
    err = camera_file_read(file, FOUND_MOST_NETWORK, &bytes, &size, &memory);
    if (err == ERR_FAILED)
        TRY(err_prefix(err, "the network that is on the camera cannot be read back to be kept "
                            "(--overwrite gives it up)"));
    TRY(err);
    state->has_kept = true;
    state->kept_hash = hash_of(bytes, size);
    state->kept_memory = memory;
    path = found_state_kept(state);
    TRY(file_write_private(path, bytes, size));
    TRY(save(state));
out:
    mem_free(bytes);
    mem_free(path);
    return err;
}

enum err found_state_own_file(struct found_state *state, const char *file)
{
    bool *is_ours =
        strcmp(file, CAMERA_FILE_NETWORK) == 0 ? &state->is_network_ours : &state->is_image_ours;
    if (*is_ours)
        return ERR_OK;
    *is_ours = true;
    return save(state);
}

enum err found_state_give_up_network(struct found_state *state)
{
    for (int n = 0; n < state->count; n++)
        if (strcmp(state->nodes[n].node, "InferenceEnable") == 0)
            state->nodes[n].value.integer = 0;
    return found_state_own_file(state, CAMERA_FILE_NETWORK);
}

enum err found_state_let_stay(struct found_state *state)
{
    state->network_stays = true;
    return save(state);
}
