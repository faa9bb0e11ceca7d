/* A file into a camera and out of it again, in the maker's order, and each way in which that may
 * fail. */
#include "base/mem.h"
#include "camera/file_access.h"
#include "tests/camera/memory_camera.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

enum { SIZE = 5 * MEMORY_BLOCK + 7 }; /* no whole block, no whole word */

struct rig {
    struct memory_camera memory;
    struct camera_file file;
    uint8_t bytes[SIZE];
};

static int open_rig(void **state)
{
    static struct rig rig;
    memset(&rig, 0, sizeof rig);
    memory_camera_open(&rig.memory, "Firefly FFY-U3-16S2M-DL");
    rig.file = (struct camera_file){.camera = &rig.memory.camera, .name = CAMERA_FILE_NETWORK};
    for (int i = 0; i < SIZE; i++)
        rig.bytes[i] = (uint8_t)(i * 7);
    *state = &rig;
    return 0;
}

static int close_rig(void **state)
{
    memory_camera_close(&((struct rig *)*state)->memory);
    return 0;
}

static enum err put(struct rig *rig, enum camera_memory memory)
{
    return camera_file_write(&rig->file, memory, rig->bytes, SIZE);
}

static void assert_is_there(const struct rig *rig)
{
    assert_int_equal(rig->memory.files[0].size, SIZE);
    assert_memory_equal(rig->memory.files[0].bytes, rig->bytes, SIZE);
    assert_null(rig->memory.open);
}

static void a_file_arrives_whole_in_the_memory_that_was_asked_for(void **state)
{
    struct rig *rig = *state;
    assert_int_equal(put(rig, CAMERA_MEMORY_DDR), ERR_OK);
    assert_is_there(rig);
    assert_false(rig->memory.files[0].is_flash);
    assert_int_equal(put(rig, CAMERA_MEMORY_FLASH), ERR_OK); /* the old one is deleted first */
    assert_is_there(rig);
    assert_true(rig->memory.files[0].is_flash);
}

static void what_was_written_is_read_back_with_its_memory(void **state)
{
    struct rig *rig = *state;
    char *bytes = NULL;
    size_t size = 0;
    enum camera_memory memory = CAMERA_MEMORY_ANY;
    assert_int_equal(put(rig, CAMERA_MEMORY_FLASH), ERR_OK);
    assert_int_equal(camera_file_read(&rig->file, SIZE, &bytes, &size, &memory), ERR_OK);
    assert_int_equal(size, SIZE);
    assert_memory_equal(bytes, rig->bytes, SIZE);
    assert_int_equal(memory, CAMERA_MEMORY_FLASH);
    mem_free(bytes);
    assert_int_equal(camera_file_read(&rig->file, SIZE - 1, &bytes, &size, &memory), ERR_FAILED);
}

static void a_file_that_was_left_open_is_closed_first(void **state)
{
    struct rig *rig = *state;
    for (int f = 0; f < 2; f++) { /* whichever it is, with an old one in the way or without */
        rig->memory.open = &rig->memory.files[f];
        assert_int_equal(put(rig, CAMERA_MEMORY_DDR), ERR_OK);
        assert_is_there(rig);
    }
    rig->memory.open = &rig->memory.files[1];
    assert_int_equal(camera_file_delete(&rig->file), ERR_OK);
    assert_null(rig->memory.open);
}

static void an_open_that_fails_again_says_so_and_leaves_nothing(void **state)
{
    struct rig *rig = *state;
    rig->memory.fault.opens_refused = 2;
    assert_int_equal(put(rig, CAMERA_MEMORY_DDR), ERR_FAILED);
    assert_non_null(strstr(err_text(), "turn the camera off and on"));
    assert_int_equal(rig->memory.files[0].size, 0);
}

static void a_camera_that_takes_fewer_bytes_gets_the_rest_later(void **state)
{
    struct rig *rig = *state;
    rig->memory.fault.moves_most = 24;
    assert_int_equal(put(rig, CAMERA_MEMORY_DDR), ERR_OK);
    assert_is_there(rig);
}

static void a_block_that_is_refused_leaves_no_half_of_a_file(void **state)
{
    struct rig *rig = *state;
    rig->memory.fault.refused = "Write";
    rig->memory.fault.refused_from = 2 * MEMORY_BLOCK;
    assert_int_equal(put(rig, CAMERA_MEMORY_FLASH), ERR_FAILED);
    assert_non_null(strstr(err_text(), "at byte 128 of 327"));
    assert_int_equal(rig->memory.files[0].size, 0);
    assert_null(rig->memory.open);
}

static volatile sig_atomic_t stop;

static void ask_to_stop(size_t done, size_t all, void *own)
{
    (void)own;
    stop = done > all / 2;
}

static void a_stop_ends_the_upload_and_leaves_nothing(void **state)
{
    struct rig *rig = *state;
    stop = 0;
    rig->file.stop = &stop;
    rig->file.progress = ask_to_stop;
    assert_int_equal(put(rig, CAMERA_MEMORY_DDR), ERR_INTERRUPTED);
    assert_int_equal(rig->memory.files[0].size, 0);
    assert_null(rig->memory.open);
}

static void a_camera_that_goes_away_at_any_moment_is_an_error_of_its_own(void **state)
{
    struct rig *rig = *state;
    assert_int_equal(put(rig, CAMERA_MEMORY_DDR), ERR_OK);
    int changes = rig->memory.changes;
    for (int k = 1; k < changes; k++) {
        memory_camera_close(&rig->memory);
        memory_camera_open(&rig->memory, "Firefly FFY-U3-16S2M-DL");
        rig->memory.fault.away_after = k;
        assert_int_equal(put(rig, CAMERA_MEMORY_DDR), ERR_PEER);
    }
}

#define ON_RIG(test) cmocka_unit_test_setup_teardown(test, open_rig, close_rig)

int main(void)
{
    const struct CMUnitTest tests[] = {
        ON_RIG(a_file_arrives_whole_in_the_memory_that_was_asked_for),
        ON_RIG(what_was_written_is_read_back_with_its_memory),
        ON_RIG(a_file_that_was_left_open_is_closed_first),
        ON_RIG(an_open_that_fails_again_says_so_and_leaves_nothing),
        ON_RIG(a_camera_that_takes_fewer_bytes_gets_the_rest_later),
        ON_RIG(a_block_that_is_refused_leaves_no_half_of_a_file),
        ON_RIG(a_stop_ends_the_upload_and_leaves_nothing),
        ON_RIG(a_camera_that_goes_away_at_any_moment_is_an_error_of_its_own),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
