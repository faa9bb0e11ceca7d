/* The command line of glowworm-camera-sim: a row for each option, which is its parser's, its help's
 * and the manual page's. */
#ifndef CAMERA_SIM_OPTIONS_H
#define CAMERA_SIM_OPTIONS_H

#include "base/text.h"
#include "camera/sim/sim_camera.h"

struct sim_option {
    const char *name;     /* "address" */
    const char *argument; /* "127.0.0.N"; NULL: it takes none */
    const char *help;
};
/* The row behind the last has no name. */
extern const struct sim_option sim_options[];
/* What it is, for people. */
extern const char sim_description[];

struct sim_words { /* what was typed */
    struct sim_camera_cfg cfg;
    char serial[16];
    const char *network; /* of argv: a file that lies in flash; NULL: none */
    bool wants_json, wants_help, wants_version;
};
/* ERR_USAGE. */
MUST_CHECK enum err sim_options_read(int argc, char **argv, struct sim_words *words);
/* "--address 127.0.0.N" */
void sim_option_text(const struct sim_option *option, char text[64]);
/* "usage: ...": every option, every fault. */
void sim_options_help(struct text *text);

#endif
