/* Where a store lies: is the file system local, who holds the writer's lock, has this process the
 * file open already. Inside base/store only. */
#ifndef BASE_STORE_PLACE_H
#define BASE_STORE_PLACE_H

#include "base/err.h"
#include <stdbool.h>

/* LMDB's locks and memory map need a local file system. Writing on one shared over a network:
 * ERR_CONFIG; reading: a warning. */
MUST_CHECK enum err place_check_local(const char *folder, bool is_writer);

/* POSIX locks die with the first close of a file in a process, so opening it twice would let other
 * processes reuse pages under our feet: ERR_AGAIN. */
MUST_CHECK enum err place_check_open_once(const char *file);

/* An advisory lock that ends with the process, however it ends. ERR_AGAIN names pid and host of the
 * holder. *lock: a descriptor for place_unlock(). */
MUST_CHECK enum err place_lock(const char *folder, int *lock);
void place_unlock(int *lock); /* accepts -1; sets -1 */

/* A gate that many may pass at once, and one may shut: opening a store looks up two files by name,
 * compacting replaces one of them, and neither may happen in the middle of the other, in any
 * process. Both wait, a moment at most. *gate: a descriptor for place_unlock(). A folder that
 * cannot be locked is passed all the same. */
void place_pass_gate(const char *folder, int *gate);
MUST_CHECK enum err place_shut_gate(const char *folder, int *gate);

/* Another process has the environment open, with LMDB's own lock file: *pid, 0 when none. */
MUST_CHECK enum err place_find_user(const char *folder, long *pid);

/* Bytes an ordinary user can still write there; 0 when that cannot be found out. */
unsigned long long place_free_bytes(const char *folder);

#endif
