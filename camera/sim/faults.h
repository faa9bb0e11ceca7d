/* What can be made to go wrong on request, a row each: the command line's, its help's, and the
 * manual page's. Pure. */
#ifndef CAMERA_SIM_FAULTS_H
#define CAMERA_SIM_FAULTS_H

#include "base/err.h"
#include "base/text.h"
#include <stdbool.h>

enum fault_id {
    FAULT_LOST_PACKETS,
    FAULT_REORDERED_PACKETS,
    FAULT_WRONG_FRAME_ID,
    FAULT_CHUNK_GARBAGE,
    FAULT_SLOW_FLASH,
    FAULT_WRITE_ERROR,
    FAULT_REFUSED_FILE,
    FAULT_STUCK_NODE,
    FAULT_DROPPED_CONNECTION,
    FAULT_OTHER_MODEL,
    FAULT_NEVER_READY,
    FAULT_COUNT
};

struct fault_row {
    const char *name;
    const char *argument; /* "PERCENT"; NULL: it takes none */
    const char *usual;    /* the argument where none is given; NULL: it must be */
    bool is_number;
    const char *help;
};
extern const struct fault_row fault_rows[FAULT_COUNT];

enum { FAULT_ARGUMENT = 64 }; /* bytes with the NUL */

struct faults {
    bool is_on[FAULT_COUNT];
    char argument[FAULT_COUNT][FAULT_ARGUMENT];
    double number[FAULT_COUNT]; /* the argument, where it is one */
};

/* "NAME[:ARGUMENT]". ERR_USAGE says what there is. */
MUST_CHECK enum err faults_add(struct faults *faults, const char *text);
/* "lost-packets[:PERCENT]". */
void fault_row_text(const struct fault_row *row, char text[64]);
/* Its help, with what the argument is where none is given. */
void fault_row_help(const struct fault_row *row, char help[256]);

#endif
