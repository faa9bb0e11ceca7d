#include "trainer/record/json_name.h"
#include "base/mem.h"

json_t *json_name(const char *name)
{
    json_t *json = json_string(name);
    if (json)
        return json;
    char *copy = mem_string(name);
    for (char *at = copy; *at; at++)
        if ((unsigned char)*at >= 0x80)
            *at = '?';
    json = json_string(copy);
    mem_free(copy);
    return json;
}
