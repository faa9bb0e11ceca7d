/* Checkpoints: one LMDB environment per run. Tensors are content-addressed blobs in chunks; a
 * manifest (protobuf) and the names that point to it are written in the same transaction, after the
 * blobs. One writer (rank 0's async writer); readers at any time, in other processes or through the
 * same handle (a process opens a store once and shares it). Any thread may load; one thread saves.
 * A checkpoint's content hash covers name, type, shape and blob hash of its tensors and the
 * training position; lease epoch, times, host, ranks and attempts stay outside it. */
#ifndef TRAINER_CHECKPOINT_CHECKPOINT_H
#define TRAINER_CHECKPOINT_CHECKPOINT_H

#include "base/err.h"
#include "base/hash.h"
#include "base/text.h"
#include "trainer/spec/subnet.h"
#include <stdbool.h>
#include <stdint.h>

struct tensor { /* fp32, dense, in the outside (PyTorch) order and shape */
    char name[112];
    int rank;
    int64_t shape[4];
    float *values; /* host */
    uint64_t count;
};
bool tensor_has_shape(const struct tensor *tensor, int rank, const int *shape);

struct position {   /* where training stands; part of the content hash */
    char stage[64]; /* "teacher", "kernel", ...; "import" */
    uint64_t step;  /* steps done in this stage */
    uint64_t epoch; /* of the next step */
    bool is_final;  /* the stage is done */
};

struct checkpoint_meta { /* about it, outside the content hash */
    char *campaign;      /* resolved campaign text, or "" */
    char *space;         /* the space file's text: what rebuilds the supernet */
    double width_multiplier;
    int classes, channels;
    char *stage_key; /* hex, or "" */
    char *parent;    /* content hash (hex) of the checkpoint the stage started from, or "" */
    char *dataset;   /* content hash (hex), or "" */
    char *lineage;   /* program version and device (lineage.h) */
    char *mixed;     /* other devices that had a part in it, one a line, or "" (lineage.h) */
    int64_t lease_epoch;
    int64_t saved_ms; /* wall time; save fills it in when 0 */
    int ranks;
    bool has_statistics; /* running statistics are among the tensors and may be used */
    bool has_trained;    /* false: a checkpoint from before this was recorded */
    /* Every choice that was trained at any time, by the stage and by whatever it comes from. */
    struct open_choices trained;
};

struct checkpoint { /* in memory, loaded or to be saved */
    struct position position;
    struct checkpoint_meta meta;
    struct tensor *tensors;
    int tensor_count;
    struct hash content; /* filled by load and peek */
};
void checkpoint_fini(
    struct checkpoint *checkpoint); /* frees what load allocated; accepts a zeroed one */
const struct tensor *checkpoint_find(const struct checkpoint *checkpoint,
                                     const char *name); /* NULL: none */
/* The tensor of that name, in that shape, with its values; borrowed. ERR_DATA: it is missing, or of
 * another shape. */
MUST_CHECK enum err checkpoint_find_shaped(const struct checkpoint *checkpoint, const char *name,
                                           int rank, const int *shape,
                                           const struct tensor **tensor);

/* Blobs of one transaction: what a save holds beside its copy, as LMDB keeps in memory what a
 * transaction wrote until the commit. */
#define CHECKPOINT_WRITE_BYTES ((size_t)32 << 20)

struct checkpoint_store;
struct checkpoint_store_cfg {
    const char *path; /* folder of the environment */
    bool is_writer;   /* takes the writer's lock: ERR_AGAIN names the process that holds it */
    int keep;         /* newest checkpoints kept per stage beside named ones, >= 1 (retention.h) */
};
MUST_CHECK enum err checkpoint_store_open(const struct checkpoint_store_cfg *cfg,
                                          struct checkpoint_store **store);
void checkpoint_store_close(
    struct checkpoint_store **store); /* waits for the async writer; accepts NULL */

/* The whole store, for another machine: as store_copy() (base/store). *last_write: the number of
 * the last transaction that wrote before the copy was begun. */
MUST_CHECK enum err checkpoint_store_copy(struct checkpoint_store *store, const char *file,
                                          uint64_t *last_write);
MUST_CHECK enum err checkpoint_store_last_write(struct checkpoint_store *store,
                                                uint64_t *last_write);

/* Copies tensors and meta and returns; a background thread hashes them, writes the blobs, and then,
 * in one transaction, manifest, names ("latest", "<stage>/latest", and "<stage>/final" when
 * position.is_final) and retention. Waits only while an earlier save is still being written.
 * The content hash is NOT known yet when this returns: hashing 100 MB takes longer than the 50 ms a
 * step may stall. checkpoint_saved() and checkpoint_wait() + checkpoint_saved() give it.
 * An error is that of the earlier save (told once; nothing was started), or ERR_MEMORY. */
MUST_CHECK enum err checkpoint_save(struct checkpoint_store *store,
                                    const struct checkpoint *checkpoint);
/* The same, where more is to be done than writing: a step pays for what starts the copy, and the
 * async writer does the rest in its own thread. Errors of these functions fail the save. They and
 * what `own` points to must last until the save is durable. NULL: checkpoint_save(). */
struct checkpoint_arrange {
    /* For whoever has the values where no pointer reaches: begins to copy them to where
     * tensor.values point, memory that is the save's until it is durable. In the caller's thread,
     * once the save before is done with that memory. NULL: tensor.values are copied at once. */
    enum err (*start)(const void *own);
    /* In the async writer's thread: returns when what start() began is there. NULL: at once. */
    enum err (*wait)(const void *own);
    /* Brings the values of one tensor of the copy into the outside's order, in place; `room` holds
     * as many values again. */
    enum err (*arrange)(const void *own, int tensor, float *values, float *room);
    /* NULL: nothing. Makes durable what the checkpoint counts on; called before it is written. */
    enum err (*settle)(const void *own);
    const void *own;
};
MUST_CHECK enum err checkpoint_save_arranged(struct checkpoint_store *store,
                                             const struct checkpoint *checkpoint,
                                             const struct checkpoint_arrange *arrange);
/* Whether a save is being written : the next one would wait for it. Never
 * waits. */
bool checkpoint_is_busy(struct checkpoint_store *store);
/* Waits until nothing is being saved. How it went is still told by the next call. */
void checkpoint_finish(struct checkpoint_store *store);
/* Waits until the last save is durable; its error if it failed (ERR_FULL, ERR_IO) and nobody was
 * told yet: the previous checkpoint is intact. */
MUST_CHECK enum err checkpoint_wait(struct checkpoint_store *store);

struct checkpoint_saved { /* the newest save of this handle that is durable */
    uint64_t count;       /* durable saves so far: a change means there is a newer one */
    struct position position;
    struct hash content;
    uint64_t written_bytes; /* of blobs that were not there yet */
    double seconds;         /* hashing and writing */
};
/* Never waits: what a worker reports at a step boundary. False when nothing is durable yet. */
bool checkpoint_saved(struct checkpoint_store *store, struct checkpoint_saved *saved);

/* By name ("teacher/final", "latest") or content hash (hex; its first 8 digits or more do when only
 * one begins so). Every blob's hash is verified: ERR_DATA names the tensor. ERR_NOT_FOUND lists the
 * names there are. The caller calls checkpoint_fini. */
MUST_CHECK enum err checkpoint_load(struct checkpoint_store *store, const char *name,
                                    struct checkpoint *checkpoint);
/* The same without tensors' values (NULL). */
MUST_CHECK enum err checkpoint_peek(struct checkpoint_store *store, const char *name,
                                    struct checkpoint *checkpoint);
/* The newest sound one of a stage and its settings, whatever the table of names says. Damage on the
 * way is passed over, a sentence for each of the newest four added to `damage` ("; " between them)
 * and how many more there are, also when nothing is found. ERR_NOT_FOUND: there is none; otherwise
 * errors that are no damage. */
struct checkpoint_wanted {
    const char *stage, *stage_key;
    bool is_final; /* only a final one will do */
};
MUST_CHECK enum err checkpoint_load_newest(struct checkpoint_store *store,
                                           const struct checkpoint_wanted *wanted,
                                           struct checkpoint *checkpoint, struct text *damage);
/* Points a name at a checkpoint; named ones are kept. ERR_NOT_FOUND when there is no such content,
 * ERR_USAGE when the name is not 1 to 100 letters, digits and ._/-. Writers only. */
MUST_CHECK enum err checkpoint_name(struct checkpoint_store *store, const char *name,
                                    const struct hash *content);

struct checkpoint_entry { /* one line of `checkpoint list` */
    struct hash content;
    struct position position;
    int64_t saved_ms;
    uint64_t size_bytes; /* of its tensors */
    int tensor_count;
    bool is_damaged; /* its manifest cannot be read: stage is "" */
    char *names;     /* "latest teacher/latest", "" when none */
};
/* Everything in the store, oldest save first, what cannot be read in front. *entries: returns owned
 * (checkpoint_entries_free). */
MUST_CHECK enum err checkpoint_list(struct checkpoint_store *store,
                                    struct checkpoint_entry **entries, int *count);
void checkpoint_entries_free(struct checkpoint_entry *entries, int count); /* accepts NULL */

/* Reads every blob of one checkpoint, or of all (name NULL), and hashes it. ERR_DATA lists every
 * tensor that is damaged, not the first only. */
MUST_CHECK enum err checkpoint_verify(struct checkpoint_store *store, const char *name,
                                      uint64_t *read_bytes);

/* "PATH" or "PATH@NAME" as people write it; a run's folder stands for its checkpoints/ folder. NAME
 * defaults to "latest". Both results: returns owned. */
MUST_CHECK enum err checkpoint_reference(const char *text, char **path, char **name);
/* A checkpoint by its reference, PATH or PATH@NAME, of a store that is opened for it and closed:
 * with its values, or all but them. Errors as of checkpoint_store_open() and checkpoint_load(). */
MUST_CHECK enum err checkpoint_load_reference(const char *reference, struct checkpoint *checkpoint);
MUST_CHECK enum err checkpoint_peek_reference(const char *reference, struct checkpoint *checkpoint);

#endif
