#include "tests/scheduler/flood.h"
#include "base/clock.h"
#include "base/wire/wire.h"
#include "scheduler/protocol.h"
#include "scheduler/protocol.pb-c.h"
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define STRANGERS 2
#define MINUTE_S  60.0

static void nap(void)
{
    nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
}

static struct wire *enter(const char *endpoint)
{
    struct wire *wire = NULL;
    struct wire_cfg cfg = {.role = WIRE_CLIENT,
                           .endpoint = endpoint,
                           .format = PROTOCOL_FORMAT,
                           .max_payload_bytes = PROTOCOL_MAX_BYTES,
                           .wake_fd = -1};
    if (wire_open(&cfg, &wire) != ERR_OK)
        _exit(1);
    return wire;
}

static size_t make_message(uint8_t *bytes)
{
    Gw__FromWorker message = GW__FROM_WORKER__INIT;
    Gw__Heartbeat heartbeat = GW__HEARTBEAT__INIT;
    message.token = "guessed";
    message.body_case = GW__FROM_WORKER__BODY_HEARTBEAT;
    message.heartbeat = &heartbeat;
    return gw__from_worker__pack(&message, bytes);
}

static _Noreturn void send_all(struct flood_shared *shared)
{
    uint8_t bytes[256];
    size_t size = make_message(bytes);
    double end = clock_seconds() + MINUTE_S;
    while (!atomic_load(&shared->is_open) && clock_seconds() < end)
        nap();
    struct wire *wires[STRANGERS];
    for (int i = 0; i < STRANGERS; i++)
        wires[i] = enter(shared->endpoint);
    while (clock_seconds() < end)
        for (int i = 0; i < STRANGERS; i++)
            if (wire_send(wires[i], NULL, bytes, size) == ERR_OK)
                atomic_fetch_add(&shared->sent, 1);
    _exit(0);
}

void flood_start(struct flood *flood)
{
    flood->shared = mmap(NULL, sizeof *flood->shared, PROT_READ | PROT_WRITE,
                         MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (flood->shared == MAP_FAILED)
        BUG("no shared memory");
    flood->pid = fork();
    if (flood->pid == 0)
        send_all(flood->shared);
}

void flood_open(struct flood *flood, const char *endpoint)
{
    snprintf(flood->shared->endpoint, sizeof flood->shared->endpoint, "%s", endpoint);
    atomic_store(&flood->shared->is_open, true);
}

unsigned long long flood_end(struct flood *flood)
{
    bool is_over = waitpid(flood->pid, NULL, WNOHANG) != 0;
    if (!is_over) {
        kill(flood->pid, SIGKILL);
        waitpid(flood->pid, NULL, 0);
    }
    unsigned long long sent = is_over ? 0 : atomic_load(&flood->shared->sent);
    munmap(flood->shared, sizeof *flood->shared);
    return sent;
}
