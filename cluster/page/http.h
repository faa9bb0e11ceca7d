/* The jail of libmicrohttpd: GET and HEAD for browsers on this machine, on 127.0.0.1 and under a
 * token, since every user of the machine can reach that address. Whoever does not know the token is
 * told of nothing. A thread of its own serves; memory, connections and what each may send are
 * bounded, and a newcomer takes the place of the connection that has been of no use for longest. */
#ifndef CLUSTER_PAGE_HTTP_H
#define CLUSTER_PAGE_HTTP_H

#include "base/err.h"
#include <stdbool.h>
#include <stddef.h>

enum http_policy {
    HTTP_OURS,  /* what is shown may load what lies beside it, and nothing else */
    HTTP_FROZEN /* no scripts, and its own style only: a file that is shown as it is */
};

struct http_request {
    const char *path;       /* behind the token: "/", "/status.json"; as it came, not decoded */
    const void *connection; /* for http_query() */
};

struct http_reply {      /* zeroed: there is no such thing (404) */
    const char *type;    /* "text/html; charset=utf-8"; lasting, NULL: nothing to show */
    const void *lasting; /* (size) good for ever; or... */
    char *bytes;         /* ...(size) taken: free() */
    int file;            /* or, where both are NULL, an open file of `size`: taken */
    size_t size;
    enum http_policy policy;
};

struct http_cfg {
    int port;          /* 0: any that is free */
    const char *token; /* letters and digits; copied */
    /* In the server's thread. */
    void (*answer)(void *own, const struct http_request *request, struct http_reply *reply);
    void *own;
};

struct http;
/* ERR_UNAVAILABLE: the port is taken. Returns owned. */
MUST_CHECK enum err http_open(const struct http_cfg *cfg, struct http **http);
/* Waits a moment for the thread; false: it hangs in an answer (a file server that is gone), and all
 * of it is left to the end of the process. Accepts NULL. */
bool http_close(struct http **http);
int http_port(const struct http *http);

/* ?name=value, as it came; NULL: not there. Borrowed. */
const char *http_query(const struct http_request *request, const char *name);

#endif
