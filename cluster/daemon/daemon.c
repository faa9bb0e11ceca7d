#include "base/clock.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/secret.h"
#include "cluster/daemon/daemon_folder.h"
#include "cluster/daemon/daemon_internal.h"
#include "cluster/page/page_address.h"
#include <poll.h>
#include <string.h>
#include <unistd.h>

#define TURN_MS  250
#define LEAVES_S 2.0
#define NAP_MS   50

enum err daemon_change(struct daemon *daemon, struct entry *entry, const struct submitted *changed)
{
    enum err err = queue_store_put(daemon->store, changed);
    if (err == ERR_OK)
        entry->submitted = *changed;
    return err;
}

struct entry *daemon_append(struct daemon *daemon, const struct submitted *submitted)
{
    struct entry *entry = mem_alloc(sizeof *entry);
    if (daemon->count == daemon->room) {
        size_t item = sizeof *daemon->entries, old = (size_t)daemon->room * item;
        daemon->room += 64;
        daemon->entries = mem_grow(daemon->entries, old, (size_t)daemon->room * item);
    }
    entry->submitted = *submitted;
    daemon->entries[daemon->count++] = entry;
    if (daemon->page)
        page_add_run(daemon->page, submitted->run_folder);
    return entry;
}

static void free_entry(struct entry *entry)
{
    submitted_fini(&entry->submitted);
    mem_free(entry);
}

char *daemon_log_path(const struct daemon *daemon, const struct submitted *submitted)
{
    return daemon_folder_log(daemon->cfg.folder, submitted->id);
}

enum err daemon_forget(struct daemon *daemon, struct entry *entry)
{
    enum err err = queue_store_forget(daemon->store, entry->submitted.id);
    if (err != ERR_OK)
        return err;
    int at = 0;
    while (daemon->entries[at] != entry)
        at++;
    daemon->count--;
    memmove(daemon->entries + at, daemon->entries + at + 1,
            (size_t)(daemon->count - at) * sizeof *daemon->entries);
    char *log = daemon_log_path(daemon, &entry->submitted);
    unlink(log);
    mem_free(log);
    free_entry(entry);
    return ERR_OK;
}

static enum err take_row(const struct submitted *submitted, void *own)
{
    daemon_append(own, submitted);
    return ERR_OK;
}

/* What was killed while it started a runner is there until that sees it. */
static enum err hold_store(struct daemon *daemon)
{
    enum err err = queue_store_open(daemon->cfg.folder, &daemon->store);
    for (double end_s = clock_seconds() + LEAVES_S; err == ERR_AGAIN && clock_seconds() < end_s;) {
        poll(NULL, 0, NAP_MS);
        err = queue_store_open(daemon->cfg.folder, &daemon->store);
    }
    return err;
}

static enum err open_store(struct daemon *daemon)
{
    enum err err = ERR_OK;
    TRY(daemon_folder_make(daemon->cfg.folder));
    err = hold_store(daemon);
    TRY(err == ERR_AGAIN ? err_prefix(err, "%s has a scheduler already", daemon->cfg.folder) : err);
    TRY(queue_store_each(daemon->store, take_row, daemon));
    for (int i = 0; i < daemon->count; i++)
        if (submitted_has_runner(&daemon->entries[i]->submitted))
            daemon_adopt(daemon, daemon->entries[i]);
out:
    return err;
}

/* The same from start to start, so that a bookmark lasts. Only its owner may read it. */
static enum err find_token(const struct daemon *daemon, char token[SECRET_HEX_BYTES])
{
    char *path = file_join(daemon->cfg.folder, "page-token");
    enum err err = secret_read(path, token, SECRET_HEX_BYTES);
    if (err == ERR_NOT_FOUND)
        err = secret_draw(token);
    if (err == ERR_OK)
        err = secret_write(path, token);
    mem_free(path);
    return err;
}

static enum err show_page(struct daemon *daemon)
{
    enum err err = ERR_OK;
    char token[SECRET_HEX_BYTES];
    struct page_cfg cfg = {
        .source = PAGE_OWN_RUN, .grows = true, .port = daemon->cfg.page_port, .token = token};
    TRY(find_token(daemon, token));
    TRY(page_open(&cfg, &daemon->page));
    for (int i = 0; i < daemon->count; i++)
        page_add_run(daemon->page, daemon->entries[i]->submitted.run_folder);
    log_info("page: %s", page_address(daemon->page));
    TRY(page_address_write(daemon->cfg.folder, page_address(daemon->page)));
out:
    return err;
}

/* Campaigns run without it. */
static void open_page(struct daemon *daemon)
{
    page_address_remove(daemon->cfg.folder); /* of one that was killed */
    if (daemon->cfg.wants_page && show_page(daemon) != ERR_OK)
        log_warn("the page is not there as it should be: %s", err_text());
}

static enum err open_all(struct daemon *daemon)
{
    enum err err = ERR_OK;
    char endpoint[DAEMON_PATH + 16];
    TRY(open_store(daemon));
    daemon_folder_endpoint(daemon->cfg.folder, endpoint);
    struct control_server_cfg server = {
        .endpoint = endpoint, .answer = daemon_answer, .own = daemon};
    TRY(control_server_open(&server, &daemon->server));
    log_info("listening on %s, %d cores, %d campaigns of which %d run", endpoint,
             daemon->cfg.capacity.cores, daemon->count,
             daemon_count_runners(daemon, DAEMON_ANYWHERE));
    if (daemon->cfg.listen)
        TRY(daemon_open_remote(daemon));
    open_page(daemon);
out:
    return err;
}

static void close_all(struct daemon *daemon)
{
    if (daemon->page)
        page_address_remove(daemon->cfg.folder);
    page_close(&daemon->page);
    control_server_close(&daemon->remote);
    control_server_close(&daemon->server);
    queue_store_close(&daemon->store);
    for (int i = 0; i < daemon->count; i++)
        free_entry(daemon->entries[i]);
    mem_free(daemon->entries);
}

/* Who asks on this machine, then who asks from others. */
static void hear(struct daemon *daemon)
{
    control_server_turn(daemon->server, TURN_MS);
    if (daemon->remote)
        control_server_turn(daemon->remote, 0);
}

/* They go back to waiting, which is for the next scheduler. */
static void stop_runs(struct daemon *daemon)
{
    for (int i = 0; i < daemon->count; i++) {
        struct entry *entry = daemon->entries[i];
        if (entry->submitted.state == SUBMITTED_RUNNING &&
            !submitted_is_for_slurm(&entry->submitted) &&
            daemon_stop(daemon, entry, SUBMITTED_WAITING, "its scheduler ended") != ERR_OK)
            log_warn("campaign %llu goes on: %s", (unsigned long long)entry->submitted.id,
                     err_text());
    }
    while (daemon_count_runners(daemon, DAEMON_HERE) > 0 && *daemon->cfg.stop_asked < 2) {
        hear(daemon);
        daemon_look(daemon);
    }
}

static void say_end(const struct daemon *daemon)
{
    int count = daemon_count_runners(daemon, DAEMON_ANYWHERE);
    if (count > 0)
        log_info("ends; %d of its runs go on, and the next scheduler on %s finds them", count,
                 daemon->cfg.folder);
    else
        log_info("ends; nothing runs");
}

enum err daemon_run(const struct daemon_cfg *cfg)
{
    enum err err = ERR_OK;
    struct daemon daemon = {.cfg = *cfg};
    TRY(open_all(&daemon));
    while (*cfg->stop_asked == 0) {
        daemon_look(&daemon);
        daemon_schedule(&daemon);
        hear(&daemon);
    }
    if (cfg->stops_runs)
        stop_runs(&daemon);
    say_end(&daemon);
out:
    close_all(&daemon);
    return err;
}
