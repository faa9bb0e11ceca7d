/* A page about runs for a browser on this machine (or through a tunnel to it): what `glowworm
 * status` says, live, with curves. A thread of its own reads the runs' folders and nothing else, so
 * that it neither slows nor ends a run. */
#ifndef CLUSTER_PAGE_PAGE_H
#define CLUSTER_PAGE_PAGE_H

#include "cluster/page/page_answers.h"

struct page_cfg {
    int count;
    const char *const *folders; /* (count) of runs; copied */
    enum page_source source;
    bool grows;        /* page_add_run() will be called */
    int port;          /* 0: any that is free */
    const char *token; /* letters and digits; NULL: a new one */
};

struct page;
/* ERR_UNAVAILABLE: the port is taken; ERR_IO: there is no randomness. Returns owned. */
MUST_CHECK enum err page_open(const struct page_cfg *cfg, struct page **page);
/* Waits two seconds at most. */
void page_close(struct page **page); /* accepts NULL */
/* Behind those that are there, from the next answer on; one that is there already changes nothing.
 * Copied. Any thread. */
void page_add_run(struct page *page, const char *folder);
/* "http://127.0.0.1:PORT/TOKEN/": whoever knows it may look. Borrowed. */
const char *page_address(const struct page *page);
int page_port(const struct page *page);

#endif
