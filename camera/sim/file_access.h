/* The camera's files and what may be done to them: one is open at a time, an old one is deleted
 * before a new one is written, flash has room for so much. Pure; one thread. */
#ifndef CAMERA_SIM_FILE_ACCESS_H
#define CAMERA_SIM_FILE_ACCESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum file_id { FILE_NETWORK, FILE_INJECTED, FILE_USER, FILE_COUNT }; /* as FileSelector's entries */
enum file_mode { FILE_MODE_READ, FILE_MODE_WRITE, FILE_MODE_BOTH };
enum file_operation { FILE_OPEN, FILE_CLOSE, FILE_READ, FILE_WRITE, FILE_DELETE };
enum file_status { FILE_SUCCESS, FILE_FAILURE, FILE_OVERFLOW };

#define FLASH_BYTES ((size_t)24 << 20) /* that all files in it share */

struct stored_file {
    uint8_t *bytes; /* owned */
    size_t size, room;
    bool is_in_flash;
};

struct file_access {
    struct stored_file files[FILE_COUNT];
    bool is_open;
    enum file_id open; /* where one is */
    enum file_mode mode;
    bool to_flash; /* the open one, which is written */
};

void file_access_fini(struct file_access *access); /* accepts a zeroed one */
/* Bytes a file may have at most. */
size_t file_limit(enum file_id id);

/* Open: Failure where one is open, there is nothing to read, or something in the way of writing. */
enum file_status file_open(struct file_access *access, enum file_id id, enum file_mode mode);
/* Failure where this one is not open. */
enum file_status file_close(struct file_access *access, enum file_id id);
/* Failure where there is none, or one is open. */
enum file_status file_delete(struct file_access *access, enum file_id id);
/* Writes at an offset within what is there or right behind it. Failure where the file is not open
 * for writing or the offset leaves a hole; Overflow, with nothing written, beyond the limits. */
enum file_status file_write_at(struct file_access *access, enum file_id id, size_t offset,
                               const uint8_t *bytes, size_t size_bytes);
/* As many bytes as there are from the offset on: *read_bytes. Failure where it is not open for
 * reading. */
enum file_status file_read_at(const struct file_access *access, enum file_id id, size_t offset,
                              uint8_t *bytes, size_t size_bytes, size_t *read_bytes);

/* A file that has lain in flash since before the start. Copies. */
void file_preload(struct file_access *access, enum file_id id, const uint8_t *bytes,
                  size_t size_bytes);
/* The power was off: nothing is open, and what lay in DDR is gone. */
void file_lose_ddr(struct file_access *access);

#endif
