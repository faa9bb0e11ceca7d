#include "cluster/page/http.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/secret.h"
#include <arpa/inet.h>
#include <errno.h>
#include <microhttpd.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

enum { MAX_CONNECTIONS = 48, FULL = 32, IDLE_S = 10, CONNECTION_BYTES = 16384, CLOSE_S = 2 };

struct client {
    int socket;         /* -1: this place is free */
    unsigned long used; /* when it was of use last: a serial number */
};

struct http {
    pthread_t thread;
    pthread_mutex_t mutex;
    pthread_cond_t ended; /* on the steady clock */
    bool is_over;
    int wake; /* eventfd: end */
    struct MHD_Daemon *daemon;
    char *token;
    int port;
    struct http_cfg cfg;
    struct client clients[MAX_CONNECTIONS]; /* the thread's own, as the rest */
    unsigned long serial;
};

static const char *const policies[] = {
    [HTTP_OURS] = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
                  "img-src 'self' data:; base-uri 'none'; form-action 'none'; "
                  "frame-ancestors 'none'",
    [HTTP_FROZEN] = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; sandbox; "
                    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"};

static void add_headers(struct MHD_Response *response, const struct http_reply *reply)
{
    if (reply->type)
        MHD_add_response_header(response, "Content-Type", reply->type);
    MHD_add_response_header(response, "Content-Security-Policy", policies[reply->policy]);
    MHD_add_response_header(response, "Cache-Control", "no-store");
    MHD_add_response_header(response, "X-Content-Type-Options", "nosniff");
    MHD_add_response_header(response, "X-Frame-Options", "DENY");
    MHD_add_response_header(response, "Referrer-Policy", "no-referrer");
    MHD_add_response_header(response, "Cross-Origin-Resource-Policy", "same-origin");
}

/* Takes what the reply holds. */
static struct MHD_Response *make_response(const struct http_reply *reply)
{
    if (reply->lasting)
        return MHD_create_response_from_buffer(reply->size, (void *)reply->lasting,
                                               MHD_RESPMEM_PERSISTENT);
    if (reply->bytes)
        return MHD_create_response_from_buffer(reply->size, reply->bytes, MHD_RESPMEM_MUST_FREE);
    return MHD_create_response_from_fd(reply->size, reply->file);
}

static enum MHD_Result say(struct MHD_Connection *connection, unsigned status,
                           const struct http_reply *reply)
{
    struct MHD_Response *response = make_response(reply);
    if (!response)
        return MHD_NO;
    add_headers(response, reply);
    if (status == MHD_HTTP_METHOD_NOT_ALLOWED)
        MHD_add_response_header(response, "Allow", "GET, HEAD");
    enum MHD_Result result = MHD_queue_response(connection, status, response);
    MHD_destroy_response(response);
    return result;
}

static enum MHD_Result refuse(struct MHD_Connection *connection, unsigned status, const char *why)
{
    struct http_reply reply = {
        .type = "text/plain; charset=utf-8", .lasting = why, .size = strlen(why)};
    return say(connection, status, &reply);
}

/* What follows "/TOKEN"; NULL: that is not what the path begins with. */
static const char *behind_token(const struct http *http, const char *url)
{
    char given[SECRET_HEX_BYTES + 1] = "";
    size_t size = url[0] == '/' ? strcspn(url + 1, "/") : 0;
    memcpy(given, url + (size > 0), size < sizeof given ? size : sizeof given - 1);
    bool is_known = secret_equal(http->token, given);
    return is_known && url[1 + size] == '/' ? url + 1 + size : NULL;
}

static void use_connection(struct http *http, struct MHD_Connection *connection)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    struct client *client = info ? info->socket_context : NULL;
    if (client)
        client->used = ++http->serial;
}

static enum MHD_Result answer(void *own, struct MHD_Connection *connection, const char *url,
                              const char *method, const char *version, const char *upload,
                              size_t *upload_size, void **context)
{
    struct http *http = own;
    const char *path = behind_token(http, url);
    struct http_reply reply = {.file = -1};
    (void)version, (void)upload, (void)upload_size;
    if (!path)
        return refuse(connection, MHD_HTTP_NOT_FOUND, "There is nothing here.\n");
    use_connection(http, connection);
    if (strcmp(method, "GET") != 0 && strcmp(method, "HEAD") != 0)
        return refuse(connection, MHD_HTTP_METHOD_NOT_ALLOWED, "Only GET and HEAD.\n");
    if (!*context) { /* an answer now would close the connection behind it */
        *context = http;
        return MHD_YES;
    }
    const struct http_request request = {.path = path, .connection = connection};
    http->cfg.answer(http->cfg.own, &request, &reply);
    return reply.type ? say(connection, MHD_HTTP_OK, &reply)
                      : refuse(connection, MHD_HTTP_NOT_FOUND, "There is nothing here.\n");
}

/* Whoever keeps connections open and asks for nothing (or does so byte by byte) keeps nobody out.
 */
static void make_room(struct http *http)
{
    struct client *oldest = NULL;
    int count = 0;
    for (int i = 0; i < MAX_CONNECTIONS; i++) {
        struct client *client = &http->clients[i];
        if (client->socket < 0)
            continue;
        count++;
        oldest = !oldest || client->used < oldest->used ? client : oldest;
    }
    if (count < FULL)
        return;
    shutdown(oldest->socket, SHUT_RDWR); /* seen as its end: closed in the next turn */
    oldest->used = ++http->serial;       /* and not chosen again meanwhile */
}

static void begin_client(struct http *http, int socket, void **context)
{
    make_room(http);
    for (int i = 0; i < MAX_CONNECTIONS; i++)
        if (http->clients[i].socket < 0) {
            http->clients[i] = (struct client){.socket = socket, .used = ++http->serial};
            *context = &http->clients[i];
            return;
        }
}

static void watch_client(void *own, struct MHD_Connection *connection, void **context,
                         enum MHD_ConnectionNotificationCode code)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
    struct client *client = *context;
    if (code == MHD_CONNECTION_NOTIFY_STARTED && info)
        begin_client(own, info->connect_fd, context);
    else if (code == MHD_CONNECTION_NOTIFY_CLOSED && client)
        client->socket = -1;
}

/* Nothing is decoded: what we serve has no name that needs it. */
static size_t keep_escaped(void *own, struct MHD_Connection *connection, char *text)
{
    (void)own, (void)connection;
    return strlen(text);
}

const char *http_query(const struct http_request *request, const char *name)
{
    return MHD_lookup_connection_value((struct MHD_Connection *)request->connection,
                                       MHD_GET_ARGUMENT_KIND, name);
}

static void log_line_of(void *own, const char *format, va_list arguments)
{
    (void)own, (void)format, (void)arguments; /* what clients do wrong is nobody's to read */
}

static struct MHD_Daemon *start(struct http *http)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons((uint16_t)http->cfg.port),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    return MHD_start_daemon(
        MHD_USE_EPOLL | MHD_USE_ERROR_LOG, 0, NULL, NULL, answer, http, MHD_OPTION_EXTERNAL_LOGGER,
        log_line_of, NULL, MHD_OPTION_SOCK_ADDR, &address, MHD_OPTION_CONNECTION_LIMIT,
        (unsigned)MAX_CONNECTIONS, MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)IDLE_S,
        MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)CONNECTION_BYTES, MHD_OPTION_STRICT_FOR_CLIENT,
        1, MHD_OPTION_UNESCAPE_CALLBACK, keep_escaped, NULL, MHD_OPTION_NOTIFY_CONNECTION,
        watch_client, http, MHD_OPTION_END);
}

static int find_port(struct MHD_Daemon *daemon)
{
    const union MHD_DaemonInfo *info = MHD_get_daemon_info(daemon, MHD_DAEMON_INFO_BIND_PORT);
    return info ? info->port : 0;
}

static int timeout_ms(struct MHD_Daemon *daemon)
{
    MHD_UNSIGNED_LONG_LONG ms = 0;
    if (MHD_get_timeout(daemon, &ms) != MHD_YES)
        return -1;
    return ms > 1000 ? 1000 : (int)ms;
}

static void *serve(void *own)
{
    struct http *http = own;
    const union MHD_DaemonInfo *info = MHD_get_daemon_info(http->daemon, MHD_DAEMON_INFO_EPOLL_FD);
    struct pollfd looks[] = {{.fd = http->wake, .events = POLLIN},
                             {.fd = info->epoll_fd, .events = POLLIN}};
    while (!(looks[0].revents & POLLIN)) {
        poll(looks, 2, timeout_ms(http->daemon));
        MHD_run(http->daemon);
    }
    MHD_stop_daemon(http->daemon);
    pthread_mutex_lock(&http->mutex);
    http->is_over = true;
    pthread_cond_broadcast(&http->ended);
    pthread_mutex_unlock(&http->mutex);
    return NULL;
}

/* Signals are the main thread's. */
static int begin_thread(struct http *http)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int code = pthread_create(&http->thread, NULL, serve, http);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return code;
}

static void free_all(struct http *http)
{
    pthread_cond_destroy(&http->ended);
    pthread_mutex_destroy(&http->mutex);
    if (http->wake >= 0)
        close(http->wake);
    mem_free(http->token);
    mem_free(http);
}

static struct http *make(const struct http_cfg *cfg)
{
    struct http *http = mem_alloc(sizeof *http);
    pthread_condattr_t steady;
    http->cfg = *cfg;
    http->token = mem_string(cfg->token);
    http->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    for (int i = 0; i < MAX_CONNECTIONS; i++)
        http->clients[i].socket = -1;
    pthread_mutex_init(&http->mutex, NULL);
    pthread_condattr_init(&steady);
    pthread_condattr_setclock(&steady, CLOCK_MONOTONIC);
    pthread_cond_init(&http->ended, &steady);
    pthread_condattr_destroy(&steady);
    return http;
}

enum err http_open(const struct http_cfg *cfg, struct http **result)
{
    enum err err = ERR_OK;
    struct http *http = make(cfg);
    http->daemon = http->wake >= 0 ? start(http) : NULL;
    if (!http->daemon)
        TRY(err_set(ERR_UNAVAILABLE, "no page on port %d of 127.0.0.1: %s; name another port",
                    cfg->port, strerror(errno)));
    http->port = find_port(http->daemon);
    if (begin_thread(http) != 0) {
        MHD_stop_daemon(http->daemon);
        TRY(err_set(ERR_UNAVAILABLE, "there can be no thread for the page"));
    }
    *result = http;
    http = NULL;
out:
    if (http)
        free_all(http);
    return err;
}

int http_port(const struct http *http)
{
    return http->port;
}

static bool wait_for_end(struct http *http)
{
    struct timespec end;
    int timed_out = 0;
    clock_gettime(CLOCK_MONOTONIC, &end);
    end.tv_sec += CLOSE_S;
    pthread_mutex_lock(&http->mutex);
    while (!http->is_over && timed_out == 0)
        timed_out = pthread_cond_timedwait(&http->ended, &http->mutex, &end);
    bool is_over = http->is_over;
    pthread_mutex_unlock(&http->mutex);
    return is_over;
}

bool http_close(struct http **pointer)
{
    struct http *http = *pointer;
    *pointer = NULL;
    if (!http)
        return true;
    eventfd_write(http->wake, 1);
    if (!wait_for_end(http)) {
        pthread_detach(http->thread);
        return false;
    }
    pthread_join(http->thread, NULL);
    free_all(http);
    return true;
}
