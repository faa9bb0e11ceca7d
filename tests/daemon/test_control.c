/* The daemon's socket: requests are answered, and bytes from elsewhere change nothing. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/secret.h"
#include "base/wire/key_file.h"
#include "cluster/daemon/allow_list.h"
#include "cluster/daemon/control_client.h"
#include "cluster/daemon/control_server.h"
#include "cluster/daemon/daemon_folder.h"
#include "tests/scratch.h"
#include "tests/wire/raw_peer.h"
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/stat.h>
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

struct asker { /* a client on a thread of its own */
    struct control_client_cfg cfg;
    enum err (*ask)(struct control_client *client);
    enum err err;
    atomic_bool is_done;
};

/* Not a forked process: ZeroMQ's threads are in the server's, and a sanitizer's allocator does not
 * survive their being forked away from under its locks. */
static void *ask_once(void *own)
{
    struct asker *asker = own;
    struct control_client *client = NULL;
    asker->err = control_client_open(&asker->cfg, &client);
    if (asker->err == ERR_OK) {
        asker->err = asker->ask(client);
        control_client_close(&client);
    }
    atomic_store(&asker->is_done, true);
    return NULL;
}

/* What the client comes to while the server takes its turns. */
static enum err ask_beside(struct stand *stand, enum err (*ask)(struct control_client *client))
{
    pthread_t thread;
    struct asker asker = {.cfg = {.folder = stand->folder}, .ask = ask};
    assert_int_equal(pthread_create(&thread, NULL, ask_once, &asker), 0);
    while (!atomic_load(&asker.is_done))
        control_server_turn(stand->server, 10);
    pthread_join(thread, NULL);
    return asker.err;
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

struct crowd { /* who asks without an end */
    const struct stand *stand;
    atomic_bool is_over;
};

static void *ask_endlessly(void *own)
{
    struct crowd *crowd = own;
    struct wire *wire = NULL;
    struct wire_cfg cfg = {.role = WIRE_CLIENT,
                           .endpoint = crowd->stand->endpoint,
                           .format = CONTROL_FORMAT,
                           .max_payload_bytes = CONTROL_MAX_BYTES,
                           .wake_fd = -1};
    Gwd__Request request = GWD__REQUEST__INIT;
    Gwd__List list = GWD__LIST__INIT;
    uint8_t packed[64];
    request.body_case = GWD__REQUEST__BODY_LIST;
    request.list = &list;
    size_t size = gwd__request__pack(&request, packed);
    if (wire_open(&cfg, &wire) != ERR_OK)
        return NULL;
    for (enum err err = ERR_OK;
         !atomic_load(&crowd->is_over) && (err == ERR_OK || err == ERR_AGAIN);)
        err = wire_send(wire, NULL, packed, size);
    wire_close(&wire);
    return NULL;
}

static void a_turn_ends_however_many_ask(void **state)
{
    struct stand *stand = *state;
    pthread_t thread;
    struct crowd crowd = {.stand = stand};
    assert_int_equal(pthread_create(&thread, NULL, ask_endlessly, &crowd), 0);
    for (double end_s = clock_seconds() + WAIT_S; stand->asked < 1000 && clock_seconds() < end_s;)
        control_server_turn(stand->server, 50); /* each of them comes back */
    atomic_store(&crowd.is_over, true);
    pthread_join(thread, NULL);
    assert_true(stand->asked >= 1000);
}

static void write_text(const char *folder, const char *name, const char *text)
{
    char *path = file_join(folder, name);
    assert_int_equal(secret_write(path, text), ERR_OK);
    mem_free(path);
}

/* A person of the name, who knows the server. */
static struct key_pair make_person(struct stand *stand, const char *name, const char *address,
                                   const char *server_key)
{
    char folder[DAEMON_PATH + 32];
    struct key_pair pair;
    snprintf(folder, sizeof folder, "%s/%s", stand->folder, name);
    assert_int_equal(file_make_private(folder), ERR_OK);
    char *key = file_join(folder, DAEMON_KEY);
    assert_int_equal(key_file_make(key, &pair), ERR_OK);
    write_text(folder, DAEMON_ADDRESS, address);
    write_text(folder, DAEMON_SERVER_KEY ".pub", server_key);
    mem_free(key);
    return pair;
}

static void open_for(struct stand *stand, const struct key_pair *server, const char *allowed)
{
    const struct wire_curve curve = {.public_key = server->public_key,
                                     .secret_key = server->secret_key,
                                     .allowed = &allowed,
                                     .allowed_count = 1};
    struct control_server_cfg cfg = {
        .endpoint = "tcp://127.0.0.1:*", .curve = &curve, .answer = answer, .own = stand};
    control_server_close(&stand->server);
    assert_int_equal(control_server_open(&cfg, &stand->server), ERR_OK);
}

static void a_key_of_the_list_is_let_in_and_no_other(void **state)
{
    struct stand *stand = *state;
    struct key_pair server, friend;
    char key[WIRE_KEY_BYTES], folder[DAEMON_PATH];
    assert_int_equal(wire_make_keys(server.public_key, server.secret_key), ERR_OK);
    snprintf(folder, sizeof folder, "%s", stand->folder);
    friend = make_person(stand, "friend", "tcp://127.0.0.1:1", server.public_key);
    memcpy(key, friend.public_key, sizeof key);
    open_for(stand, &server, key);
    const char *address = control_server_endpoint(stand->server);
    make_person(stand, "stranger", address, server.public_key);
    snprintf(stand->folder, sizeof stand->folder, "%.900s/friend", folder);
    write_text(stand->folder, DAEMON_ADDRESS, address);
    pthread_t thread;
    char *theirs = file_join(folder, "stranger");
    struct asker stranger = {.cfg = {.folder = theirs, .answer_s = 2}, .ask = ask_change};
    assert_int_equal(pthread_create(&thread, NULL, ask_once, &stranger), 0);
    assert_int_equal(ask_beside(stand, ask_change), ERR_OK);
    assert_int_equal(ask_beside(stand, ask_change), ERR_OK);
    while (!atomic_load(&stranger.is_done))
        control_server_turn(stand->server, 10);
    pthread_join(thread, NULL);
    mem_free(theirs);
    assert_int_equal(stranger.err, ERR_PEER);
    assert_int_equal(stand->asked, 2 * 49);
    snprintf(stand->folder, sizeof stand->folder, "%s", folder);
}

static void expect_list(struct stand *stand, const char *text, enum err expected, int count)
{
    struct allow_list *allowed = mem_alloc(sizeof *allowed);
    char *path = file_join(stand->folder, "allow");
    assert_int_equal(file_write(path, text, strlen(text)), ERR_OK);
    assert_int_equal(chmod(path, 0644), 0);
    enum err err = allow_list_read(path, allowed);
    if (err != expected || (err == ERR_OK && allowed->count != count))
        fail_msg("\"%s\": %s with %d keys (%s)", text, err_name(err), allowed->count, err_text());
    assert_int_equal(chmod(path, 0666), 0);
    assert_int_equal(allow_list_read(path, allowed), ERR_CONFIG); /* whatever it holds */
    mem_free(path);
    mem_free(allowed);
}

static void a_list_is_keys_and_names(void **state)
{
#define KEY "Yne@$w-vo<fVvi]a<NY6T1ed:M$fCG*[IaLV{hID"
    struct stand *stand = *state;
    expect_list(stand, KEY, ERR_OK, 1);
    expect_list(stand, KEY " anna@login2\n\n" KEY "\n", ERR_OK, 2);
    expect_list(stand, "", ERR_CONFIG, 0);
    expect_list(stand, "\n \n", ERR_CONFIG, 0);
    expect_list(stand, KEY "x\n", ERR_CONFIG, 0);
    expect_list(stand, "anna\n", ERR_CONFIG, 0);
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
        TEST(a_key_of_the_list_is_let_in_and_no_other),
        TEST(a_list_is_keys_and_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
