/* The simulated camera's files, and the container of Caffe's two. */
#include "base/mem.h"
#include "camera/network_file.h"
#include "camera/sim/file_access.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static const uint8_t content[] = "0123456789";

static void put(struct file_access *access, enum file_id id, bool to_flash)
{
    assert_int_equal(file_open(access, id, FILE_MODE_WRITE), FILE_SUCCESS);
    access->to_flash = to_flash;
    assert_int_equal(file_write_at(access, id, 0, content, 10), FILE_SUCCESS);
    assert_int_equal(file_close(access, id), FILE_SUCCESS);
}

static void what_was_written_in_pieces_is_read_back(void **state)
{
    (void)state;
    struct file_access access = {0};
    uint8_t found[32];
    size_t size;
    assert_int_equal(file_open(&access, FILE_NETWORK, FILE_MODE_WRITE), FILE_SUCCESS);
    assert_int_equal(file_write_at(&access, FILE_NETWORK, 0, content, 4), FILE_SUCCESS);
    assert_int_equal(file_write_at(&access, FILE_NETWORK, 4, content + 4, 6), FILE_SUCCESS);
    assert_int_equal(file_write_at(&access, FILE_NETWORK, 11, content, 1), FILE_FAILURE);
    assert_int_equal(file_read_at(&access, FILE_NETWORK, 0, found, 1, &size), FILE_FAILURE);
    assert_int_equal(file_close(&access, FILE_NETWORK), FILE_SUCCESS);
    assert_int_equal(file_open(&access, FILE_NETWORK, FILE_MODE_READ), FILE_SUCCESS);
    assert_int_equal(file_write_at(&access, FILE_NETWORK, 0, content, 1), FILE_FAILURE);
    assert_int_equal(file_read_at(&access, FILE_NETWORK, 3, found, sizeof found, &size),
                     FILE_SUCCESS);
    assert_int_equal(size, 7);
    assert_memory_equal(found, content + 3, 7);
    assert_int_equal(file_read_at(&access, FILE_NETWORK, 11, found, 1, &size), FILE_FAILURE);
    file_access_fini(&access);
}

static void one_file_is_open_at_a_time(void **state)
{
    (void)state;
    struct file_access access = {0};
    assert_int_equal(file_close(&access, FILE_NETWORK), FILE_FAILURE);
    assert_int_equal(file_open(&access, FILE_NETWORK, FILE_MODE_WRITE), FILE_SUCCESS);
    assert_int_equal(file_open(&access, FILE_NETWORK, FILE_MODE_WRITE), FILE_FAILURE);
    assert_int_equal(file_open(&access, FILE_INJECTED, FILE_MODE_WRITE), FILE_FAILURE);
    assert_int_equal(file_write_at(&access, FILE_INJECTED, 0, content, 1), FILE_FAILURE);
    assert_int_equal(file_close(&access, FILE_INJECTED), FILE_FAILURE);
    assert_int_equal(file_delete(&access, FILE_NETWORK), FILE_FAILURE);
    assert_int_equal(file_close(&access, FILE_NETWORK), FILE_SUCCESS);
    file_access_fini(&access);
}

static void an_old_file_is_deleted_before_a_new_one_is_written(void **state)
{
    (void)state;
    struct file_access access = {0};
    assert_int_equal(file_delete(&access, FILE_NETWORK), FILE_FAILURE);
    assert_int_equal(file_open(&access, FILE_NETWORK, FILE_MODE_READ), FILE_FAILURE);
    put(&access, FILE_NETWORK, false);
    assert_int_equal(file_open(&access, FILE_NETWORK, FILE_MODE_WRITE), FILE_FAILURE);
    assert_int_equal(file_delete(&access, FILE_NETWORK), FILE_SUCCESS);
    put(&access, FILE_NETWORK, false);
    file_access_fini(&access);
}

static void flash_keeps_what_ddr_loses(void **state)
{
    (void)state;
    struct file_access access = {0};
    put(&access, FILE_NETWORK, true);
    put(&access, FILE_INJECTED, false);
    assert_int_equal(file_open(&access, FILE_USER, FILE_MODE_WRITE), FILE_SUCCESS);
    file_lose_ddr(&access);
    assert_false(access.is_open);
    assert_int_equal(access.files[FILE_NETWORK].size, 10);
    assert_int_equal(access.files[FILE_INJECTED].size, 0);
    file_access_fini(&access);
}

static void the_files_in_flash_share_its_room(void **state)
{
    (void)state;
    struct file_access access = {0};
    size_t half = FLASH_BYTES / 2 + 1;
    uint8_t *bytes = mem_alloc(half);
    file_preload(&access, FILE_USER, bytes, half);
    assert_int_equal(file_open(&access, FILE_NETWORK, FILE_MODE_WRITE), FILE_SUCCESS);
    access.to_flash = true;
    assert_int_equal(file_write_at(&access, FILE_NETWORK, 0, bytes, half), FILE_OVERFLOW);
    assert_int_equal(access.files[FILE_NETWORK].size, 0);
    access.to_flash = false;
    assert_int_equal(file_write_at(&access, FILE_NETWORK, 0, bytes, half), FILE_SUCCESS);
    assert_int_equal(file_write_at(&access, FILE_NETWORK, half, bytes, half), FILE_OVERFLOW);
    mem_free(bytes);
    file_access_fini(&access);
}

static void caffes_files_come_out_as_they_went_in(void **state)
{
    (void)state;
    struct caffe_files in = {content, content + 4, 4, 6}, out;
    uint8_t *bytes;
    size_t size;
    assert_int_equal(network_file_join(&in, &bytes, &size), ERR_OK);
    assert_int_equal(size, NETWORK_FILE_HEAD + 10);
    assert_int_equal(network_file_split(bytes, size, &out), ERR_OK);
    assert_int_equal(out.prototxt_bytes, 4);
    assert_int_equal(out.model_bytes, 6);
    assert_memory_equal(out.prototxt, "0123", 4);
    assert_memory_equal(out.model, "456789", 6);
    for (size_t cut = 0; cut < size; cut++)
        assert_int_equal(network_file_split(bytes, cut, &out), ERR_DATA);
    memset(bytes + 8, 0xff, 8); /* lengths whose sum wraps around */
    assert_int_equal(network_file_split(bytes, size, &out), ERR_DATA);
    mem_free(bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_written_in_pieces_is_read_back),
        cmocka_unit_test(one_file_is_open_at_a_time),
        cmocka_unit_test(an_old_file_is_deleted_before_a_new_one_is_written),
        cmocka_unit_test(flash_keeps_what_ddr_loses),
        cmocka_unit_test(the_files_in_flash_share_its_room),
        cmocka_unit_test(caffes_files_come_out_as_they_went_in),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
