/* A system call that fails, in this process and its children for ever: for tests that fork first.
 */
#ifndef TESTS_SCHEDULER_SYSTEM_CALL_H
#define TESTS_SCHEDULER_SYSTEM_CALL_H

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

/* The call gets this errno (0: it says that all went well, and does nothing) where its argument
 * (from 0) has these bits; the process exits with 77 where the kernel knows no filters. */
static inline void system_call_answers(long call, int argument, unsigned bits, int reason)
{
    uint32_t offset = (uint32_t)offsetof(struct seccomp_data, args) + 8 * (uint32_t)argument;
    struct sock_filter words[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)call, 0, 4),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offset),
        BPF_STMT(BPF_ALU | BPF_AND | BPF_K, bits),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, bits, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (uint32_t)reason),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)};
    struct sock_fprog program = {.len = sizeof words / sizeof words[0], .filter = words};
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
        prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0)
        _exit(77);
}

#endif
