/* A run whose gangs come over the network, and others that come to its port too: with a key of
 * their own, with none, with noise, with what never ends; and one that has the keys and misuses
 * them. The run goes on, its runner grows by less than 10 MB and says so once a second at most. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/wire/key_folder.h"
#include "base/wire/wire.h"
#include "scheduler/protocol.h"
#include "scheduler/rendezvous.h"
#include "tests/scheduler/stage_set.h"
#include "tests/wire/raw_peer.h"
#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define PATIENCE_S    60.0
#define MOST_GROWTH_K (10 * 1024)
#define MIB           (1 << 20)

#ifdef __SANITIZE_ADDRESS__ /* which keeps what was freed */
enum { FREED_IS_KEPT = 1 };
#else
enum { FREED_IS_KEPT = 0 };
#endif

struct scene {
    struct stage_set *set;
    pid_t runner;
    int port;
    double started_s;
    struct key_folder keys;
};

static void nap(void)
{
    nanosleep(&(struct timespec){.tv_nsec = 5000000}, NULL);
}

static int find_port(const struct stage_set *set)
{
    struct rendezvous at = {.port = 0};
    return rendezvous_read(set->folder, &set->campaign, &at) == ERR_OK ? at.port : 0;
}

static struct stage_set *stopped; /* the runner's own */

static void stop(int number)
{
    (void)number;
    stopped->stop = 1;
}

static pid_t fork_quietly(struct stage_set *set)
{
    pid_t runner = fork();
    if (runner == 0) {
        char *log = file_join(set->folder, "runner.log");
        int file = open(log, O_WRONLY | O_CREAT | O_APPEND, 0600);
        dup2(file, STDERR_FILENO);
        stopped = set;
        signal(SIGUSR1, stop);
        _exit(err_exit_code(set_run(set)));
    }
    return runner;
}

static void begin(struct scene *scene, struct stage_set *set)
{
    *scene = (struct scene){.set = set, .started_s = clock_seconds()};
    set_widen(set);
    setenv("FAKE_STEPS", "100000", 1);
    setenv("FAKE_STEP_MS", "20", 1);
    scene->runner = fork_quietly(set);
    for (double end = clock_seconds() + PATIENCE_S; set_count_steps(set, "teacher", 3) == 0; nap())
        if (clock_seconds() > end)
            fail_msg("the teacher has not begun");
    scene->port = find_port(set);
    assert_true(scene->port > 0);
    char *folder = file_join(set->folder, PROTOCOL_KEYS_FOLDER);
    assert_int_equal(key_folder_join(folder, &scene->keys), ERR_OK);
    mem_free(folder);
}

static long resident_k(pid_t pid)
{
    char path[64], *bytes = NULL;
    size_t size = 0;
    long found = 0;
    snprintf(path, sizeof path, "/proc/%d/status", pid);
    assert_int_equal(file_read(path, 65536, &bytes, &size), ERR_OK);
    const char *line = strstr(bytes, "VmRSS:");
    assert_non_null(line);
    assert_int_equal(sscanf(line, "VmRSS: %ld", &found), 1);
    mem_free(bytes);
    return found;
}

static int count_lines(const struct scene *scene)
{
    int count = 0;
    char *log = set_read(scene->set, "runner.log");
    for (const char *at = log; (at = strchr(at, '\n')); at++)
        count++;
    mem_free(log);
    return count;
}

static int last_step(const struct scene *scene)
{
    char *trace = set_read(scene->set, "trace");
    int count = 0;
    for (const char *at = trace; (at = strstr(at, "teacher step ")); at++)
        count++;
    mem_free(trace);
    return count;
}

/* The gang goes on computing, and is heard: else it would end. */
static void expect_unharmed(struct scene *scene, long before_k, const char *said)
{
    int step = last_step(scene);
    for (double end = clock_seconds() + PATIENCE_S; last_step(scene) < step + 10; nap())
        if (clock_seconds() > end)
            fail_msg("no step more");
    char *log = set_read(scene->set, "runner.log");
    if (said && !strstr(log, said))
        fail_msg("\"%s\" is not in:\n%s", said, log);
    mem_free(log);
    assert_int_equal(waitpid(scene->runner, NULL, WNOHANG), 0);
    long grown_k = resident_k(scene->runner) - before_k;
    if (!FREED_IS_KEPT && grown_k > MOST_GROWTH_K)
        fail_msg("the runner has grown by %ld kB", grown_k);
    double age_s = clock_seconds() - scene->started_s;
    if (count_lines(scene) > age_s + 5)
        fail_msg("%d lines in %.1f s", count_lines(scene), age_s);
}

/* Stopped as a person would: its gang saves, and goes. */
static void end(struct scene *scene)
{
    int status = 0;
    kill(scene->runner, SIGUSR1);
    assert_int_equal(waitpid(scene->runner, &status, 0), scene->runner);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), err_exit_code(ERR_INTERRUPTED));
    assert_int_equal(set_count_processes(), 0);
}

static struct wire *enter(const struct scene *scene, const struct wire_curve *curve)
{
    char endpoint[64];
    struct wire *wire = NULL;
    snprintf(endpoint, sizeof endpoint, "tcp://127.0.0.1:%d", scene->port);
    struct wire_cfg cfg = {.role = WIRE_CLIENT,
                           .endpoint = endpoint,
                           .format = PROTOCOL_FORMAT,
                           .max_payload_bytes = 8 * MIB,
                           .curve = curve,
                           .wake_fd = -1};
    if (wire_open(&cfg, &wire) != ERR_OK)
        fail_msg("%s", err_text());
    return wire;
}

/* As often as it goes within the time; what the queue does not take is left out. */
static void send_for(struct wire *wire, double seconds, const void *bytes, size_t size_bytes)
{
    for (double end_s = clock_seconds() + seconds; clock_seconds() < end_s;)
        if (wire_send(wire, NULL, bytes, size_bytes) != ERR_OK)
            nap();
}

/* ---- who comes */

static void who_has_a_key_of_his_own(struct scene *scene)
{
    struct key_pair own;
    static uint8_t bytes[MIB];
    struct wire_curve curve = {.server_key = scene->keys.server.public_key};
    for (int i = 0; i < 20; i++) {
        assert_int_equal(wire_make_keys(own.public_key, own.secret_key), ERR_OK);
        curve.public_key = own.public_key;
        curve.secret_key = own.secret_key;
        struct wire *wire = enter(scene, &curve);
        send_for(wire, 0.05, bytes, sizeof bytes);
        wire_close(&wire);
    }
}

static void who_has_none(struct scene *scene)
{
    for (int i = 0; i < 100; i++) {
        int fd = raw_connect_port(scene->port);
        assert_true(fd >= 0);
        assert_false(raw_shake_hands(fd)); /* it is not let in */
        close(fd);
    }
}

static void who_makes_noise(struct scene *scene)
{
    static uint8_t noise[64 * 1024];
    for (size_t i = 0; i < sizeof noise; i++)
        noise[i] = (uint8_t)(i * 7919 >> 3);
    for (int i = 0; i < 100; i++) {
        int fd = raw_connect_port(scene->port);
        assert_true(fd >= 0);
        raw_send(fd, noise + i, sizeof noise - (size_t)i);
        close(fd);
    }
}

/* A greeting as it should be, of a client with CURVE, and then one command without an end. */
static void who_does_not_end(struct scene *scene)
{
    static const uint8_t greeting[64] = {0xff, 0, 0, 0,   0,   0,   0,   0,  0,
                                         0x7f, 3, 0, 'C', 'U', 'R', 'V', 'E'};
    static uint8_t bytes[MIB];
    for (int i = 0; i < 20; i++) {
        int fd = raw_connect_port(scene->port);
        assert_true(fd >= 0);
        bool goes_on = raw_send(fd, greeting, sizeof greeting) &&
                       raw_send_frame(fd, RAW_COMMAND | RAW_LONG, (size_t)1 << 40, bytes, 64);
        for (int piece = 0; goes_on && piece < 64; piece++)
            goes_on = raw_send(fd, bytes, sizeof bytes);
        assert_false(goes_on); /* the door was shut */
        close(fd);
    }
}

/* They hold their connections, and are shown the door after five seconds. */
static void who_says_nothing(struct scene *scene)
{
    int fds[200];
    for (int i = 0; i < 200; i++)
        assert_true((fds[i] = raw_connect_port(scene->port)) >= 0);
    expect_unharmed(scene, resident_k(scene->runner), NULL);
    for (int i = 0; i < 200; i++)
        close(fds[i]);
}

static void who_has_the_keys_and_sends_too_much(struct scene *scene)
{
    static uint8_t bytes[4 * MIB];
    for (int i = 0; i < 5; i++) {
        struct wire *wire = enter(scene, &scene->keys.curve);
        send_for(wire, 0.2, bytes, sizeof bytes);
        wire_close(&wire);
    }
}

static void who_has_the_keys_and_makes_no_sense(struct scene *scene)
{
    uint8_t bytes[512];
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (uint8_t)(i * 31 + 7);
    struct wire *wire = enter(scene, &scene->keys.curve);
    send_for(wire, 3, bytes, sizeof bytes);
    wire_close(&wire);
}

static void strangers_do_no_harm(void **state)
{
    static const struct {
        void (*come)(struct scene *scene);
        const char *said;
    } all[] = {{who_has_a_key_of_his_own, "do not have its keys"},
               {who_has_none, "do not have its keys"},
               {who_makes_noise, "do not have its keys"},
               {who_does_not_end, "do not have its keys"},
               {who_says_nothing, NULL},
               {who_has_the_keys_and_sends_too_much, NULL},
               {who_has_the_keys_and_makes_no_sense, "it cannot be read"}};
    struct scene scene;
    begin(&scene, *state);
    long before_k = resident_k(scene.runner);
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        all[i].come(&scene);
        expect_unharmed(&scene, before_k, all[i].said);
    }
    end(&scene);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(strangers_do_no_harm, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
