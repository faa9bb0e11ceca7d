#include "cluster/validate/camera_place.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/text.h"
#include "camera/camera_module.h"
#include "camera/usb_access.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SIMULATED "simulated"

enum err camera_place_parse(const char *word, struct camera_place *place)
{
    size_t size = strlen(SIMULATED);
    bool is_simulated = strncmp(word, SIMULATED, size) == 0;
    const char *id = is_simulated && word[size] == '@' ? word + size + 1 : word;
    if (!id[0] || strlen(id) >= CAMERA_TEXT)
        return err_set(ERR_USAGE, "--camera takes an id, a serial number or an address, "
                                  "\"" SIMULATED "\" or \"" SIMULATED "@ADDRESS\"");
    place->starts_simulator = strcmp(word, SIMULATED) == 0;
    place->is_simulated = place->starts_simulator || id != word;
    snprintf(place->id, sizeof place->id, "%s", id);
    return ERR_OK;
}

/* What can be opened, as half a sentence. */
static void add_found(const struct camera_module *module, struct text *text)
{
    struct camera_list *list = mem_alloc(sizeof *list);
    if (module->list(list) != ERR_OK || list->count == 0)
        text_add(text, "no camera is there at all");
    for (int c = 0; c < list->count; c++)
        text_add(text, "%s%s (%s %s)", c ? ", " : "there are: ", list->cameras[c].id,
                 list->cameras[c].vendor, list->cameras[c].model);
    mem_free(list);
}

/* Why is what the module said: what it does not see, the system may. */
static enum err refuse(const struct camera_module *module, const char *id, enum err why)
{
    char path[512];
    struct text found;
    enum err err = why;
    text_init(&found);
    if (usb_access_denied("/sys/bus/usb/devices", "/dev/bus/usb", path, sizeof path)) {
        err = err_set(ERR_UNAVAILABLE,
                      "a camera is on USB, and you may not open it (%s): let an administrator "
                      "write the line\n    %s\ninto /etc/udev/rules.d/99-firefly-dl.rules, run "
                      "\"udevadm control --reload\", and plug it in again",
                      path, usb_access_rule);
    } else if (why == ERR_NOT_FOUND) {
        add_found(module, &found);
        err = err_set(ERR_NOT_FOUND,
                      "there is no camera %s: %s. Is it plugged in, and in the "
                      "same network if it has one?",
                      id, text_get(&found));
    }
    text_fini(&found);
    return err;
}

enum err camera_place_open(struct camera_place *place, int channels, struct camera **camera)
{
    enum err err = ERR_OK;
    const struct camera_module *module = NULL;
    TRY(camera_module_open(&module));
    if (place->starts_simulator) {
        TRY(simulator_start(channels, &place->simulator));
        snprintf(place->id, sizeof place->id, "%s", place->simulator.address);
    }
    err = module->open(place->id, camera);
    if (err == ERR_NOT_FOUND || err == ERR_UNAVAILABLE)
        err = refuse(module, place->id, err);
out:
    return err;
}

void camera_place_fini(struct camera_place *place)
{
    simulator_end(&place->simulator);
    memset(place, 0, sizeof *place);
}

enum err camera_place_state(char **folder)
{
    enum err err = ERR_OK;
    const char *state = getenv("XDG_STATE_HOME"), *home = getenv("HOME");
    char *root = NULL, *ours = NULL, *cameras = NULL;
    if (state && state[0] == '/')
        root = mem_string(state);
    else if (home && home[0] == '/')
        root = file_join(home, ".local/state");
    else
        TRY(err_set(ERR_CONFIG, "nothing says where what is found on a camera is to be kept: set "
                                "HOME or XDG_STATE_HOME"));
    ours = file_join(root, "glowworm");
    cameras = file_join(ours, "cameras");
    TRY(file_make_private(ours));
    TRY(file_make_private(cameras));
    *folder = cameras;
    cameras = NULL;
out:
    mem_free(cameras);
    mem_free(ours);
    mem_free(root);
    return err;
}
