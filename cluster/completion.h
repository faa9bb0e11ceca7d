/* Completion for bash, made from the table of commands and the rows of a campaign file: commands,
 * options, the values an option's usage lists ("raw|jpeg"), and the keys of --set. Where there is
 * nothing to offer bash completes names of files. Pure. */
#ifndef CLUSTER_COMPLETION_H
#define CLUSTER_COMPLETION_H

#include "base/text.h"

void completion_bash(struct text *script);

#endif
