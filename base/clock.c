#include "base/clock.h"
#include <stdio.h>
#include <time.h>

double clock_seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

#define LONGEST_TURN_S 5.0 /* on a loaded machine */

double clock_gap(double *looked_s, double now_s)
{
    double gap_s = *looked_s > 0 ? now_s - *looked_s : 0;
    *looked_s = now_s;
    return gap_s > LONGEST_TURN_S ? gap_s : 0;
}

int64_t clock_wall_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

void clock_wall_text(char text[32])
{
    int64_t now_ms = clock_wall_ms();
    time_t seconds = (time_t)(now_ms / 1000);
    struct tm parts;
    gmtime_r(&seconds, &parts);
    char date[24]; /* 2026-11-22T19:30:00 */
    strftime(date, sizeof date, "%Y-%m-%dT%H:%M:%S", &parts);
    snprintf(text, 32, "%s.%03dZ", date, (int)(now_ms % 1000));
}
