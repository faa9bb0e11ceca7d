/* Files and folders: whole-file reads with a limit, writes that are all or nothing. Any thread may
 * call. */
#ifndef BASE_FILE_H
#define BASE_FILE_H

#include "base/err.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The whole file, NUL-terminated behind size. ERR_NOT_FOUND, ERR_IO, or ERR_DATA when larger than
 * the limit. *bytes: returns owned (mem_free). */
MUST_CHECK enum err file_read(const char *path, size_t limit_bytes, char **bytes,
                              size_t *size_bytes);

/* Opens for reading what is a regular file or a link to one, and never waits: what may be anything
 * (a folder of somebody's) is read so. ERR_DATA says what it is instead: a FIFO, a socket, a
 * device, a folder; nothing of these is opened. ERR_NOT_FOUND, ERR_IO. *file: the caller closes it.
 */
MUST_CHECK enum err file_open_regular(const char *path, int *file);
/* The same, but no link either: where the folder may be anybody's, and what a link points at is not
 * ours to show. ERR_DATA, too. */
MUST_CHECK enum err file_open_plain(const char *path, int *file);
/* The rest of file_read(), from an open file; `path` is what errors say. */
MUST_CHECK enum err file_read_from(int file, const char *path, size_t limit_bytes, char **bytes,
                                   size_t *size_bytes);

/* Its last bytes, at most `most_bytes`, NUL-terminated: of a log, however long. A regular file, as
 * file_open_regular(). *bytes: returns owned. */
MUST_CHECK enum err file_read_tail(const char *path, size_t most_bytes, char **bytes,
                                   size_t *size_bytes);

/* Written beside, synced, renamed: either the old file or the new one is there. ERR_IO, ERR_FULL.
 */
MUST_CHECK enum err file_write(const char *path, const void *bytes, size_t size_bytes);
/* The same; nobody but its owner may read it (mode 0600), at no moment. */
MUST_CHECK enum err file_write_private(const char *path, const void *bytes, size_t size_bytes);

/* The same for a file that comes in pieces. Of processes that share one across fork(), one commits;
 * aborting in the other drops what was not committed. */
struct file_update;
enum file_existing { FILE_REPLACE, FILE_KEEP };
/* Returns owned. Errors as file_write(). */
MUST_CHECK enum err file_begin(const char *path, struct file_update **update);
/* The same; its name beside ends with the mark (base/fence.h), "" for none. */
MUST_CHECK enum err file_begin_marked(const char *path, const char *mark,
                                      struct file_update **update);
MUST_CHECK enum err file_append(struct file_update *update, const void *bytes, size_t size_bytes);
/* Takes the update, succeed or fail. FILE_KEEP: ERR_CONFIG, nothing changed, where the path is
 * taken, by whoever came first. */
MUST_CHECK enum err file_commit(struct file_update **update, enum file_existing existing);
void file_abort(struct file_update **update); /* accepts NULL */

/* Removes what writers that were killed left beside the files of this folder; those of processes
 * that live on this machine stay, and nobody on another one writes there meanwhile. A missing
 * folder is fine. */
void file_remove_parts(const char *folder);

/* Opens /dev/null where a parent closed standard input, output or error: the next file would get
 * the number, and what is printed would be written into it. main() calls it before anything else.
 */
void file_open_standard(void);

MUST_CHECK enum err file_make_folders(const char *path); /* as mkdir -p */
/* The same; the last one, where it is made now, is its owner's alone. */
MUST_CHECK enum err file_make_private(const char *path);
MUST_CHECK enum err file_remove_folder(const char *path); /* as rm -r; a missing folder is fine */
/* Make names that were made, renamed or removed in a folder durable; of a path: in the folder it
 * lies in. Some file systems refuse: not an error. */
void file_sync_folder(const char *folder);
void file_sync_parent(const char *path);
bool file_exists(const char *path); /* a broken link does too */
bool file_is_folder(const char *path);
/* "folder/name"; returns owned. */
char *file_join(const char *folder, const char *name);
/* The path without trailing slashes, so that an ending lands beside the folder; returns owned. */
char *file_without_slash(const char *path);
/* May this become the name of a folder wherever it goes: letters, digits and -_.+, and neither a
 * dot nor a dash in front? */
bool file_is_name(const char *name);

#endif
