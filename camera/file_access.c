#include "camera/file_access.h"
#include "base/mem.h"
#include <stdio.h>
#include <string.h>

enum { MOST_BLOCK = 1 << 20, WORD = 4, FILL = 255 };

/* One operation on the selected file. ERR_FAILED when the camera says anything but Success. */
static enum err operate(const struct camera_file *file, const char *operation)
{
    enum err err = ERR_OK;
    char status[CAMERA_TEXT];
    TRY(camera_set_text(file->camera, "FileOperationSelector", operation));
    TRY(camera_execute(file->camera, "FileOperationExecute"));
    TRY(camera_get_text(file->camera, "FileOperationStatus", status));
    if (strcmp(status, "Success") != 0)
        TRY(err_set(ERR_FAILED, "the camera answers \"%s\" to the operation %s of file %s", status,
                    operation, file->name));
out:
    return err;
}

static enum err select_file(const struct camera_file *file)
{
    return camera_set_text(file->camera, "FileSelector", file->name);
}

enum err camera_file_size(const struct camera_file *file, size_t *size_bytes)
{
    enum err err = ERR_OK;
    double size = 0;
    TRY(select_file(file));
    TRY(camera_get_number(file->camera, "FileSize", &size));
    *size_bytes = size > 0 ? (size_t)size : 0;
out:
    return err;
}

/* One that is not open answers with a failure. */
enum err camera_file_close_all(struct camera *camera)
{
    enum err err = ERR_OK;
    char name[CAMERA_TEXT];
    for (int i = 0; camera->ops->entry(camera, "FileSelector", i, name) == ERR_OK; i++) {
        struct camera_file file = {.camera = camera, .name = name};
        err = select_file(&file);
        if (err == ERR_OK)
            err = operate(&file, "Close");
        if (err != ERR_OK && err != ERR_FAILED)
            return err;
    }
    return ERR_OK;
}

/* Only one file may be open, whichever: a run before us may have left one so. */
static enum err operate_alone(const struct camera_file *file, const char *operation)
{
    enum err err = operate(file, operation);
    if (err != ERR_FAILED)
        goto out;
    TRY(camera_file_close_all(file->camera));
    TRY(select_file(file));
    TRY(operate(file, operation));
out:
    return err;
}

enum err camera_file_delete(const struct camera_file *file)
{
    enum err err = ERR_OK;
    size_t size = 0;
    TRY(camera_file_size(file, &size));
    if (size > 0)
        TRY(operate_alone(file, "Delete"));
out:
    return err;
}

static enum err open_file(const struct camera_file *file, const char *mode)
{
    enum err err = ERR_OK;
    TRY(camera_set_text(file->camera, "FileOpenMode", mode));
    TRY(operate_alone(file, "Open"));
out:
    return err == ERR_FAILED
               ? err_prefix(err, "opening it failed, and again behind a close; turn the camera off "
                                 "and on, and end other programs that use it")
               : err;
}

/* What went wrong stays said, whatever comes of tidying up: the camera may be away. */
static enum err give_up(const struct camera_file *file, bool is_written, enum err why)
{
    char text[2048];
    snprintf(text, sizeof text, "%s", err_text());
    if (why != ERR_PEER) {
        enum err err = operate(file, "Close");
        if (err != ERR_PEER && is_written)
            err = camera_file_delete(file);
    }
    return err_set(why, "%s", text);
}

/* How many bytes go at a time: what the buffer holds, in whole words. */
static enum err block_size(const struct camera_file *file, size_t *block)
{
    enum err err = file->camera->ops->register_size(file->camera, "FileAccessBuffer", block);
    if (err != ERR_OK)
        return err_prefix(err, "FileAccessBuffer");
    *block = *block > MOST_BLOCK ? MOST_BLOCK : *block / WORD * WORD;
    return *block > 0 ? ERR_OK
                      : err_set(ERR_FAILED, "the camera's FileAccessBuffer holds less than a word");
}

static enum err begin_blocks(const struct camera_file *file, size_t block)
{
    enum err err = ERR_OK;
    double length = 0;
    TRY(camera_get_number(file->camera, "FileAccessLength", &length));
    if (length < (double)block)
        TRY(camera_set_number(file->camera, "FileAccessLength", (double)block));
out:
    return err;
}

/* Where the next block goes; a camera that moves on by itself is there already. */
static enum err go_to(const struct camera_file *file, size_t offset)
{
    return camera_is_writable(file->camera, "FileAccessOffset")
               ? camera_set_number(file->camera, "FileAccessOffset", (double)offset)
               : ERR_OK;
}

static enum err choose_memory(const struct camera_file *file, enum camera_memory memory)
{
    return memory == CAMERA_MEMORY_ANY
               ? ERR_OK
               : camera_set_flag(file->camera, "FileWriteToFlash", memory == CAMERA_MEMORY_FLASH);
}

static enum err check_stop(const struct camera_file *file)
{
    return file->stop && *file->stop ? err_set(ERR_INTERRUPTED, "stopped") : ERR_OK;
}

/* How many bytes the operation moved, which the camera may make fewer. */
static enum err moved(const struct camera_file *file, size_t asked, size_t done, size_t *bytes)
{
    double result = 0;
    enum err err = camera_get_number(file->camera, "FileOperationResult", &result);
    if (err != ERR_OK)
        return err;
    if (!(result >= 1 && result <= (double)asked))
        return err_set(ERR_FAILED, "the camera moved %g of %zu bytes at byte %zu", result, asked,
                       done);
    *bytes = (size_t)result;
    return ERR_OK;
}

static enum err write_block(const struct camera_file *file, const uint8_t *bytes, size_t size,
                            uint8_t *padded)
{
    enum err err = ERR_OK;
    size_t whole = (size + WORD - 1) / WORD * WORD;
    memset(padded, FILL, whole);
    memcpy(padded, bytes, size);
    err = file->camera->ops->write_register(file->camera, "FileAccessBuffer", padded, whole);
    if (err != ERR_OK)
        TRY(err_prefix(err, "FileAccessBuffer"));
    TRY(camera_set_number(file->camera, "FileAccessLength", (double)size));
    TRY(operate(file, "Write"));
out:
    return err;
}

static enum err write_blocks(const struct camera_file *file, const uint8_t *bytes, size_t size)
{
    enum err err = ERR_OK;
    size_t block = 0, done = 0;
    uint8_t *padded = NULL;
    TRY(block_size(file, &block));
    TRY(begin_blocks(file, block));
    padded = mem_alloc(block);
    while (done < size) {
        size_t next = size - done < block ? size - done : block, written = 0;
        TRY(check_stop(file));
        TRY(go_to(file, done));
        err = write_block(file, bytes + done, next, padded);
        if (err != ERR_OK)
            TRY(err_prefix(err, "at byte %zu of %zu", done, size));
        TRY(moved(file, next, done, &written));
        done += written;
        if (file->progress)
            file->progress(done, size, file->own);
    }
out:
    mem_free(padded);
    return err;
}

static enum err check_written(const struct camera_file *file, size_t size)
{
    enum err err = ERR_OK;
    size_t found = 0;
    TRY(operate(file, "Close"));
    TRY(camera_file_size(file, &found));
    if (found != size)
        TRY(err_set(ERR_FAILED, "the camera has %zu of the %zu bytes that were written", found,
                    size));
out:
    return err;
}

enum err camera_file_write(const struct camera_file *file, enum camera_memory memory,
                           const void *bytes, size_t size_bytes)
{
    enum err err = ERR_OK;
    bool is_open = false;
    TRY(camera_file_delete(file));
    TRY(open_file(file, "Write"));
    is_open = true;
    TRY(choose_memory(file, memory));
    TRY(write_blocks(file, bytes, size_bytes));
    TRY(check_written(file, size_bytes));
out:
    if (err != ERR_OK && is_open)
        err = give_up(file, true, err);
    return err == ERR_FAILED
               ? err_prefix(err,
                            "file %s cannot be written; try again, and if it stays so turn "
                            "the camera off and on",
                            file->name)
               : err;
}

static enum err read_blocks(const struct camera_file *file, char *bytes, size_t size)
{
    enum err err = ERR_OK;
    size_t block = 0, done = 0;
    uint8_t *padded = NULL;
    TRY(block_size(file, &block));
    TRY(begin_blocks(file, block));
    padded = mem_alloc(block);
    while (done < size) {
        size_t next = size - done < block ? size - done : block, got = 0;
        TRY(check_stop(file));
        TRY(go_to(file, done));
        TRY(camera_set_number(file->camera, "FileAccessLength", (double)next));
        TRY(operate(file, "Read"));
        TRY(moved(file, next, done, &got));
        size_t whole = (got + WORD - 1) / WORD * WORD;
        TRY(file->camera->ops->read_register(file->camera, "FileAccessBuffer", padded, whole));
        memcpy(bytes + done, padded, got);
        done += got;
        if (file->progress)
            file->progress(done, size, file->own);
    }
out:
    mem_free(padded);
    return err;
}

static enum err tell_memory(const struct camera_file *file, enum camera_memory *memory)
{
    double is_flash = 0;
    *memory = CAMERA_MEMORY_ANY;
    if (!camera_has(file->camera, "FileWriteToFlash"))
        return ERR_OK;
    enum err err = camera_get_number(file->camera, "FileWriteToFlash", &is_flash);
    if (err == ERR_OK)
        *memory = is_flash != 0 ? CAMERA_MEMORY_FLASH : CAMERA_MEMORY_DDR;
    return err == ERR_PEER ? err : ERR_OK; /* one that does not say */
}

enum err camera_file_read(const struct camera_file *file, size_t limit_bytes, char **bytes,
                          size_t *size_bytes, enum camera_memory *memory)
{
    enum err err = ERR_OK;
    size_t size = 0;
    char *made = NULL;
    bool is_open = false;
    TRY(camera_file_size(file, &size));
    if (size > limit_bytes)
        TRY(err_set(ERR_FAILED, "file %s is of %zu bytes, more than %zu", file->name, size,
                    limit_bytes));
    made = mem_alloc(size + 1);
    TRY(open_file(file, "Read"));
    is_open = true;
    TRY(tell_memory(file, memory));
    TRY(read_blocks(file, made, size));
    TRY(operate(file, "Close"));
    *bytes = made;
    *size_bytes = size;
    made = NULL;
out:
    if (err != ERR_OK && is_open)
        err = give_up(file, false, err);
    mem_free(made);
    return err;
}
