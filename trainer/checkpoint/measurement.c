#include "trainer/checkpoint/measurement.h"
#include "base/hash.h"
#include <string.h>

static void add_hash(struct text *text, const char *name, const struct hash *hash)
{
    char hex[HASH_HEX_BYTES];
    hash_hex(hash, hex);
    text_add(text, "%s=%s\n", name, hex);
}

void measurement_key_write(const struct measurement_key *key, struct text *text)
{
    struct hash space = hash_of(key->space, strlen(key->space));
    text_add(text, "measurement=%d\n", MEASUREMENT_FORMAT);
    add_hash(text, "checkpoint", key->checkpoint);
    text_add(text, "subnet=%s\nsplit=%s\n", key->subnet, key->split);
    add_hash(text, "space", &space);
    add_hash(text, "dataset", key->dataset);
    text_add(text, "holdout=%u\nbatch=%d\n", (unsigned)key->holdout, key->batch);
    text_add(text, "%sprecision=%s\nlineage=%s\ntraining_version=%d\n", key->calibration,
             key->precision, key->lineage, key->training_version);
}
