#include "scheduler/node_list.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_DIGITS 18

/* "1-3,07" between brackets holds these digits: 7 is not 07. */
static bool ranges_have(const char *at, const char *end, const char *digits, size_t size)
{
    char text[MAX_DIGITS + 1], like[MAX_DIGITS + 32];
    snprintf(text, sizeof text, "%.*s", (int)size, digits);
    unsigned long long value = strtoull(text, NULL, 10);
    while (at < end) {
        char *behind = NULL;
        unsigned long long low = strtoull(at, &behind, 10), high = low;
        if (behind == at || behind - at > MAX_DIGITS)
            return false;
        snprintf(like, sizeof like, "%0*llu", (int)(behind - at), value);
        if (*behind == '-')
            high = strtoull(behind + 1, &behind, 10);
        if (value >= low && value <= high && strcmp(like, text) == 0)
            return true;
        at = behind + (*behind == ',');
    }
    return false;
}

/* One part of the list, up to `end`. */
static bool part_is(const char *part, const char *end, const char *node)
{
    for (; part < end && *part != '['; part++, node++)
        if (*part != *node)
            return false;
    if (part == end)
        return *node == '\0';
    const char *close = memchr(part, ']', (size_t)(end - part));
    size_t digits = strspn(node, "0123456789");
    for (size_t size = 1; close && size <= digits && size <= MAX_DIGITS; size++)
        if (ranges_have(part + 1, close, node, size) && part_is(close + 1, end, node + size))
            return true;
    return false;
}

/* Behind the next part: commas in brackets are its own. */
static const char *end_of(const char *part)
{
    bool is_inside = false;
    for (; *part && (is_inside || *part != ','); part++)
        is_inside = *part == '[' || (is_inside && *part != ']');
    return part;
}

bool node_list_has(const char *list, const char *node)
{
    for (const char *part = list; *part;) {
        const char *end = end_of(part);
        if (part_is(part, end, node))
            return true;
        part = end + (*end == ',');
    }
    return false;
}
