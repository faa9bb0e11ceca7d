#include "base/mem.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h> /* needs the four above */

#include "base/err.h"
#include <stdbool.h>
#include <sys/wait.h>
#include <unistd.h>

static void assert_zeroed_and_aligned(const unsigned char *memory, size_t size)
{
    assert_int_equal((uintptr_t)memory % 64, 0);
    for (size_t i = 0; i < size; i++)
        assert_int_equal(memory[i], 0);
}

static void memory_is_zeroed_and_aligned(void **state)
{
    (void)state;
    for (size_t size = 0; size < 300; size += 13) {
        unsigned char *memory = mem_alloc(size);
        assert_zeroed_and_aligned(memory, size);
        memset(memory, 0xFF, size);
        mem_free(memory);
    }
    mem_free(NULL);
}

static void growing_keeps_the_bytes_and_the_alignment(void **state)
{
    (void)state;
    char *memory = mem_grow(NULL, 0, 10);
    memcpy(memory, "123456789", 10);
    memory = mem_grow(memory, 10, 100000);
    assert_int_equal((uintptr_t)memory % 64, 0);
    assert_string_equal(memory, "123456789");
    memory = mem_grow(memory, 100000, 4);
    assert_memory_equal(memory, "1234", 4);
    mem_free(memory);
}

static void arena_memory_is_zeroed_again_after_a_reset(void **state)
{
    (void)state;
    struct arena *arena = arena_create();
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < 200; i++) {
            size_t size = (size_t)(i * 37 % 5000);
            unsigned char *memory = arena_alloc(arena, size);
            assert_zeroed_and_aligned(memory, size);
            memset(memory, 0xAB, size);
        }
        arena_reset(arena);
    }
    arena_destroy(arena);
    arena_destroy(NULL);
}

static void arena_pieces_do_not_overlap(void **state)
{
    (void)state;
    struct arena *arena = arena_create();
    unsigned char *piece[64];
    for (int i = 0; i < 64; i++) {
        size_t size = i % 9 == 0 ? 300000 : 100; /* larger than a chunk now and then */
        piece[i] = arena_alloc(arena, size);
        memset(piece[i], i, size);
    }
    for (int i = 0; i < 64; i++)
        for (int b = 0; b < 100; b++)
            assert_int_equal(piece[i][b], i);
    assert_string_equal(arena_string(arena, "copied"), "copied");
    arena_destroy(arena);
}

static void a_reset_reuses_the_chunks(void **state)
{
    (void)state;
    struct arena *arena = arena_create();
    void *first = arena_alloc(arena, 1000);
    void *second = arena_alloc(arena, 500000);
    arena_reset(arena);
    assert_ptr_equal(arena_alloc(arena, 1000), first);
    assert_ptr_equal(arena_alloc(arena, 500000), second);
    arena_destroy(arena);
}

#if defined __SANITIZE_ADDRESS__ || defined __SANITIZE_THREAD__
#define ALLOCATOR_ENDS_IT true /* in its own way */
#elif defined __has_feature
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define ALLOCATOR_ENDS_IT true
#endif
#endif
#ifndef ALLOCATOR_ENDS_IT
#define ALLOCATOR_ENDS_IT false
#endif

static void a_process_without_memory_ends_with_an_exit_code_of_its_own(void **state)
{
    int status = 0;
    (void)state;
    if (ALLOCATOR_ENDS_IT)
        skip();
    pid_t child = fork();
    if (child == 0) {
        mem_alloc(SIZE_MAX / 4);
        _exit(0);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), err_exit_code(ERR_MEMORY));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(memory_is_zeroed_and_aligned),
        cmocka_unit_test(growing_keeps_the_bytes_and_the_alignment),
        cmocka_unit_test(arena_memory_is_zeroed_again_after_a_reset),
        cmocka_unit_test(arena_pieces_do_not_overlap),
        cmocka_unit_test(a_reset_reuses_the_chunks),
        cmocka_unit_test(a_process_without_memory_ends_with_an_exit_code_of_its_own),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
