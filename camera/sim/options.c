#include "camera/sim/options.h"
#include <arpa/inet.h>
#include <ctype.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_OPTIONS 16

const struct sim_option sim_options[] = {
    {"address", "127.0.0.N", "where it listens; else 127.0.0.1. Several cameras have one each"},
    {"model", "mono|colour", "which of the two models it is; else mono"},
    {"serial", "TEXT", "its serial number; else one made from the address"},
    {"latency", "NUMBERS",
     "\"FIXED PER_MMAC NOISE [PER_DEPTHWISE_MMAC]\": milliseconds, milliseconds a million "
     "multiply-adds, a fraction; else a line that it does not tell"},
    {"sums", "fp32|fp16",
     "what the network's sums are kept in; else fp32. Of the camera it is not known"},
    {"seed", "N", "of the noise and of the packets that are lost; else 1"},
    {"speed", "N", "so many times as quick as a camera, 0.01 to 1000; what it says of times stays"},
    {"network", "FILE", "a network's file that lies in flash from the start on"},
    {"fault", "NAME[:ARG]", "what goes wrong (below); may be said several times"},
    {"silence", "SECONDS", "of a dropped connection; else 5"},
    {"json", NULL, "say that it is ready in JSON"},
    {"help", NULL, "this"},
    {"version", NULL, "what this is"},
    {NULL, NULL, NULL}};

enum option_place {
    OPTION_ADDRESS,
    OPTION_MODEL,
    OPTION_SERIAL,
    OPTION_LATENCY,
    OPTION_SUMS,
    OPTION_SEED,
    OPTION_SPEED,
    OPTION_NETWORK,
    OPTION_FAULT,
    OPTION_SILENCE,
    OPTION_JSON,
    OPTION_HELP,
    OPTION_VERSION
};

const char sim_description[] =
    "A Firefly DL that is simulated: a GigE Vision camera on a loopback address, with the\n"
    "Firefly's nodes, files, image injection, chunks and trigger. It takes the files that\n"
    "\"glowworm compile\" exports and answers as the emulator of \"glowworm check\" does. When it\n"
    "is ready it prints \"ready ADDRESS\"; Ctrl-C and SIGTERM end it.\n";

static enum err take_address(struct sim_words *words)
{
    struct in_addr address;
    if (inet_pton(AF_INET, optarg, &address) != 1 || ntohl(address.s_addr) >> 24 != 127)
        return err_set(ERR_USAGE,
                       "--address takes a loopback address, 127.0.0.1 and up, not \"%s\"", optarg);
    words->cfg.identity.address = ntohl(address.s_addr);
    return ERR_OK;
}

static enum err take_model(struct sim_words *words)
{
    if (strcmp(optarg, "mono") != 0 && strcmp(optarg, "colour") != 0)
        return err_set(ERR_USAGE, "--model takes mono or colour, not \"%s\"", optarg);
    words->cfg.identity.model = optarg[0] == 'm' ? MODEL_MONO : MODEL_COLOUR;
    return ERR_OK;
}

static enum err take_sums(struct sim_words *words)
{
    if (strcmp(optarg, "fp32") != 0 && strcmp(optarg, "fp16") != 0)
        return err_set(ERR_USAGE, "--sums takes fp32 or fp16, not \"%s\"", optarg);
    words->cfg.has_narrow_sums = strcmp(optarg, "fp16") == 0;
    return ERR_OK;
}

static enum err take_serial(struct sim_words *words)
{
    size_t size = strlen(optarg);
    bool is_good = size > 0 && size < sizeof words->serial;
    for (size_t i = 0; is_good && i < size; i++)
        is_good = isalnum((unsigned char)optarg[i]) || optarg[i] == '-';
    if (!is_good)
        return err_set(ERR_USAGE, "--serial takes 1 to 15 letters, digits and dashes, not \"%s\"",
                       optarg);
    memcpy(words->serial, optarg, size + 1);
    return ERR_OK;
}

/* Three or four numbers. */
static enum err take_latency(struct sim_words *words)
{
    double numbers[4] = {0};
    int count = 0;
    for (char *at = optarg, *end; count < 4; at = end, count++) {
        numbers[count] = strtod(at, &end);
        if (end == at || !(numbers[count] >= 0) || numbers[count] > 1e6)
            break;
        optarg = end;
    }
    optarg += strspn(optarg, " ");
    if (count < 3 || *optarg)
        return err_set(ERR_USAGE, "--latency takes three or four numbers, such as \"20 0.1 "
                                  "0.01\": milliseconds, milliseconds a million multiply-adds, a "
                                  "fraction of noise");
    words->cfg.latency =
        (struct latency){numbers[0], numbers[1], numbers[2], count == 4 ? numbers[3] : numbers[1]};
    return ERR_OK;
}

static enum err take_number(const char *option, double low, double high, double *value)
{
    if (text_to_double(optarg, low, high, value) != ERR_OK)
        return err_set(ERR_USAGE, "--%s takes a number of %g to %g, not \"%s\"", option, low, high,
                       optarg);
    return ERR_OK;
}

static enum err take(int place, struct sim_words *words)
{
    double number = 0;
    enum err err = ERR_OK;
    switch (place) {
    case OPTION_ADDRESS:
        return take_address(words);
    case OPTION_MODEL:
        return take_model(words);
    case OPTION_SERIAL:
        return take_serial(words);
    case OPTION_LATENCY:
        return take_latency(words);
    case OPTION_SUMS:
        return take_sums(words);
    case OPTION_SEED:
        TRY(take_number("seed", 0, 1e15, &number));
        words->cfg.seed = (uint64_t)number;
        break;
    case OPTION_SPEED:
        return take_number("speed", 0.01, 1000, &words->cfg.speed);
    case OPTION_NETWORK:
        words->network = optarg;
        break;
    case OPTION_FAULT:
        return faults_add(&words->cfg.faults, optarg);
    case OPTION_SILENCE:
        return take_number("silence", 0.1, 3600, &words->cfg.silence_s);
    case OPTION_JSON:
        words->wants_json = true;
        break;
    case OPTION_HELP:
        words->wants_help = true;
        break;
    case OPTION_VERSION:
        words->wants_version = true;
        break;
    default:
        TRY(err_set(ERR_USAGE, "that option is not known, or lacks its value"));
    }
out:
    return err;
}

static const struct sim_camera_cfg usual = {.identity = {.address = INADDR_LOOPBACK},
                                            .latency = {17.5, 0.112, 0.01, 0.16},
                                            .seed = 1,
                                            .speed = 1,
                                            .silence_s = 5};

enum err sim_options_read(int argc, char **argv, struct sim_words *words)
{
    enum err err = ERR_OK;
    struct option known[MAX_OPTIONS + 1] = {{0}};
    int place;
    *words = (struct sim_words){.cfg = usual};
    for (int i = 0; sim_options[i].name; i++)
        known[i] =
            (struct option){sim_options[i].name,
                            sim_options[i].argument ? required_argument : no_argument, NULL, i};
    while ((place = getopt_long(argc, argv, "", known, NULL)) != -1)
        TRY(take(place, words));
    if (optind < argc)
        TRY(err_set(ERR_USAGE, "it takes options only, not \"%s\"", argv[optind]));
    if (!words->serial[0])
        snprintf(words->serial, sizeof words->serial, "SIM%08x", words->cfg.identity.address);
    words->cfg.identity.serial = words->serial;
out:
    return err;
}

void sim_option_text(const struct sim_option *option, char text[64])
{
    snprintf(text, 64, "--%s%s%s", option->name, option->argument ? " " : "",
             option->argument ? option->argument : "");
}

void sim_options_help(struct text *text)
{
    char name[64];
    text_add(text, "usage: glowworm-camera-sim [OPTIONS]\n%s\n", sim_description);
    for (const struct sim_option *option = sim_options; option->name; option++) {
        sim_option_text(option, name);
        text_add(text, "  %-24s  %s\n", name, option->help);
    }
    text_add(text, "\nfaults:\n");
    for (int i = 0; i < FAULT_COUNT; i++) {
        char help[256];
        fault_row_text(&fault_rows[i], name);
        fault_row_help(&fault_rows[i], help);
        text_add(text, "  %-34s  %s\n", name, help);
    }
}
