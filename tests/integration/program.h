/* Starting, watching, killing and ending other programs. Every wait has an end: what takes too long
 * is killed and fails the test. */
#ifndef TESTS_INTEGRATION_PROGRAM_H
#define TESTS_INTEGRATION_PROGRAM_H

#include <stdbool.h>
#include <sys/types.h>

struct program {
    pid_t pid;
    const char *output, *log; /* where standard output and error go; borrowed */
    bool has_ended;
    int exit_code; /* 128 + signal for a killed one, as of a killed rank behind mpirun... */
    int signal;    /* ...so this tells which of them it was; 0: none */
};

/* words: NULL-terminated; appended to both files. */
struct program program_start(const char *const *words, const char *output, const char *log);
/* Whether it still runs; otherwise *exit_code (128 + signal for a killed one). */
bool program_runs(struct program *program, int *exit_code);
/* Its exit code. Longer than that: everything is killed and the test fails. */
int program_wait(struct program *program, double seconds);
/* Processes started by it (mpirun's ranks), at most `room`, in the order they were started. */
int program_children(const struct program *program, pid_t *children, int room);

#endif
