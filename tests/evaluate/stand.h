/* Stages of a gang of one on small runs of a scene, and how much each of their attempts measured:
 * what was measured before is in a book that is kept for every run, as a scheduler does in its
 * journal; what was computed is counted by what comes into it. A test fails where a step of this
 * does. */
#ifndef TESTS_EVALUATE_STAND_H
#define TESTS_EVALUATE_STAND_H

#include "tests/integration/scene.h"
#include "tests/trainer/bench_parts.h"
#include "trainer/evaluate/exchange.h"

#define STAND_NEVER (-1)
enum { STAND_MOST_RECORDS = 400 };

struct stand_book { /* of a run */
    char run[32];
    struct exchange exchange; /* counts what comes in, and passes everything on */
    struct exchange *memory;
    struct exchange_record records[STAND_MOST_RECORDS]; /* bytes are owned */
    int count;
};

struct stand {
    struct campaign *campaign;
    struct comm comm;
    struct observer observer;
    struct workbench *bench;
    struct stand_book *book;
    int known;       /* records before */
    int stop_at;     /* more of them before a stop is asked for */
    uint64_t reused; /* as progress said last */
};

struct stand_ran { /* one attempt of a stage */
    enum err err;
    int measured, reused;
};

void stand_must(enum err err);

/* A run's book, begun where there is none; all are closed at once. */
struct stand_book *stand_book(const char *run);
void stand_close_books(void);

/* A workbench on a run. set: with what the campaign is edited, or NULL. */
void stand_open(const struct scene *scene, const char *run, const struct campaign_override *set,
                struct stand *stand);
void stand_close(struct stand *stand);

/* One attempt of a stage, stopped after `stop_at` measurements (STAND_NEVER). */
struct stand_ran stand_run(const struct scene *scene, const char *run, const char *stage,
                           int stop_at);
struct stand_ran stand_run_edited(const struct scene *scene, const char *run, const char *stage,
                                  int stop_at, const struct campaign_override *set);
/* stages: "a,b,c" */
void stand_train(const struct scene *scene, const char *run, const char *stages);
/* A run of its own for a test, made of the one that is called "trained". */
void stand_copy_trained(const struct scene *scene, const char *run);

#endif
