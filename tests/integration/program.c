#include "tests/integration/program.h"
#include "base/clock.h"
#include "base/err.h"
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static void redirect(const char *path, int number)
{
    int file = open(path, O_WRONLY | O_CREAT | O_APPEND, 0666);
    if (file < 0 || dup2(file, number) < 0)
        _exit(126);
    close(file);
}

struct program program_start(const char *const *words, const char *output, const char *log)
{
    struct program program = {.pid = fork(), .output = output, .log = log};
    if (program.pid < 0)
        BUG("no process for %s", words[0]);
    if (program.pid == 0) {
        setpgid(0, 0);
        redirect(output, STDOUT_FILENO);
        redirect(log, STDERR_FILENO);
        execvp(words[0], (char *const *)words);
        _exit(127);
    }
    return program;
}

bool program_runs(struct program *program, int *exit_code)
{
    int status = 0;
    if (!program->has_ended) {
        pid_t ended = waitpid(program->pid, &status, WNOHANG);
        if (ended == 0)
            return true;
        if (ended < 0)
            BUG("process %d is not our child", (int)program->pid);
        program->has_ended = true;
        program->signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
        program->exit_code = program->signal ? 128 + program->signal : WEXITSTATUS(status);
    }
    *exit_code = program->exit_code;
    return false;
}

int program_wait(struct program *program, double seconds)
{
    int exit_code = 0;
    double end = clock_seconds() + seconds;
    while (program_runs(program, &exit_code)) {
        if (clock_seconds() > end) {
            pid_t children[64];
            int count = program_children(program, children, 64);
            for (int i = 0; i < count; i++)
                kill(children[i], SIGKILL);
            kill(-program->pid, SIGKILL);
            waitpid(program->pid, NULL, 0);
            BUG("a program was not done after %g s; see %s", seconds, program->log);
        }
        nanosleep(&(struct timespec){.tv_nsec = 5000000}, NULL);
    }
    return exit_code;
}

int program_children(const struct program *program, pid_t *children, int room)
{
    char path[64];
    int count = 0;
    snprintf(path, sizeof path, "/proc/%d/task/%d/children", (int)program->pid, (int)program->pid);
    FILE *file = fopen(path, "re");
    if (!file)
        return 0;
    for (long child = 0; count < room && fscanf(file, "%ld", &child) == 1;)
        children[count++] = (pid_t)child;
    fclose(file);
    return count;
}
