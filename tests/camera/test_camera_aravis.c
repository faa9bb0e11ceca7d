/* The module of real cameras, with a camera of other people's making at the other end: Aravis's own
 * fake one, which is no Firefly DL. */
#include "base/clock.h"
#include "camera/camera_module.h"
#include "camera/firefly.h"
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

/* It takes no address but an interface's. */
#define ADDRESS  "127.0.0.1"
#define DEADLINE 30.0

static const struct camera_module *module;
static pid_t fake;

static pid_t start_fake(void)
{
    pid_t child = fork();
    if (child != 0)
        return child;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    execlp("arv-fake-gv-camera-0.8", "arv-fake-gv-camera-0.8", "-i", ADDRESS, "-s", "GW01", NULL);
    _exit(127);
}

static void wait_a_little(void)
{
    nanosleep(&(struct timespec){.tv_nsec = 20 * 1000 * 1000}, NULL);
}

/* Its port may be taken by another test for a while: it ends then, and is started again. */
static int start(void **state)
{
    struct camera *camera = NULL;
    (void)state;
    if (camera_module_open(&module) != ERR_OK) {
        print_error("%s\n", err_text());
        return -1;
    }
    for (double end = clock_seconds() + DEADLINE; clock_seconds() < end; wait_a_little()) {
        int code = 0;
        if (fake > 0 && waitpid(fake, &code, WNOHANG) == fake)
            fake = 0;
        if (WIFEXITED(code) && WEXITSTATUS(code) == 127)
            return print_error("arv-fake-gv-camera-0.8 is not installed (aravis-tools)\n"), -1;
        if (fake == 0)
            fake = start_fake();
        if (module->open(ADDRESS, &camera) == ERR_OK) {
            camera_close(&camera);
            return 0;
        }
    }
    print_error("the fake camera did not answer\n");
    return -1;
}

static int end(void **state)
{
    (void)state;
    if (fake > 0) {
        kill(fake, SIGKILL);
        waitpid(fake, NULL, 0);
    }
    return 0;
}

static int open_fake(void **state)
{
    struct camera *camera = NULL;
    if (module->open(ADDRESS, &camera) != ERR_OK)
        print_error("%s\n", err_text());
    *state = camera;
    return camera ? 0 : -1;
}

static int close_fake(void **state)
{
    struct camera *camera = *state;
    camera_close(&camera);
    return 0;
}

/* The first test of the process: nobody has listed cameras yet. */
static void a_serial_number_alone_names_a_camera(void **state)
{
    struct camera *camera = NULL;
    char serial[CAMERA_TEXT];
    (void)state;
    if (module->open("GW01", &camera) != ERR_OK)
        fail_msg("%s", err_text());
    assert_int_equal(camera_get_text(camera, "DeviceID", serial), ERR_OK);
    assert_string_equal(serial, "GW01");
    camera_close(&camera);
}

static void nodes_of_each_kind_are_read_and_written(void **state)
{
    struct camera *camera = *state;
    double number = 0;
    char text[CAMERA_TEXT], entry[CAMERA_TEXT];
    assert_int_equal(camera_get_text(camera, "DeviceID", text), ERR_OK);
    assert_string_equal(text, "GW01");
    assert_int_equal(camera_set_number(camera, "Width", 128), ERR_OK);
    assert_int_equal(camera_get_number(camera, "Width", &number), ERR_OK);
    assert_int_equal((int)number, 128);
    assert_int_equal(camera_set_number(camera, "ExposureTimeAbs", 1234), ERR_OK);
    assert_int_equal(camera_set_text(camera, "TriggerMode", "On"), ERR_OK);
    assert_int_equal(camera_get_text(camera, "TriggerMode", text), ERR_OK);
    assert_string_equal(text, "On");
    assert_int_equal(camera_set_text(camera, "TriggerMode", "Off"), ERR_OK);
    assert_int_equal(camera->ops->entry(camera, "TriggerMode", 0, entry), ERR_OK);
    assert_int_equal(camera->ops->entry(camera, "TriggerMode", 99, entry), ERR_NOT_FOUND);
}

static void what_is_not_there_or_of_another_kind_is_an_error(void **state)
{
    struct camera *camera = *state;
    char text[CAMERA_TEXT];
    size_t size = 0;
    assert_false(camera_has(camera, "InferenceEnable"));
    assert_int_equal(camera_get_text(camera, "InferenceEnable", text), ERR_FAILED);
    assert_int_equal(camera_set_text(camera, "TriggerMode", "Perhaps"), ERR_FAILED);
    assert_int_equal(camera_execute(camera, "Width"), ERR_FAILED);
    assert_int_equal(camera->ops->register_size(camera, "TriggerMode", &size), ERR_FAILED);
    assert_int_equal(camera->ops->find(camera, "No such thing", text), ERR_NOT_FOUND);
}

static void frames_come_whole_and_without_results(void **state)
{
    struct camera *camera = *state;
    struct camera_frame frame;
    bool is_whole = false; /* on a busy machine packets are lost */
    assert_int_equal(camera->ops->start(camera), ERR_OK);
    for (double last = clock_seconds() + DEADLINE; !is_whole && clock_seconds() < last;)
        is_whole = camera->ops->next_frame(camera, 0.5, &frame) == ERR_OK && frame.is_whole;
    assert_true(is_whole);
    assert_false(frame.has_results);
    assert_int_equal(camera->ops->stop(camera), ERR_OK);
    assert_int_equal(camera->ops->stop(camera), ERR_OK);
}

static void a_second_program_is_told_that_it_is_in_use(void **state)
{
    struct camera *second = NULL;
    (void)state;
    assert_int_equal(module->open(ADDRESS, &second), ERR_AGAIN);
    assert_null(second);
    assert_non_null(strstr(err_text(), "in use by another program"));
}

static void it_is_refused_as_no_firefly_and_nothing_changes(void **state)
{
    static const char *const nodes[] = {"Width", "Height", "TriggerMode", "TriggerSource",
                                        "PixelFormat"};
    struct camera *camera = *state;
    struct firefly firefly;
    struct camera_value before[5], after;
    for (int n = 0; n < 5; n++)
        assert_int_equal(camera_get(camera, nodes[n], &before[n]), ERR_OK);
    assert_int_equal(firefly_open(camera, ADDRESS, &firefly), ERR_CONFIG);
    assert_non_null(strstr(err_text(), "no Firefly DL"));
    for (int n = 0; n < 5; n++) {
        assert_int_equal(camera_get(camera, nodes[n], &after), ERR_OK);
        assert_true(camera_value_equal(&before[n], &after));
    }
}

static void an_address_without_a_camera_is_not_found(void **state)
{
    struct camera *camera = NULL;
    (void)state;
    assert_int_equal(module->open("127.0.0.250", &camera), ERR_NOT_FOUND);
    assert_null(camera);
}

static void a_camera_that_is_gone_is_an_error_of_its_own(void **state)
{
    struct camera *camera = *state;
    double width = 0;
    kill(fake, SIGKILL);
    waitpid(fake, NULL, 0);
    fake = 0;
    assert_int_equal(camera_get_number(camera, "Width", &width), ERR_PEER);
}

#define ON_FAKE(test) cmocka_unit_test_setup_teardown(test, open_fake, close_fake)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_serial_number_alone_names_a_camera),
        ON_FAKE(nodes_of_each_kind_are_read_and_written),
        ON_FAKE(what_is_not_there_or_of_another_kind_is_an_error),
        ON_FAKE(frames_come_whole_and_without_results),
        ON_FAKE(a_second_program_is_told_that_it_is_in_use),
        ON_FAKE(it_is_refused_as_no_firefly_and_nothing_changes),
        cmocka_unit_test(an_address_without_a_camera_is_not_found),
        ON_FAKE(a_camera_that_is_gone_is_an_error_of_its_own),
    };
    return cmocka_run_group_tests(tests, start, end);
}
