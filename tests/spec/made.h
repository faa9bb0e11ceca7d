/* A small campaign of all kinds of stages, expanded, as the tests of plans and of their keys edit
 * it. Its file lies in a folder of the suite's. */
#ifndef TESTS_SPEC_MADE_H
#define TESTS_SPEC_MADE_H

#include "trainer/spec/campaign.h"

struct made {
    struct campaign campaign;
    struct space space;
    struct schedule schedule;
    struct plan plan;
    struct hash keys[PLAN_MAX_STAGES];
};

/* A group's set-up and tear-down. */
int made_setup(void **state);
int made_teardown(void **state);
const char *made_folder(void);

/* The campaign with these overrides; fails the test where it does not load. Keys are those on the
 * data set "dataset" without a given teacher. */
void made_from(const struct campaign_override *overrides, int count, struct made *made);
/* The keys again, on a data set and a given teacher of these contents. */
void made_key(struct made *made, const char *dataset, const char *teacher);

#endif
