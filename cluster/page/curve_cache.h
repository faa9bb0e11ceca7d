/* The curves (curves.h) that somebody looks at, of any run and stage; those that nobody has asked
 * for for longest make room for others, and are read again when they are. One thread. */
#ifndef CLUSTER_PAGE_CURVE_CACHE_H
#define CLUSTER_PAGE_CURVE_CACHE_H

#include "cluster/page/curves.h"

struct curve_cache;
struct curve_cache *curve_cache_create(void);         /* returns owned */
void curve_cache_destroy(struct curve_cache **cache); /* accepts NULL */
/* Borrowed until the next call. */
struct curves *curve_cache_get(struct curve_cache *cache, const char *path);

#endif
