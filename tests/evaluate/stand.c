#include "tests/evaluate/stand.h"
#include "base/mem.h"
#include "trainer/evaluate/exchange_memory.h"
#include "trainer/stage.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

enum { MOST_RUNS = 16 };
static struct stand_book *books[MOST_RUNS];

void stand_must(enum err err)
{
    if (err != ERR_OK)
        fail_msg("%s: %s", err_name(err), err_text());
}

static void keep(struct exchange *exchange, const struct exchange_record *record)
{
    struct stand_book *book = exchange->own;
    assert_true(book->count < STAND_MOST_RECORDS);
    struct exchange_record *kept = &book->records[book->count++];
    void *copy = mem_alloc(record->size_bytes);
    memcpy(copy, record->bytes, record->size_bytes);
    *kept = *record;
    kept->bytes = copy;
    book->memory->keep(book->memory, kept);
}

static void want(struct exchange *exchange, enum exchange_aim aim,
                 const struct exchange_score *scores, int count)
{
    struct stand_book *book = exchange->own;
    book->memory->want(book->memory, aim, scores, count);
}

static void be_ready(struct exchange *exchange)
{
    struct stand_book *book = exchange->own;
    book->memory->ready(book->memory);
}

static enum err next(struct exchange *exchange, struct exchange_event *event)
{
    struct stand_book *book = exchange->own;
    return book->memory->next(book->memory, event);
}

struct stand_book *stand_book(const char *run)
{
    int at = 0;
    for (; books[at]; at++)
        if (strcmp(books[at]->run, run) == 0)
            return books[at];
    assert_true(at < MOST_RUNS - 1);
    struct stand_book *book = books[at] = mem_alloc(sizeof *book);
    snprintf(book->run, sizeof book->run, "%s", run);
    book->memory = exchange_memory_create();
    book->exchange =
        (struct exchange){.own = book, .want = want, .ready = be_ready, .next = next, .keep = keep};
    return book;
}

void stand_close_books(void)
{
    for (int i = 0; books[i]; i++) {
        for (int j = 0; j < books[i]->count; j++)
            mem_free((void *)(uintptr_t)books[i]->records[j].bytes);
        exchange_memory_destroy(&books[i]->memory);
        mem_free(books[i]);
    }
}

static int count_measured(const struct stand *stand)
{
    return stand->book->count - stand->known;
}

static bool wants_stop(void *own)
{
    const struct stand *stand = own;
    return stand->stop_at != STAND_NEVER && count_measured(stand) >= stand->stop_at;
}

static void take_progress(void *own, const struct progress *progress)
{
    struct stand *stand = own;
    assert_true(progress->reused <= progress->step);
    stand->reused = progress->reused;
}

/* set: with what the campaign is edited, or NULL. */
void stand_open(const struct scene *scene, const char *run, const struct campaign_override *set,
                struct stand *stand)
{
    char folder[400];
    snprintf(folder, sizeof folder, "%s/%s", scene->folder, run);
    *stand = (struct stand){.campaign = mem_alloc(sizeof *stand->campaign), .stop_at = STAND_NEVER};
    stand_must(campaign_load(scene->campaign, set, set ? 1 : 0, stand->campaign));
    comm_alone(&stand->comm);
    stand->book = stand_book(run);
    stand->known = stand->book->count;
    stand->observer =
        (struct observer){.own = stand, .wants_stop = wants_stop, .progress = take_progress};
    struct workbench_cfg cfg = {.campaign = stand->campaign,
                                .folder = folder,
                                .comm = &stand->comm,
                                .observer = &stand->observer,
                                .exchange = &stand->book->exchange};
    stand_must(workbench_open(&cfg, &stand->bench));
}

void stand_close(struct stand *stand)
{
    workbench_close(&stand->bench);
    mem_free(stand->campaign);
}

struct stand_ran stand_run_edited(const struct scene *scene, const char *run, const char *stage,
                                  int stop_at, const struct campaign_override *set)
{
    struct stand stand;
    struct stage_start start = {0};
    struct stage_result result;
    stand_open(scene, run, set, &stand);
    stand.stop_at = stop_at;
    enum err err = stage_run(stand.bench, stage, &start, &result);
    struct stand_ran ran = {err, count_measured(&stand), (int)stand.reused};
    stand_close(&stand);
    return ran;
}

struct stand_ran stand_run(const struct scene *scene, const char *run, const char *stage,
                           int stop_at)
{
    return stand_run_edited(scene, run, stage, stop_at, NULL);
}

void stand_train(const struct scene *scene, const char *run, const char *stages)
{
    char *copy = mem_string(stages), *rest = copy;
    for (const char *stage; (stage = strsep(&rest, ","));)
        stand_must(stand_run(scene, run, stage, STAND_NEVER).err);
    mem_free(copy);
}

/* A run of its own for a test, trained already. */
void stand_copy_trained(const struct scene *scene, const char *run)
{
    char from[400], to[400];
    snprintf(from, sizeof from, "%s/trained", scene->folder);
    snprintf(to, sizeof to, "%s/%s", scene->folder, run);
    const char *words[] = {"cp", "-r", from, to, NULL};
    struct program program = program_start(words, scene->output, scene->log);
    assert_int_equal(program_wait(&program, SCENE_WAIT_S), 0);
    const struct stand_book *trained = stand_book("trained");
    struct stand_book *book = stand_book(run);
    for (int i = 0; i < trained->count; i++)
        keep(&book->exchange, &trained->records[i]);
}
