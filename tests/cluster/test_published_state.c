/* What a run publishes of its stores, and what comes back of it. */
#include "tests/cluster/scratch_rig.h"
#include <dirent.h>
#include <signal.h>

static struct published_state publish(const struct rig *rig, uint64_t claim, bool expect_new)
{
    struct published_state name;
    bool is_new = !expect_new;
    const struct publish_cfg cfg = publishing(rig, claim);
    must(state_publish(&cfg, &name, &is_new));
    assert_int_equal(is_new, expect_new);
    return name;
}

static enum err bring_back(const struct rig *rig, const char *into, struct published_state *name,
                           struct text *damage)
{
    const struct restore_cfg cfg = {.run_folder = rig->run, .into = into};
    return state_restore(&cfg, name, damage);
}

/* Brings back the newest; returns the step it says. */
static uint64_t restored_step(const struct rig *rig, struct published_state *name,
                              struct text *damage)
{
    char *into = file_join(rig->folder, "restored");
    must(bring_back(rig, into, name, damage));
    uint64_t step = trained_to(into);
    mem_free(into);
    return step;
}

static int count_published(const struct rig *rig, const char *prefix)
{
    int count = 0;
    char *path = file_join(rig->run, "published");
    DIR *list = opendir(path);
    for (struct dirent *entry; list && (entry = readdir(list));)
        count += strncmp(entry->d_name, prefix, strlen(prefix)) == 0;
    if (list)
        closedir(list);
    mem_free(path);
    return count;
}

static void what_is_published_comes_back(void **state)
{
    const struct rig *rig = *state;
    struct published_state name;
    struct text damage;
    text_init(&damage);
    train_to(rig, 10);
    publish(rig, 3, true);
    train_to(rig, 20);
    publish(rig, 3, true);
    assert_int_equal(restored_step(rig, &name, &damage), 20);
    assert_int_equal(name.claim, 3);
    assert_int_equal(name.sequence, 2);
    assert_int_equal(damage.size, 0);
}

static void a_run_without_checkpoints_is_published_too(void **state)
{
    const struct rig *rig = *state;
    struct published_state name;
    struct journal *journal = NULL;
    struct text damage;
    char *into = file_join(rig->folder, "restored"), *journal_path = file_join(into, "journal");
    char *checkpoints = file_join(into, "checkpoints");
    text_init(&damage);
    must(journal_open(rig->journal, JOURNAL_WRITE, &journal));
    journal_close(&journal);
    publish(rig, 1, true);
    must(bring_back(rig, into, &name, &damage));
    must(journal_open(journal_path, JOURNAL_WRITE, &journal));
    journal_close(&journal);
    assert_false(file_exists(checkpoints));
    mem_free(into), mem_free(journal_path), mem_free(checkpoints);
}

static void nothing_is_written_where_nothing_changed(void **state)
{
    const struct rig *rig = *state;
    train_to(rig, 10);
    struct published_state first = publish(rig, 1, true), again = publish(rig, 1, false);
    assert_int_equal(again.sequence, first.sequence);
    again = publish(rig, 2, false); /* the next owner of the same stores */
    assert_int_equal(again.claim, 1);
    write_text(rig->stores, "id", "fedcba9876543210fedcba9876543210");
    publish(rig, 2, true); /* other stores: their numbers say nothing */
}

static void the_two_newest_stay(void **state)
{
    const struct rig *rig = *state;
    struct published_state list[8];
    for (uint64_t step = 10; step < 60; step += 10) {
        train_to(rig, step);
        publish(rig, step < 30 ? 1 : 2, true);
    }
    assert_int_equal(published_list(rig->run, list, 8), 2);
    assert_int_equal(list[0].claim, 2);
    assert_int_equal(list[0].sequence, 3);
    assert_int_equal(list[1].sequence, 2);
    assert_int_equal(count_published(rig, ".state-"), 0);
}

/* One byte of the copy is another one. */
static void damage(const struct rig *rig, const struct published_state *state, const char *inside,
                   long at)
{
    char *path = published_path(rig->run, state, inside);
    assert_int_equal(chmod(path, 0600), 0);
    FILE *file = fopen(path, "r+e");
    assert_non_null(file);
    assert_int_equal(fseek(file, at, SEEK_SET), 0);
    int byte = fgetc(file);
    assert_int_equal(fseek(file, at, SEEK_SET), 0);
    assert_int_equal(fputc(byte ^ 1, file), byte ^ 1);
    assert_int_equal(fclose(file), 0);
    mem_free(path);
}

static void a_damaged_one_is_named_and_the_one_before_is_taken(void **state)
{
    const struct rig *rig = *state;
    static const char *const parts[] = {"checkpoints/data.mdb", "journal/data.mdb",
                                        "manifest.json"};
    for (int i = 0; i < 3; i++) {
        struct published_state name;
        struct text text;
        text_init(&text);
        train_to(rig, 10 + 20 * (uint64_t)i);
        publish(rig, 1, true);
        train_to(rig, 20 + 20 * (uint64_t)i);
        struct published_state newest = publish(rig, 1, true);
        damage(rig, &newest, parts[i], 50);
        assert_int_equal(restored_step(rig, &name, &text), 10 + 20 * i);
        assert_int_equal(name.sequence, newest.sequence - 1);
        assert_non_null(strstr(text_get(&text), parts[i]));
        text_fini(&text);
    }
}

static void one_that_was_cut_short_is_named(void **state)
{
    const struct rig *rig = *state;
    struct published_state name;
    struct text text;
    char *into = file_join(rig->folder, "restored");
    text_init(&text);
    train_to(rig, 10);
    name = publish(rig, 1, true);
    char *path = published_path(rig->run, &name, "checkpoints/data.mdb");
    assert_int_equal(truncate(path, 4096), 0);
    assert_int_equal(bring_back(rig, into, &name, &text), ERR_DATA);
    assert_non_null(strstr(err_text(), path));
    assert_non_null(strstr(err_text(), "4096 bytes of"));
    text_fini(&text);
    mem_free(path), mem_free(into);
}

/* As a bad sector, or a server that answers with EIO. */
static void one_that_cannot_be_read_is_named_and_the_one_before_is_taken(void **state)
{
    const struct rig *rig = *state;
    struct published_state name;
    struct text text;
    text_init(&text);
    train_to(rig, 10);
    publish(rig, 1, true);
    train_to(rig, 20);
    struct published_state newest = publish(rig, 1, true);
    char *path = published_path(rig->run, &newest, "journal/data.mdb");
    arm("state.read:1");
    assert_int_equal(restored_step(rig, &name, &text), 20); /* the second try reads it */
    assert_int_equal(text.size, 0);
    arm("state.read:1,state.read:2");
    assert_int_equal(restored_step(rig, &name, &text), 10);
    assert_int_equal(name.sequence, newest.sequence - 1);
    assert_non_null(strstr(text_get(&text), path));
    text_fini(&text);
    mem_free(path);
}

/* It may be read another day: no reason to begin anew. */
static void where_none_can_be_read_the_disk_is_to_blame(void **state)
{
    const struct rig *rig = *state;
    struct published_state name;
    struct text text;
    char *into = file_join(rig->folder, "restored");
    text_init(&text);
    train_to(rig, 10);
    publish(rig, 1, true);
    arm("state.read:1,state.read:2");
    assert_int_equal(bring_back(rig, into, &name, &text), ERR_IO);
    text_fini(&text);
    mem_free(into);
}

static enum err refuse(void *own)
{
    int *asked = own;
    return ++*asked > 2 ? err_set(ERR_INTERRUPTED, "stopped") : ERR_OK;
}

static void a_copy_ends_where_it_is_told_to(void **state)
{
    const struct rig *rig = *state;
    struct published_state name;
    struct text text;
    int asked = 0;
    char *into = file_join(rig->folder, "restored");
    const struct restore_cfg cfg = {
        .run_folder = rig->run, .into = into, .check = refuse, .own = &asked};
    text_init(&text);
    train_to(rig, 10);
    publish(rig, 1, true);
    assert_int_equal(state_restore(&cfg, &name, &text), ERR_INTERRUPTED);
    assert_int_equal(asked, 3);
    assert_int_equal(text.size, 0);
    mem_free(into);
}

static void nothing_published_is_told_from_damage(void **state)
{
    const struct rig *rig = *state;
    struct published_state name;
    struct text text;
    text_init(&text);
    assert_int_equal(bring_back(rig, rig->folder, &name, &text), ERR_NOT_FOUND);
}

/* Wherever the child is killed, what was published before can be brought back, and the next one
 * publishes all. */
static void a_kill_in_the_middle_loses_nothing(void **state)
{
    static const char *const faults[] = {"store.copy:1:kill",     "store.copied:1:kill",
                                         "store.copy:2:kill",     "store.copied:2:kill",
                                         "publish.copied:1:kill", "file.write:1:kill",
                                         "file.sync:1:kill",      "file.rename:3:kill",
                                         "publish.made:1:kill",   "publish.renamed:1:kill"};
    const struct rig *rig = *state;
    train_to(rig, 10);
    publish(rig, 1, true);
    for (uint64_t i = 0; i < sizeof faults / sizeof *faults; i++) {
        struct published_state name;
        struct text text;
        text_init(&text);
        train_to(rig, 20 + 10 * i);
        int status = publish_in_child(rig, 1, faults[i]);
        if (!WIFSIGNALED(status))
            fail_msg("%s: no kill, status %d", faults[i], status);
        uint64_t step = restored_step(rig, &name, &text);
        assert_true(step == 10 + 10 * i || step == 20 + 10 * i);
        assert_int_equal(text.size, 0);
        assert_int_equal(publish_in_child(rig, 1, ""), 0);
        assert_int_equal(restored_step(rig, &name, &text), 20 + 10 * i);
        assert_int_equal(count_published(rig, ".state-"), 0);
    }
}

static void a_full_disk_leaves_what_was_published(void **state)
{
    const struct rig *rig = *state;
    struct published_state name;
    struct text text;
    text_init(&text);
    train_to(rig, 10);
    publish(rig, 1, true);
    train_to(rig, 20);
    const struct publish_cfg cfg = publishing(rig, 1);
    bool is_new;
    arm("store.copy:2:full");
    assert_int_equal(state_publish(&cfg, &name, &is_new), ERR_FULL);
    arm("");
    assert_int_equal(count_published(rig, ".state-"), 0);
    assert_int_equal(restored_step(rig, &name, &text), 10);
    publish(rig, 1, true);
    assert_int_equal(restored_step(rig, &name, &text), 20);
}

static void make_claim(const struct rig *rig, uint64_t number)
{
    char *path = fence_path(rig->run, number, "");
    must(file_write(path, "", 0));
    mem_free(path);
}

/* Of settings that an edit left behind, whose checkpoints were pruned: the survey says so, and
 * there is nothing to wait for. */
static void a_checkpoint_that_was_gone_before_holds_nothing_up(void **state)
{
    const struct rig *rig = *state;
    struct journal *journal = NULL;
    struct lease lease;
    struct hash key = {{9}};
    char hex[HASH_HEX_BYTES];
    train_to(rig, 10);
    hash_hex(&key, hex);
    must(journal_open(rig->journal, JOURNAL_WRITE, &journal));
    must(journal_lease(journal, &key, "kernel", "", LEASE_GOES_ON, &lease));
    must(journal_checkpoint(journal, &lease, 5, 1000, hex));
    journal_close(&journal);
    publish(rig, 1, true);
}

static void an_owner_that_was_replaced_publishes_nothing(void **state)
{
    const struct rig *rig = *state;
    struct published_state name, list[4];
    bool is_new;
    const struct publish_cfg cfg = publishing(rig, 1);
    train_to(rig, 10);
    make_claim(rig, 2);
    assert_int_equal(state_publish(&cfg, &name, &is_new), ERR_AGAIN);
    assert_int_equal(published_list(rig->run, list, 4), 0);
    assert_int_equal(count_published(rig, ".state-"), 0);
}

/* The next owner's, whole or being made, is not an old one's to remove. */
static void what_a_later_owner_published_stays(void **state)
{
    const struct rig *rig = *state;
    struct published_state list[8];
    static const char *const later[] = {"published/state-9-1", "published/.state-9-2"};
    for (int i = 0; i < 2; i++) {
        char *path = file_join(rig->run, later[i]);
        must(file_make_folders(path));
        mem_free(path);
    }
    for (uint64_t step = 10; step < 50; step += 10) {
        train_to(rig, step);
        publish(rig, 1, true);
    }
    assert_int_equal(count_published(rig, ".state-9-2"), 1);
    assert_int_equal(published_list(rig->run, list, 8), 2);
    assert_int_equal(list[0].claim, 9);
}

static void a_store_is_found_where_it_can_be_read(void **state)
{
    const struct rig *rig = *state;
    char *link = file_join(rig->run, "checkpoints"), *name = NULL, *path = NULL;
    train_to(rig, 10);
    struct published_state state_name = publish(rig, 1, true);
    char *copy = published_path(rig->run, &state_name, "checkpoints");
    assert_int_equal(symlink(rig->checkpoints, link), 0);
    must(checkpoint_reference(rig->run, &path, &name));
    assert_string_equal(path, link);
    mem_free(path), mem_free(name);
    assert_int_equal(unlink(link), 0); /* as another machine sees it */
    assert_int_equal(symlink("/nowhere/checkpoints", link), 0);
    must(checkpoint_reference(rig->run, &path, &name));
    assert_string_equal(path, copy);
    mem_free(path), mem_free(name);
    must(checkpoint_reference(link, &path, &name));
    assert_string_equal(path, copy);
    mem_free(path), mem_free(name);
    assert_int_equal(unlink(link), 0);
    if (geteuid() == 0) { /* somebody else's folder there is not what the link meant */
        assert_int_equal(chown(rig->checkpoints, 12345, 12345), 0);
        assert_int_equal(symlink(rig->checkpoints, link), 0);
        must(checkpoint_reference(rig->run, &path, &name));
        assert_string_equal(path, copy);
        mem_free(path), mem_free(name);
    }
    mem_free(copy), mem_free(link);
}

/* Of the checkpoint that the journal counts on. */
static void content_of(const struct rig *rig, char content[HASH_HEX_BYTES])
{
    struct journal *journal = NULL;
    struct stage_record record = {0};
    const struct hash key = {{7}};
    must(journal_open(rig->journal, JOURNAL_READ, &journal));
    must(journal_stage(journal, &key, &record));
    memcpy(content, record.checkpoint, HASH_HEX_BYTES);
    stage_record_fini(&record);
    journal_close(&journal);
}

/* For a gang that does not see the stores: the newest copy that has what it reads. */
static void a_checkpoint_is_found_in_what_was_published(void **state)
{
    const struct rig *rig = *state;
    struct published_state found, first, second;
    char early[HASH_HEX_BYTES], late[HASH_HEX_BYTES];
    train_to(rig, 10);
    content_of(rig, early);
    assert_int_equal(state_find(rig->run, early, &found), ERR_NOT_FOUND);
    first = publish(rig, 1, true);
    must(state_find(rig->run, early, &found));
    assert_memory_equal(&found, &first, sizeof found);
    train_to(rig, 20);
    content_of(rig, late);
    assert_int_equal(state_find(rig->run, late, &found), ERR_NOT_FOUND);
    second = publish(rig, 1, true);
    must(state_find(rig->run, late, &found));
    assert_memory_equal(&found, &second, sizeof found);
    must(state_find(rig->run, early, &found)); /* let go since: the copy before has it */
    assert_memory_equal(&found, &first, sizeof found);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define A_TEST(name) cmocka_unit_test_setup_teardown(name, rig_make, rig_remove)
        A_TEST(what_is_published_comes_back),
        A_TEST(a_checkpoint_is_found_in_what_was_published),
        A_TEST(a_run_without_checkpoints_is_published_too),
        A_TEST(nothing_is_written_where_nothing_changed),
        A_TEST(the_two_newest_stay),
        A_TEST(a_damaged_one_is_named_and_the_one_before_is_taken),
        A_TEST(one_that_was_cut_short_is_named),
        A_TEST(one_that_cannot_be_read_is_named_and_the_one_before_is_taken),
        A_TEST(where_none_can_be_read_the_disk_is_to_blame),
        A_TEST(a_copy_ends_where_it_is_told_to),
        A_TEST(nothing_published_is_told_from_damage),
        A_TEST(a_kill_in_the_middle_loses_nothing),
        A_TEST(a_full_disk_leaves_what_was_published),
        A_TEST(a_checkpoint_that_was_gone_before_holds_nothing_up),
        A_TEST(an_owner_that_was_replaced_publishes_nothing),
        A_TEST(what_a_later_owner_published_stays),
        A_TEST(a_store_is_found_where_it_can_be_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
