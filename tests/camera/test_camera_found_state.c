/* A camera that was validated on is as it was found: after success, after every kind of failure,
 * and by another process after a kill. */
#include "base/file.h"
#include "base/mem.h"
#include "camera/deployment.h"
#include "camera/found_json.h"
#include "tests/camera/memory_camera.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define MODEL "Firefly FFY-U3-16S2M-DL"

struct rig {
    struct memory_camera memory;
    struct firefly_network network;
    struct deployment_cfg cfg;
    char folder[64], *own_folder, *before;
};

static uint8_t network_bytes[200] = {28, 28, 1, 10}; /* side, side, channels, outputs */
static uint8_t old_bytes[150] = {14, 14, 1, 2};

static int open_rig(void **state)
{
    struct rig *rig = mem_alloc(sizeof *rig);
    memory_camera_open(&rig->memory, MODEL);
    /* in memory: every note is written durably */
    snprintf(rig->folder, sizeof rig->folder, "/dev/shm/glowworm-found-XXXXXX");
    assert_non_null(mkdtemp(rig->folder));
    rig->own_folder = file_join(rig->folder, "Firefly_FFY-U3-16S2M-DL_20012345");
    rig->network = (struct firefly_network){.bytes = network_bytes,
                                            .size_bytes = sizeof network_bytes,
                                            .width = 28,
                                            .height = 28,
                                            .channels = 1,
                                            .outputs = 10,
                                            .pixel_format = "Mono8",
                                            .mean = {72.5},
                                            .scale = {90}};
    rig->cfg = (struct deployment_cfg){.camera = &rig->memory.camera,
                                       .id = "memory",
                                       .folder = rig->folder,
                                       .network = &rig->network,
                                       .memory = CAMERA_MEMORY_DDR};
    rig->before = memory_camera_dump(&rig->memory);
    *state = rig;
    return 0;
}

static int close_rig(void **state)
{
    struct rig *rig = *state;
    memory_camera_close(&rig->memory);
    mem_free(rig->before);
    mem_free(rig->own_folder);
    assert_int_equal(file_remove_folder(rig->folder), ERR_OK);
    mem_free(rig);
    return 0;
}

/* An old network of the camera's owner, in flash. */
static void put_old_network(struct rig *rig)
{
    struct camera_file file = {.camera = &rig->memory.camera, .name = CAMERA_FILE_NETWORK};
    assert_int_equal(camera_file_write(&file, CAMERA_MEMORY_FLASH, old_bytes, sizeof old_bytes),
                     ERR_OK);
    memory_value(&rig->memory, "InferenceEnable")->integer = 1;
    mem_free(rig->before);
    rig->before = memory_camera_dump(&rig->memory);
}

static void assert_as_before(const struct rig *rig)
{
    char *now = memory_camera_dump(&rig->memory);
    assert_string_equal(now, rig->before);
    mem_free(now);
    assert_false(found_state_exists(rig->own_folder));
}

static void assert_old_network(const struct rig *rig)
{
    assert_int_equal(rig->memory.files[0].size, sizeof old_bytes);
    assert_memory_equal(rig->memory.files[0].bytes, old_bytes, sizeof old_bytes);
    assert_true(rig->memory.files[0].is_flash);
}

static enum err deploy_and_end(struct rig *rig, enum network_end end)
{
    struct deployment deployment = {0};
    enum err err = deployment_begin(&rig->cfg, &deployment);
    return deployment_end(&deployment, end, err);
}

static void a_network_is_set_up_and_the_camera_put_back(void **state)
{
    struct rig *rig = *state;
    struct memory_camera *memory = &rig->memory;
    struct deployment deployment = {0};
    if (deployment_begin(&rig->cfg, &deployment) != ERR_OK)
        fail_msg("%s", err_text());
    assert_int_equal(memory->files[0].size, sizeof network_bytes);
    assert_string_equal(memory_value(memory, "TestPattern")->text, "InjectedImage");
    assert_string_equal(memory_value(memory, "TriggerSource")->text, "InferenceReady");
    assert_string_equal(memory_value(memory, "TriggerMode")->text, "On");
    assert_int_equal(memory_value(memory, "Width")->integer, 28);
    assert_int_equal(memory_value(memory, "DenoiseEnable")->integer, 0);
    assert_string_equal(memory_value(memory, "InferencePreprocessChannelSelector")->text,
                        "Channel1");
    assert_float_equal(memory_value(memory, "InferencePreprocessChannelMean")->real, 72.5, 0);
    assert_float_equal(memory_value(memory, "InferencePreprocessChannelScalar")->real, 90, 0);
    assert_int_equal(memory_value(memory, "InferenceEnable")->integer, 1);
    assert_string_equal(deployment.firefly.identity.firmware, "1905.4.103.0");
    assert_int_equal(deployment_end(&deployment, NETWORK_AS_FOUND, ERR_OK), ERR_OK);
    assert_as_before(rig);
}

/* Values that a node has by its selector, where that stood on another than ours, and that must not
 * be changed in any order. */
static void what_belongs_to_another_selection_is_as_it_was(void **state)
{
    static const char *const set[][2] = {
        {"TestPatternGeneratorSelector", "Sensor"}, {"TestPattern", "InjectedImage"},
        {"TriggerSelector", "FrameStart"},          {"TriggerMode", "On"},
        {"TriggerSelector", "ExposureActive"},
    };
    struct rig *rig = *state;
    for (size_t s = 0; s < sizeof set / sizeof *set; s++)
        assert_int_equal(camera_set_text(&rig->memory.camera, set[s][0], set[s][1]), ERR_OK);
    mem_free(rig->before);
    rig->before = memory_camera_dump(&rig->memory);
    if (deploy_and_end(rig, NETWORK_AS_FOUND) != ERR_OK)
        fail_msg("%s", err_text());
    assert_as_before(rig);
}

static void the_network_that_was_there_is_back_where_it_was(void **state)
{
    struct rig *rig = *state;
    put_old_network(rig);
    assert_int_equal(deploy_and_end(rig, NETWORK_AS_FOUND), ERR_OK);
    assert_as_before(rig);
    assert_old_network(rig);
}

static void a_network_that_stays_leaves_the_old_one_in_a_file(void **state)
{
    struct rig *rig = *state;
    struct deployment deployment = {0};
    put_old_network(rig);
    rig->cfg.memory = CAMERA_MEMORY_FLASH;
    assert_int_equal(deployment_begin(&rig->cfg, &deployment), ERR_OK);
    char *kept = found_state_kept(deployment.found), *bytes = NULL;
    size_t size = 0;
    assert_int_equal(deployment_end(&deployment, NETWORK_STAYS, ERR_OK), ERR_OK);
    assert_int_equal(rig->memory.files[0].size, sizeof network_bytes);
    assert_int_equal(file_read(kept, 1000, &bytes, &size), ERR_OK);
    assert_memory_equal(bytes, old_bytes, sizeof old_bytes);
    mem_free(bytes);
    mem_free(kept);
}

static void a_network_that_is_to_stay_stays_though_putting_back_was_cut_off(void **state)
{
    struct rig *rig = *state;
    struct deployment deployment = {0};
    put_old_network(rig);
    rig->cfg.memory = CAMERA_MEMORY_FLASH;
    assert_int_equal(deployment_begin(&rig->cfg, &deployment), ERR_OK);
    rig->memory.fault.away_after = rig->memory.changes + 3;
    assert_int_equal(deployment_end(&deployment, NETWORK_STAYS, ERR_OK), ERR_PEER);
    rig->memory.fault.away_after = 0;
    rig->memory.is_away = false;
    assert_int_equal(deployment_restore(&rig->memory.camera, rig->own_folder), ERR_OK);
    assert_int_equal(rig->memory.files[0].size, sizeof network_bytes);
    assert_int_equal(memory_value(&rig->memory, "Width")->integer, 720);
    assert_false(found_state_exists(rig->own_folder));
}

static void an_overwritten_network_is_gone_and_inference_stays_off(void **state)
{
    struct rig *rig = *state;
    put_old_network(rig);
    rig->cfg.existing = FOUND_NETWORK_OVERWRITE;
    assert_int_equal(deploy_and_end(rig, NETWORK_AS_FOUND), ERR_OK);
    assert_int_equal(rig->memory.files[0].size, 0);
    assert_int_equal(memory_value(&rig->memory, "InferenceEnable")->integer, 0);
}

static void until_it_is_overwritten_a_network_goes_on_inferring(void **state)
{
    struct rig *rig = *state;
    rig->cfg.existing = FOUND_NETWORK_OVERWRITE;
    for (int k = 1; k < 40; k++) {
        memory_camera_close(&rig->memory);
        memory_camera_open(&rig->memory, MODEL);
        put_old_network(rig);
        rig->memory.fault.away_after = rig->memory.changes + k;
        rig->memory.fault.is_late = true;
        assert_int_equal(deploy_and_end(rig, NETWORK_AS_FOUND), ERR_PEER);
        rig->memory.fault.away_after = 0;
        rig->memory.is_away = false;
        if (deployment_restore(&rig->memory.camera, rig->own_folder) != ERR_OK)
            fail_msg("away after %d: %s", k, err_text());
        assert_int_equal(memory_value(&rig->memory, "InferenceEnable")->integer,
                         rig->memory.files[0].size > 0);
    }
}

static volatile sig_atomic_t stop;

static void ask_to_stop(size_t done, size_t all, void *own)
{
    (void)done;
    (void)all;
    (void)own;
    stop = 1;
}

static void a_stop_while_a_network_is_read_back_gives_no_advice(void **state)
{
    struct rig *rig = *state;
    put_old_network(rig);
    stop = 0;
    rig->cfg.stop = &stop;
    rig->cfg.progress = ask_to_stop;
    assert_int_equal(deploy_and_end(rig, NETWORK_AS_FOUND), ERR_INTERRUPTED);
    assert_null(strstr(err_text(), "--overwrite"));
    assert_as_before(rig);
    assert_old_network(rig);
}

static void a_network_that_cannot_be_read_back_is_left_alone(void **state)
{
    struct rig *rig = *state;
    put_old_network(rig);
    rig->memory.fault.refused = "Read";
    assert_int_equal(deploy_and_end(rig, NETWORK_AS_FOUND), ERR_FAILED);
    assert_non_null(strstr(err_text(), "--overwrite"));
    assert_as_before(rig);
    assert_old_network(rig);
}

static void every_property_that_differs_is_named(void **state)
{
    struct rig *rig = *state;
    rig->network.width = 32;
    rig->network.outputs = 12;
    assert_int_equal(deploy_and_end(rig, NETWORK_AS_FOUND), ERR_FAILED);
    assert_non_null(strstr(err_text(), "the input's width is 28, not 32, "));
    assert_non_null(strstr(err_text(), "the number of outputs is 10, not 12"));
    assert_as_before(rig);
}

static void a_stuck_node_is_named_and_the_rest_put_back(void **state)
{
    struct rig *rig = *state;
    rig->memory.fault.stuck = "TriggerSource";
    assert_int_equal(deploy_and_end(rig, NETWORK_AS_FOUND), ERR_FAILED);
    assert_non_null(strstr(err_text(), "TriggerSource = InferenceReady, it stays Line0"));
    assert_as_before(rig);
}

static void what_is_no_firefly_is_refused_and_not_touched(void **state)
{
    static const char *const missing[] = {"InferenceEnable", "FileSelector"};
    struct rig *rig = *state;
    for (int m = 0; m < 2; m++) {
        memory_camera_close(&rig->memory);
        memory_camera_open(&rig->memory, MODEL);
        memory_camera_remove(&rig->memory, missing[m]);
        assert_int_equal(deploy_and_end(rig, NETWORK_AS_FOUND), ERR_CONFIG);
        assert_non_null(strstr(err_text(), "no Firefly DL"));
        assert_int_equal(rig->memory.changes, 0);
    }
    memory_camera_close(&rig->memory);
    memory_camera_open(&rig->memory, "Blackfly S BFS-U3-16S2M");
    assert_int_equal(deploy_and_end(rig, NETWORK_AS_FOUND), ERR_CONFIG);
    assert_int_equal(rig->memory.changes, 0);
}

static void the_other_model_and_a_large_network_are_refused_before_anything(void **state)
{
    struct rig *rig = *state;
    rig->network.size_bytes = 1001;
    assert_int_equal(deploy_and_end(rig, NETWORK_AS_FOUND), ERR_CONFIG);
    assert_non_null(strstr(err_text(), "1001 bytes, this camera takes 1000"));
    rig->network.size_bytes = sizeof network_bytes;
    rig->network.channels = 3;
    assert_int_equal(deploy_and_end(rig, NETWORK_AS_FOUND), ERR_CONFIG);
    assert_non_null(strstr(err_text(), "firefly-dl-mono"));
    assert_int_equal(rig->memory.changes, 0);
}

/* As a measurement does: an image is put there, frames are taken. */
static enum err use_camera(struct rig *rig, struct deployment *deployment)
{
    enum err err = ERR_OK;
    struct camera *camera = &rig->memory.camera;
    struct camera_file image = {.camera = camera, .name = CAMERA_FILE_IMAGE};
    TRY(deployment_begin(&rig->cfg, deployment));
    TRY(found_state_own_file(deployment->found, CAMERA_FILE_IMAGE));
    TRY(camera_file_write(&image, CAMERA_MEMORY_ANY, network_bytes, sizeof network_bytes));
    TRY(camera->ops->start(camera));
    TRY(camera->ops->stop(camera));
out:
    return err;
}

static enum err use_and_end(struct rig *rig)
{
    struct deployment deployment = {0};
    enum err err = use_camera(rig, &deployment);
    return deployment_end(&deployment, NETWORK_AS_FOUND, err);
}

/* The connection is lost at the k-th change, for good where this process is concerned. */
static void lose_and_restore(struct rig *rig, int first, int k)
{
    struct memory_camera *memory = &rig->memory;
    memory->changes = first;
    memory->fault.away_after = k;
    assert_int_equal(use_and_end(rig), ERR_PEER);
    memory->fault.away_after = 0;
    memory->is_away = false;
    if (found_state_exists(rig->own_folder) &&
        deployment_restore(&memory->camera, rig->own_folder) != ERR_OK)
        fail_msg("away after %d: %s", k, err_text());
    assert_as_before(rig);
}

/* As after a kill -9 at any moment, or a cable that came off: the process is gone, the file is
 * there. */
static void another_process_puts_back_whatever_was_changed_until_then(void **state)
{
    struct rig *rig = *state;
    for (int with_old = 0; with_old < 2; with_old++) {
        if (with_old)
            put_old_network(rig);
        int first = rig->memory.changes;
        assert_int_equal(use_and_end(rig), ERR_OK);
        int changes = rig->memory.changes;
        for (int k = first + 1; k < changes; k++) {
            for (int is_late = 0; is_late < 2; is_late++) {
                rig->memory.fault.is_late = is_late;
                lose_and_restore(rig, first, k);
                if (with_old)
                    assert_old_network(rig);
            }
        }
    }
}

static void what_an_earlier_run_left_is_put_back_first(void **state)
{
    struct rig *rig = *state;
    struct deployment killed = {0};
    put_old_network(rig);
    assert_int_equal(deployment_begin(&rig->cfg, &killed), ERR_OK);
    found_state_close(&killed.found); /* as a kill would */
    assert_int_equal(deploy_and_end(rig, NETWORK_AS_FOUND), ERR_OK);
    assert_as_before(rig);
    assert_old_network(rig);
}

/* A kill while found.json is written. */
static void nothing_is_left_beside_what_was_found(void **state)
{
    struct rig *rig = *state;
    struct deployment deployment = {0};
    char name[64];
    pid_t gone = fork();
    if (gone == 0)
        _exit(0);
    assert_int_equal(waitpid(gone, NULL, 0), gone);
    snprintf(name, sizeof name, FOUND_FILE ".part-%ld-3", (long)gone);
    char *part = file_join(rig->own_folder, name);
    assert_int_equal(deployment_begin(&rig->cfg, &deployment), ERR_OK);
    assert_int_equal(file_write(part, "{", 1), ERR_OK);
    assert_int_equal(deployment_end(&deployment, NETWORK_AS_FOUND, ERR_OK), ERR_OK);
    assert_false(file_exists(part));
    mem_free(part);
}

static void what_was_found_on_one_camera_goes_to_no_other(void **state)
{
    struct rig *rig = *state;
    struct deployment killed = {0};
    assert_int_equal(deployment_begin(&rig->cfg, &killed), ERR_OK);
    found_state_close(&killed.found);
    struct camera_value *serial = memory_value(&rig->memory, "DeviceSerialNumber");
    int changes = rig->memory.changes;
    snprintf(serial->text, sizeof serial->text, "7");
    assert_int_equal(deployment_restore(&rig->memory.camera, rig->own_folder), ERR_CONFIG);
    assert_non_null(strstr(err_text(), "serial number 7 now, not 20012345"));
    assert_int_equal(rig->memory.changes, changes);
    snprintf(serial->text, sizeof serial->text, "20012345");
    assert_int_equal(deployment_restore(&rig->memory.camera, rig->own_folder), ERR_OK);
    assert_as_before(rig);
}

static void the_found_state_is_only_its_users(void **state)
{
    struct rig *rig = *state;
    struct deployment deployment = {0};
    struct stat found;
    assert_int_equal(deployment_begin(&rig->cfg, &deployment), ERR_OK);
    char *path = file_join(rig->own_folder, FOUND_FILE);
    assert_int_equal(stat(path, &found), 0);
    assert_int_equal(found.st_mode & 0777, 0600);
    mem_free(path);
    assert_int_equal(deployment_end(&deployment, NETWORK_AS_FOUND, ERR_OK), ERR_OK);
}

static void a_found_state_that_is_not_ours_is_refused(void **state)
{
    static const char *const texts[] = {"", "{}", "[1]", "{\"version\": 2, \"nodes\": []}",
                                        "{\"version\": 1, \"nodes\": [{}], \"camera\": {}}"};
    struct rig *rig = *state;
    assert_int_equal(file_make_private(rig->own_folder), ERR_OK);
    char *path = file_join(rig->own_folder, FOUND_FILE);
    for (size_t t = 0; t < sizeof texts / sizeof *texts; t++) {
        assert_int_equal(file_write(path, texts[t], strlen(texts[t])), ERR_OK);
        assert_int_equal(deployment_restore(&rig->memory.camera, rig->own_folder), ERR_DATA);
        assert_non_null(strstr(err_text(), FOUND_FILE));
    }
    assert_int_equal(rig->memory.changes, 0);
    mem_free(path);
}

#define ON_RIG(test) cmocka_unit_test_setup_teardown(test, open_rig, close_rig)

int main(void)
{
    const struct CMUnitTest tests[] = {
        ON_RIG(a_network_is_set_up_and_the_camera_put_back),
        ON_RIG(what_belongs_to_another_selection_is_as_it_was),
        ON_RIG(the_network_that_was_there_is_back_where_it_was),
        ON_RIG(a_network_that_stays_leaves_the_old_one_in_a_file),
        ON_RIG(a_network_that_is_to_stay_stays_though_putting_back_was_cut_off),
        ON_RIG(an_overwritten_network_is_gone_and_inference_stays_off),
        ON_RIG(until_it_is_overwritten_a_network_goes_on_inferring),
        ON_RIG(a_stop_while_a_network_is_read_back_gives_no_advice),
        ON_RIG(a_network_that_cannot_be_read_back_is_left_alone),
        ON_RIG(every_property_that_differs_is_named),
        ON_RIG(a_stuck_node_is_named_and_the_rest_put_back),
        ON_RIG(what_is_no_firefly_is_refused_and_not_touched),
        ON_RIG(the_other_model_and_a_large_network_are_refused_before_anything),
        ON_RIG(another_process_puts_back_whatever_was_changed_until_then),
        ON_RIG(what_an_earlier_run_left_is_put_back_first),
        ON_RIG(nothing_is_left_beside_what_was_found),
        ON_RIG(what_was_found_on_one_camera_goes_to_no_other),
        ON_RIG(the_found_state_is_only_its_users),
        ON_RIG(a_found_state_that_is_not_ours_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
