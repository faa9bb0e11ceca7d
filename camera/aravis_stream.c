#include "camera/aravis.h"

enum { BUFFERS = 8, MOST_PAYLOAD = 64 << 20 };

static enum err push_buffers(struct aravis_camera *camera)
{
    GError *error = NULL;
    guint payload = arv_camera_get_payload(camera->handle, &error);
    enum err err = aravis_end(camera, error);
    if (err != ERR_OK)
        return err_prefix(err, "PayloadSize");
    if (payload == 0 || payload > MOST_PAYLOAD)
        return err_set(ERR_FAILED, "the camera's frames are of %u bytes", payload);
    for (int b = 0; b < BUFFERS; b++)
        arv_stream_push_buffer(camera->stream, arv_buffer_new_allocate(payload));
    return ERR_OK;
}

enum err aravis_start(struct camera *base)
{
    enum err err = ERR_OK;
    struct aravis_camera *camera = aravis_of(base);
    GError *error = NULL;
    TRY(aravis_stop(base));
    camera->stream = arv_camera_create_stream(camera->handle, NULL, NULL, &error);
    TRY(aravis_end(camera, error));
    TRY(push_buffers(camera));
    arv_camera_start_acquisition(camera->handle, &error);
    TRY(aravis_end(camera, error));
out:
    return err == ERR_OK ? ERR_OK : err_prefix(err, "taking frames cannot begin");
}

enum err aravis_stop(struct camera *base)
{
    struct aravis_camera *camera = aravis_of(base);
    GError *error = NULL;
    if (!camera->stream)
        return ERR_OK;
    arv_camera_stop_acquisition(camera->handle, &error);
    g_clear_object(&camera->stream);
    enum err err = aravis_end(camera, error);
    return err == ERR_OK ? ERR_OK : err_prefix(err, "taking frames cannot be stopped");
}

/* -1: the frame has none. */
static int64_t chunk_integer(const struct aravis_camera *camera, ArvBuffer *buffer,
                             const char *node, bool *is_there)
{
    GError *error = NULL;
    int64_t value = arv_chunk_parser_get_integer_value(camera->parser, buffer, node, &error);
    *is_there = error == NULL;
    g_clear_error(&error);
    return *is_there ? value : -1;
}

static void read_chunks(const struct aravis_camera *camera, ArvBuffer *buffer,
                        struct camera_frame *frame)
{
    GError *error = NULL;
    bool has_id = false, has_result = false, has_frame_id = false;
    frame->inference_frame_id = chunk_integer(camera, buffer, "ChunkInferenceFrameId", &has_id);
    frame->result = chunk_integer(camera, buffer, "ChunkInferenceResult", &has_result);
    frame->frame_id = chunk_integer(camera, buffer, "ChunkFrameID", &has_frame_id);
    frame->confidence = arv_chunk_parser_get_float_value(camera->parser, buffer,
                                                         "ChunkInferenceConfidence", &error);
    frame->has_results = has_id && has_result && !error;
    g_clear_error(&error);
}

enum err aravis_next_frame(struct camera *base, double seconds, struct camera_frame *frame)
{
    struct aravis_camera *camera = aravis_of(base);
    if (!camera->stream)
        return err_set(ERR_FAILED, "no frames are taken");
    ArvBuffer *buffer = arv_stream_timeout_pop_buffer(camera->stream, (guint64)(seconds * 1e6));
    if (!buffer)
        return g_atomic_int_get(&camera->is_lost) ? aravis_end(camera, NULL)
                                                  : err_set(ERR_AGAIN, "no frame came");
    *frame = (struct camera_frame){.id = arv_buffer_get_frame_id(buffer),
                                   .is_whole =
                                       arv_buffer_get_status(buffer) == ARV_BUFFER_STATUS_SUCCESS,
                                   .frame_id = -1};
    if (frame->is_whole && arv_buffer_has_chunks(buffer))
        read_chunks(camera, buffer, frame);
    arv_stream_push_buffer(camera->stream, buffer);
    return ERR_OK;
}
