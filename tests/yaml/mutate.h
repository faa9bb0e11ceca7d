/* Damage to configuration files, each a function of (seed, round): what the mutation tests feed. */
#ifndef TESTS_YAML_MUTATE_H
#define TESTS_YAML_MUTATE_H

#include <stddef.h>
#include <stdint.h>

#define MUTATE_ROOM 65536 /* of the buffer, whose text takes half at most */

/* One to four edits anywhere: a byte changed, a run removed, doubled, or a sharp word put in.
 * Returns the new size. */
size_t mutate_bytes(uint64_t seed, uint64_t round, char *bytes, size_t size);
/* The value behind one colon, or the whole text now and then, becomes one of mutate_values. */
size_t mutate_value(uint64_t seed, uint64_t round, char *bytes, size_t size);

/* Values that are seldom meant: of the wrong kind, empty, huge, negative. */
extern const char *const mutate_values[];
extern const int mutate_value_count;

#endif
