/* The journal of a run's folder, for a test that writes or reads it by itself; journal_close() it.
 * The test fails where it cannot be opened. */
#ifndef TESTS_SCHEDULER_OPEN_JOURNAL_H
#define TESTS_SCHEDULER_OPEN_JOURNAL_H

#include "base/file.h"
#include "base/mem.h"
#include "scheduler/journal.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static inline struct journal *open_journal(const char *folder)
{
    struct journal *journal = NULL;
    char *path = file_join(folder, "journal");
    if (journal_open(path, JOURNAL_WRITE, &journal) != ERR_OK)
        fail_msg("%s", err_text());
    mem_free(path);
    return journal;
}

#endif
