#include "camera/sim/file_access.h"
#include "base/mem.h"
#include <string.h>

enum { LARGEST_FRAME = 1440 * 1080 * 2, LEAST_ROOM = 4096 };

static void forget(struct stored_file *file)
{
    mem_free(file->bytes);
    *file = (struct stored_file){0};
}

void file_access_fini(struct file_access *access)
{
    for (int i = 0; i < FILE_COUNT; i++)
        forget(&access->files[i]);
}

size_t file_limit(enum file_id id)
{
    return id == FILE_INJECTED ? LARGEST_FRAME : FLASH_BYTES;
}

enum file_status file_open(struct file_access *access, enum file_id id, enum file_mode mode)
{
    bool is_there = access->files[id].size > 0;
    if (access->is_open || (mode == FILE_MODE_READ && !is_there) ||
        (mode == FILE_MODE_WRITE && is_there))
        return FILE_FAILURE;
    access->is_open = true;
    access->open = id;
    access->mode = mode;
    access->to_flash = access->files[id].is_in_flash;
    return FILE_SUCCESS;
}

static bool is_open(const struct file_access *access, enum file_id id)
{
    return access->is_open && access->open == id;
}

enum file_status file_close(struct file_access *access, enum file_id id)
{
    if (!is_open(access, id))
        return FILE_FAILURE;
    if (access->mode != FILE_MODE_READ)
        access->files[id].is_in_flash = access->to_flash;
    access->is_open = false;
    return FILE_SUCCESS;
}

enum file_status file_delete(struct file_access *access, enum file_id id)
{
    if (access->is_open || access->files[id].size == 0)
        return FILE_FAILURE;
    forget(&access->files[id]);
    return FILE_SUCCESS;
}

/* What flash would hold if the open file ended at `end`. */
static size_t flash_used(const struct file_access *access, enum file_id id, size_t end)
{
    size_t used = access->to_flash ? end : 0;
    for (int i = 0; i < FILE_COUNT; i++)
        used += i != (int)id && access->files[i].is_in_flash ? access->files[i].size : 0;
    return used;
}

static void reserve(struct stored_file *file, size_t size)
{
    size_t room = file->room ? file->room : LEAST_ROOM;
    while (room < size)
        room *= 2;
    if (room > file->room) {
        file->bytes = mem_grow(file->bytes, file->room, room);
        file->room = room;
    }
}

enum file_status file_write_at(struct file_access *access, enum file_id id, size_t offset,
                               const uint8_t *bytes, size_t size_bytes)
{
    struct stored_file *file = &access->files[id];
    size_t end = offset + size_bytes;
    if (!is_open(access, id) || access->mode == FILE_MODE_READ || offset > file->size)
        return FILE_FAILURE;
    end = end > file->size ? end : file->size;
    if (end > file_limit(id) || flash_used(access, id, end) > FLASH_BYTES)
        return FILE_OVERFLOW;
    reserve(file, end);
    memcpy(file->bytes + offset, bytes, size_bytes);
    file->size = end;
    return FILE_SUCCESS;
}

enum file_status file_read_at(const struct file_access *access, enum file_id id, size_t offset,
                              uint8_t *bytes, size_t size_bytes, size_t *read_bytes)
{
    const struct stored_file *file = &access->files[id];
    if (!is_open(access, id) || access->mode == FILE_MODE_WRITE || offset > file->size)
        return FILE_FAILURE;
    size_t left = file->size - offset;
    *read_bytes = size_bytes < left ? size_bytes : left;
    if (*read_bytes)
        memcpy(bytes, file->bytes + offset, *read_bytes);
    return FILE_SUCCESS;
}

void file_preload(struct file_access *access, enum file_id id, const uint8_t *bytes,
                  size_t size_bytes)
{
    struct stored_file *file = &access->files[id];
    forget(file);
    reserve(file, size_bytes);
    memcpy(file->bytes, bytes, size_bytes);
    file->size = size_bytes;
    file->is_in_flash = true;
}

void file_lose_ddr(struct file_access *access)
{
    access->is_open = false;
    for (int i = 0; i < FILE_COUNT; i++)
        if (!access->files[i].is_in_flash)
            forget(&access->files[i]);
}
