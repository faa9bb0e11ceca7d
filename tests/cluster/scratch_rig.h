/* A run whose stores lie on scratch: RUN and STORES in one scratch folder, with a journal that
 * counts on checkpoints. For tests of claims and of what is published. */
#ifndef TESTS_CLUSTER_SCRATCH_RIG_H
#define TESTS_CLUSTER_SCRATCH_RIG_H

#include "base/fault.h"
#include "base/fence.h"
#include "cluster/scratch/claim.h"
#include "cluster/scratch/state.h"
#include "scheduler/journal.h"
#include "tests/checkpoint/fixture.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h> /* needs the four above */

#define ID_A "0123456789abcdef0123456789abcdef"

struct rig {
    char *folder, *run, *stores, *journal, *checkpoints;
};

static inline void must(enum err err)
{
    if (err != ERR_OK)
        fail_msg("%s: %s", err_name(err), err_text());
}

static inline void write_text(const char *folder, const char *name, const char *text)
{
    char *path = file_join(folder, name);
    must(file_write(path, text, strlen(text)));
    mem_free(path);
}

static inline int rig_make(void **state)
{
    void *folder = NULL;
    if (scratch_make(&folder) != 0)
        return -1;
    struct rig *rig = mem_alloc(sizeof *rig);
    rig->folder = folder;
    rig->run = file_join(folder, "run");
    rig->stores = file_join(folder, "stores");
    rig->journal = file_join(rig->stores, "journal");
    rig->checkpoints = file_join(rig->stores, "checkpoints");
    char *published = file_join(rig->run, "published");
    must(file_make_folders(published));
    must(file_make_folders(rig->stores));
    write_text(rig->stores, "id", ID_A);
    mem_free(published);
    *state = rig;
    return 0;
}

static inline int rig_remove(void **state)
{
    struct rig *rig = *state;
    void *folder = rig->folder;
    unsetenv("GLOWWORM_FAULT");
    fault_reset();
    mem_free(rig->run), mem_free(rig->stores), mem_free(rig->journal), mem_free(rig->checkpoints);
    mem_free(rig);
    return scratch_remove(&folder);
}

static inline void arm(const char *faults)
{
    setenv("GLOWWORM_FAULT", faults, 1);
    fault_reset();
}

/* A checkpoint of that step, and the journal counts on it. */
static inline void train_to(const struct rig *rig, uint64_t step)
{
    struct checkpoint_store *store = NULL;
    struct journal *journal = NULL;
    struct hash content, key = {{7}};
    struct lease lease;
    char hex[HASH_HEX_BYTES];
    must(open_at(rig->checkpoints, true, 1, &store));
    must(save_step(store, "teacher", step, false, &content));
    checkpoint_store_close(&store);
    hash_hex(&content, hex);
    must(journal_open(rig->journal, JOURNAL_WRITE, &journal));
    must(journal_lease(journal, &key, "teacher", "", LEASE_GOES_ON, &lease));
    must(journal_checkpoint(journal, &lease, step, 1000, hex));
    journal_close(&journal);
}

/* What a journal and checkpoints in a folder say of the step, and that it is whole. */
static inline uint64_t trained_to(const char *folder)
{
    struct checkpoint_store *store = NULL;
    struct journal *journal = NULL;
    struct checkpoint found = {0};
    struct stage_record record = {0};
    struct hash key = {{7}};
    char *path = file_join(folder, "journal"), *checkpoints = file_join(folder, "checkpoints");
    must(journal_open(path, JOURNAL_READ, &journal));
    must(journal_stage(journal, &key, &record));
    must(open_at(checkpoints, false, 1, &store));
    must(checkpoint_load(store, record.checkpoint, &found));
    assert_null(find_difference(&found));
    assert_int_equal(found.position.step, record.step);
    checkpoint_fini(&found);
    stage_record_fini(&record);
    checkpoint_store_close(&store);
    journal_close(&journal);
    mem_free(path), mem_free(checkpoints);
    return record.step;
}

static inline struct publish_cfg publishing(const struct rig *rig, uint64_t claim)
{
    return (struct publish_cfg){.run_folder = rig->run, .stores = rig->stores, .claim = claim};
}

/* As the child of the runner does, which a fault may end. Returns its wait status. */
static inline int publish_in_child(const struct rig *rig, uint64_t claim, const char *faults)
{
    int status = -1;
    pid_t child = fork();
    if (child == 0) {
        struct published_state name;
        bool is_new;
        const struct publish_cfg cfg = publishing(rig, claim);
        arm(faults);
        _exit(state_publish(&cfg, &name, &is_new) == ERR_OK ? 0 : 1);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    return status;
}

#endif
