/* The command line of glowworm-scheduler: a row for each option, which is its parser's, its help's,
 * the manual page's and the completion's. */
#ifndef CLUSTER_DAEMON_DAEMON_OPTIONS_H
#define CLUSTER_DAEMON_DAEMON_OPTIONS_H

#include "base/text.h"
#include "cluster/daemon/daemon.h"
#include "cluster/daemon/daemon_folder.h"

struct daemon_option {
    const char *name;     /* "cores" */
    const char *argument; /* "N", "[PORT]" where it may be left out; NULL: it takes none */
    const char *help;
};
/* The row behind the last has no name. */
extern const struct daemon_option daemon_options[];
/* What it is, and how it ends: paragraphs for people. */
extern const char daemon_description[];

struct daemon_words { /* what was typed */
    char folder[DAEMON_PATH];
    int cores;                  /* 0: those that are allowed */
    int jobs;                   /* in Slurm at once */
    const char *listen, *allow; /* of argv; NULL: not named */
    bool wants_page;
    int page_port; /* 0: any */
    bool stops_runs, wants_help, wants_version;
};
/* ERR_USAGE; ERR_CONFIG of daemon_folder_find(). */
MUST_CHECK enum err daemon_options_read(int argc, char **argv, struct daemon_words *words);
/* "--page[=PORT]" */
void daemon_option_text(const struct daemon_option *option, char text[64]);
/* "usage: ...": every option. */
void daemon_options_help(struct text *text);

#endif
