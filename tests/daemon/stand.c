#include "tests/daemon/stand.h"
#include "base/clock.h"
#include "base/fault.h"
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "cluster/daemon/control_client.h"
#include "cluster/daemon/daemon.h"
#include "cluster/interrupt.h"
#include <dirent.h>
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#define WAIT_S 60.0

static void nap(void)
{
    nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
}

int stand_make(void **state)
{
    struct stand *stand = mem_alloc(sizeof *stand);
    const char *root = getenv("TMPDIR");
    snprintf(stand->folder, sizeof stand->folder, "%s/glowworm-test-XXXXXX", root ? root : "/tmp");
    stand->cores = 2;
    *state = stand;
    if (!mkdtemp(stand->folder))
        return -1;
    snprintf(stand->scheduler, sizeof stand->scheduler, "%s/scheduler", stand->folder);
    return 0;
}

/* False: two runners had one folder at a time. */
static bool end_runners(struct stand *stand)
{
    bool is_right = true;
    struct dirent *entry;
    DIR *folder = opendir(stand->folder);
    while (folder && (entry = readdir(folder))) {
        long pid = 0;
        if (entry->d_name[0] != '.' && stand_lines(stand, entry->d_name, "starts", &pid) > 0)
            stand_tell(stand, entry->d_name, "code", "0");
        is_right = is_right && stand_lines(stand, entry->d_name, "twice", &pid) == 0;
    }
    if (folder)
        closedir(folder);
    return is_right;
}

int stand_remove(void **state)
{
    struct stand *stand = *state;
    if (stand->daemon > 0)
        stand_end(stand, SIGKILL);
    bool is_right = end_runners(stand);
    enum err err = ERR_IO; /* a runner may still write its last word */
    for (double end_s = clock_seconds() + WAIT_S; err != ERR_OK && clock_seconds() < end_s; nap())
        err = file_remove_folder(stand->folder);
    mem_free(stand);
    return is_right && err == ERR_OK ? 0 : -1;
}

static _Noreturn void become_daemon(struct stand *stand, const char *fault)
{
    struct daemon_cfg cfg = {
        .folder = stand->scheduler,
        .glowworm = FAKE_GLOWWORM,
        .capacity = {.cores = stand->cores, .memory_bytes = 1 << 30, .jobs = stand->jobs},
        .stop_asked = interrupt_count(),
        .stops_runs = stand->stops_runs,
        .wants_page = stand->wants_page};
    char *log = file_join(stand->folder, "daemon.log");
    if (!freopen(log, "ae", stderr))
        _exit(74);
    if (fault)
        setenv("GLOWWORM_FAULT", fault, 1);
    fault_reset();
    log_open(LOG_INFO, -1);
    interrupt_watch();
    enum err err = daemon_run(&cfg);
    if (err != ERR_OK)
        fprintf(stderr, "%s\n", err_text());
    _exit(err_exit_code(err));
}

static bool has_died(struct stand *stand)
{
    siginfo_t ended = {.si_pid = 0};
    return waitid(P_PID, (id_t)stand->daemon, &ended, WEXITED | WNOHANG | WNOWAIT) != 0 ||
           ended.si_pid != 0;
}

int stand_await_daemon(struct stand *stand)
{
    int status = 0;
    for (double end_s = clock_seconds() + WAIT_S; !has_died(stand); nap())
        if (clock_seconds() > end_s)
            fail_msg("the scheduler does not end");
    waitpid(stand->daemon, &status, 0);
    stand->daemon = 0;
    return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

int stand_end(struct stand *stand, int signal)
{
    kill(stand->daemon, signal);
    return stand_await_daemon(stand);
}

static enum err ask(struct stand *stand, Gwd__Request *request, Gwd__Reply **reply)
{
    enum err err = ERR_OK;
    struct control_client *client = NULL;
    struct control_client_cfg cfg = {.folder = stand->scheduler};
    TRY(control_client_open(&cfg, &client));
    TRY(control_client_ask(client, request, reply));
out:
    control_client_close(&client);
    return err;
}

static bool answers(struct stand *stand)
{
    Gwd__Request request = GWD__REQUEST__INIT;
    Gwd__List list = GWD__LIST__INIT;
    Gwd__Reply *reply = NULL;
    request.body_case = GWD__REQUEST__BODY_LIST;
    request.list = &list;
    if (ask(stand, &request, &reply) != ERR_OK)
        return false;
    gwd__reply__free_unpacked(reply, NULL);
    return true;
}

void stand_start(struct stand *stand, const char *fault)
{
    stand->daemon = fork();
    if (stand->daemon == 0)
        become_daemon(stand, fault);
    for (double end_s = clock_seconds() + WAIT_S; !has_died(stand) && !answers(stand); nap())
        if (clock_seconds() > end_s)
            fail_msg("the scheduler does not come: %s", err_text());
}

uint64_t stand_submit(struct stand *stand, const struct wanted *wanted)
{
    char run[400];
    uint64_t id = 0;
    char *words[] = {(char *)wanted->name, (char *)"--run-folder", run};
    Gwd__Request request = GWD__REQUEST__INIT;
    Gwd__Submit submit = GWD__SUBMIT__INIT;
    Gwd__Reply *reply = NULL;
    snprintf(run, sizeof run, "%s/%s", stand->folder, wanted->name);
    submit.name = (char *)wanted->name;
    submit.campaign_path = run;
    submit.run_folder = run;
    submit.work_folder = wanted->work_folder ? (char *)wanted->work_folder : stand->folder;
    submit.by = (char *)"test";
    submit.words = words;
    submit.n_words = 3;
    submit.priority = wanted->priority;
    submit.cores = (uint32_t)wanted->cores;
    submit.is_held = wanted->is_held;
    if (wanted->site)
        submit.site = (char *)wanted->site;
    request.body_case = GWD__REQUEST__BODY_SUBMIT;
    request.submit = &submit;
    if (ask(stand, &request, &reply) != ERR_OK)
        return 0;
    id = reply->id;
    gwd__reply__free_unpacked(reply, NULL);
    return id;
}

uint64_t stand_submit_simple(struct stand *stand, const char *name, int cores)
{
    struct wanted wanted = {.name = name, .cores = cores};
    uint64_t id = stand_submit(stand, &wanted);
    if (id == 0)
        fail_msg("%s", err_text());
    return id;
}

enum err stand_change(struct stand *stand, uint64_t id, Gwd__Verb verb, int priority)
{
    Gwd__Request request = GWD__REQUEST__INIT;
    Gwd__Change change = GWD__CHANGE__INIT;
    Gwd__Reply *reply = NULL;
    change.id = id;
    change.verb = verb;
    change.priority = priority;
    request.body_case = GWD__REQUEST__BODY_CHANGE;
    request.change = &change;
    enum err err = ask(stand, &request, &reply);
    if (err == ERR_OK)
        gwd__reply__free_unpacked(reply, NULL);
    return err;
}

static void show_log(struct stand *stand)
{
    char *path = file_join(stand->folder, "daemon.log"), *bytes = NULL;
    size_t size = 0;
    if (file_read(path, 1 << 20, &bytes, &size) == ERR_OK)
        fprintf(stderr, "%s", bytes);
    mem_free(bytes);
    mem_free(path);
}

bool stand_find(struct stand *stand, uint64_t id, struct submitted *found, char why[1200])
{
    Gwd__Request request = GWD__REQUEST__INIT;
    Gwd__List list = GWD__LIST__INIT;
    Gwd__Reply *reply = NULL;
    list.after = id - 1;
    request.body_case = GWD__REQUEST__BODY_LIST;
    request.list = &list;
    if (ask(stand, &request, &reply) != ERR_OK) {
        show_log(stand);
        fail_msg("%s", err_text());
    }
    bool is_listed = reply->n_listed > 0 && reply->listed[0]->submitted->id == id;
    if (is_listed && submitted_read(reply->listed[0]->submitted, found) != ERR_OK)
        fail_msg("%s", err_text());
    if (is_listed)
        submitted_fini(found);
    if (is_listed && why)
        snprintf(why, 1200, "%s", reply->listed[0]->why);
    gwd__reply__free_unpacked(reply, NULL);
    return is_listed;
}

void stand_await(struct stand *stand, uint64_t id, enum submitted_state state)
{
    struct submitted found;
    for (double end_s = clock_seconds() + WAIT_S;; nap()) {
        bool is_listed = stand_find(stand, id, &found, NULL);
        if (is_listed && found.state == state)
            return;
        if (clock_seconds() < end_s)
            continue;
        show_log(stand);
        fail_msg("campaign %d is %s: %s; expected %s", (int)id,
                 is_listed ? submitted_state_name(found.state) : "not listed", found.text,
                 submitted_state_name(state));
    }
}

void stand_expect_why(struct stand *stand, uint64_t id, const char *part)
{
    struct submitted found;
    char why[1200];
    assert_true(stand_find(stand, id, &found, why));
    if (!strstr(why, part) && !strstr(found.text, part))
        fail_msg("campaign %d says \"%s\" and \"%s\", not \"%s\"", (int)id, why, found.text, part);
}

static void path_of(struct stand *stand, const char *name, const char *file, char path[700])
{
    snprintf(path, 700, "%s/%s/%s", stand->folder, name, file);
}

void stand_tell(struct stand *stand, const char *name, const char *file, const char *text)
{
    char path[700];
    path_of(stand, name, "", path);
    if (file_make_folders(path) != ERR_OK)
        fail_msg("%s", err_text());
    path_of(stand, name, file, path);
    if (file_write(path, text, strlen(text)) != ERR_OK)
        fail_msg("%s", err_text());
}

void stand_untell(struct stand *stand, const char *name, const char *file)
{
    char path[700];
    path_of(stand, name, file, path);
    unlink(path);
}

int stand_lines(struct stand *stand, const char *name, const char *file, long *last)
{
    char path[700], line[64];
    int count = 0;
    path_of(stand, name, file, path);
    FILE *opened = fopen(path, "re");
    while (opened && fgets(line, sizeof line, opened) && strchr(line, '\n')) {
        *last = strtol(line, NULL, 10);
        count++;
    }
    if (opened)
        fclose(opened);
    return count;
}

void stand_last_line(struct stand *stand, const char *name, const char *file, char line[64])
{
    char path[700], read[64];
    path_of(stand, name, file, path);
    FILE *opened = fopen(path, "re");
    line[0] = '\0';
    while (opened && fgets(read, sizeof read, opened) && strchr(read, '\n'))
        snprintf(line, 64, "%.*s", (int)strcspn(read, "\n"), read);
    if (opened)
        fclose(opened);
}

void stand_await_lines(struct stand *stand, const char *name, const char *file, int lines)
{
    long last = 0;
    for (double end_s = clock_seconds() + WAIT_S; stand_lines(stand, name, file, &last) < lines;
         nap()) {
        if (clock_seconds() < end_s)
            continue;
        show_log(stand);
        fail_msg("%s of %s has %d lines, not %d", file, name, stand_lines(stand, name, file, &last),
                 lines);
    }
}

pid_t stand_await_start(struct stand *stand, const char *name, int starts)
{
    long pid = 0;
    stand_await_lines(stand, name, "starts", starts);
    stand_lines(stand, name, "starts", &pid);
    return (pid_t)pid;
}
