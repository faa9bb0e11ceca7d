/* glowworm-camera-sim: a simulated Firefly DL on a loopback address. */
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/version/version.h"
#include "camera/sim/file_access.h"
#include "camera/sim/network.h"
#include "camera/sim/options.h"
#include "camera/sim/server.h"
#include <signal.h>
#include <stdio.h>

static volatile int stop;

static void ask_to_stop(int number)
{
    (void)number;
    stop = 1;
}

/* Both are let in only while the server waits, so that none is missed. */
static void watch_signals(void)
{
    struct sigaction action = {.sa_handler = ask_to_stop};
    sigset_t both;
    sigemptyset(&both);
    sigaddset(&both, SIGINT);
    sigaddset(&both, SIGTERM);
    sigprocmask(SIG_BLOCK, &both, NULL);
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    signal(SIGPIPE, SIG_IGN);
}

static enum err tell_ready(const struct sim_words *words)
{
    uint32_t address = words->cfg.identity.address;
    char text[16];
    snprintf(text, sizeof text, "%u.%u.%u.%u", address >> 24, address >> 16 & 255,
             address >> 8 & 255, address & 255);
    if (words->wants_json)
        printf("{\"ready\": true, \"address\": \"%s\", \"serial\": \"%s\"}\n", text, words->serial);
    else
        printf("ready %s\n", text);
    return fflush(stdout) == 0 ? ERR_OK : err_set(ERR_IO, "standard output cannot be written");
}

/* A file that the camera would refuse is told at once, not when somebody asks for an answer. */
static enum err read_network(const char *path, char **bytes, size_t *size)
{
    enum err err = ERR_OK;
    struct network *network = NULL;
    TRY(file_read(path, FLASH_BYTES, bytes, size));
    err = network_open((const uint8_t *)*bytes, *size, ARITHMETIC_FP16_SUM32, &network);
    if (err != ERR_OK)
        TRY(err_prefix(err, "--network %s", path));
out:
    network_close(&network);
    return err;
}

static enum err serve(struct sim_words *words)
{
    enum err err = ERR_OK;
    struct sim_camera *camera = NULL;
    struct server *server = NULL;
    char *network = NULL;
    if (words->network)
        TRY(read_network(words->network, &network, &words->cfg.flash_network_bytes));
    words->cfg.flash_network = (const uint8_t *)network;
    watch_signals();
    TRY(sim_camera_create(&words->cfg, &camera));
    TRY(server_open(camera, &words->cfg, &server));
    TRY(tell_ready(words));
    TRY(server_run(server, &stop));
out:
    server_close(&server);
    sim_camera_destroy(&camera);
    mem_free(network);
    return err;
}

static void print_help(FILE *out)
{
    struct text text;
    text_init(&text);
    sim_options_help(&text);
    fputs(text_get(&text), out);
    text_fini(&text);
}

int main(int argc, char **argv)
{
    struct sim_words words;
    file_open_standard();
    log_open(LOG_INFO, -1);
    enum err err = sim_options_read(argc, argv, &words);
    if (err == ERR_OK && words.wants_help)
        print_help(stdout);
    else if (err == ERR_OK && words.wants_version)
        printf("glowworm-camera-sim %s\n%s", version_text(), version_libraries());
    else if (err == ERR_OK)
        err = serve(&words);
    if (err != ERR_OK)
        fprintf(stderr, "glowworm-camera-sim: %s\n", err_text());
    if (err == ERR_USAGE)
        print_help(stderr);
    return err_exit_code(err);
}
