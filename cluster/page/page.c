#include "cluster/page/page.h"
#include "base/mem.h"
#include "base/secret.h"
#include "base/text.h"
#include "cluster/page/assets.h"
#include "cluster/page/http.h"
#include "cluster/page/page_address.h"
#include "cluster/page/prometheus.h"
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HTML "text/html; charset=utf-8"

struct page {
    struct http *http;
    char address[PAGE_ADDRESS];
    struct page_runs runs; /* the server's thread's alone */
    pthread_mutex_t lock;  /* of what was added, and not taken by that thread yet */
    char **added;          /* (added_count) owned */
    int added_count;
};

static void show(struct http_reply *reply, const char *type, const struct page_asset *asset)
{
    reply->type = type;
    reply->lasting = asset->bytes;
    reply->size = asset->size;
}

/* Takes the JSON. */
static void show_json(struct http_reply *reply, json_t *json)
{
    reply->bytes = json_dumps(json, JSON_COMPACT | JSON_REAL_PRECISION(9));
    reply->size = reply->bytes ? strlen(reply->bytes) : 0;
    reply->type = reply->bytes ? "application/json" : NULL;
    json_decref(json);
}

/* ?run=NUMBER, 0 without; -1: there is none of this number. */
static int run_of(const struct page *page, const struct http_request *request)
{
    const char *text = http_query(request, "run");
    long run = 0;
    if (text && text_to_int(text, 0, page->runs.count - 1, &run) != ERR_OK)
        return -1;
    return (int)run;
}

typedef void show_route(struct page *page, const struct http_request *request,
                        struct http_reply *reply);

static void show_html(struct page *page, const struct http_request *request,
                      struct http_reply *reply)
{
    (void)page, (void)request;
    show(reply, HTML, &page_html);
}

static void show_css(struct page *page, const struct http_request *request,
                     struct http_reply *reply)
{
    (void)page, (void)request;
    show(reply, "text/css; charset=utf-8", &page_css);
}

static void show_js(struct page *page, const struct http_request *request, struct http_reply *reply)
{
    (void)page, (void)request;
    show(reply, "text/javascript; charset=utf-8", &page_js);
}

static void show_runs(struct page *page, const struct http_request *request,
                      struct http_reply *reply)
{
    (void)request;
    show_json(reply, page_runs_json(&page->runs));
}

static void show_status(struct page *page, const struct http_request *request,
                        struct http_reply *reply)
{
    int run = run_of(page, request);
    if (run >= 0)
        show_json(reply, page_status_json(&page->runs, run));
}

static void show_curves(struct page *page, const struct http_request *request,
                        struct http_reply *reply)
{
    int run = run_of(page, request);
    const char *stage = http_query(request, "stage"), *from = http_query(request, "from");
    if (run >= 0 && stage)
        show_json(reply,
                  page_curves_json(&page->runs, run, stage, from ? strtoll(from, NULL, 10) : 0));
}

static void show_results(struct page *page, const struct http_request *request,
                         struct http_reply *reply)
{
    int run = run_of(page, request);
    if (run >= 0)
        show_json(reply, page_results_json(&page->runs, run));
}

static void show_metrics(struct page *page, const struct http_request *request,
                         struct http_reply *reply)
{
    struct prometheus *metrics = prometheus_create();
    struct text text;
    (void)request;
    text_init(&text);
    for (int run = 0; run < page->runs.count; run++) {
        bool is_read = page_status(&page->runs, run) == ERR_OK;
        prometheus_add(metrics, is_read ? page->runs.found : NULL, page->runs.folders[run]);
    }
    prometheus_write(metrics, &text);
    reply->bytes = strdup(text_get(&text));
    reply->size = reply->bytes ? text.size : 0;
    reply->type = reply->bytes ? PROMETHEUS_TYPE : NULL;
    text_fini(&text);
    prometheus_destroy(&metrics);
}

static void show_report(struct page *page, const struct http_request *request,
                        struct http_reply *reply)
{
    int run = run_of(page, request);
    if (run >= 0 && page_report(&page->runs, run, &reply->file, &reply->size) == ERR_OK) {
        reply->type = HTML;
        reply->policy = HTTP_FROZEN;
    }
}

static const struct route {
    const char *path;
    show_route *show;
} routes[] = {{"/", show_html},
              {"/page.css", show_css},
              {"/page.js", show_js},
              {"/runs.json", show_runs},
              {"/status.json", show_status},
              {"/curves.json", show_curves},
              {"/results.json", show_results},
              {"/report.html", show_report},
              {"/metrics", show_metrics}};

static void append(char ***list, int *count, char *folder)
{
    size_t old = (size_t)*count * sizeof **list;
    *list = mem_grow(*list, old, old + sizeof **list);
    (*list)[(*count)++] = folder;
}

/* Takes the folder. */
static void take_run(struct page_runs *runs, char *folder)
{
    for (int i = 0; i < runs->count; i++)
        if (strcmp(runs->folders[i], folder) == 0) {
            mem_free(folder);
            return;
        }
    append(&runs->folders, &runs->count, folder);
}

static void take_added(struct page *page)
{
    pthread_mutex_lock(&page->lock);
    for (int i = 0; i < page->added_count; i++)
        take_run(&page->runs, page->added[i]);
    page->added_count = 0;
    pthread_mutex_unlock(&page->lock);
}

void page_add_run(struct page *page, const char *folder)
{
    pthread_mutex_lock(&page->lock);
    append(&page->added, &page->added_count, mem_string(folder));
    pthread_mutex_unlock(&page->lock);
}

static void answer(void *own, const struct http_request *request, struct http_reply *reply)
{
    take_added(own);
    for (size_t i = 0; i < sizeof routes / sizeof *routes; i++)
        if (strcmp(request->path, routes[i].path) == 0)
            routes[i].show(own, request, reply);
}

static void free_all(struct page *page)
{
    for (int i = 0; i < page->runs.count; i++)
        mem_free(page->runs.folders[i]);
    for (int i = 0; i < page->added_count; i++)
        mem_free(page->added[i]);
    mem_free(page->added);
    pthread_mutex_destroy(&page->lock);
    mem_free(page->runs.folders);
    curve_cache_destroy(&page->runs.curves);
    mem_free(page->runs.found);
    mem_free(page);
}

static struct page *make(const struct page_cfg *cfg)
{
    struct page *page = mem_alloc(sizeof *page);
    pthread_mutex_init(&page->lock, NULL);
    page->runs = (struct page_runs){.count = cfg->count,
                                    .folders = mem_array((size_t)cfg->count, sizeof(char *)),
                                    .source = cfg->source,
                                    .grows = cfg->grows,
                                    .curves = curve_cache_create(),
                                    .found = mem_alloc(sizeof(struct found_status))};
    for (int i = 0; i < cfg->count; i++)
        page->runs.folders[i] = mem_string(cfg->folders[i]);
    return page;
}

enum err page_open(const struct page_cfg *cfg, struct page **result)
{
    enum err err = ERR_OK;
    char drawn[SECRET_HEX_BYTES] = "";
    struct page *page = make(cfg);
    if (!cfg->token)
        TRY(secret_draw(drawn));
    struct http_cfg http = {
        .port = cfg->port, .token = cfg->token ? cfg->token : drawn, .answer = answer, .own = page};
    TRY(http_open(&http, &page->http));
    snprintf(page->address, sizeof page->address, "http://127.0.0.1:%d/%s/", http_port(page->http),
             http.token);
    *result = page;
    page = NULL;
out:
    if (page)
        free_all(page);
    return err;
}

void page_close(struct page **pointer)
{
    struct page *page = *pointer;
    *pointer = NULL;
    if (page && http_close(&page->http)) /* else it still reads what is ours */
        free_all(page);
}

const char *page_address(const struct page *page)
{
    return page->address;
}

int page_port(const struct page *page)
{
    return http_port(page->http);
}
