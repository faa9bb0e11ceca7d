/* What an import did and what it left out. One thread. */
#ifndef TRAINER_DATA_IMPORT_REPORT_H
#define TRAINER_DATA_IMPORT_REPORT_H

#include "base/text.h"
#include "trainer/data/dataset.h"

enum skip_kind {
    SKIP_UNREADABLE,
    SKIP_EMPTY,
    SKIP_OVERSIZED,
    SKIP_WRONG_TYPE, /* of no kind that is read, or no regular file */
    SKIP_DUPLICATE,  /* the pixels of an earlier image of the same class; the first is kept */
    SKIP_CONFLICT,   /* the pixels of an earlier image of another class; the first is kept */
    SKIP_MISPLACED,  /* in no class folder, or of a class that has no training folder */
    SKIP_KINDS
};
const char *skip_name(enum skip_kind kind); /* "unreadable" */

struct skip {   /* one file that is not in the dataset */
    char *name; /* relative to the source */
    enum skip_kind kind;
    char *reason; /* a sentence's part, without the name */
};

struct import_report {
    struct skip *skips; /* in the order of the source */
    uint32_t skip_count;
    uint32_t kinds[SKIP_KINDS];
    uint32_t train_count, test_count;
    int classes, empty_classes; /* empty: without a training image... */
    char first_empty_class[64]; /* ...of which this is the first; cut */
    uint64_t record_bytes;
    enum image_format format;
    int channels;
    struct hash content;
    uint32_t word_count; /* images of 16 bits of which nobody said how many count... */
    int word_bits;       /* ...and the bits of their greatest value */
    double seconds;
};

void import_report_fini(struct import_report *report);

/* "skipped 300: 299 wrong type, 1 empty": a count and the kinds that occurred, most frequent first;
 * nothing when there are no skips. */
void import_report_count(const struct import_report *report, struct text *text);
/* Fewer bits than 16 that all of those words fit into, where they leave the images nearly black; 0:
 * nothing is to be said. */
int import_report_fitting_bits(const struct import_report *report);
/* Name, kind and reason of a skip, `between` them what is given; a backslash and bytes that would
 * break the line become \x5c, \x0a and so on. */
void import_report_line(const struct skip *skip, const char *between, struct text *line);
/* All skips, a line each, tabs between name, kind and reason; without skips the file is removed.
 * ERR_IO, ERR_FULL: the old file is as it was. */
MUST_CHECK enum err import_report_save(const struct import_report *report, const char *path);

/* For the parts of the import: adds a skip (copies the texts); forgets all but the first `keep`. */
void import_report_skip(struct import_report *report, enum skip_kind kind, const char *name,
                        const char *reason);
void import_report_forget(struct import_report *report, uint32_t keep);

#endif
