/* Where a gang's ranks share memory: on its launcher's node the launcher made the folder; on others
 * the ranks do, and leave nothing. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/file.h"
#include "base/mem.h"
#include "scheduler/mpi_folder.h"
#include "tests/integration/scene.h"
#include "worker/memory_folder.h"
#include <string.h>
#include <unistd.h>

#define NAME MPI_FOLDER_PREFIX "abcdef"

static int check_gang(const char *folder)
{
    static const char *const words[] = {"mpirun", "--oversubscribe", "-n", "2",
                                        WORKER,   "--check",         NULL};
    char *log = file_join(folder, "log");
    setenv("OMPI_MCA_btl", "self,vader", 1); /* else they would find another way */
    setenv("OMPI_MCA_pml", "ob1", 1);
    struct program gang = program_start(words, log, log);
    int code = program_wait(&gang, SCENE_WAIT_S);
    mem_free(log);
    return code;
}

static int set_up(void **state)
{
    char *folder = file_join(mpi_folder_root(), "glowworm-test-XXXXXX");
    *state = folder;
    return mkdtemp(folder) ? 0 : -1;
}

static int tear_down(void **state)
{
    enum err err = file_remove_folder(*state);
    mem_free(*state);
    return err == ERR_OK ? 0 : -1;
}

static void ranks_make_the_folder_where_there_is_none_and_remove_it(void **state)
{
    char *shared = file_join(*state, NAME);
    setenv("OMPI_MCA_btl_vader_backing_directory", shared, 1);
    assert_int_equal(check_gang(*state), 0);
    assert_false(file_exists(shared));
    mem_free(shared);
}

static void what_a_killed_gang_left_there_goes_with_it(void **state)
{
    char *shared = file_join(*state, NAME), *left = file_join(shared, "vader_segment");
    assert_int_equal(file_make_private(shared), ERR_OK);
    assert_int_equal(file_write(left, "", 0), ERR_OK);
    setenv("OMPI_MCA_btl_vader_backing_directory", shared, 1);
    assert_int_equal(check_gang(*state), 0);
    assert_false(file_exists(shared));
    mem_free(left);
    mem_free(shared);
}

/* Another gang of the node has begun, and shares nothing yet. */
static void a_folder_that_another_gang_holds_stays(void **state)
{
    char *shared = file_join(*state, NAME);
    int lock = -1;
    setenv("OMPI_MCA_btl_vader_backing_directory", shared, 1);
    assert_int_equal(memory_folder_join(&lock), ERR_OK);
    assert_true(lock >= 0);
    assert_int_equal(check_gang(*state), 0);
    assert_true(file_is_folder(shared));
    memory_folder_leave(lock);
    assert_false(file_exists(shared));
    mem_free(shared);
}

static void a_folder_of_a_persons_choice_is_left_alone(void **state)
{
    char *shared = file_join(*state, "mine");
    assert_int_equal(file_make_private(shared), ERR_OK);
    setenv("OMPI_MCA_btl_vader_backing_directory", shared, 1);
    assert_int_equal(check_gang(*state), 0);
    assert_true(file_is_folder(shared));
    mem_free(shared);
}

static void the_launchers_folder_stays(void **state)
{
    char folder[JOURNAL_PATH];
    int lock = -1;
    assert_int_equal(mpi_folder_make(folder, &lock), ERR_OK);
    setenv("OMPI_MCA_btl_vader_backing_directory", folder, 1);
    assert_int_equal(check_gang(*state), 0);
    assert_true(file_is_folder(folder));
    assert_int_equal(mpi_folder_remove(folder), ERR_OK);
    close(lock);
}

static void a_folder_that_cannot_be_made_is_named(void **state)
{
    char *shared = file_join(*state, "nowhere/" NAME), *log = file_join(*state, "log");
    char *bytes = NULL;
    size_t size = 0;
    setenv("OMPI_MCA_btl_vader_backing_directory", shared, 1);
    assert_int_not_equal(check_gang(*state), 0);
    assert_int_equal(file_read(log, 1 << 20, &bytes, &size), ERR_OK);
    assert_non_null(strstr(bytes, shared));
    mem_free(bytes);
    mem_free(log);
    mem_free(shared);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(ranks_make_the_folder_where_there_is_none_and_remove_it),
        TEST(what_a_killed_gang_left_there_goes_with_it),
        TEST(a_folder_that_another_gang_holds_stays),
        TEST(a_folder_of_a_persons_choice_is_left_alone),
        TEST(the_launchers_folder_stays),
        TEST(a_folder_that_cannot_be_made_is_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
