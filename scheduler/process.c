#include "scheduler/process.h"
#include "base/fault.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/text.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define MAX_ENVIRONMENT (1024 * 1024)
#define MAX_INHERITED   1024

extern char **environ;

struct proc_stat { /* of /proc/PID/stat */
    long long session;
    unsigned long long started_ticks;
    char state;
};

static bool read_stat(long long pid, struct proc_stat *stat)
{
    char path[64], *bytes = NULL;
    size_t size = 0;
    snprintf(path, sizeof path, "/proc/%lld/stat", pid);
    if (file_read(path, 4096, &bytes, &size) != ERR_OK)
        return false;
    char *at = strrchr(bytes, ')'); /* the name in parentheses may hold anything */
    /* state ppid pgrp session, then 15 fields, then the start time: proc(5), fields 3 to 22 */
    bool is_sound = at && sscanf(at + 1, " %c %*d %*d %lld", &stat->state, &stat->session) == 2;
    for (int field = 3; is_sound && field <= 22; field++) {
        at = strchr(at + 1, ' ');
        is_sound = at != NULL;
    }
    is_sound = is_sound && sscanf(at, " %llu", &stat->started_ticks) == 1;
    mem_free(bytes);
    return is_sound;
}

/* Ours with the given ones set over it; the strings are borrowed. Returns owned. */
static char **make_environment(const char *const *extra)
{
    size_t ours = 0, added = 0, count = 0;
    while (environ && environ[ours])
        ours++;
    while (extra && extra[added])
        added++;
    char **list = mem_array(ours + added + 1, sizeof *list);
    for (size_t i = 0; i < ours; i++) {
        bool is_replaced = false;
        for (size_t j = 0; j < added; j++) {
            size_t name = strcspn(extra[j], "=") + 1;
            is_replaced = is_replaced || strncmp(environ[i], extra[j], name) == 0;
        }
        if (!is_replaced)
            list[count++] = environ[i];
    }
    for (size_t j = 0; j < added; j++)
        list[count++] = (char *)extra[j];
    return list;
}

struct pipes {
    int news[2]; /* to us: what goes wrong; the exec closes it */
    int word[2]; /* to the child: a byte, and it may go on; -1: it need not wait */
};

/* Its parent has noted it; or has died, or could not. */
static void await_word(struct pipes *pipes)
{
    char word;
    ssize_t got;
    close(pipes->word[1]);
    do
        got = read(pipes->word[0], &word, 1);
    while (got < 0 && errno == EINTR);
    if (got != 1)
        _exit(143);
}

/* Between fork and exec: only what is safe in a signal handler. */
static _Noreturn void become(const struct process_cfg *cfg, char **environment, int log,
                             struct pipes *pipes, pid_t parent)
{
    sigset_t held;
    sigemptyset(&held);
    if (cfg->holds_requests)
        sigaddset(&held, SIGUSR1);
    sigprocmask(SIG_SETMASK, &held, NULL);
    signal(SIGPIPE, SIG_DFL);
    setsid();
    if (!cfg->may_outlive_us)
        prctl(PR_SET_PDEATHSIG, SIGTERM);
    if (!cfg->may_outlive_us && getppid() != parent) /* it died before the line above */
        _exit(143);
    if (pipes->word[0] >= 0)
        await_word(pipes);
    int empty = open("/dev/null", O_RDONLY);
    /* ours are all closed by the exec; this is for what a library opened or a parent left us */
    if (close_range(3, ~0U, CLOSE_RANGE_CLOEXEC) != 0) /* before Linux 5.11, or in a sandbox */
        for (int file = 3; file < MAX_INHERITED; file++)
            fcntl(file, F_SETFD, FD_CLOEXEC);
    if ((!cfg->work_folder || chdir(cfg->work_folder) == 0) && empty >= 0 && dup2(empty, 0) >= 0 &&
        dup2(log, 1) >= 0 && dup2(log, 2) >= 0)
        execvpe(cfg->argv[0], (char *const *)cfg->argv, environment);
    int reason = errno;
    ssize_t written = write(pipes->news[1], &reason, sizeof reason);
    (void)written;
    _exit(127);
}

/* What may be over at the next try: too little of something, a file server that is away. */
static bool is_passing(int reason)
{
    static const int passing[] = {EAGAIN, ENOMEM, ENFILE, EMFILE, EIO, ESTALE, ETIMEDOUT, ETXTBSY};
    for (size_t i = 0; i < sizeof passing / sizeof passing[0]; i++)
        if (reason == passing[i])
            return true;
    return false;
}

/* With the sentence for errno. */
static enum err failed(const char *what, const char *name)
{
    int reason = errno;
    enum err code = is_passing(reason)                     ? ERR_AGAIN
                    : reason == ENOSPC || reason == EDQUOT ? ERR_FULL
                                                           : ERR_IO;
    return err_set(code, "%s %s: %s", what, name, strerror(reason));
}

static void reap(pid_t pid)
{
    while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
        continue;
}

/* Not reaped yet, so it is there even if it has ended already. One whose start time cannot be read
 * would never be found again. */
static enum err know(pid_t pid, struct process *process)
{
    struct proc_stat stat;
    if (FAULT("process.know") == ERR_OK && read_stat(pid, &stat)) {
        process->started_ticks = stat.started_ticks;
        return ERR_OK;
    }
    kill(pid, SIGKILL);
    reap(pid);
    return err_set(ERR_AGAIN, "no new process: /proc/%ld/stat cannot be read now", (long)pid);
}

static void close_end(int *end)
{
    if (*end >= 0)
        close(*end);
    *end = -1;
}

/* The child waits for our word, or for us to hang up. */
static enum err note_and_tell(const struct process_cfg *cfg, const struct process *process,
                              struct pipes *pipes)
{
    enum err err = cfg->note(cfg->own, process);
    if (err == ERR_OK && write(pipes->word[1], "", 1) != 1)
        err = failed("the process is gone before it began:", cfg->argv[0]);
    close_end(&pipes->word[1]);
    if (err != ERR_OK)
        reap((pid_t)process->pid);
    return err;
}

/* Waits until the child has become its program, in its own session; or learns why not. */
static enum err await_program(const char *program, pid_t pid, int news)
{
    int reason = 0;
    ssize_t got;
    do
        got = read(news, &reason, sizeof reason);
    while (got < 0 && errno == EINTR);
    if (got != (ssize_t)sizeof reason)
        return ERR_OK;
    reap(pid);
    return err_set(is_passing(reason) ? ERR_AGAIN : ERR_UNAVAILABLE, "%s cannot be started: %s",
                   program, strerror(reason));
}

static enum err open_pipes(const struct process_cfg *cfg, struct pipes *pipes)
{
    if (cfg->work_folder && !file_is_folder(cfg->work_folder))
        return err_set(ERR_UNAVAILABLE, "%s cannot be started in %s: there is no such folder",
                       cfg->argv[0], cfg->work_folder);
    if (pipe2(pipes->news, O_CLOEXEC) != 0 || (cfg->note && pipe2(pipes->word, O_CLOEXEC) != 0))
        return failed("no pipe for", cfg->argv[0]);
    return ERR_OK;
}

enum err process_start(const struct process_cfg *cfg, struct process *process)
{
    enum err err = ERR_OK;
    char **environment = make_environment(cfg->environment);
    struct pipes pipes = {{-1, -1}, {-1, -1}};
    pid_t parent = getpid();
    int log = open(cfg->log_path, O_WRONLY | O_CREAT | O_APPEND | O_NOFOLLOW | O_CLOEXEC, 0644);
    if (log < 0)
        TRY(failed("the log cannot be opened,", cfg->log_path));
    TRY(FAULT("process.start"));
    TRY(open_pipes(cfg, &pipes));
    pid_t pid = fork();
    if (pid == 0)
        become(cfg, environment, log, &pipes, parent);
    if (pid < 0)
        TRY(failed("no new process for", cfg->argv[0]));
    close_end(&pipes.news[1]);
    struct process made = {.pid = pid};
    TRY(know(pid, &made));
    if (cfg->note)
        TRY(note_and_tell(cfg, &made, &pipes));
    TRY(await_program(cfg->argv[0], pid, pipes.news[0]));
    *process = made;
out:
    for (int i = 0; i < 2; i++) {
        close_end(&pipes.news[i]);
        close_end(&pipes.word[i]);
    }
    close_end(&log);
    mem_free(environment);
    return err;
}

bool process_any_has_ended(void)
{
    siginfo_t ended = {.si_pid = 0};
    return waitid(P_ALL, 0, &ended, WEXITED | WNOHANG | WNOWAIT) != 0 || ended.si_pid != 0;
}

struct process_end process_poll(const struct process *process)
{
    struct process_end end = {0};
    int status = 0;
    pid_t pid = waitpid((pid_t)process->pid, &status, WNOHANG);
    if (pid == 0 || (pid < 0 && errno == EINTR))
        return end;
    if (pid < 0 && process_lives(process)) /* another's child */
        return end;
    end.has_ended = true;
    end.code = pid > 0 && WIFEXITED(status) ? WEXITSTATUS(status) : -1;
    end.signal = pid > 0 && WIFSIGNALED(status) ? WTERMSIG(status) : 0;
    return end;
}

bool process_lives(const struct process *process)
{
    struct proc_stat stat;
    return process->pid > 1 && read_stat(process->pid, &stat) && stat.session == process->pid &&
           stat.started_ticks == process->started_ticks && stat.state != 'Z' && stat.state != 'X';
}

static bool has_mark(long long pid, const char *mark)
{
    char path[64], *bytes = NULL;
    size_t size = 0, mark_size = strlen(mark) + 1;
    bool is_found = false;
    snprintf(path, sizeof path, "/proc/%lld/environ", pid);
    if (file_read(path, MAX_ENVIRONMENT, &bytes, &size) != ERR_OK)
        return false;
    for (size_t at = 0; at < size && !is_found; at += strlen(bytes + at) + 1)
        is_found = size - at >= mark_size && memcmp(bytes + at, mark, mark_size) == 0;
    mem_free(bytes);
    return is_found;
}

bool process_is_marked(const struct process *process, const char *mark)
{
    return process->pid > 1 && has_mark(process->pid, mark);
}

typedef bool visit_process(void *own, long long pid, char state); /* true: counts */

/* Its number was given to another process, which happens when the session's last has gone. */
static bool is_another(const struct process *session)
{
    struct proc_stat stat;
    return session->started_ticks > 0 && read_stat(session->pid, &stat) &&
           stat.started_ticks != session->started_ticks;
}

struct search { /* borrowed; what one of the two finds */
    const struct process *session;
    const char *mark;
    const struct process_sessions *spared; /* of what the mark finds */
};

static struct search search_of(const struct process *process)
{
    return (struct search){.session = process, .mark = process->mark[0] ? process->mark : NULL};
}

static bool is_spared(const struct process_sessions *spared, long long pid, long long session)
{
    for (int i = 0; spared && i < spared->count; i++) {
        const struct process *process = &spared->list[i];
        if (process->pid == session || (process->mark[0] && has_mark(pid, process->mark)))
            return true;
    }
    return false;
}

static bool is_meant(const struct search *search, long long pid, const struct proc_stat *stat)
{
    if (search->session && stat->session == search->session->pid)
        return true;
    return search->mark && has_mark(pid, search->mark) &&
           !is_spared(search->spared, pid, stat->session);
}

/* The living processes that are meant. Returns how many the visitor counts. */
static int visit_all(struct search search, visit_process *visit, void *own)
{
    int count = 0;
    struct dirent *entry;
    if (search.session && is_another(search.session))
        search.session = NULL;
    if (!search.session && !search.mark)
        return 0;
    DIR *folder = opendir("/proc");
    while (folder && (entry = readdir(folder))) {
        struct proc_stat stat;
        char *end = NULL;
        long long pid = strtoll(entry->d_name, &end, 10);
        if (pid <= 1 || *end || pid == getpid() || !read_stat(pid, &stat) || stat.state == 'Z')
            continue;
        if (is_meant(&search, pid, &stat) && visit(own, pid, stat.state))
            count++;
    }
    if (folder)
        closedir(folder);
    return count;
}

static bool send_signal(void *own, long long pid, char state)
{
    const int *number = own;
    (void)state;
    return kill((pid_t)pid, *number) == 0;
}

static int signal_all(struct search search, int number)
{
    return visit_all(search, send_signal, &number);
}

struct list { /* as text, cut where it does not fit */
    char *text;
    int room;
};

static bool add_to_list(void *own, long long pid, char state)
{
    struct list *list = own;
    int size = (int)strlen(list->text);
    snprintf(list->text + size, (size_t)(list->room - size), "%s%lld (state %c)",
             size > 0 ? ", " : "", pid, state);
    return true;
}

static int list_all(struct search search, char *text, int room)
{
    struct list list = {text, room};
    text[0] = '\0';
    return visit_all(search, add_to_list, &list);
}

int process_list(const struct process *process, char *text, int room)
{
    text[0] = '\0';
    return process->pid > 1 ? list_all(search_of(process), text, room) : 0;
}

int process_signal(const struct process *process, int signal)
{
    return process->pid > 1 ? signal_all(search_of(process), signal) : 0;
}

static bool kill_but_ask_leader(void *own, long long pid, char state)
{
    const int64_t *leader = own;
    (void)state;
    return kill((pid_t)pid, pid == *leader ? SIGTERM : SIGKILL) == 0;
}

int process_kill(const struct process *process)
{
    int64_t leader = process->is_wide ? process->pid : 0;
    return process->pid > 1 ? visit_all(search_of(process), kill_but_ask_leader, &leader) : 0;
}

int process_kill_marked(const char *mark, const struct process_sessions *spared)
{
    return signal_all((struct search){.mark = mark, .spared = spared}, SIGKILL);
}

int process_list_marked(const char *mark, const struct process_sessions *spared, char *text,
                        int room)
{
    return list_all((struct search){.mark = mark, .spared = spared}, text, room);
}

int process_count_marked(const char *mark)
{
    return signal_all((struct search){.mark = mark}, 0);
}

uint64_t process_started_ticks(int64_t pid)
{
    struct proc_stat stat;
    return read_stat(pid, &stat) && stat.state != 'Z' ? stat.started_ticks : 0;
}

void process_place(char *place, int room)
{
    char *boot = NULL, host[128] = "", space[32] = "";
    size_t size = 0;
    struct stat numbers;
    if (file_read("/proc/sys/kernel/random/boot_id", 64, &boot, &size) == ERR_OK)
        boot[strcspn(boot, "\n")] = '\0';
    if (stat("/proc/self/ns/pid", &numbers) == 0)
        snprintf(space, sizeof space, "/%llu", (unsigned long long)numbers.st_ino);
    gethostname(host, sizeof host - 1);
    snprintf(place, (size_t)room, "%s%s %s", boot ? boot : "", boot ? space : "", host);
    mem_free(boot);
}

bool process_place_is_same(const char *left, const char *right)
{
    size_t size = strcspn(left, " ");
    bool has_space = memchr(left, '/', size) != NULL;
    return strcmp(left, right) == 0 || (has_space && strncmp(left, right, size + 1) == 0);
}
