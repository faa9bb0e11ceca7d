#include "camera/firefly.h"
#include "base/text.h"
#include <stdio.h>
#include <string.h>

/* The name it would have by the maker's habit, and the one that is documented. */
static const struct {
    const char *name, *display;
} names[FIREFLY_NODES] = {
    [FIREFLY_CHANNEL_SELECTOR] = {"InferencePreprocessChannelSelector", "Network Input Channel"},
    [FIREFLY_MAX_NETWORK_SIZE] = {"InferenceMaxNetworkSize", "Max Network Size"},
    [FIREFLY_NETWORK_STATUS] = {"InferenceNetworkStatus", "Inference Network Status"},
    [FIREFLY_NETWORK_SIZE] = {"InferenceNetworkSize", "Network Size"},
    [FIREFLY_INPUT_WIDTH] = {"InferenceNetworkInputWidth", "Network Input Width"},
    [FIREFLY_INPUT_HEIGHT] = {"InferenceNetworkInputHeight", "Network Input Height"},
    [FIREFLY_INPUT_CHANNELS] = {"InferenceNetworkInputChannels", "Network Input Channels"},
    [FIREFLY_OUTPUT_CLASSES] = {"InferenceOutputClasses", "Output Classes"},
};

static void find_nodes(struct firefly *firefly)
{
    for (int n = 0; n < FIREFLY_NODES; n++) {
        char *node = firefly->nodes[n];
        struct camera *camera = firefly->camera;
        if (camera_has(camera, names[n].name))
            snprintf(node, CAMERA_TEXT, "%s", names[n].name);
        else if (camera->ops->find(camera, names[n].display, node) != ERR_OK)
            node[0] = '\0';
    }
}

/* "" where the camera does not say. */
static enum err take_identity(struct camera *camera, const char *node, char text[CAMERA_TEXT])
{
    text[0] = '\0';
    return camera_has(camera, node) ? camera_get_text(camera, node, text) : ERR_OK;
}

static enum err identify(struct camera *camera, const char *id, struct camera_identity *identity)
{
    enum err err = ERR_OK;
    snprintf(identity->id, sizeof identity->id, "%s", id);
    TRY(take_identity(camera, "DeviceVendorName", identity->vendor));
    TRY(take_identity(camera, "DeviceModelName", identity->model));
    TRY(take_identity(camera,
                      camera_has(camera, "DeviceSerialNumber") ? "DeviceSerialNumber" : "DeviceID",
                      identity->serial));
    TRY(take_identity(camera,
                      camera_has(camera, "DeviceFirmwareVersion") ? "DeviceFirmwareVersion"
                                                                  : "DeviceVersion",
                      identity->firmware));
out:
    return err;
}

static bool has_entry(struct camera *camera, const char *node, const char *entry)
{
    char name[CAMERA_TEXT];
    for (int i = 0; camera->ops->entry(camera, node, i, name) == ERR_OK; i++)
        if (strcmp(name, entry) == 0)
            return true;
    return false;
}

enum err firefly_open(struct camera *camera, const char *id, struct firefly *firefly)
{
    enum err err = ERR_OK;
    const char *missing = NULL;
    memset(firefly, 0, sizeof *firefly);
    firefly->camera = camera;
    TRY(identify(camera, id, &firefly->identity));
    if (!strstr(firefly->identity.model, "-DL"))
        missing = "its model's name has no \"-DL\"";
    else if (!camera_has(camera, "InferenceEnable"))
        missing = "it has no node InferenceEnable";
    else if (!has_entry(camera, "FileSelector", CAMERA_FILE_NETWORK))
        missing = "it takes no file " CAMERA_FILE_NETWORK;
    if (missing)
        TRY(err_set(ERR_CONFIG,
                    "%s is a %s %s, which is no Firefly DL: %s; nothing on it was changed. Name "
                    "another camera (--list shows them)",
                    id, firefly->identity.vendor, firefly->identity.model, missing));
    find_nodes(firefly);
out:
    return err;
}

/* FFY-U3-16S2M-DL, FFY-U3-16S2C-DL: the letter before "-DL"; 0 for a name of another form. */
static int model_channels(const char *model)
{
    const char *end = strstr(model, "-DL");
    if (!end || end == model)
        return 0;
    return end[-1] == 'M' ? 1 : end[-1] == 'C' ? 3 : 0;
}

enum err firefly_check_network(const struct firefly *firefly, const struct firefly_network *network)
{
    enum err err = ERR_OK;
    int channels = model_channels(firefly->identity.model);
    const char *node = firefly->nodes[FIREFLY_MAX_NETWORK_SIZE];
    double most = 0;
    if (channels && channels != network->channels)
        TRY(err_set(ERR_CONFIG,
                    "%s takes %s images, the network %s ones: compile a bundle for device "
                    "firefly-dl-%s, from such a data set",
                    firefly->identity.model, channels == 1 ? "grey" : "colour",
                    network->channels == 1 ? "grey" : "colour", channels == 1 ? "mono" : "colour"));
    if (!node[0])
        goto out;
    TRY(camera_get_number(firefly->camera, node, &most));
    if ((double)network->size_bytes > most)
        TRY(err_set(ERR_CONFIG,
                    "the network's file is of %zu bytes, this camera takes %.0f: choose a smaller "
                    "sub-network (search.targets, macs)",
                    network->size_bytes, most));
out:
    return err;
}

static enum err change_text(const struct firefly *firefly, struct found_state *found,
                            const char *node, const char *text)
{
    enum err err = found_state_note(found, firefly->camera, node);
    return err == ERR_OK ? camera_set_text(firefly->camera, node, text) : err;
}

static enum err change_number(const struct firefly *firefly, struct found_state *found,
                              const char *node, double number)
{
    enum err err = found_state_note(found, firefly->camera, node);
    return err == ERR_OK ? camera_set_number(firefly->camera, node, number) : err;
}

/* The selector's entry of a channel: the first, second, third, whatever they are called. */
static enum err select_channel(const struct firefly *firefly, int channel)
{
    enum err err = ERR_OK;
    char entry[CAMERA_TEXT];
    struct camera_value value;
    const char *selector = firefly->nodes[FIREFLY_CHANNEL_SELECTOR];
    struct camera *camera = firefly->camera;
    TRY(camera_get(camera, selector, &value));
    if (value.kind == CAMERA_INTEGER) {
        TRY(camera_set_number(camera, selector, channel + 1));
    } else {
        TRY(camera->ops->entry(camera, selector, channel, entry));
        TRY(camera_set_text(camera, selector, entry));
    }
out:
    return err;
}

static enum err set_channel(const struct firefly *firefly, struct found_state *found, int channel,
                            double mean, double scale)
{
    static const char *const nodes[] = {"InferencePreprocessChannelMean",
                                        "InferencePreprocessChannelScalar"};
    enum err err = ERR_OK;
    const char *selector = firefly->nodes[FIREFLY_CHANNEL_SELECTOR];
    if (selector[0])
        TRY(select_channel(firefly, channel));
    for (int n = 0; n < 2; n++) {
        if (selector[0])
            TRY(found_state_note_selected(found, firefly->camera, nodes[n], selector));
        else
            TRY(found_state_note(found, firefly->camera, nodes[n]));
        TRY(camera_set_number(firefly->camera, nodes[n], n == 0 ? mean : scale));
    }
out:
    return err;
}

enum err firefly_set_up(const struct firefly *firefly, struct found_state *found,
                        const struct firefly_network *network)
{
    enum err err = ERR_OK;
    const char *selector = firefly->nodes[FIREFLY_CHANNEL_SELECTOR];
    TRY(change_text(firefly, found, "InferenceNetworkTypeSelector", "Classification"));
    TRY(change_text(firefly, found, "InferencePreprocessBppSelector", network->pixel_format));
    if (selector[0])
        TRY(found_state_note(found, firefly->camera, selector));
    else if (network->channels > 1)
        TRY(err_set(ERR_FAILED, "the camera has no node that selects a channel of the "
                                "preprocessing: set mean and scale of each channel by hand"));
    for (int c = 0; c < network->channels; c++)
        TRY(set_channel(firefly, found, c, network->mean[c], network->scale[c]));
    TRY(change_number(firefly, found, "InferenceEnable", 1));
out:
    return err;
}

static enum err compare(const struct firefly *firefly, enum firefly_node which, const char *what,
                        double expected, struct text *wrong)
{
    double found = 0;
    const char *node = firefly->nodes[which];
    if (!node[0]) /* a firmware that does not tell */
        return ERR_OK;
    enum err err = camera_get_number(firefly->camera, node, &found);
    if (err == ERR_OK && found != expected)
        text_add(wrong, "%s%s is %.0f, not %.0f", wrong->size ? ", " : "", what, found, expected);
    return err;
}

/* What the camera says of a network that it does not run; its entries are not documented. */
static void add_status(const struct firefly *firefly, struct text *wrong)
{
    char status[CAMERA_TEXT];
    const char *node = firefly->nodes[FIREFLY_NETWORK_STATUS];
    if (node[0] && camera_get_text(firefly->camera, node, status) == ERR_OK)
        text_add(wrong, "; its network status is \"%s\"", status);
}

enum err firefly_verify(const struct firefly *firefly, const struct firefly_network *network)
{
    enum err err = ERR_OK;
    struct text wrong;
    text_init(&wrong);
    TRY(compare(firefly, FIREFLY_NETWORK_SIZE, "its size in bytes", (double)network->size_bytes,
                &wrong));
    TRY(compare(firefly, FIREFLY_INPUT_WIDTH, "the input's width", network->width, &wrong));
    TRY(compare(firefly, FIREFLY_INPUT_HEIGHT, "the input's height", network->height, &wrong));
    TRY(compare(firefly, FIREFLY_INPUT_CHANNELS, "the number of channels", network->channels,
                &wrong));
    TRY(compare(firefly, FIREFLY_OUTPUT_CLASSES, "the number of outputs", network->outputs,
                &wrong));
    if (wrong.size == 0)
        goto out;
    add_status(firefly, &wrong);
    TRY(err_set(
        ERR_FAILED,
        "the camera did not take the bundle's network: %s. Convert the files of this bundle "
        "anew (convert.sh), with NCSDK 2.05",
        text_get(&wrong)));
out:
    text_fini(&wrong);
    return err;
}

/* What would change the picture on its way to the network; a firmware without one has no such step.
 */
static enum err switch_off(const struct firefly *firefly, struct found_state *found)
{
    static const char *const steps[] = {"DenoiseEnable", "SharpeningEnable", "GammaEnable",
                                        "BlackLevelClampingEnable"};
    enum err err = ERR_OK;
    for (size_t s = 0; s < sizeof steps / sizeof *steps; s++)
        if (camera_has(firefly->camera, steps[s]))
            TRY(change_number(firefly, found, steps[s], 0));
out:
    return err;
}

static enum err set_up_pattern(const struct firefly *firefly, struct found_state *found,
                               const struct firefly_network *network)
{
    enum err err = ERR_OK;
    TRY(found_state_note(found, firefly->camera, "TestPatternGeneratorSelector"));
    TRY(change_text(firefly, found, "TestPatternGeneratorSelector", "PipelineStart"));
    TRY(found_state_note_selected(found, firefly->camera, "TestPattern",
                                  "TestPatternGeneratorSelector"));
    TRY(change_text(firefly, found, "TestPattern", "InjectedImage"));
    TRY(change_number(firefly, found, "InjectedWidth", network->width));
    TRY(change_number(firefly, found, "InjectedHeight", network->height));
out:
    return err;
}

/* Offsets bound the sides, so they go first. Put back in reverse: sides grow again, then offsets.
 */
static enum err set_up_region(const struct firefly *firefly, struct found_state *found,
                              const struct firefly_network *network)
{
    enum err err = ERR_OK;
    if (camera_has(firefly->camera, "OffsetX"))
        TRY(change_number(firefly, found, "OffsetX", 0));
    if (camera_has(firefly->camera, "OffsetY"))
        TRY(change_number(firefly, found, "OffsetY", 0));
    TRY(change_number(firefly, found, "Width", network->width));
    TRY(change_number(firefly, found, "Height", network->height));
out:
    return err;
}

/* A source cannot be changed while its trigger is on, neither now nor when it is put back. */
static enum err set_up_trigger(const struct firefly *firefly, struct found_state *found)
{
    enum err err = ERR_OK;
    if (camera_has(firefly->camera, "AcquisitionMode"))
        TRY(change_text(firefly, found, "AcquisitionMode", "Continuous"));
    TRY(found_state_note(found, firefly->camera, "TriggerSelector"));
    TRY(change_text(firefly, found, "TriggerSelector", "FrameStart"));
    TRY(found_state_note_selected(found, firefly->camera, "TriggerMode", "TriggerSelector"));
    TRY(found_state_note_selected(found, firefly->camera, "TriggerSource", "TriggerSelector"));
    TRY(found_state_pass(found, firefly->camera, "TriggerMode", "TriggerSelector", "Off"));
    TRY(camera_set_text(firefly->camera, "TriggerMode", "Off"));
    TRY(camera_set_text(firefly->camera, "TriggerSource", "InferenceReady"));
    TRY(camera_set_text(firefly->camera, "TriggerMode", "On"));
out:
    return err;
}

static enum err enable_chunk(const struct firefly *firefly, struct found_state *found,
                             const char *chunk)
{
    enum err err = ERR_OK;
    TRY(camera_set_text(firefly->camera, "ChunkSelector", chunk));
    TRY(found_state_note_selected(found, firefly->camera, "ChunkEnable", "ChunkSelector"));
    TRY(camera_set_flag(firefly->camera, "ChunkEnable", true));
out:
    return err;
}

/* With chunks on, each frame says of what it is the result. */
static enum err set_up_chunks(const struct firefly *firefly, struct found_state *found)
{
    static const char *const chunks[] = {"InferenceFrameId", "InferenceResult",
                                         "InferenceConfidence"};
    enum err err = ERR_OK;
    TRY(change_number(firefly, found, "ChunkModeActive", 1));
    TRY(found_state_note(found, firefly->camera, "ChunkSelector"));
    if (has_entry(firefly->camera, "ChunkSelector", "FrameID"))
        TRY(enable_chunk(firefly, found, "FrameID"));
    for (size_t c = 0; c < sizeof chunks / sizeof *chunks; c++)
        TRY(enable_chunk(firefly, found, chunks[c]));
out:
    return err;
}

enum err firefly_set_up_injection(const struct firefly *firefly, struct found_state *found,
                                  const struct firefly_network *network)
{
    enum err err = ERR_OK;
    TRY(switch_off(firefly, found));
    TRY(set_up_pattern(firefly, found, network));
    TRY(set_up_region(firefly, found, network));
    TRY(set_up_trigger(firefly, found));
    TRY(set_up_chunks(firefly, found));
out:
    return err;
}
