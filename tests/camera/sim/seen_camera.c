#include "tests/camera/sim/seen_camera.h"
#include "base/clock.h"
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

enum { MAX_WORDS = 24, BUFFERS = 8 };
#define READY_S 10

/* Whatever Aravis says went wrong. */
static void must(GError *error, const char *what)
{
    if (error)
        fail_msg("%s: %s", what, error->message);
}

static void wait_until_ready(struct seen_camera *seen)
{
    double end = clock_seconds() + READY_S;
    int exit_code;
    for (char line[64] = ""; strncmp(line, "ready ", 6) != 0;) {
        FILE *output = fopen(seen->output, "re");
        if (output && !fgets(line, sizeof line, output))
            line[0] = '\0';
        if (output)
            fclose(output);
        if (!program_runs(&seen->program, &exit_code) || clock_seconds() > end)
            fail_msg("the camera is not ready; see %s", seen->log);
        nanosleep(&(struct timespec){.tv_nsec = 2000000}, NULL);
    }
}

void seen_start(struct seen_camera *seen, const char *const *options)
{
    static int started;
    const char *words[MAX_WORDS] = {CAMERA_SIM, "--address", seen->address};
    unsigned pid = (unsigned)getpid();
    memset(seen, 0, sizeof *seen);
    /* no other test has it, and no other camera of this one */
    snprintf(seen->address, sizeof seen->address, "127.%u.%u.%u", 64 + (pid >> 14) % 64,
             (pid >> 6) % 256, (pid % 64) * 4 + (unsigned)started++ % 4);
    snprintf(seen->output, sizeof seen->output, "/tmp/glowworm-camera-%u-%d.out", pid, started);
    snprintf(seen->log, sizeof seen->log, "/tmp/glowworm-camera-%u-%d.log", pid, started);
    for (int i = 0; options[i]; i++)
        words[3 + i] = options[i];
    seen->program = program_start(words, seen->output, seen->log);
    wait_until_ready(seen);
}

void seen_open(struct seen_camera *seen)
{
    GError *error = NULL;
    seen->camera = arv_camera_new(seen->address, &error);
    must(error, seen->address);
    seen->device = arv_camera_get_device(seen->camera);
}

void seen_close(struct seen_camera *seen)
{
    g_clear_object(&seen->stream);
    g_clear_object(&seen->parser);
    g_clear_object(&seen->camera);
}

void seen_end(struct seen_camera *seen)
{
    seen_close(seen);
    kill(seen->program.pid, SIGTERM);
    assert_int_equal(program_wait(&seen->program, READY_S), 0);
    unlink(seen->output);
    unlink(seen->log);
}

void seen_set(struct seen_camera *seen, const char *node, const char *value)
{
    GError *error = NULL;
    arv_device_set_string_feature_value(seen->device, node, value, &error);
    must(error, node);
}

void seen_set_number(struct seen_camera *seen, const char *node, double value)
{
    GError *error = NULL;
    if (ARV_IS_GC_FLOAT(arv_device_get_feature(seen->device, node)))
        arv_device_set_float_feature_value(seen->device, node, value, &error);
    else
        arv_device_set_integer_feature_value(seen->device, node, (gint64)value, &error);
    must(error, node);
}

void seen_set_flag(struct seen_camera *seen, const char *node, bool value)
{
    GError *error = NULL;
    arv_device_set_boolean_feature_value(seen->device, node, value, &error);
    must(error, node);
}

const char *seen_get(struct seen_camera *seen, const char *node)
{
    GError *error = NULL;
    const char *value = arv_device_get_string_feature_value(seen->device, node, &error);
    must(error, node);
    return value;
}

int64_t seen_get_number(struct seen_camera *seen, const char *node)
{
    GError *error = NULL;
    int64_t value = arv_device_get_integer_feature_value(seen->device, node, &error);
    must(error, node);
    return value;
}

static const char *operate(struct seen_camera *seen, const char *operation)
{
    GError *error = NULL;
    seen_set(seen, "FileOperationSelector", operation);
    arv_device_execute_command(seen->device, "FileOperationExecute", &error);
    must(error, operation);
    return seen_get(seen, "FileOperationStatus");
}

static void write_block(struct seen_camera *seen, const uint8_t *bytes, size_t at, size_t size)
{
    GError *error = NULL;
    uint8_t block[4096];
    memset(block, 255, sizeof block);
    memcpy(block, bytes + at, size);
    arv_gc_register_set(ARV_GC_REGISTER(arv_device_get_feature(seen->device, "FileAccessBuffer")),
                        block, sizeof block, &error);
    must(error, "FileAccessBuffer");
    seen_set_number(seen, "FileAccessOffset", (double)at);
    seen_set_number(seen, "FileAccessLength", (double)size);
    assert_string_equal(operate(seen, "Write"), "Success");
    assert_int_equal(seen_get_number(seen, "FileOperationResult"), size);
}

const char *seen_upload(struct seen_camera *seen, const char *file, const uint8_t *bytes,
                        size_t size_bytes, bool to_flash)
{
    seen_set(seen, "FileSelector", file);
    if (seen_get_number(seen, "FileSize") > 0)
        assert_string_equal(operate(seen, "Delete"), "Success");
    seen_set(seen, "FileOpenMode", "Write");
    assert_string_equal(operate(seen, "Open"), "Success");
    seen_set_flag(seen, "FileWriteToFlash", to_flash);
    for (size_t at = 0; at < size_bytes; at += 4096)
        write_block(seen, bytes, at, size_bytes - at < 4096 ? size_bytes - at : 4096);
    return operate(seen, "Close");
}

void seen_prepare(struct seen_camera *seen, int side)
{
    static const char *const sides[] = {"InjectedWidth", "InjectedHeight", "Width", "Height"};
    static const char *const processing[] = {"DenoiseEnable", "SharpeningEnable", "GammaEnable",
                                             "BlackLevelClampingEnable"};
    GError *error = NULL;
    seen_set(seen, "TestPatternGeneratorSelector", "PipelineStart");
    seen_set(seen, "TestPattern", "InjectedImage");
    for (int i = 0; i < 4; i++) {
        seen_set_number(seen, sides[i], side);
        seen_set_flag(seen, processing[i], false);
    }
    seen_set_number(seen, "InferencePreprocessChannelMean", 127.5);
    seen_set_number(seen, "InferencePreprocessChannelScalar", 64);
    seen_set_flag(seen, "InferenceEnable", true);
    seen_set(seen, "TriggerSelector", "FrameStart");
    seen_set(seen, "TriggerSource", "InferenceReady");
    seen_set(seen, "TriggerMode", "On");
    arv_camera_set_chunks(seen->camera,
                          "FrameID,InferenceFrameId,InferenceResult,InferenceConfidence", &error);
    must(error, "chunks");
}

void seen_start_images(struct seen_camera *seen)
{
    GError *error = NULL;
    guint payload = arv_camera_get_payload(seen->camera, &error);
    must(error, "PayloadSize");
    seen->parser = arv_camera_create_chunk_parser(seen->camera);
    seen->stream = arv_camera_create_stream(seen->camera, NULL, NULL, &error);
    must(error, "stream");
    for (int i = 0; i < BUFFERS; i++)
        arv_stream_push_buffer(seen->stream, arv_buffer_new_allocate(payload));
    arv_camera_start_acquisition(seen->camera, &error);
    must(error, "AcquisitionStart");
}

static int64_t chunk_of(struct seen_camera *seen, ArvBuffer *buffer, const char *name)
{
    GError *error = NULL;
    int64_t value = arv_chunk_parser_get_integer_value(seen->parser, buffer, name, &error);
    must(error, name);
    return value;
}

static void look_at(struct seen_camera *seen, ArvBuffer *buffer, struct seen_image *image)
{
    GError *error = NULL;
    size_t size;
    const void *pixels = arv_buffer_get_data(buffer, &size);
    assert_true(size >= sizeof image->first_pixels);
    memcpy(image->first_pixels, pixels, sizeof image->first_pixels);
    image->frame = chunk_of(seen, buffer, "ChunkFrameID");
    image->inference_frame = chunk_of(seen, buffer, "ChunkInferenceFrameId");
    image->result = chunk_of(seen, buffer, "ChunkInferenceResult");
    image->confidence =
        arv_chunk_parser_get_float_value(seen->parser, buffer, "ChunkInferenceConfidence", &error);
    must(error, "ChunkInferenceConfidence");
}

bool seen_next_image(struct seen_camera *seen, double seconds, struct seen_image *image)
{
    double end = clock_seconds() + seconds;
    for (bool is_whole = false; !is_whole;) {
        double left_s = end - clock_seconds();
        ArvBuffer *buffer =
            left_s > 0 ? arv_stream_timeout_pop_buffer(seen->stream, (guint64)(left_s * 1e6))
                       : NULL;
        if (!buffer)
            return false;
        is_whole = arv_buffer_get_status(buffer) == ARV_BUFFER_STATUS_SUCCESS;
        if (is_whole)
            look_at(seen, buffer, image);
        arv_stream_push_buffer(seen->stream, buffer);
    }
    return true;
}

void seen_stop_images(struct seen_camera *seen)
{
    GError *error = NULL;
    arv_camera_stop_acquisition(seen->camera, &error);
    must(error, "AcquisitionStop");
    g_clear_object(&seen->stream);
    g_clear_object(&seen->parser);
}
