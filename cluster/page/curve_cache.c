#include "cluster/page/curve_cache.h"
#include "base/mem.h"
#include <string.h>

enum { PLACES = 64 }; /* some 30 KiB each */

struct place {
    char *path; /* NULL: free */
    struct curves *curves;
    unsigned long used; /* serial number */
};

struct curve_cache {
    struct place places[PLACES];
    unsigned long serial;
};

struct curve_cache *curve_cache_create(void)
{
    return mem_alloc(sizeof(struct curve_cache));
}

static void empty(struct place *place)
{
    curves_destroy(&place->curves);
    mem_free(place->path);
    *place = (struct place){0};
}

void curve_cache_destroy(struct curve_cache **cache)
{
    if (!*cache)
        return;
    for (int i = 0; i < PLACES; i++)
        empty(&(*cache)->places[i]);
    mem_free(*cache);
    *cache = NULL;
}

/* The one of this path, else the one that is to make room. */
static struct place *find_place(struct curve_cache *cache, const char *path)
{
    struct place *oldest = &cache->places[0];
    for (int i = 0; i < PLACES; i++) {
        struct place *place = &cache->places[i];
        if (place->path && strcmp(place->path, path) == 0)
            return place;
        oldest = place->used < oldest->used ? place : oldest;
    }
    return oldest;
}

struct curves *curve_cache_get(struct curve_cache *cache, const char *path)
{
    struct place *place = find_place(cache, path);
    if (!place->path || strcmp(place->path, path) != 0) {
        empty(place);
        place->path = mem_string(path);
        place->curves = curves_create(path);
    }
    place->used = ++cache->serial;
    return place->curves;
}
