#include "cluster/slurm/ask.h"
#include "base/clock.h"
#include "base/mem.h"
#include "base/text.h"
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

struct asking {
    pid_t pid;
    int pipes[2][2]; /* of its standard output and error; -1: closed */
    struct text said[2];
};

static void close_end(int *end)
{
    if (*end >= 0)
        close(*end);
    *end = -1;
}

static enum err spawn(struct asking *asking, const char *const *argv)
{
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    for (int i = 0; i < 2; i++)
        if (pipe2(asking->pipes[i], O_CLOEXEC) != 0)
            return err_set(ERR_IO, "no pipe: %s", strerror(errno));
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
    for (int i = 0; i < 2; i++)
        posix_spawn_file_actions_adddup2(&actions, asking->pipes[i][1], 1 + i);
    posix_spawnattr_init(&attributes); /* whoever ends us does not end what we ask for in the end */
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSID);
    int code =
        posix_spawnp(&asking->pid, argv[0], &actions, &attributes, (char *const *)argv, environ);
    posix_spawnattr_destroy(&attributes);
    posix_spawn_file_actions_destroy(&actions);
    for (int i = 0; i < 2; i++)
        close_end(&asking->pipes[i][1]);
    if (code == EAGAIN || code == ENOMEM)
        return err_set(ERR_AGAIN, "%s cannot be started now: %s", argv[0], strerror(code));
    if (code != 0)
        return err_set(ERR_UNAVAILABLE,
                       "%s cannot be started: %s; is this a machine of the cluster?", argv[0],
                       strerror(code));
    return ERR_OK;
}

/* One piece, or the end. */
static enum err take(struct asking *asking, int which)
{
    char bytes[65536];
    ssize_t size = read(asking->pipes[which][0], bytes, sizeof bytes);
    if (size < 0 && errno == EINTR)
        return ERR_OK;
    if (size <= 0)
        close_end(&asking->pipes[which][0]);
    else if (asking->said[which].size + (size_t)size > ASK_MAX_BYTES)
        return err_set(ERR_IO, "more than %d MiB of output", ASK_MAX_BYTES / 1024 / 1024);
    else
        text_add_bytes(&asking->said[which], bytes, (size_t)size);
    return ERR_OK;
}

static enum err listen_until(struct asking *asking, double end_s)
{
    enum err err = ERR_OK;
    while (asking->pipes[0][0] >= 0 || asking->pipes[1][0] >= 0) {
        struct pollfd ends[2] = {{asking->pipes[0][0], POLLIN, 0},
                                 {asking->pipes[1][0], POLLIN, 0}};
        double left_s = end_s - clock_seconds();
        if (left_s <= 0)
            return err_set(ERR_AGAIN,
                           "no answer within the time limit; Slurm may be busy or away: try again");
        if (poll(ends, 2, (int)(left_s * 1000) + 1) < 0 && errno != EINTR)
            return err_set(ERR_IO, "poll: %s", strerror(errno));
        for (int i = 0; i < 2; i++)
            if (ends[i].fd >= 0 && ends[i].revents)
                TRY(take(asking, i));
    }
out:
    return err;
}

static int reap(struct asking *asking)
{
    int status = 0;
    while (waitpid(asking->pid, &status, 0) < 0 && errno == EINTR)
        continue;
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/* It stands in the middle of a line of ours. */
static void trim(char *text)
{
    for (size_t size = strlen(text); size > 0 && text[size - 1] == '\n'; size--)
        text[size - 1] = '\0';
}

enum err ask(const char *const *argv, double seconds, struct answer *answer)
{
    enum err err = ERR_OK;
    struct asking asking = {.pipes = {{-1, -1}, {-1, -1}}};
    for (int i = 0; i < 2; i++)
        text_init(&asking.said[i]);
    TRY(spawn(&asking, argv));
    err = listen_until(&asking, clock_seconds() + seconds);
    if (err != ERR_OK) {
        kill(asking.pid, SIGKILL);
        reap(&asking);
        TRY(err_prefix(err, "%s", argv[0]));
    }
    *answer = (struct answer){.code = reap(&asking),
                              .output = mem_string(text_get(&asking.said[0])),
                              .error = mem_string(text_get(&asking.said[1]))};
    trim(answer->error);
out:
    for (int i = 0; i < 2; i++) {
        close_end(&asking.pipes[i][0]);
        close_end(&asking.pipes[i][1]);
        text_fini(&asking.said[i]);
    }
    return err;
}

enum err ask_surely(const char *const *argv, struct answer *answer)
{
    enum err err = ask(argv, ASK_SECONDS, answer);
    if (err != ERR_OK || answer->code == 0)
        return err;
    err_set(ERR_AGAIN, "%s ended with %d: %.500s; try again when Slurm answers", argv[0],
            answer->code, answer->error);
    answer_fini(answer);
    return ERR_AGAIN;
}

/* It does not know yet, or there is room for it later. */
static bool may_be_taken(const struct answer *answer)
{
    static const char *const words[] = {"Unable to contact", "timed out", "Socket",    "Zero Bytes",
                                        "temporarily",       "standby",   "MaxSubmit", "GrpSubmit"};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (strstr(answer->error, words[i]))
            return true;
    return answer->code < 0;
}

enum err ask_sbatch(const char *const *argv, const char *cure, char job[ASK_JOB])
{
    enum err err = ERR_OK;
    struct answer answer = {0};
    TRY(ask(argv, ASK_SECONDS, &answer));
    if (answer.code != 0 && may_be_taken(&answer))
        TRY(err_set(ERR_AGAIN, "Slurm does not take the job now: %.1000s", answer.error));
    if (answer.code != 0)
        TRY(err_set(ERR_FAILED, "Slurm refuses the job: %.1000s; %s", answer.error, cure));
    snprintf(job, ASK_JOB, "%.*s", (int)strcspn(answer.output, ";\n"), answer.output);
out:
    answer_fini(&answer);
    return err;
}

void answer_fini(struct answer *answer)
{
    mem_free(answer->output);
    mem_free(answer->error);
    *answer = (struct answer){0};
}
