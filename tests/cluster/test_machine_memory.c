/* How much memory a run may take: from a folder that looks like a machine's /proc and /sys. */
#include "base/text.h"
#include "cluster/machine_memory.h"
#include "tests/scratch.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define MIB ((size_t)1 << 20)

static void put(const char *root, const char *path, const char *text)
{
    char full[600], folder[600];
    snprintf(full, sizeof full, "%s%s", root, path);
    snprintf(folder, sizeof folder, "%s", full);
    *strrchr(folder, '/') = '\0';
    assert_int_equal(file_make_folders(folder), ERR_OK);
    assert_int_equal(file_write(full, text, strlen(text)), ERR_OK);
}

static void put_machine(const char *root)
{
    put(root, "/proc/meminfo", "MemTotal:       16384 kB\nMemFree:  1024 kB\n");
}

static struct machine_memory read_machine(const char *root)
{
    struct machine_memory memory;
    if (machine_memory_read(root, &memory) != ERR_OK)
        fail_msg("%s", err_text());
    return memory;
}

static void without_limits_it_is_the_machines(void **state)
{
    put_machine(*state);
    struct machine_memory memory = read_machine(*state);
    assert_int_equal(memory.total_bytes, 16 * MIB);
    assert_string_equal(memory.whose, "this machine has");
    put(*state, "/proc/self/cgroup", "0::/a/b\n");
    put(*state, "/sys/fs/cgroup/a/b/memory.max", "max\n");
    memory = read_machine(*state);
    assert_int_equal(memory.total_bytes, 16 * MIB);
}

/* The group's own limit, one above it, and a container that sees its group as the root. */
static void the_smallest_limit_of_the_groups_above_counts(void **state)
{
    put_machine(*state);
    put(*state, "/proc/self/cgroup", "0::/a/b\n");
    put(*state, "/sys/fs/cgroup/a/b/memory.max", "12582912\n");
    assert_int_equal(read_machine(*state).total_bytes, 12 * MIB);
    put(*state, "/sys/fs/cgroup/a/memory.max", "4194304\n");
    struct machine_memory memory = read_machine(*state);
    assert_int_equal(memory.total_bytes, 4 * MIB);
    assert_string_equal(memory.whose, "the control group /sys/fs/cgroup/a/memory.max allows");
    put(*state, "/proc/self/cgroup", "0::/\n");
    put(*state, "/sys/fs/cgroup/memory.max", "2097152\n");
    assert_int_equal(read_machine(*state).total_bytes, 2 * MIB);
}

static void version_1_groups_limit_too(void **state)
{
    put_machine(*state);
    put(*state, "/proc/self/cgroup",
        "12:cpuset:/x\n11:memory:/docker/1234\n10:memory_of_another:/y\n0::/z\n");
    put(*state, "/sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n");
    assert_int_equal(read_machine(*state).total_bytes, 16 * MIB);
    put(*state, "/sys/fs/cgroup/memory/memory.limit_in_bytes", "3145728\n");
    assert_int_equal(read_machine(*state).total_bytes, 3 * MIB);
    put(*state, "/sys/fs/cgroup/memory/docker/1234/memory.limit_in_bytes", "1048576\n");
    assert_int_equal(read_machine(*state).total_bytes, MIB);
}

static void a_machine_that_says_nothing_is_an_error(void **state)
{
    struct machine_memory memory;
    put(*state, "/proc/meminfo", "Nothing: 3 kB\n");
    assert_int_equal(machine_memory_read(*state, &memory), ERR_IO);
    assert_non_null(strstr(err_text(), "/proc/meminfo does not say how much memory there is"));
}

/* This one, whatever it is. */
static void a_real_machine_is_read(void **state)
{
    (void)state;
    struct machine_memory memory = read_machine("");
    assert_true(memory.total_bytes > 64 * MIB);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, scratch_make, scratch_remove)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(without_limits_it_is_the_machines),
        TEST(the_smallest_limit_of_the_groups_above_counts),
        TEST(version_1_groups_limit_too),
        TEST(a_machine_that_says_nothing_is_an_error),
        TEST(a_real_machine_is_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
