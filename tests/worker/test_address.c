/* Where a gang looks for its scheduler, by what the environment says. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "scheduler/protocol.h"
#include "tests/scratch.h"
#include "worker/address.h"

#define SOCKET "ipc:///tmp/somewhere/gang"

static int set_up(void **state)
{
    struct key_folder keys;
    if (scratch_make(state) != 0 || key_folder_serve(*state, &keys) != ERR_OK)
        return -1;
    unsetenv(PROTOCOL_ADDRESS);
    setenv(PROTOCOL_KEYS, *state, 1);
    setenv("SLURM_LAUNCH_NODE_IPADDR", "10.1.2.3", 1);
    return 0;
}

static void expect_found(const char *endpoint, bool has_keys)
{
    struct address address;
    if (address_find(SOCKET, &address) != ERR_OK)
        fail_msg("%s", err_text());
    assert_string_equal(address.endpoint, endpoint);
    assert_int_equal(address.curve != NULL, has_keys);
}

static void without_an_address_it_is_the_socket(void **state)
{
    (void)state;
    expect_found(SOCKET, false);
}

static void a_port_is_one_of_the_node_that_srun_was_called_on(void **state)
{
    (void)state;
    setenv(PROTOCOL_ADDRESS, "tcp://*:4711", 1);
    expect_found("tcp://10.1.2.3:4711", true);
    setenv("SLURM_LAUNCH_NODE_IPADDR", "fe80::1", 1);
    expect_found("tcp://[fe80::1]:4711", true);
}

static void a_named_host_is_taken_as_it_is(void **state)
{
    (void)state;
    setenv(PROTOCOL_ADDRESS, "tcp://login1:4711", 1);
    expect_found("tcp://login1:4711", true);
}

static void the_keys_are_the_gangs_and_the_runners_public_one(void **state)
{
    struct address address;
    struct key_folder served;
    setenv(PROTOCOL_ADDRESS, "tcp://*:4711", 1);
    assert_int_equal(key_folder_serve(*state, &served), ERR_OK);
    assert_int_equal(address_find(SOCKET, &address), ERR_OK);
    assert_string_equal(address.curve->public_key, served.allowed[0]);
    assert_string_equal(address.curve->secret_key, served.client.secret_key);
    assert_string_equal(address.curve->server_key, served.server.public_key);
    assert_string_equal(address.keys.server.secret_key, "");
}

static void what_is_missing_is_named(void **state)
{
    struct address address;
    (void)state;
    setenv(PROTOCOL_ADDRESS, "tcp://*:4711", 1);
    unsetenv("SLURM_LAUNCH_NODE_IPADDR");
    assert_int_equal(address_find(SOCKET, &address), ERR_USAGE);
    assert_non_null(strstr(err_text(), "SLURM_LAUNCH_NODE_IPADDR"));
    setenv(PROTOCOL_KEYS, "/nowhere/at/all", 1);
    setenv(PROTOCOL_ADDRESS, "tcp://login1:4711", 1);
    assert_int_equal(address_find(SOCKET, &address), ERR_NOT_FOUND);
    assert_non_null(strstr(err_text(), "has to be seen on this node"));
    unsetenv(PROTOCOL_KEYS);
    assert_int_equal(address_find(SOCKET, &address), ERR_USAGE);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, scratch_remove)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(without_an_address_it_is_the_socket),
        TEST(a_port_is_one_of_the_node_that_srun_was_called_on),
        TEST(a_named_host_is_taken_as_it_is),
        TEST(the_keys_are_the_gangs_and_the_runners_public_one),
        TEST(what_is_missing_is_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
