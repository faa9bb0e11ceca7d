#include "trainer/spec/geometry.h"
#include <string.h>

static const char *const names[GEOMETRY_COUNT] = {"crop", "stretch", "pad"};

const char *geometry_name(enum geometry geometry)
{
    return names[geometry];
}

bool geometry_parse(const char *name, enum geometry *geometry)
{
    for (int i = 0; i < GEOMETRY_COUNT; i++)
        if (strcmp(name, names[i]) == 0) {
            *geometry = (enum geometry)i;
            return true;
        }
    return false;
}
