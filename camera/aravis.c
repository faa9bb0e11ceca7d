#include "camera/aravis.h"
#include "base/mem.h"
#include <string.h>

enum err aravis_end(struct aravis_camera *camera, GError *error)
{
    bool is_away = g_atomic_int_get(&camera->is_lost) ||
                   g_error_matches(error, ARV_DEVICE_ERROR, ARV_DEVICE_ERROR_TIMEOUT) ||
                   g_error_matches(error, ARV_DEVICE_ERROR, ARV_DEVICE_ERROR_NOT_CONNECTED) ||
                   g_error_matches(error, ARV_DEVICE_ERROR, ARV_DEVICE_ERROR_NOT_CONTROLLER) ||
                   g_error_matches(error, ARV_DEVICE_ERROR, ARV_DEVICE_ERROR_TRANSFER_ERROR);
    enum err err = ERR_OK;
    if (is_away)
        err = err_set(ERR_PEER, "the camera does not answer any more%s%s", error ? ": " : "",
                      error ? error->message : "");
    else if (error)
        err = err_set(ERR_FAILED, "the camera refuses: %s", error->message);
    g_clear_error(&error);
    return err;
}

static void take_text(char text[CAMERA_TEXT], const char *from)
{
    camera_take_text(text, from ? from : "");
}

static enum err aravis_list(struct camera_list *list)
{
    arv_update_device_list();
    unsigned count = arv_get_n_devices();
    list->count = (int)(count < CAMERA_LISTED ? count : CAMERA_LISTED);
    for (unsigned i = 0; i < (unsigned)list->count; i++) {
        struct camera_identity *camera = &list->cameras[i];
        take_text(camera->id, arv_get_device_id(i));
        take_text(camera->vendor, arv_get_device_vendor(i));
        take_text(camera->model, arv_get_device_model(i));
        take_text(camera->serial, arv_get_device_serial_nbr(i));
        take_text(camera->address, arv_get_device_address(i));
        camera->firmware[0] = '\0'; /* only an opened one says it */
    }
    return ERR_OK;
}

static void note_loss(ArvDevice *device, gpointer own)
{
    struct aravis_camera *camera = own;
    (void)device;
    g_atomic_int_set(&camera->is_lost, 1);
}

static void aravis_close(struct camera *base)
{
    struct aravis_camera *camera = aravis_of(base);
    if (camera->stream)
        g_clear_object(&camera->stream);
    if (camera->device)
        g_signal_handlers_disconnect_by_data(camera->device, camera);
    g_clear_object(&camera->parser);
    g_clear_object(&camera->handle);
    g_clear_object(&camera->device);
    mem_free(camera);
}

/* Aravis has no code of its own for these two: it passes on what libusb says. */
static enum err refuse_open(const char *id, GError *error)
{
    char why[512];
    g_strlcpy(why, error ? error->message : "no reason was given", sizeof why);
    bool is_busy = g_error_matches(error, ARV_DEVICE_ERROR, ARV_DEVICE_ERROR_NOT_CONTROLLER) ||
                   strstr(why, "busy") || strstr(why, "BUSY");
    bool is_denied = strstr(why, "denied") || strstr(why, "ACCESS") || strstr(why, "ermission");
    bool is_missing = g_error_matches(error, ARV_DEVICE_ERROR, ARV_DEVICE_ERROR_NOT_FOUND);
    g_clear_error(&error);
    if (is_busy)
        return err_set(ERR_AGAIN,
                       "camera %s is in use by another program (SpinView, a viewer): end that one "
                       "first (%s)",
                       id, why);
    if (is_denied)
        return err_set(ERR_UNAVAILABLE, "camera %s may not be opened by you: %s", id, why);
    return is_missing
               ? err_set(ERR_NOT_FOUND, "there is no camera %s", id)
               : err_set(ERR_UNAVAILABLE,
                         "camera %s cannot be opened: %s; unplug it and plug it in again", id, why);
}

/* Its serial number is what stands on a camera's case. */
static ArvDevice *open_by_serial(const char *serial, GError **error)
{
    ArvDevice *device = NULL;
    arv_update_device_list(); /* opening by another name looks at what answers to that alone */
    for (unsigned i = 0, count = arv_get_n_devices(); i < count && !device; i++) {
        const char *found = arv_get_device_serial_nbr(i);
        if (found && strcmp(found, serial) == 0) {
            g_clear_error(error);
            device = arv_open_device(arv_get_device_id(i), error);
        }
    }
    return device;
}

static const struct camera_ops ops = {.close = aravis_close,
                                      .has = aravis_has,
                                      .is_writable = aravis_is_writable,
                                      .find = aravis_find,
                                      .entry = aravis_entry,
                                      .get = aravis_get,
                                      .set = aravis_set,
                                      .execute = aravis_execute,
                                      .register_size = aravis_register_size,
                                      .read_register = aravis_read_register,
                                      .write_register = aravis_write_register,
                                      .start = aravis_start,
                                      .stop = aravis_stop,
                                      .next_frame = aravis_next_frame};

/* Who else controls a GigE camera lets us read, not write. */
static enum err check_control(const char *id, ArvDevice *device)
{
    bool is_ours = !ARV_IS_GV_DEVICE(device) || arv_gv_device_is_controller(ARV_GV_DEVICE(device));
    return is_ours ? ERR_OK
                   : err_set(ERR_AGAIN,
                             "camera %s is in use by another program (SpinView, a viewer): end "
                             "that one first",
                             id);
}

static enum err aravis_open(const char *id, struct camera **camera)
{
    enum err err = ERR_OK;
    GError *error = NULL;
    struct aravis_camera *made = mem_alloc(sizeof *made);
    made->camera.ops = &ops;
    made->device = arv_open_device(id, &error);
    if (!made->device)
        made->device = open_by_serial(id, &error);
    if (!made->device)
        TRY(refuse_open(id, error));
    TRY(check_control(id, made->device));
    arv_device_set_register_cache_policy(made->device, ARV_REGISTER_CACHE_POLICY_DISABLE);
    g_signal_connect(made->device, "control-lost", G_CALLBACK(note_loss), made);
    made->handle = arv_camera_new_with_device(made->device, &error);
    if (!made->handle)
        TRY(refuse_open(id, error));
    made->parser = arv_camera_create_chunk_parser(made->handle);
    *camera = &made->camera;
    made = NULL;
out:
    if (made)
        aravis_close(&made->camera);
    return err;
}

const struct camera_module *glowworm_camera_module(void)
{
    static const struct camera_module module = {
        .abi = CAMERA_ABI, .list = aravis_list, .open = aravis_open};
    return &module;
}
