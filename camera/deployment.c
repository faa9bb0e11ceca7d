#include "camera/deployment.h"
#include "base/file.h"
#include "base/mem.h"
#include <ctype.h>
#include <stdio.h>
#include <string.h>

char *deployment_folder(const char *folder, const struct camera_identity *identity)
{
    char name[2 * CAMERA_TEXT + 2];
    snprintf(name, sizeof name, "%s_%s", identity->model, identity->serial);
    for (char *at = name; *at; at++)
        if (!isalnum((unsigned char)*at) && *at != '-')
            *at = '_';
    if (name[0] == '-')
        name[0] = '_';
    return file_join(folder, name);
}

enum err deployment_restore(struct camera *camera, const char *folder)
{
    enum err err = ERR_OK;
    struct found_state *found = NULL;
    struct firefly firefly;
    TRY(found_state_load(folder, &found));
    TRY(firefly_open(camera, found->camera.id, &firefly));
    if (strcmp(firefly.identity.serial, found->camera.serial) != 0)
        TRY(err_set(ERR_CONFIG,
                    "%s is the camera of serial number %s now, not %s, which was left changed: "
                    "connect that one",
                    found->camera.id, firefly.identity.serial, found->camera.serial));
    TRY(found_state_restore(found, camera, NETWORK_AS_FOUND));
out:
    found_state_close(&found);
    return err;
}

/* One that was killed, or lost its cable, left it so. */
static enum err finish_earlier(struct camera *camera, const char *folder)
{
    enum err err = found_state_exists(folder) ? deployment_restore(camera, folder) : ERR_OK;
    return err == ERR_OK ? ERR_OK
                         : err_prefix(err, "what an earlier validation changed comes first");
}

static enum err clear_network(const struct deployment_cfg *cfg, struct deployment *deployment,
                              const struct camera_file *file)
{
    enum err err = ERR_OK;
    size_t size = 0;
    struct found_state *found = deployment->found;
    TRY(camera_file_size(file, &size));
    if (size > 0 && cfg->existing == FOUND_NETWORK_REFUSE)
        TRY(err_set(ERR_CONFIG, "there is a network on the camera already: --keep reads it back "
                                "into a file first, --overwrite gives it up"));
    TRY(found_state_note(found, cfg->camera, "InferenceEnable"));
    if (size > 0 && cfg->existing == FOUND_NETWORK_KEEP)
        TRY(found_state_keep_network(found, file));
    TRY(camera_set_flag(cfg->camera, "InferenceEnable", false));
    if (size > 0 && cfg->existing == FOUND_NETWORK_OVERWRITE)
        TRY(found_state_give_up_network(found));
    else
        TRY(found_state_own_file(found, CAMERA_FILE_NETWORK));
out:
    return err;
}

static enum err upload(const struct deployment_cfg *cfg, struct deployment *deployment)
{
    enum err err = ERR_OK;
    struct camera_file file = {.camera = cfg->camera,
                               .name = CAMERA_FILE_NETWORK,
                               .stop = cfg->stop,
                               .progress = cfg->progress,
                               .own = cfg->own};
    TRY(found_state_note_files(deployment->found, cfg->camera));
    TRY(clear_network(cfg, deployment, &file));
    TRY(camera_file_write(&file, cfg->memory, cfg->network->bytes, cfg->network->size_bytes));
out:
    return err;
}

enum err deployment_begin(const struct deployment_cfg *cfg, struct deployment *deployment)
{
    enum err err = ERR_OK;
    struct firefly *firefly = &deployment->firefly;
    char *folder = NULL;
    TRY(firefly_open(cfg->camera, cfg->id, firefly));
    TRY(firefly_check_network(firefly, cfg->network));
    folder = deployment_folder(cfg->folder, &firefly->identity);
    TRY(file_make_private(cfg->folder));
    TRY(file_make_private(folder));
    TRY(finish_earlier(cfg->camera, folder));
    TRY(found_state_begin(folder, &firefly->identity, &deployment->found));
    TRY(upload(cfg, deployment));
    TRY(firefly_set_up(firefly, deployment->found, cfg->network));
    TRY(firefly_verify(firefly, cfg->network));
    TRY(firefly_set_up_injection(firefly, deployment->found, cfg->network));
out:
    mem_free(folder);
    return err;
}

enum err deployment_end(struct deployment *deployment, enum network_end end, enum err why)
{
    char text[2048];
    enum err err = ERR_OK;
    snprintf(text, sizeof text, "%s", why == ERR_OK ? "" : err_text());
    if (deployment->found)
        err = found_state_restore(deployment->found, deployment->firefly.camera, end);
    found_state_close(&deployment->found);
    if (why == ERR_OK)
        return err;
    return err == ERR_OK ? err_set(why, "%s", text)
                         : err_prefix(why, "%s; and", text); /* the new text stays behind it */
}
