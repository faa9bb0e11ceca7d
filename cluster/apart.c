#include "cluster/apart.h"
#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

struct child_outcome { /* what the child tells its parent */
    enum err err;
    char text[8192];
};

static void work_and_tell(enum err (*work)(void *own), void *own, int pipe_end)
{
    signal(SIGSEGV, SIG_DFL); /* the signal is the answer: no handler of a sanitizer's before it */
    signal(SIGBUS, SIG_DFL);
    struct child_outcome verdict = {.err = work(own)};
    snprintf(verdict.text, sizeof verdict.text, "%s", verdict.err == ERR_OK ? "" : err_text());
    if ((fflush(stdout) != 0 || ferror(stdout)) && verdict.err == ERR_OK) {
        verdict.err = ERR_IO;
        snprintf(verdict.text, sizeof verdict.text, "standard output cannot be written");
    }
    for (size_t done = 0; done < sizeof verdict;) {
        ssize_t put = write(pipe_end, (const char *)&verdict + done, sizeof verdict - done);
        if (put < 0 && errno == EINTR)
            continue;
        if (put <= 0)
            break;
        done += (size_t)put;
    }
    _exit(0);
}

static bool hear(int pipe_end, struct child_outcome *verdict)
{
    for (size_t done = 0; done < sizeof *verdict;) {
        ssize_t got = read(pipe_end, (char *)verdict + done, sizeof *verdict - done);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return false;
        done += (size_t)got;
    }
    return true;
}

static int wait_for(pid_t child)
{
    int status = 0;
    while (waitpid(child, &status, 0) < 0 && errno == EINTR)
        continue;
    return status;
}

/* Only what a wild read does to a process speaks against the pages; the kernel may have needed the
 * memory, or somebody ended the child. */
static enum err judge_end(int number, const char *path)
{
    const char *name = number > 0 ? strsignal(number) : "none";
    if (number == SIGSEGV || number == SIGBUS || number == SIGABRT)
        return err_set(ERR_DATA,
                       "%s: the pages of data.mdb are damaged: reading them ended in signal %d "
                       "(%s); a copy of the folder is needed",
                       path, number, name);
    return err_set(
        ERR_FAILED,
        "%s: signal %d (%s) ended the process that read it before it was done; this says "
        "nothing of the data: try again",
        path, number, name);
}

enum err apart(enum err (*work)(void *own), void *own, const char *path)
{
    int ends[2];
    struct child_outcome verdict = {.err = ERR_OK};
    if (pipe(ends) != 0)
        return err_set(ERR_IO, "%s: no pipe to a process that reads it: %s", path, strerror(errno));
    fflush(NULL); /* or the child would print what waits here once more */
    pid_t child = fork();
    if (child == 0) {
        close(ends[0]);
        work_and_tell(work, own, ends[1]);
    }
    int failure = errno;
    close(ends[1]);
    bool is_heard = child > 0 && hear(ends[0], &verdict);
    close(ends[0]);
    if (child < 0)
        return err_set(ERR_IO, "%s: no process to read it in: %s", path, strerror(failure));
    int status = wait_for(child);
    if (!is_heard && WIFSIGNALED(status) && WTERMSIG(status) == SIGPIPE)
        raise(SIGPIPE); /* "| head" has seen enough: end as the child did, without a word */
    if (!is_heard)
        return judge_end(WIFSIGNALED(status) ? WTERMSIG(status) : 0, path);
    return verdict.err == ERR_OK ? ERR_OK : err_set(verdict.err, "%s", verdict.text);
}
