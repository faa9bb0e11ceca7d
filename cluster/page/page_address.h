/* RUN/page: where the page of a run that goes on is, for its owner alone (mode 0600), since whoever
 * knows the address may look. The runner writes it, `glowworm status` shows it. */
#ifndef CLUSTER_PAGE_PAGE_ADDRESS_H
#define CLUSTER_PAGE_PAGE_ADDRESS_H

#include "base/err.h"
#include <stdbool.h>

#define PAGE_ADDRESS 160

/* ERR_IO, ERR_FULL. */
MUST_CHECK enum err page_address_write(const char *run_folder, const char *address);
void page_address_remove(const char *run_folder);
/* False: there is none, or it is not to be trusted (somebody else's, open to others, no address).
 */
bool page_address_find(const char *run_folder, char address[PAGE_ADDRESS]);

#endif
