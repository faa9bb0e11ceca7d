/* What came into a bundle after it was compiled, when it is compiled anew. */
#include "base/file.h"
#include "base/mem.h"
#include "tests/validate/tiny_bundle.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static int open_folder(void **state)
{
    static char folder[64];
    snprintf(folder, sizeof folder, "/tmp/glowworm-keep-XXXXXX");
    *state = folder;
    return mkdtemp(folder) ? 0 : -1;
}

static int close_folder(void **state)
{
    return file_remove_folder(*state) == ERR_OK ? 0 : -1;
}

/* In a process of its own: one process draws other weights each time. */
static void compile(const char *folder, const char *device)
{
    int status = -1;
    char *bundle = file_join(folder, "bundle");
    pid_t child = fork();
    if (child == 0) {
        tiny_bundle_write(bundle, device);
        _exit(0);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    mem_free(bundle);
}

static void put(const char *folder, const char *name, const char *text)
{
    char path[160];
    snprintf(path, sizeof path, "%s/bundle/%s", folder, name);
    assert_int_equal(file_write(path, text, strlen(text)), ERR_OK);
}

/* text NULL: it is not there. */
static void expect(const char *folder, const char *name, const char *text)
{
    char path[160], *found = NULL;
    size_t size = 0;
    snprintf(path, sizeof path, "%s/bundle/%s", folder, name);
    assert_int_equal(file_read(path, 1 << 20, &found, &size), text ? ERR_OK : ERR_NOT_FOUND);
    if (text)
        assert_string_equal(found, text);
    mem_free(found);
}

static void a_graph_and_verdicts_of_the_same_network_stay(void **state)
{
    const char *folder = *state;
    compile(folder, "firefly-dl-mono");
    put(folder, "firefly.graph", "converted");
    put(folder, "validate.json", "passed");
    put(folder, "check.html", "a page");
    put(folder, "notes.txt", "nobody's");
    compile(folder, "firefly-dl-mono");
    expect(folder, "firefly.graph", "converted");
    expect(folder, "firefly.graph.old", NULL);
    expect(folder, "validate.json", "passed");
    expect(folder, "check.html", "a page");
    expect(folder, "notes.txt", NULL);
}

static void a_graph_of_another_network_is_put_aside_and_no_verdict_stays(void **state)
{
    const char *folder = *state;
    compile(folder, "firefly-dl-mono");
    put(folder, "firefly.graph", "converted");
    put(folder, "validate.json", "passed");
    compile(folder, "firefly-dl-colour");
    expect(folder, "firefly.graph", NULL);
    expect(folder, "firefly.graph.old", "converted");
    expect(folder, "validate.json", NULL);
    put(folder, "firefly.graph", "converted anew");
    compile(folder, "firefly-dl-colour");
    expect(folder, "firefly.graph", "converted anew");
    expect(folder, "firefly.graph.old", "converted");
}

#define IN_FOLDER(test) cmocka_unit_test_setup_teardown(test, open_folder, close_folder)

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_FOLDER(a_graph_and_verdicts_of_the_same_network_stay),
        IN_FOLDER(a_graph_of_another_network_is_put_aside_and_no_verdict_stays),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
