/* Which converter made the graph that lies in a bundle beside a person's own, and of which files:
 * one that a campaign's other words, or other files, would make anew is not used. One thread. */
#ifndef CLUSTER_VALIDATE_CONVERSION_RECORD_H
#define CLUSTER_VALIDATE_CONVERSION_RECORD_H

#include "base/err.h"
#include <stdbool.h>

#define CONVERTED_GRAPH "converted.graph" /* in a bundle; firefly.graph there is a person's */

/* What of a bundle a converter may ask for, those that its formats have; NULL at the end. */
extern const char *const conversion_sources[];

/* Whether the bundle's CONVERTED_GRAPH is what these words made of its files as they
 * are. argv: NULL at the end; without a word (nobody says how to convert): any words. */
bool conversion_record_holds(const char *bundle, const char *const *argv);
/* That they just made it. ERR_IO, ERR_FULL. */
MUST_CHECK enum err conversion_record_write(const char *bundle, const char *const *argv);

#endif
