/* Time: monotonic seconds for durations, wall time for people. Decisions take time as an argument
 * instead. */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

#include <stdint.h>

double clock_seconds(void);          /* monotonic, since an arbitrary start */
int64_t clock_wall_ms(void);         /* milliseconds since 1970 */
void clock_wall_text(char text[32]); /* 2026-11-22T19:30:00.123Z */

#endif
