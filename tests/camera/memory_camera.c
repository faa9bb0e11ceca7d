#include "tests/camera/memory_camera.h"
#include "base/mem.h"
#include "base/text.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct memory_camera *memory_of(struct camera *camera)
{
    return (struct memory_camera *)(void *)camera;
}

static struct memory_node *node_of(const struct memory_camera *memory, const char *name)
{
    for (int n = 0; n < memory->count; n++)
        if (memory->nodes[n].name && strcmp(memory->nodes[n].name, name) == 0)
            return (struct memory_node *)&memory->nodes[n];
    return NULL;
}

/* The index-th word; false behind the last. */
static bool word_of(const char *words, int index, char word[CAMERA_TEXT])
{
    for (; *words; words += *words == ' ') {
        size_t size = strcspn(words, " ");
        if (index-- == 0) {
            snprintf(word, CAMERA_TEXT, "%.*s", (int)size, words);
            return true;
        }
        words += size;
    }
    return false;
}

static int index_of(const char *words, const char *entry)
{
    char word[CAMERA_TEXT];
    for (int i = 0; word_of(words, i, word); i++)
        if (strcmp(word, entry) == 0)
            return i;
    return -1;
}

static struct camera_value *value_of(const struct memory_camera *memory, struct memory_node *node)
{
    if (!node->selector)
        return &node->values[0];
    struct memory_node *selector = node_of(memory, node->selector);
    return &node->values[index_of(selector->entries, selector->values[0].text)];
}

struct camera_value *memory_value(struct memory_camera *memory, const char *name)
{
    struct memory_node *node = node_of(memory, name);
    if (!node)
        BUG("no node %s", name);
    return value_of(memory, node);
}

void memory_camera_remove(struct memory_camera *memory, const char *name)
{
    node_of(memory, name)->name = NULL;
}

static struct memory_file *file_of(struct memory_camera *memory)
{
    int index = index_of("InferenceNetwork InjectedImage UserFile1",
                         memory_value(memory, "FileSelector")->text);
    return index < 2 ? &memory->files[index] : NULL;
}

/* Every call that changes something comes by here. */
static enum err change(struct memory_camera *memory)
{
    memory->changes++;
    if (memory->fault.away_after && memory->changes >= memory->fault.away_after)
        memory->is_away = true;
    return memory->is_away ? err_set(ERR_PEER, "the camera does not answer any more") : ERR_OK;
}

/* What comes of it where the camera may not be there any more. */
static bool is_done(const struct memory_camera *memory, enum err err)
{
    bool is_last = memory->changes == memory->fault.away_after;
    return err == ERR_OK || (memory->fault.is_late && is_last);
}

static bool memory_has(struct camera *camera, const char *name)
{
    return node_of(memory_of(camera), name) != NULL;
}

static bool memory_is_writable(struct camera *camera, const char *name)
{
    const struct memory_node *node = node_of(memory_of(camera), name);
    return node && !node->is_fixed;
}

static enum err memory_find(struct camera *camera, const char *display, char name[CAMERA_TEXT])
{
    const struct memory_camera *memory = memory_of(camera);
    for (int n = 0; n < memory->count; n++)
        if (memory->nodes[n].name && memory->nodes[n].display &&
            strcmp(memory->nodes[n].display, display) == 0) {
            snprintf(name, CAMERA_TEXT, "%s", memory->nodes[n].name);
            return ERR_OK;
        }
    return err_set(ERR_NOT_FOUND, "no %s", display);
}

static enum err memory_entry(struct camera *camera, const char *name, int index,
                             char entry[CAMERA_TEXT])
{
    const struct memory_node *node = node_of(memory_of(camera), name);
    return node && node->entries && word_of(node->entries, index, entry)
               ? ERR_OK
               : err_set(ERR_NOT_FOUND, "no entry %d", index);
}

static bool is_nth(int frame, int every)
{
    return every > 0 && frame % every == 0;
}

static double inference_ms(const struct memory_camera *memory)
{
    static const double none[] = {NAN, 0, INFINITY, -1};
    return is_nth(memory->frames, memory->fault.timeless_every)
               ? none[memory->frames / memory->fault.timeless_every % 4]
               : memory->latency_ms + 0.01 * memory->frames;
}

static enum err memory_get(struct camera *camera, const char *name, struct camera_value *value)
{
    struct memory_camera *memory = memory_of(camera);
    struct memory_node *node = node_of(memory, name);
    if (memory->is_away)
        return err_set(ERR_PEER, "the camera does not answer any more");
    if (!node)
        return err_set(ERR_FAILED, "no such node");
    *value = *value_of(memory, node);
    if (strcmp(name, "FileSize") == 0)
        value->integer = file_of(memory) ? (int64_t)file_of(memory)->size : 0;
    if (strcmp(name, "InferenceTime") == 0)
        value->real = inference_ms(memory);
    return ERR_OK;
}

static enum err memory_set(struct camera *camera, const char *name,
                           const struct camera_value *value)
{
    struct memory_camera *memory = memory_of(camera);
    struct memory_node *node = node_of(memory, name);
    enum err err = change(memory);
    if (!is_done(memory, err))
        return err;
    if (memory->is_started)
        return err_set(ERR_FAILED, "the camera refuses while it takes pictures");
    if (strcmp(name, "TriggerSource") == 0 &&
        strcmp(memory_value(memory, "TriggerMode")->text, "On") == 0)
        return err_set(ERR_FAILED, "the camera refuses while the trigger is on");
    if (!node || node->is_fixed || (node->entries && index_of(node->entries, value->text) < 0))
        return err_set(ERR_FAILED, "the camera refuses");
    if (!memory->fault.stuck || strcmp(memory->fault.stuck, name) != 0)
        *value_of(memory, node) = *value;
    return err;
}

static size_t position(struct memory_camera *memory)
{
    return (size_t)memory_value(memory, "FileAccessOffset")->integer;
}

static bool write_file(struct memory_camera *memory, struct memory_file *file, size_t length)
{
    size_t end = position(memory) + length;
    file->bytes = mem_grow(file->bytes, file->size, end);
    memcpy(file->bytes + position(memory), memory->buffer, length);
    file->size = end;
    return true;
}

static bool read_file(struct memory_camera *memory, const struct memory_file *file, size_t length)
{
    if (position(memory) + length > file->size)
        return false;
    memcpy(memory->buffer, file->bytes + position(memory), length);
    return true;
}

static bool open_file(struct memory_camera *memory, struct memory_file *file)
{
    bool is_write = strcmp(memory_value(memory, "FileOpenMode")->text, "Write") == 0;
    if (memory->open || memory->fault.opens_refused-- > 0 || is_write == (file->size > 0))
        return false;
    memory_value(memory, "FileWriteToFlash")->integer = file->is_flash;
    memory->open = file;
    return true;
}

static void drop_file(struct memory_file *file)
{
    mem_free(file->bytes);
    *file = (struct memory_file){0};
}

static bool move_bytes(struct memory_camera *memory, struct memory_file *file, bool is_write)
{
    size_t length = (size_t)memory_value(memory, "FileAccessLength")->integer;
    if (memory->fault.moves_most && length > memory->fault.moves_most)
        length = memory->fault.moves_most;
    if (memory->open != file || length > MEMORY_BLOCK)
        return false;
    if (!(is_write ? write_file(memory, file, length) : read_file(memory, file, length)))
        return false;
    if (is_write)
        file->is_flash = memory_value(memory, "FileWriteToFlash")->integer != 0;
    memory_value(memory, "FileOperationResult")->integer = (int64_t)length;
    return true;
}

static bool close_file(struct memory_camera *memory, const struct memory_file *file)
{
    if (memory->open != file)
        return false;
    memory->open = NULL;
    return true;
}

static bool operate(struct memory_camera *memory, const char *operation)
{
    struct memory_file *file = file_of(memory);
    if (!file || memory->is_started)
        return false;
    if (memory->fault.refused && strcmp(memory->fault.refused, operation) == 0 &&
        position(memory) >= memory->fault.refused_from)
        return false;
    if (strcmp(operation, "Open") == 0)
        return open_file(memory, file);
    if (strcmp(operation, "Close") == 0)
        return close_file(memory, file);
    if (strcmp(operation, "Delete") == 0)
        return memory->open ? false : (drop_file(file), true);
    return move_bytes(memory, file, strcmp(operation, "Write") == 0);
}

/* As the camera looks into a network it was given: this one is four numbers. */
static void inspect(struct memory_camera *memory)
{
    static const char *const nodes[] = {"NetworkInputWidthX", "InferenceNetworkInputHeight",
                                        "InferenceNetworkInputChannels", "InferenceOutputClasses"};
    const struct memory_file *file = &memory->files[0];
    for (int n = 0; n < 4; n++)
        if (node_of(memory, nodes[n]))
            memory_value(memory, nodes[n])->integer = file->size >= 4 ? file->bytes[n] : 0;
    memory_value(memory, "InferenceNetworkSize")->integer = (int64_t)file->size;
}

static enum err memory_execute(struct camera *camera, const char *name)
{
    struct memory_camera *memory = memory_of(camera);
    enum err err = change(memory);
    if (!is_done(memory, err))
        return err;
    if (strcmp(name, "AcquisitionStop") == 0) {
        memory->is_started = false;
        return err;
    }
    if (strcmp(name, "FileOperationExecute") != 0)
        return err_set(ERR_FAILED, "no such command");
    bool is_fine = operate(memory, memory_value(memory, "FileOperationSelector")->text);
    snprintf(memory_value(memory, "FileOperationStatus")->text, CAMERA_TEXT, "%s",
             is_fine ? "Success" : "Failure");
    inspect(memory);
    return err;
}

static enum err memory_register_size(struct camera *camera, const char *name, size_t *size)
{
    (void)camera;
    *size = strcmp(name, "FileAccessBuffer") == 0 ? MEMORY_BLOCK : 0;
    return ERR_OK;
}

static enum err memory_read_register(struct camera *camera, const char *name, void *bytes,
                                     size_t size)
{
    (void)name;
    memcpy(bytes, memory_of(camera)->buffer, size);
    return ERR_OK;
}

static enum err memory_write_register(struct camera *camera, const char *name, const void *bytes,
                                      size_t size)
{
    (void)name;
    if (size % 4 != 0 || size > MEMORY_BLOCK)
        return err_set(ERR_FAILED, "the camera refuses");
    memcpy(memory_of(camera)->buffer, bytes, size);
    return change(memory_of(camera));
}

static enum err memory_start(struct camera *camera)
{
    struct memory_camera *memory = memory_of(camera);
    if (memory->open)
        return err_set(ERR_FAILED, "a file is open");
    enum err err = change(memory);
    if (!is_done(memory, err))
        return err;
    memory->is_started = true;
    memory->frames = 0;
    memory->starts++;
    return err;
}

static enum err memory_stop(struct camera *camera)
{
    struct memory_camera *memory = memory_of(camera);
    bool was_started = memory->is_started;
    enum err err = was_started ? change(memory) : ERR_OK;
    if (is_done(memory, err))
        memory->is_started = false;
    return err;
}

static enum err memory_next_frame(struct camera *camera, double seconds, struct camera_frame *frame)
{
    struct memory_camera *memory = memory_of(camera);
    (void)seconds;
    if (memory->is_away)
        return err_set(ERR_PEER, "the camera does not answer any more");
    if (memory->fault.never_ready || !memory->is_started)
        return err_set(ERR_AGAIN, "no frame came");
    int now = ++memory->frames;
    *frame = (struct camera_frame){
        .id = (uint64_t)now, .is_whole = true, .has_results = true, .frame_id = now};
    frame->is_whole = !is_nth(now, memory->fault.lost_every);
    frame->inference_frame_id = is_nth(now, memory->fault.stray_every) ? now - 1 : now;
    memory->infer(memory->files[1].bytes, memory->files[1].size, &frame->result,
                  &frame->confidence);
    if (is_nth(now, memory->fault.garbled_every))
        frame->confidence = NAN;
    if (is_nth(now, memory->fault.torn_every)) {
        frame->result++;
        frame->confidence += 0.1;
    }
    return ERR_OK;
}

static void memory_close(struct camera *camera)
{
    (void)camera; /* it is the test's */
}

static const struct camera_ops ops = {
    .close = memory_close,
    .has = memory_has,
    .is_writable = memory_is_writable,
    .find = memory_find,
    .entry = memory_entry,
    .get = memory_get,
    .set = memory_set,
    .execute = memory_execute,
    .register_size = memory_register_size,
    .read_register = memory_read_register,
    .write_register = memory_write_register,
    .start = memory_start,
    .stop = memory_stop,
    .next_frame = memory_next_frame,
};

static void add(struct memory_camera *memory, struct memory_node node, struct camera_value value)
{
    for (int v = 0; v < MEMORY_SELECTED; v++)
        node.values[v] = value;
    memory->nodes[memory->count++] = node;
}

static void add_number(struct memory_camera *memory, const char *name, int64_t number)
{
    add(memory, (struct memory_node){.name = name},
        (struct camera_value){.kind = CAMERA_INTEGER, .integer = number});
}

static void add_flag(struct memory_camera *memory, const char *name, const char *selector,
                     bool is_on)
{
    add(memory, (struct memory_node){.name = name, .selector = selector},
        (struct camera_value){.kind = CAMERA_BOOLEAN, .integer = is_on});
}

static void add_real(struct memory_camera *memory, const char *name, const char *selector,
                     double real)
{
    add(memory, (struct memory_node){.name = name, .selector = selector},
        (struct camera_value){.kind = CAMERA_FLOAT, .real = real});
}

static void add_entries(struct memory_camera *memory, const char *name, const char *selector,
                        const char *entries, const char *entry)
{
    struct camera_value value = {.kind = CAMERA_ENUMERATION};
    snprintf(value.text, sizeof value.text, "%s", entry);
    add(memory, (struct memory_node){.name = name, .selector = selector, .entries = entries},
        value);
}

static void add_fixed(struct memory_camera *memory, const char *name, const char *display,
                      int64_t number)
{
    add(memory, (struct memory_node){.name = name, .display = display, .is_fixed = true},
        (struct camera_value){.kind = CAMERA_INTEGER, .integer = number});
}

static void add_text(struct memory_camera *memory, const char *name, const char *text)
{
    struct camera_value value = {.kind = CAMERA_STRING};
    snprintf(value.text, sizeof value.text, "%s", text);
    add(memory, (struct memory_node){.name = name, .is_fixed = true}, value);
}

static void add_files(struct memory_camera *memory)
{
    add_entries(memory, "FileSelector", NULL, "InferenceNetwork InjectedImage UserFile1",
                "UserFile1");
    add_entries(memory, "FileOperationSelector", NULL, "Open Close Read Write Delete", "Open");
    add_entries(memory, "FileOpenMode", NULL, "Read Write", "Read");
    add_entries(memory, "FileOperationStatus", NULL, "Success Failure", "Success");
    add_number(memory, "FileOperationResult", 0);
    add_number(memory, "FileAccessLength", 0);
    add_number(memory, "FileAccessOffset", 0);
    add_fixed(memory, "FileSize", NULL, 0);
    add_flag(memory, "FileWriteToFlash", NULL, false);
}

/* One of the uncertain names is another than we would guess: it is found by what is displayed. */
static void add_inference(struct memory_camera *memory)
{
    add_flag(memory, "InferenceEnable", NULL, false);
    add_entries(memory, "InferenceNetworkTypeSelector", NULL, "Detection Classification",
                "Detection");
    add_entries(memory, "InferencePreprocessBppSelector", NULL, "Mono8 BGR8", "Mono8");
    add_entries(memory, "InferencePreprocessChannelSelector", NULL, "Channel1 Channel2 Channel3",
                "Channel2");
    add_real(memory, "InferencePreprocessChannelMean", "InferencePreprocessChannelSelector", 1.5);
    add_real(memory, "InferencePreprocessChannelScalar", "InferencePreprocessChannelSelector", 2);
    add_real(memory, "InferenceTime", NULL, 0);
    add_fixed(memory, "InferenceMaxNetworkSize", "Max Network Size", 1000);
    add_fixed(memory, "InferenceNetworkSize", "Network Size", 0);
    add_fixed(memory, "NetworkInputWidthX", "Network Input Width", 0);
    add_fixed(memory, "InferenceNetworkInputHeight", "Network Input Height", 0);
    add_fixed(memory, "InferenceNetworkInputChannels", "Network Input Channels", 0);
    add_fixed(memory, "InferenceOutputClasses", "Output Classes", 0);
    add_text(memory, "InferenceNetworkStatus", "Ready");
}

static void add_pictures(struct memory_camera *memory)
{
    add_flag(memory, "DenoiseEnable", NULL, true);
    add_flag(memory, "SharpeningEnable", NULL, true);
    add_flag(memory, "GammaEnable", NULL, false);
    add_entries(memory, "TestPatternGeneratorSelector", NULL, "Sensor PipelineStart", "Sensor");
    add_entries(memory, "TestPattern", "TestPatternGeneratorSelector", "Off InjectedImage", "Off");
    add_number(memory, "InjectedWidth", 1440);
    add_number(memory, "InjectedHeight", 1080);
    add_number(memory, "OffsetX", 16);
    add_number(memory, "OffsetY", 8);
    add_number(memory, "Width", 720);
    add_number(memory, "Height", 540);
    add_fixed(memory, "AcquisitionStop", NULL, 0); /* a command */
    add_entries(memory, "AcquisitionMode", NULL, "Continuous SingleFrame", "SingleFrame");
    add_entries(memory, "TriggerSelector", NULL, "FrameStart ExposureActive", "ExposureActive");
    add_entries(memory, "TriggerMode", "TriggerSelector", "Off On", "Off");
    add_entries(memory, "TriggerSource", "TriggerSelector", "Line0 InferenceReady", "Line0");
    add_flag(memory, "ChunkModeActive", NULL, false);
    add_entries(memory, "ChunkSelector", NULL,
                "Gain FrameID InferenceFrameId InferenceResult InferenceConfidence", "Gain");
    add_flag(memory, "ChunkEnable", "ChunkSelector", false);
}

void memory_camera_open(struct memory_camera *memory, const char *model)
{
    memset(memory, 0, sizeof *memory);
    memory->camera.ops = &ops;
    memory->latency_ms = 20;
    add_text(memory, "DeviceVendorName", "FLIR");
    add_text(memory, "DeviceModelName", model);
    add_text(memory, "DeviceSerialNumber", "20012345");
    add_text(memory, "DeviceFirmwareVersion", "1905.4.103.0");
    add_files(memory);
    add_inference(memory);
    add_pictures(memory);
}

void memory_camera_close(struct memory_camera *memory)
{
    drop_file(&memory->files[0]);
    drop_file(&memory->files[1]);
}

/* What operations on files leave behind is no setting. */
static bool is_setting(const struct memory_node *node)
{
    static const char *const others[] = {"FileOperationStatus", "FileOperationResult",
                                         "FileWriteToFlash", "InferenceTime"};
    for (size_t o = 0; o < sizeof others / sizeof *others; o++)
        if (node->name && strcmp(node->name, others[o]) == 0)
            return false;
    return node->name && !node->is_fixed;
}

char *memory_camera_dump(const struct memory_camera *memory)
{
    struct text dump;
    char value[CAMERA_TEXT];
    text_init(&dump);
    for (int n = 0; n < memory->count; n++)
        for (int v = 0; is_setting(&memory->nodes[n]) && v < MEMORY_SELECTED; v++) {
            camera_value_text(&memory->nodes[n].values[v], value);
            text_add(&dump, "%s[%d] = %s\n", memory->nodes[n].name, v, value);
        }
    for (int f = 0; f < 2; f++)
        text_add(&dump, "file %d: %zu bytes, flash %d\n", f, memory->files[f].size,
                 memory->files[f].is_flash);
    text_add(&dump, "open: %d\n", memory->open != NULL);
    text_add(&dump, "started: %d\n", memory->is_started);
    char *made = mem_string(text_get(&dump));
    text_fini(&dump);
    return made;
}
