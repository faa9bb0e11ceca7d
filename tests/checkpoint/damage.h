/* Damages one checkpoint of a store that nobody has open, as a bad disk might, and in a way that
 * LMDB itself does not notice. A call that cannot do it aborts. */
#ifndef TESTS_CHECKPOINT_DAMAGE_H
#define TESTS_CHECKPOINT_DAMAGE_H

enum damage {
    DAMAGE_BLOB,     /* one turned bit in its largest tensor */
    DAMAGE_NO_BLOB,  /* that tensor's first chunk is missing */
    DAMAGE_MANIFEST, /* does not parse */
    DAMAGE_META,     /* parses, but one letter of its stage's key is another */
    DAMAGE_NO_MANIFEST,
    DAMAGE_KINDS
};

/* name: as checkpoint_load() takes it. */
void damage_checkpoint(const char *folder, const char *name, enum damage damage);

#endif
