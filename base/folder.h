/* One finished folder in the place of another, so that a kill at any moment loses neither: what is
 * replaced (a data set, a bundle) is hours of somebody's work. The new one is made beside; the two
 * names are exchanged, or, on file systems that cannot (NFS, FAT, some overlays), renamed in turn,
 * with a moment in which the place is empty and both lie beside it. Both paths are on one file
 * system. Whoever calls sees to it that nobody else replaces the same place. */
#ifndef BASE_FOLDER_H
#define BASE_FOLDER_H

#include "base/err.h"
#include <stdbool.h>

/* Moves `made` to `place`, durably; what was there (nothing, or a folder) is removed afterwards,
 * and a failure of that is only logged. ERR_IO, ERR_FULL: the old one is still in its place, and
 * `made` where it was. */
MUST_CHECK enum err folder_replace(const char *made, const char *place);

/* A replacement was stopped between its two renames: the place is empty, and nothing beside it may
 * be removed before folder_recover(). */
bool folder_is_half_replaced(const char *made, const char *place);
/* Finishes what a killed folder_replace() of the same paths began; does nothing where none was.
 * Afterwards the place holds what it held before or the new one, and no old one lies beside.
 * ERR_IO.
 */
MUST_CHECK enum err folder_recover(const char *made, const char *place);

#endif
