#include "base/fault.h"
#include "tests/scratch.h"
#include <dirent.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h> /* needs the four above */

static void assert_holds(const char *path, const char *expected)
{
    char *bytes = NULL;
    size_t size = 0;
    assert_int_equal(file_read(path, 1 << 20, &bytes, &size), ERR_OK);
    assert_string_equal(bytes, expected);
    assert_int_equal(size, strlen(expected));
    mem_free(bytes);
}

static int entries_in(const char *folder)
{
    int count = 0;
    DIR *listing = opendir(folder);
    assert_non_null(listing);
    for (struct dirent *entry; (entry = readdir(listing));)
        count += entry->d_name[0] != '.';
    closedir(listing);
    return count;
}

static void what_was_written_is_read(void **state)
{
    char *path = file_join(*state, "file");
    assert_int_equal(file_write(path, "hello", 5), ERR_OK);
    assert_holds(path, "hello");
    assert_int_equal(file_write(path, "", 0), ERR_OK);
    assert_holds(path, "");
    assert_int_equal(entries_in(*state), 1);
    mem_free(path);
}

static void a_file_in_pieces_appears_as_a_whole_and_never_takes_a_taken_name(void **state)
{
    char *path = file_join(*state, "file");
    struct file_update *first = NULL, *second = NULL;
    assert_int_equal(file_begin(path, &first), ERR_OK);
    assert_int_equal(file_begin(path, &second), ERR_OK); /* two who saw that it was free */
    assert_int_equal(file_append(first, "hel", 3), ERR_OK);
    assert_int_equal(file_append(second, "late", 4), ERR_OK);
    assert_false(file_exists(path));
    assert_int_equal(file_append(first, "lo", 2), ERR_OK);
    assert_int_equal(file_commit(&first, FILE_KEEP), ERR_OK);
    assert_null(first);
    assert_int_equal(file_commit(&second, FILE_KEEP), ERR_CONFIG);
    assert_non_null(strstr(err_text(), path));
    assert_null(second);
    assert_holds(path, "hello");
    assert_int_equal(file_begin(path, &first), ERR_OK);
    assert_int_equal(file_commit(&first, FILE_REPLACE), ERR_OK);
    assert_holds(path, "");
    assert_int_equal(file_begin(path, &first), ERR_OK);
    file_abort(&first);
    assert_int_equal(entries_in(*state), 1);
    mem_free(path);
}

static void a_read_stops_at_its_limit(void **state)
{
    char *path = file_join(*state, "file"), *bytes = NULL;
    size_t size = 0;
    assert_int_equal(file_write(path, "123456", 6), ERR_OK);
    assert_int_equal(file_read(path, 6, &bytes, &size), ERR_OK);
    assert_int_equal(size, 6);
    mem_free(bytes);
    assert_int_equal(file_read(path, 5, &bytes, &size), ERR_DATA);
    assert_non_null(strstr(err_text(), path));
    assert_int_equal(file_read(*state, 5, &bytes, &size), ERR_IO); /* a folder */
    mem_free(path);
    path = file_join(*state, "missing");
    assert_int_equal(file_read(path, 5, &bytes, &size), ERR_NOT_FOUND);
    mem_free(path);
}

static void a_file_without_a_size_is_read_whole(void **state)
{
    (void)state;
    char *bytes = NULL;
    size_t size = 0;
    assert_int_equal(file_read("/proc/self/status", 1 << 20, &bytes, &size), ERR_OK);
    assert_memory_equal(bytes, "Name:", 5);
    assert_true(size > 100);
    mem_free(bytes);
}

static const char *swapped; /* stat() still sees the regular file that was at this path */

int __real_stat(const char *restrict path, struct stat *restrict status);
int __wrap_stat(const char *restrict path, struct stat *restrict status);

int __wrap_stat(const char *restrict path, struct stat *restrict status)
{
    int answer = __real_stat(path, status);
    if (swapped && strcmp(path, swapped) == 0)
        status->st_mode = S_IFREG | 0600;
    return answer;
}

static void expect_special(const char *path, const char *kind)
{
    int file = -1;
    assert_int_equal(file_open_regular(path, &file), ERR_DATA);
    assert_non_null(strstr(err_text(), kind));
    assert_int_equal(file, -1);
}

static void only_regular_files_are_opened_where_anything_may_lie(void **state)
{
    char *fifo = file_join(*state, "fifo"), *link = file_join(*state, "link");
    char *plain = file_join(*state, "plain"), *bytes = NULL;
    size_t size = 0;
    int file = -1;
    assert_int_equal(mkfifo(fifo, 0600), 0);
    assert_int_equal(symlink("fifo", link), 0);
    alarm(20); /* opening a FIFO waits for its writer: then the test ends here */
    expect_special(fifo, "a FIFO, not a regular file");
    expect_special(link, "a FIFO");
    expect_special("/dev/zero", "a device");
    expect_special(*state, "a folder");
    swapped = fifo;
    expect_special(fifo, "a FIFO");
    swapped = NULL;
    alarm(0);
    assert_int_equal(file_open_regular(plain, &file), ERR_NOT_FOUND);
    assert_int_equal(file_write(plain, "hello", 5), ERR_OK);
    assert_int_equal(file_open_regular(plain, &file), ERR_OK);
    assert_int_equal(file_read_from(file, plain, 5, &bytes, &size), ERR_OK);
    assert_string_equal(bytes, "hello");
    close(file);
    mem_free(bytes);
    mem_free(plain);
    mem_free(link);
    mem_free(fifo);
}

static void no_link_is_followed_where_the_folder_may_be_anybodys(void **state)
{
    char *plain = file_join(*state, "shown"), *link = file_join(*state, "elsewhere");
    int file = -1;
    assert_int_equal(file_write(plain, "hello", 5), ERR_OK);
    assert_int_equal(symlink("shown", link), 0);
    assert_int_equal(file_open_plain(link, &file), ERR_DATA);
    assert_non_null(strstr(err_text(), "is a link"));
    assert_int_equal(file_open_plain(*state, &file), ERR_DATA);
    assert_int_equal(file, -1);
    assert_int_equal(file_open_plain(plain, &file), ERR_OK);
    close(file);
    mem_free(link);
    mem_free(plain);
}

static void a_failed_write_leaves_the_old_file(void **state)
{
    static const char *const points[] = {"file.write:1", "file.sync:1:full", "file.rename:1"};
    char *path = file_join(*state, "file");
    assert_int_equal(file_write(path, "old", 3), ERR_OK);
    for (int i = 0; i < 3; i++) {
        setenv("GLOWWORM_FAULT", points[i], 1);
        fault_reset();
        assert_int_equal(file_write(path, "new!", 4), i == 1 ? ERR_FULL : ERR_IO);
        assert_holds(path, "old");
        assert_int_equal(entries_in(*state), 1);
    }
    unsetenv("GLOWWORM_FAULT");
    fault_reset();
    mem_free(path);
}

static void a_writer_killed_in_the_middle_leaves_the_old_file(void **state)
{
    static const char *const points[] = {"file.write:1:kill", "file.sync:1:kill",
                                         "file.rename:1:kill"};
    char *path = file_join(*state, "file");
    assert_int_equal(file_write(path, "old", 3), ERR_OK);
    for (int i = 0; i < 3; i++) {
        int status = 0;
        pid_t child = fork();
        if (child == 0) {
            setenv("GLOWWORM_FAULT", points[i], 1);
            fault_reset();
            _exit(file_write(path, "new!", 4) == ERR_OK);
        }
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_true(WIFSIGNALED(status));
        assert_holds(path, "old");
    }
    mem_free(path);
}

static void writing_into_a_missing_folder_says_where(void **state)
{
    char *path = file_join(*state, "no/such/file");
    assert_int_equal(file_write(path, "x", 1), ERR_IO);
    assert_non_null(strstr(err_text(), path));
    mem_free(path);
}

static void folders_are_made_and_removed_whole(void **state)
{
    char *deep = file_join(*state, "a/b//c/"), *top = file_join(*state, "a");
    char *link = file_join(deep, "link"), *kept = file_join(*state, "kept");
    assert_int_equal(file_write(kept, "kept", 4), ERR_OK);
    assert_int_equal(file_make_folders(deep), ERR_OK);
    assert_int_equal(file_make_folders(deep), ERR_OK);
    assert_true(file_is_folder(deep));
    assert_int_equal(symlink(kept, link), 0);
    assert_int_equal(file_remove_folder(top), ERR_OK);
    assert_false(file_exists(top));
    assert_holds(kept, "kept"); /* a link is removed, not what it points to */
    assert_int_equal(file_remove_folder(top), ERR_OK);
    assert_int_equal(file_make_folders(kept), ERR_IO);
    mem_free(deep), mem_free(top), mem_free(link), mem_free(kept);
}

static mode_t mode_of(const char *path)
{
    struct stat status;
    assert_int_equal(lstat(path, &status), 0);
    return status.st_mode & 0777;
}

/* In a child, since root may make folders everywhere. */
static int make_as_nobody(const char *path)
{
    if (geteuid() == 0 && seteuid(65534) != 0)
        return 1;
    return file_make_folders(path) == ERR_IO && strstr(err_text(), "Permission denied") ? 0 : 2;
}

static void a_folder_that_may_not_be_made_is_told_with_the_reason(void **state)
{
    char *path = file_join(*state, "closed/new");
    char *closed = file_join(*state, "closed");
    int status = 0;
    assert_int_equal(file_make_folders(closed), ERR_OK);
    assert_int_equal(chmod(*state, 0755), 0);
    assert_int_equal(chmod(closed, 0555), 0);
    pid_t child = fork();
    if (child == 0)
        _exit(make_as_nobody(path));
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(WEXITSTATUS(status), 0);
    mem_free(path);
    mem_free(closed);
}

static void a_private_folder_is_its_owner_s_alone_and_its_parents_are_not(void **state)
{
    char *parent = file_join(*state, "runs"), *folder = file_join(*state, "runs/mine/");
    mode_t mask = umask(022);
    assert_int_equal(file_make_private(folder), ERR_OK);
    umask(mask);
    assert_int_equal(mode_of(parent), 0755);
    assert_int_equal(mode_of(folder), 0700);
    assert_int_equal(chmod(folder, 0750), 0);
    assert_int_equal(file_make_private(folder), ERR_OK);
    assert_int_equal(mode_of(folder), 0750); /* whoever opened it meant it */
    mem_free(parent);
    mem_free(folder);
}

static void the_end_of_a_file_is_read_however_long_it_is(void **state)
{
    char *path = file_join(*state, "file"), *bytes = NULL;
    size_t size = 0;
    assert_int_equal(file_write(path, "hello", 5), ERR_OK);
    assert_int_equal(file_read_tail(path, 100, &bytes, &size), ERR_OK);
    assert_string_equal(bytes, "hello");
    mem_free(bytes);
    assert_int_equal(file_read_tail(path, 3, &bytes, &size), ERR_OK);
    assert_string_equal(bytes, "llo");
    assert_int_equal(size, 3);
    mem_free(bytes);
    assert_int_equal(truncate(path, 1LL << 40), 0);
    assert_int_equal(file_read_tail(path, 3, &bytes, &size), ERR_OK);
    assert_int_equal(size, 3);
    mem_free(bytes);
    assert_int_equal(file_read_tail(*state, 3, &bytes, &size), ERR_DATA); /* a folder */
    mem_free(path);
}

static void paths_are_joined_with_one_slash(void **state)
{
    (void)state;
    static const char *const cases[][3] = {
        {"a", "b", "a/b"}, {"a/", "b", "a/b"}, {"", "b", "b"}, {"/", "b", "/b"}};
    for (int i = 0; i < 4; i++) {
        char *path = file_join(cases[i][0], cases[i][1]);
        assert_string_equal(path, cases[i][2]);
        mem_free(path);
    }
}

/* A folder that others may write to: the name beside can be guessed. */
static void a_link_laid_where_a_file_will_be_is_not_written_through(void **state)
{
    char *path = file_join(*state, "file"), *victim = file_join(*state, "victim"), name[512];
    for (int i = 0; i < 1000; i++) {
        snprintf(name, sizeof name, "%s.part-%ld-%d", path, (long)getpid(), i);
        assert_int_equal(symlink("victim", name), 0);
    }
    assert_int_equal(file_write(path, "hello", 5), ERR_IO);
    assert_false(file_exists(victim));
    mem_free(path);
    mem_free(victim);
}

static void what_killed_writers_left_is_removed_and_nothing_else(void **state)
{
    static const char *const kept[] = {"file", "file.part-", "file.part-x-1", "file.part-1-2.json"};
    char name[64], *path = file_join(*state, "file");
    int status = 0;
    pid_t child = fork();
    if (child == 0) {
        setenv("GLOWWORM_FAULT", "file.sync:1:kill", 1);
        fault_reset();
        _exit(file_write(path, "half", 4) == ERR_OK);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status));
    assert_int_equal(entries_in(*state), 1);
    snprintf(name, sizeof name, "file.part-%ld-7", (long)getpid()); /* its writer lives */
    for (int i = 0; i < 5; i++) {
        char *other = file_join(*state, i < 4 ? kept[i] : name);
        close(open(other, O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
        mem_free(other);
    }
    assert_int_equal(entries_in(*state), 6);
    file_remove_parts(*state);
    assert_int_equal(entries_in(*state), 5);
    assert_true(file_exists(path));
    file_remove_parts("/no/such/folder");
    mem_free(path);
}

#define T(name) cmocka_unit_test_setup_teardown(name, scratch_make, scratch_remove)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(a_link_laid_where_a_file_will_be_is_not_written_through),
        T(what_was_written_is_read),
        T(a_file_in_pieces_appears_as_a_whole_and_never_takes_a_taken_name),
        T(a_read_stops_at_its_limit),
        T(a_file_without_a_size_is_read_whole),
        T(only_regular_files_are_opened_where_anything_may_lie),
        T(no_link_is_followed_where_the_folder_may_be_anybodys),
        T(a_failed_write_leaves_the_old_file),
        T(a_writer_killed_in_the_middle_leaves_the_old_file),
        T(what_killed_writers_left_is_removed_and_nothing_else),
        T(writing_into_a_missing_folder_says_where),
        T(folders_are_made_and_removed_whole),
        T(a_folder_that_may_not_be_made_is_told_with_the_reason),
        T(a_private_folder_is_its_owner_s_alone_and_its_parents_are_not),
        T(the_end_of_a_file_is_read_however_long_it_is),
        T(paths_are_joined_with_one_slash),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
