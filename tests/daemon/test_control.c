/* The daemon's socket: requests are answered, and bytes from elsewhere change nothing. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"
#include "cluster/daemon/control_client.h"
#include "cluster/daemon/control_server.h"
#include "cluster/daemon/daemon_folder.h"
#include "tests/scratch.h"
#include "tests/wire/raw_peer.h"
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#define WAIT_S 60.0

struct stand {
    char folder[DAEMON_PATH], endpoint[DAEMON_PATH + 16];
    struct control_server *server;
    int asked; /* requests that were heard */
};

static void answer(void *own, const Gwd__Request *request, Gwd__Reply *reply, struct arena *arena)
{
    struct stand *stand = own;
    stand->asked++;
    reply->id = 100 + (request->body_case == GWD__REQUEST__BODY_CHANGE ? request->change->id : 0);
    if (request->body_case == GWD__REQUEST__BODY_SUBMIT)
        control_refuse(err_set(ERR_CONFIG, "not here"), reply, arena);
}

static int set_up(void **state)
{
    struct stand *stand = mem_alloc(sizeof *stand);
    void *folder = NULL;
    if (scratch_make(&folder) != 0)
        return -1;
    snprintf(stand->folder, sizeof stand->folder, "%s", (char *)folder);
    mem_free(folder);
    daemon_folder_endpoint(stand->folder, stand->endpoint);
    struct control_server_cfg cfg = {.endpoint = stand->endpoint, .answer = answer, .own = stand};
    *state = stand;
    return control_server_open(&cfg, &stand->server) == ERR_OK ? 0 : -1;
}

static int tear_down(void **state)
{
    struct stand *stand = *state;
    control_server_close(&stand->server);
    enum err err = file_remove_folder(stand->folder);
    mem_free(stand);
    return err == ERR_OK ? 0 : -1;
}

/* A client in a process of its own: its exit code. */
static int ask_beside(struct stand *stand, enum err (*ask)(struct control_client *client))
{
    int status = 0;
    pid_t child = fork();
    if (child == 0) {
        struct control_client_cfg cfg = {.folder = stand->folder};
        struct control_client *client = NULL;
        enum err err = control_client_open(&cfg, &client);
        _exit((int)(err == ERR_OK ? ask(client) : err));
    }
    while (waitpid(child, &status, WNOHANG) == 0)
        control_server_turn(stand->server, 10);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static enum err ask_change(struct control_client *client)
{
    Gwd__Request request = GWD__REQUEST__INIT;
    Gwd__Change change = GWD__CHANGE__INIT;
    Gwd__Reply *reply = NULL;
    request.body_case = GWD__REQUEST__BODY_CHANGE;
    request.change = &change;
    for (change.id = 1; change.id < 50; change.id++) {
        enum err err = control_client_ask(client, &request, &reply);
        if (err != ERR_OK || reply->id != 100 + change.id)
            return err != ERR_OK ? err : ERR_DATA;
        gwd__reply__free_unpacked(reply, NULL);
    }
    return ERR_OK;
}

static enum err ask_submit(struct control_client *client)
{
    Gwd__Request request = GWD__REQUEST__INIT;
    Gwd__Submit submit = GWD__SUBMIT__INIT;
    Gwd__Reply *reply = NULL;
    request.body_case = GWD__REQUEST__BODY_SUBMIT;
    request.submit = &submit;
    enum err err = control_client_ask(client, &request, &reply);
    return err == ERR_CONFIG && strcmp(err_text(), "not here") == 0 ? ERR_OK : ERR_DATA;
}

static void requests_are_answered_one_by_one(void **state)
{
    struct stand *stand = *state;
    assert_int_equal(ask_beside(stand, ask_change), ERR_OK);
    assert_int_equal(stand->asked, 49);
}

static void a_refusal_comes_in_the_daemons_words(void **state)
{
    assert_int_equal(ask_beside(*state, ask_submit), ERR_OK);
}

static void nobody_there_is_an_error_with_a_cure(void **state)
{
    struct stand *stand = *state;
    struct control_client *client = NULL;
    struct control_client_cfg cfg = {.folder = stand->folder};
    control_server_close(&stand->server);
    assert_int_equal(control_client_open(&cfg, &client), ERR_UNAVAILABLE);
    assert_non_null(strstr(err_text(), "glowworm-scheduler --folder"));
    char path[DAEMON_PATH + 16]; /* the socket of one that was killed */
    snprintf(path, sizeof path, "%s/socket", stand->folder);
    assert_int_equal(file_write(path, "", 0), ERR_OK);
    assert_int_equal(control_client_open(&cfg, &client), ERR_UNAVAILABLE);
}

/* From a wire of the right format. */
static void send_bytes(struct stand *stand, const void *bytes, size_t size)
{
    struct wire *wire = NULL;
    struct wire_cfg cfg = {.role = WIRE_CLIENT,
                           .endpoint = stand->endpoint,
                           .format = CONTROL_FORMAT,
                           .max_payload_bytes = 4 * CONTROL_MAX_BYTES,
                           .linger_ms = 1000,
                           .wake_fd = -1};
    assert_int_equal(wire_open(&cfg, &wire), ERR_OK);
    assert_int_equal(wire_send(wire, NULL, bytes, size), ERR_OK);
    for (int i = 0; i < 20; i++)
        control_server_turn(stand->server, 5);
    wire_close(&wire);
}

static void bytes_that_are_no_request_change_nothing(void **state)
{
    struct stand *stand = *state;
    static uint8_t bytes[2 * CONTROL_MAX_BYTES];
    send_bytes(stand, "", 0);
    send_bytes(stand, "\x08\x01", 2);         /* a number, and nothing asked */
    send_bytes(stand, "\x12\xff\xff\xff", 4); /* longer than it is */
    memset(bytes, 0x12, sizeof bytes);
    send_bytes(stand, bytes, CONTROL_MAX_BYTES);
    send_bytes(stand, bytes, sizeof bytes); /* larger than any */
    assert_int_equal(stand->asked, 0);
    assert_int_equal(ask_beside(stand, ask_change), ERR_OK);
}

static void a_peer_that_misbehaves_keeps_nobody_from_asking(void **state)
{
    struct stand *stand = *state;
    char path[DAEMON_PATH + 16];
    snprintf(path, sizeof path, "%s/socket", stand->folder);
    int silent = raw_connect(path), loud = raw_connect(path);
    assert_true(silent >= 0 && loud >= 0);
    pid_t child = fork(); /* greets, and sends frames without an end */
    if (child == 0) {
        char frame[64] = "";
        for (bool goes_on = raw_shake_hands(loud); goes_on;)
            goes_on = raw_send_frame(loud, RAW_LAST, sizeof frame, frame, sizeof frame);
        _exit(0);
    }
    assert_int_equal(ask_beside(stand, ask_change), ERR_OK);
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
    assert_int_equal(stand->asked, 49);
    close(silent);
    close(loud);
}

static void a_turn_ends_however_many_ask(void **state)
{
    struct stand *stand = *state;
    struct wire *wire = NULL;
    struct wire_cfg cfg = {.role = WIRE_CLIENT,
                           .endpoint = stand->endpoint,
                           .format = CONTROL_FORMAT,
                           .max_payload_bytes = CONTROL_MAX_BYTES,
                           .wake_fd = -1};
    assert_int_equal(wire_open(&cfg, &wire), ERR_OK);
    pid_t child = fork(); /* a wire is not used across fork: the child makes its own */
    if (child == 0) {
        struct wire *endless = NULL;
        Gwd__Request request = GWD__REQUEST__INIT;
        Gwd__List list = GWD__LIST__INIT;
        uint8_t packed[64];
        request.body_case = GWD__REQUEST__BODY_LIST;
        request.list = &list;
        size_t size = gwd__request__pack(&request, packed);
        if (wire_open(&cfg, &endless) == ERR_OK)
            for (enum err err = ERR_OK; err == ERR_OK || err == ERR_AGAIN;)
                err = wire_send(endless, NULL, packed, size);
        _exit(0);
    }
    for (double end_s = clock_seconds() + WAIT_S; stand->asked < 1000 && clock_seconds() < end_s;)
        control_server_turn(stand->server, 50); /* each of them comes back */
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
    assert_true(stand->asked >= 1000);
    wire_close(&wire);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(requests_are_answered_one_by_one),
        TEST(a_refusal_comes_in_the_daemons_words),
        TEST(nobody_there_is_an_error_with_a_cure),
        TEST(bytes_that_are_no_request_change_nothing),
        TEST(a_peer_that_misbehaves_keeps_nobody_from_asking),
        TEST(a_turn_ends_however_many_ask),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
