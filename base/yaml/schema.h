/* A schema: one row per knob, and the row is the parser, the check, the help and the dump. One walk
 * fills a struct and collects every error: unknown and duplicate keys with the nearest valid one,
 * missing values, wrong types, values out of range. The caller adds what only it can check
 * (combinations) to the same list, and gets everything as one text, sorted by position.
 * Pure but for the struct being filled. */
#ifndef BASE_YAML_SCHEMA_H
#define BASE_YAML_SCHEMA_H

#include "base/text.h"
#include "base/yaml/yaml.h"
#include <stdint.h>

enum knob_type {
    KNOB_BOOL,   /* bool: yes, no, true, false, on, off */
    KNOB_INT,    /* int */
    KNOB_UINT32, /* uint32_t */
    KNOB_UINT64, /* uint64_t, all 64 bits */
    KNOB_REAL,   /* double */
    KNOB_TEXT,   /* char[room] */
    KNOB_WORD,   /* char[room]: one of `words` */
    KNOB_ENUM,   /* int: the position of the word in `words` */
    KNOB_INTS,   /* int[room] and an int count: a set, kept ascending; "128..224 step 4" too */
    KNOB_WORDS,  /* one bool per word of `words`, in their order: a list of those wanted */
    KNOB_TEXTS,  /* char[room][item_bytes] and an int count: a list of texts, in their order */
    KNOB_ROWS,   /* struct[room] and an int count: a list of maps, each by `rows` */
    KNOB_NAMED,  /* struct[room] and an int count: a map whose keys go to char name[32], the
                    struct's first field, and whose values are maps by `rows` */
    /* Nothing: a knob of earlier programs, whose one value is the fallback. Read and forgotten, so
     * that files of then still load; another value is refused with `help`, the cure. Never written
     * or offered, but an input of what it affects, as it was: what was computed then counts. */
    KNOB_RETIRED
};

enum knob_unit { /* what may stand behind the number */
                 UNIT_NONE,
                 UNIT_COUNT,   /* k, M, G: thousands, millions, ... */
                 UNIT_SECONDS, /* ms, s, m, h, d */
                 UNIT_BYTES,   /* KiB, MiB, GiB, TiB, kB, MB, GB, TB */
                 UNIT_EPOCHS,  /* ep */
                 UNIT_MS,      /* ms, s */
                 UNIT_PIXELS   /* px */
};

struct schema;

struct knob {
    const char *path; /* dotted: "batch.global" */
    enum knob_type type;
    size_t offset;        /* of the field in the struct */
    size_t room;          /* texts: bytes; lists: items */
    size_t count_offset;  /* lists: of the int that counts */
    const char *fallback; /* the default as YAML; NULL: required */
    double low, high;     /* inclusive; both 0: any. Lists: of every item */
    enum knob_unit unit;
    const char *words; /* "cpu|auto"; for numbers: words that stand for one, "no=1|auto=-1" */
    unsigned affects;  /* whose results change with it: bits of the schema's owner, 0: nobody's */
    /* At its default it is no input of theirs: so are knobs that came later, whose default is what
     * was done before, so that what was computed then still counts. */
    bool is_input_when_set;
    const struct schema *rows;
    const char *help;  /* one line */
    size_t item_bytes; /* KNOB_TEXTS: of a text, with its end */
};

struct schema {
    const struct knob *knobs;
    int knob_count;
    size_t size; /* of the struct filled */
};

/* offset and room of a field, for rows written as designated initialisers. */
#define KNOB_FIELD(type_, field)                                                                   \
    .offset = offsetof(struct type_, field), .room = sizeof(((struct type_ *)0)->field)
#define KNOB_LIST(type_, field, count_)                                                            \
    .offset = offsetof(struct type_, field),                                                       \
    .room = sizeof(((struct type_ *)0)->field) / sizeof(((struct type_ *)0)->field[0]),            \
    .item_bytes = sizeof(((struct type_ *)0)->field[0]),                                           \
    .count_offset = offsetof(struct type_, count_)

struct yaml_errors; /* a list, sorted when it is read */
struct yaml_errors *yaml_errors_create(void);
void yaml_errors_destroy(struct yaml_errors *errors); /* accepts NULL */
int yaml_errors_count(const struct yaml_errors *errors);
/* "file:line:column: key 'path': sentence". path NULL: no key. */
void yaml_complain(struct yaml_errors *errors, const struct yaml_node *where, const char *path,
                   const char *format, ...) PRINTF_LIKE(4, 5);
/* Takes over the list of another file, as it stands (err_text() of its load). */
void yaml_complain_text(struct yaml_errors *errors, const char *lines);
/* ERR_OK when there are none, else ERR_CONFIG with all of them in one text, one a line. */
MUST_CHECK enum err yaml_errors_end(const struct yaml_errors *errors);

/* Fills a struct of schema->size bytes from a file's root: defaults first, then what is written.
 * Every error is added to `errors`; the field of a knob in error keeps its default (zero when
 * required), so that a check across fields may use what it reads. False: the root is no map,
 * nothing of it was read, and no check across fields has anything to add. */
bool schema_fill(const struct schema *schema, const struct yaml_node *root,
                 struct yaml_errors *errors, void *into);

/* The knob of a dotted path; NULL when there is none. */
const struct knob *schema_find(const struct schema *schema, const char *path);

/* The value of one knob as YAML in flow form: "[3, 5]", "yes", "\"a b\"". */
void schema_value(const struct knob *knob, const void *from, struct text *yaml);
/* The whole struct as YAML, every default written out, sections nested; reads back to the same. */
void schema_write(const struct schema *schema, const void *from, struct text *yaml);
/* One line per knob: path, type or words, unit, range, default, help. */
void schema_help(const struct schema *schema, struct text *text);

/* Parts of the walk, for the tests and for values from elsewhere: reads one scalar by its knob.
 * NULL when it is right, else the reason, borrowed until the thread's next call. */
const char *knob_parse(const struct knob *knob, const char *text, bool is_quoted, void *into);

#endif
