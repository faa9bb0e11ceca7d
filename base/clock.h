/* Time: monotonic seconds for durations, wall time for people. Decisions take time as an argument
 * instead. */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

#include <stdint.h>

double clock_seconds(void); /* monotonic, since an arbitrary start */
/* For whoever looks many times a second and waits for others: the seconds in which it did not look
 * since the last call, where they are too many for a turn. The machine slept, or the process was
 * stopped, and those it waits for perhaps with it. Otherwise 0. *looked_s: the caller's; 0 at
 * first. */
double clock_gap(double *looked_s, double now_s);
int64_t clock_wall_ms(void);         /* milliseconds since 1970 */
void clock_wall_text(char text[32]); /* 2026-11-22T19:30:00.123Z */

#endif
