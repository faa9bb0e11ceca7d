#include "cluster/validate/simulator.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/program.h"
#include <arpa/inet.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define PROGRAM "glowworm-camera-sim"
enum { GVCP_PORT = 3956, ADDRESSES = 64, LOG_BYTES = 4096 };
#define READY_SECONDS 20.0

static void look_again_soon(void)
{
    nanosleep(&(struct timespec){.tv_nsec = 10 * 1000 * 1000}, NULL);
}

static bool is_free(const char *address)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons(GVCP_PORT)};
    inet_pton(AF_INET, address, &at.sin_addr);
    int probe = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    bool is_ours = probe >= 0 && bind(probe, (const struct sockaddr *)&at, sizeof at) == 0;
    if (probe >= 0)
        close(probe);
    return is_ours;
}

/* All of 127/8 is this machine's; other validations begin to look elsewhere. */
static enum err choose_address(struct simulator *simulator)
{
    unsigned first = (unsigned)getpid();
    for (unsigned i = 0; i < ADDRESSES; i++) {
        unsigned at = first + i;
        snprintf(simulator->address, sizeof simulator->address, "127.%u.%u.%u",
                 100 + (at >> 14 & 63), at >> 7 & 127, 1 + (at & 127));
        if (is_free(simulator->address))
            return ERR_OK;
    }
    return err_set(ERR_AGAIN, "no loopback address has port %d free for a simulated camera",
                   GVCP_PORT);
}

/* Its last words, where it has ended; it says "ready ADDRESS" when it can be opened. */
static enum err wait_ready(struct simulator *simulator, const char *log)
{
    enum err err = ERR_OK;
    bool is_ready = false;
    for (double end = clock_seconds() + READY_SECONDS; !is_ready;) {
        char *words = NULL;
        size_t size = 0;
        struct process_end ended = process_poll(&simulator->process);
        if (file_read_tail(log, LOG_BYTES, &words, &size) == ERR_OK)
            is_ready = strstr(words, "ready ") != NULL;
        if (!is_ready && (ended.has_ended || clock_seconds() > end))
            err = err_set(ERR_UNAVAILABLE, PROGRAM " did not start: %s", words ? words : "");
        mem_free(words);
        if (ended.has_ended)
            simulator->process.pid = 0;
        if (err != ERR_OK)
            return err;
        if (!is_ready)
            look_again_soon();
    }
    return ERR_OK;
}

enum err simulator_start(int channels, struct simulator *simulator)
{
    enum err err = ERR_OK;
    char program[PATH_MAX], *log = NULL;
    const char *root = getenv("TMPDIR");
    err = program_find(PROGRAM, program, sizeof program);
    if (err != ERR_OK)
        TRY(err_set(ERR_UNAVAILABLE, "a simulated camera needs " PROGRAM " beside this program: "
                                     "install it, or name a real camera"));
    TRY(choose_address(simulator));
    simulator->folder = file_join(root && root[0] ? root : "/tmp", "glowworm-camera-XXXXXX");
    if (!mkdtemp(simulator->folder))
        TRY(err_set(ERR_IO, "%s cannot be made", simulator->folder));
    log = file_join(simulator->folder, "log");
    const char *argv[] = {
        program, "--address", simulator->address, "--model", channels == 1 ? "mono" : "colour",
        NULL};
    TRY(process_start(&(struct process_cfg){.argv = argv, .log_path = log}, &simulator->process));
    TRY(wait_ready(simulator, log));
out:
    mem_free(log);
    return err;
}

/* It has nothing to lose: there is no need to ask first. */
void simulator_end(struct simulator *simulator)
{
    if (simulator->process.pid > 0) {
        process_kill(&simulator->process);
        while (!process_poll(&simulator->process).has_ended)
            look_again_soon();
    }
    if (simulator->folder && file_remove_folder(simulator->folder) != ERR_OK)
        simulator->process.pid = 0; /* a folder that stays does no harm */
    mem_free(simulator->folder);
    memset(simulator, 0, sizeof *simulator);
}
