/* What tells that the system ended a process for want of memory. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "scheduler/oom.h"
#include "tests/scratch.h"

static void write_in(const char *root, const char *folder, const char *name, const char *text)
{
    char *path = file_join(root, folder), *file = file_join(path, name);
    if (file_make_folders(path) != ERR_OK || file_write(file, text, strlen(text)) != ERR_OK)
        fail_msg("%s", err_text());
    mem_free(file);
    mem_free(path);
}

static void set_group(const char *root, const char *lines)
{
    write_in(root, "proc/self", "cgroup", lines);
}

#define EVENTS(count) "low 0\nhigh 0\nmax 12\noom 5\noom_kill " count "\noom_group_kill 0\n"

static void version_2_counts_in_memory_events(void **state)
{
    set_group(*state, "0::/user.slice/session-3.scope\n");
    write_in(*state, "sys/fs/cgroup/user.slice/session-3.scope", "memory.events", EVENTS("3"));
    assert_int_equal(oom_kills(*state), 3);
}

static void version_1_counts_in_oom_control(void **state)
{
    set_group(*state, "9:name=systemd:/\n4:memory:/box\n3:cpuset:/\n0::/\n");
    write_in(*state, "sys/fs/cgroup/memory/box", "memory.oom_control",
             "oom_kill_disable 0\nunder_oom 0\noom_kill 17\n");
    assert_int_equal(oom_kills(*state), 17);
}

static void a_group_that_a_container_does_not_see_is_where_it_is_mounted(void **state)
{
    set_group(*state, "0::/docker/4711\n");
    write_in(*state, "sys/fs/cgroup", "memory.events", EVENTS("1"));
    assert_int_equal(oom_kills(*state), 1);
}

static void a_job_counts_what_happened_in_its_steps(void **state)
{
    static const char job[] = "system.slice/slurmstepd.scope/job_17";
    char mount[128], batch[160];
    set_group(*state, "0::/system.slice/slurmstepd.scope/job_17/step_batch/user/task_0\n");
    snprintf(mount, sizeof mount, "sys/fs/cgroup/%s", job);
    snprintf(batch, sizeof batch, "%s/step_batch/user/task_0", mount);
    write_in(*state, mount, "memory.events", EVENTS("2"));
    write_in(*state, batch, "memory.events", EVENTS("0"));
    assert_int_equal(oom_kills(*state), 2);
}

static void where_nothing_is_counted_nothing_is_known(void **state)
{
    assert_true(oom_kills(*state) < 0);
    set_group(*state, "0::/\n");
    assert_true(oom_kills(*state) < 0);
    write_in(*state, "sys/fs/cgroup", "memory.events", "oom_kill_disable 0\nnoise\n");
    assert_true(oom_kills(*state) < 0);
}

/* Lines as Slurm 22.05's slurmstepd and srun write them. */
static void slurm_says_so_in_the_log(void **state)
{
    (void)state;
    assert_true(oom_is_told("loss=0.7\nsrun: error: n1: task 1: Out Of Memory\n"));
    assert_true(oom_is_told("slurmstepd: error: Detected 2 oom-kill event(s) in StepId=12.0. Some "
                            "of your processes may have been killed"));
    assert_false(oom_is_told("srun: error: n1: task 1: Killed\n"));
    assert_false(oom_is_told("a program's own line: Out Of Memory, oom_kill\n"));
    assert_false(oom_is_told(""));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, scratch_make, scratch_remove)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(version_2_counts_in_memory_events),
        TEST(version_1_counts_in_oom_control),
        TEST(a_group_that_a_container_does_not_see_is_where_it_is_mounted),
        TEST(a_job_counts_what_happened_in_its_steps),
        TEST(where_nothing_is_counted_nothing_is_known),
        TEST(slurm_says_so_in_the_log),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
