#include "worker/pulse.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/wire/wire.h"
#include "scheduler/protocol.h"
#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define MAX_BYTES 1024 /* of a message: a token, a host, numbers */

struct pulse {
    struct pulse_cfg cfg;
    struct wire *wire; /* the thread's, once it runs */
    int wake_fd;       /* readable: it is to end */
    pthread_t thread;
    bool has_thread;
    atomic_bool is_closing;
    char host[256];
};

void pulse_describe(int rank, const struct rank_work *work, const char *host, Gw__RankAlive *alive)
{
    *alive = (Gw__RankAlive)GW__RANK_ALIVE__INIT;
    alive->rank = (uint32_t)rank;
    alive->work = atomic_load(&work->done);
    alive->polls = atomic_load(&work->polls);
    alive->is_waiting = atomic_load(&work->is_waiting);
    alive->host = (char *)host;
    alive->pid = getpid();
}

static void say_alive(struct pulse *pulse)
{
    uint8_t bytes[MAX_BYTES];
    Gw__FromWorker message = GW__FROM_WORKER__INIT;
    Gw__RankAlive alive;
    pulse_describe(pulse->cfg.rank, pulse->cfg.work, pulse->host, &alive);
    message.token = (char *)pulse->cfg.token;
    message.lease_epoch = pulse->cfg.lease_epoch;
    message.body_case = GW__FROM_WORKER__BODY_RANK_ALIVE;
    message.rank_alive = &alive;
    if (gw__from_worker__get_packed_size(&message) > sizeof bytes)
        BUG("a sign of life larger than %zu bytes", sizeof bytes);
    size_t size = gw__from_worker__pack(&message, bytes);
    if (wire_send(pulse->wire, NULL, bytes, size) != ERR_OK) /* the next one says more anyway */
        log_debug("a sign of life was not sent: %s", err_text());
}

static void *beat(void *own)
{
    struct pulse *pulse = own;
    struct wire_message ignored; /* what the scheduler tells a gang that it sends away */
    while (!atomic_load(&pulse->is_closing)) {
        say_alive(pulse);
        while (wire_receive(pulse->wire, (int)(PROTOCOL_PULSE_S * 1000), &ignored) == ERR_OK)
            continue;
    }
    return NULL;
}

enum err pulse_open(const struct pulse_cfg *cfg, struct pulse **pulse)
{
    enum err err = ERR_OK;
    struct pulse *made = mem_alloc(sizeof *made);
    made->cfg = *cfg;
    gethostname(made->host, sizeof made->host - 1);
    made->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (made->wake_fd < 0)
        TRY(err_set(ERR_IO, "eventfd: %s", strerror(errno)));
    struct wire_cfg wire = {.role = WIRE_CLIENT,
                            .endpoint = cfg->endpoint,
                            .format = PROTOCOL_FORMAT,
                            .max_payload_bytes = PROTOCOL_MAX_BYTES,
                            .linger_ms = 0,
                            .wake_fd = made->wake_fd,
                            .curve = cfg->curve};
    TRY(wire_open(&wire, &made->wire));
    if (pthread_create(&made->thread, NULL, beat, made) != 0)
        TRY(err_set(ERR_UNAVAILABLE, "no thread for the signs of life"));
    made->has_thread = true;
    *pulse = made;
    made = NULL;
out:
    pulse_close(&made);
    return err;
}

void pulse_close(struct pulse **pulse)
{
    struct pulse *closing = *pulse;
    uint64_t one = 1;
    if (!closing)
        return;
    if (closing->has_thread) {
        atomic_store(&closing->is_closing, true);
        ssize_t written = write(closing->wake_fd, &one, sizeof one);
        (void)written; /* full means that it is readable already */
        pthread_join(closing->thread, NULL);
    }
    wire_close(&closing->wire);
    if (closing->wake_fd >= 0)
        close(closing->wake_fd);
    mem_free(closing);
    *pulse = NULL;
}
