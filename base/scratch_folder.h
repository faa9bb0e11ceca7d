/* The folder that a run has on scratch (resources.scratch), a local disk of the machine it runs on:
 * <scratch>/glowworm-<hash of the run's folder>/, nobody's but its owner's. Inside it lies stores/,
 * with journal/, checkpoints/ and the id by which their claims know them. One thread. */
#ifndef BASE_SCRATCH_FOLDER_H
#define BASE_SCRATCH_FOLDER_H

#include "base/err.h"
#include "base/text.h"

/* The path that a campaign's words mean on this machine: "$NAME" at their start is a variable of
 * the environment, "{node}" anywhere the name of the machine (SLURMD_NODENAME, else the host's). No
 * shell. ERR_CONFIG: the variable is not set, other braces, or it is no path from "/". */
MUST_CHECK enum err scratch_expand(const char *words, struct text *path);

/* Makes the run's folder inside it, of mode 0700; returns owned in *folder. ERR_CONFIG: what is
 * there is a link, somebody else's, or open to others; ERR_IO, ERR_FULL. */
MUST_CHECK enum err scratch_folder_make(const char *scratch, const char *run_folder, char **folder);
/* The same of another name. */
MUST_CHECK enum err scratch_folder_named(const char *scratch, const char *name, char **folder);

#endif
