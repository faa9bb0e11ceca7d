/* The simulated camera's memory: what may be read and written, and that the description says the
 * same. */
#include "camera/sim/big_endian.h"
#include "camera/sim/chunk.h"
#include "camera/sim/description.h"
#include "camera/sim/registers.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

static struct registers registers;
static struct text description;

static int set_up(void **state)
{
    struct sim_identity identity = {.serial = "S1", .address = 0x7f000007};
    (void)state;
    text_init(&description);
    description_write(MODEL_MONO, &description);
    registers_init(&registers, &identity, text_get(&description));
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    text_fini(&description);
    return 0;
}

static enum gvcp_status write_u32(uint32_t address, uint32_t value, struct register_write *write)
{
    static uint8_t bytes[4];
    put_be32(bytes, value);
    return registers_find_write(&registers, address, bytes, 4, write);
}

static enum gvcp_status write_node(enum node_id id, uint32_t value)
{
    struct register_write write;
    enum gvcp_status status = write_u32(node_address(id), value, &write);
    if (status == GVCP_SUCCESS)
        assert_int_equal(write.node, id);
    return status;
}

static void a_discovery_holds_who_the_camera_is(void **state)
{
    (void)state;
    uint8_t told[BOOT_DISCOVERY_BYTES];
    assert_int_equal(registers_read(&registers, 0, sizeof told, told), GVCP_SUCCESS);
    assert_string_equal((char *)told + BOOT_MANUFACTURER, "FLIR");
    assert_string_equal((char *)told + BOOT_MODEL, "Firefly FFY-U3-16S2M-DL");
    assert_string_equal((char *)told + BOOT_SERIAL, "S1");
    assert_int_equal(get_be32(told + BOOT_IP_ADDRESS), 0x7f000007);
}

static void what_is_read_lies_within_one_region(void **state)
{
    (void)state;
    uint8_t out[GVCP_DATA_MOST];
    static const struct {
        uint32_t address, size;
        enum gvcp_status status;
    } reads[] = {{0, 4, GVCP_SUCCESS},
                 {BOOT_BYTES - 4, 4, GVCP_SUCCESS},
                 {BOOT_BYTES - 4, 8, GVCP_INVALID_ADDRESS},
                 {BOOT_BYTES, 4, GVCP_INVALID_ADDRESS},
                 {NODE_BASE - 4, 8, GVCP_INVALID_ADDRESS},
                 {NODE_BASE + NODE_COUNT * NODE_STRIDE - 4, 4, GVCP_SUCCESS},
                 {NODE_BASE + NODE_COUNT * NODE_STRIDE - 4, 8, GVCP_INVALID_ADDRESS},
                 {NODE_BUFFER + NODE_BUFFER_BYTES - 512, 512, GVCP_SUCCESS},
                 {NODE_BUFFER + NODE_BUFFER_BYTES - 508, 512, GVCP_INVALID_ADDRESS},
                 {DESCRIPTION_BASE, 512, GVCP_SUCCESS},
                 {0xfffffffc, 4, GVCP_INVALID_ADDRESS},
                 {0xfffffffc, 512, GVCP_INVALID_ADDRESS},
                 {2, 4, GVCP_BAD_ALIGNMENT},
                 {0, 6, GVCP_BAD_ALIGNMENT},
                 {0, 0, GVCP_INVALID_PARAMETER},
                 {0, GVCP_DATA_MOST + 4, GVCP_INVALID_PARAMETER}};
    for (size_t i = 0; i < sizeof reads / sizeof reads[0]; i++)
        assert_int_equal(registers_read(&registers, reads[i].address, reads[i].size, out),
                         reads[i].status);
}

static void the_description_can_be_read_to_its_last_byte(void **state)
{
    (void)state;
    uint8_t out[4];
    uint32_t last = (uint32_t)(description.size - 1) & ~3u;
    assert_int_equal(registers_read(&registers, DESCRIPTION_BASE + last, 4, out), GVCP_SUCCESS);
    assert_int_equal(out[(description.size - 1) % 4], '\n');
    assert_int_equal(registers_read(&registers, DESCRIPTION_BASE + last + 4, 4, out),
                     GVCP_INVALID_ADDRESS);
}

static void a_node_takes_values_of_its_range_only(void **state)
{
    (void)state;
    assert_int_equal(write_node(NODE_WIDTH, 640), GVCP_SUCCESS);
    assert_int_equal(write_node(NODE_WIDTH, 641), GVCP_INVALID_PARAMETER);
    assert_int_equal(write_node(NODE_WIDTH, 6), GVCP_INVALID_PARAMETER);
    assert_int_equal(write_node(NODE_WIDTH, 1442), GVCP_INVALID_PARAMETER);
    assert_int_equal(write_node(NODE_GAMMA_ENABLE, 2), GVCP_INVALID_PARAMETER);
    assert_int_equal(write_node(NODE_TRIGGER_SOURCE, TRIGGER_INFERENCE_READY), GVCP_SUCCESS);
    assert_int_equal(write_node(NODE_TRIGGER_SOURCE, 3), GVCP_INVALID_PARAMETER);
    assert_int_equal(write_node(NODE_CHUNK_SELECTOR, CHUNK_COUNT - 1), GVCP_SUCCESS);
    assert_int_equal(write_node(NODE_CHUNK_SELECTOR, CHUNK_COUNT), GVCP_INVALID_PARAMETER);
    assert_int_equal(write_node(NODE_GAIN, 0x42400000), GVCP_SUCCESS);           /* 48 */
    assert_int_equal(write_node(NODE_GAIN, 0x42400001), GVCP_INVALID_PARAMETER); /* a bit more */
    assert_int_equal(write_node(NODE_GAIN, 0x7fc00000), GVCP_INVALID_PARAMETER); /* NaN */
}

static void what_only_can_be_read_is_protected(void **state)
{
    (void)state;
    struct register_write write;
    assert_int_equal(write_node(NODE_FILE_SIZE, 1), GVCP_WRITE_PROTECT);
    assert_int_equal(write_u32(BOOT_VERSION, 1, &write), GVCP_WRITE_PROTECT);
    assert_int_equal(write_u32(DESCRIPTION_BASE, 1, &write), GVCP_INVALID_ADDRESS);
    assert_int_equal(write_u32(node_address(NODE_WIDTH) + 4, 640, &write), GVCP_INVALID_ADDRESS);
    assert_int_equal(write_u32(BOOT_HEARTBEAT_MS, 1000, &write), GVCP_SUCCESS);
}

static void a_text_must_end_within_its_register(void **state)
{
    (void)state;
    struct register_write write;
    uint8_t text[NODE_STRIDE] = "mine";
    uint32_t address = node_address(NODE_DEVICE_USER_ID);
    assert_int_equal(registers_find_write(&registers, address, text, sizeof text, &write),
                     GVCP_SUCCESS);
    memset(text, 'x', sizeof text);
    assert_int_equal(registers_find_write(&registers, address, text, sizeof text, &write),
                     GVCP_INVALID_PARAMETER);
}

static void every_entry_of_the_chunk_selector_is_a_chunk(void **state)
{
    (void)state;
    char expected[32];
    const char *at = chunk_entries;
    for (int i = 0; i < CHUNK_COUNT; i++) {
        snprintf(expected, sizeof expected, "%s=%d", chunks[i].name, i);
        assert_memory_equal(at, expected, strlen(expected));
        at += strlen(expected);
        at += *at == ' ';
    }
    assert_int_equal(*at, '\0');
}

/* "node=value" of both models' lists. */
static void the_formats_are_named_by_their_numbers(void **state)
{
    (void)state;
    static const uint32_t mono[] = {PFNC_MONO8, PFNC_MONO16};
    static const uint32_t colour[] = {PFNC_BAYER_RG8, PFNC_BAYER_RG16, PFNC_RGB8, PFNC_BGR8};
    for (int i = 0; i < 2; i++)
        assert_true(node_has_entry(node_entries(NODE_PIXEL_FORMAT, MODEL_MONO), mono[i]));
    for (int i = 0; i < 4; i++)
        assert_true(node_has_entry(node_entries(NODE_PIXEL_FORMAT, MODEL_COLOUR), colour[i]));
    assert_false(node_has_entry(node_entries(NODE_PIXEL_FORMAT, MODEL_MONO), PFNC_BGR8));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_discovery_holds_who_the_camera_is),
        cmocka_unit_test(what_is_read_lies_within_one_region),
        cmocka_unit_test(the_description_can_be_read_to_its_last_byte),
        cmocka_unit_test(a_node_takes_values_of_its_range_only),
        cmocka_unit_test(what_only_can_be_read_is_protected),
        cmocka_unit_test(a_text_must_end_within_its_register),
        cmocka_unit_test(every_entry_of_the_chunk_selector_is_a_chunk),
        cmocka_unit_test(the_formats_are_named_by_their_numbers),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
