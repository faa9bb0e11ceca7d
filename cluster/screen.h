/* A terminal taken over for a while, in plain ANSI: the alternate screen, keys as they are pressed,
 * and what was there before given back on every exit that can be seen, deadly signals among them.
 * One per process, one thread. */
#ifndef CLUSTER_SCREEN_H
#define CLUSTER_SCREEN_H

#include "base/text.h"
#include <stdbool.h>

/* False: standard output is no terminal that can do it. */
bool screen_is_there(void);
MUST_CHECK enum err screen_open(void); /* ERR_UNAVAILABLE */
void screen_close(void);               /* accepts one that is not open */

enum screen_event {
    SCREEN_NOTHING, /* the time is over */
    SCREEN_KEY,     /* *key: a character or one of SCREEN_KEYs */
    SCREEN_REDRAW,  /* another size, or back from a stop (Ctrl-Z) */
    SCREEN_END      /* a signal that ends programs, or the terminal is gone */
};
enum screen_key { SCREEN_UP = 256, SCREEN_DOWN, SCREEN_ESCAPE };
enum screen_event screen_wait(int timeout_ms, int *key);
/* The signal that SCREEN_END was for; 0: none. */
int screen_signal(void);
void screen_size(int *rows, int *columns);

/* A line of a picture, cut to `columns` characters; colour: "1;32", "" for none. */
void screen_add_line(struct text *picture, const char *colour, const char *line, size_t size_bytes,
                     int columns);
/* In place of what is there, without flicker; a picture has at most as many lines as rows. */
void screen_show(const struct text *picture);

#endif
