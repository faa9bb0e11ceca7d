#include "cluster/log_file.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/text.h"
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define PIECE      65536
#define TAIL_BYTES 4096

/* The name comes from a file: it may lead nowhere else. */
static bool is_log(const char *name)
{
    return strncmp(name, "logs/", 5) == 0 && name[5] && name[5] != '.' && !strchr(name + 5, '/');
}

/* Where the last lines begin; a line that is not finished counts. */
static enum err find_start(int file, const char *path, long lines, off_t *start)
{
    enum err err = ERR_OK;
    char *piece = mem_alloc(PIECE);
    off_t end = lseek(file, 0, SEEK_END);
    long ends = 0; /* of lines, passed */
    for (off_t at = end; at > 0 && lines > 0;) {
        size_t size = at > PIECE ? PIECE : (size_t)at;
        at -= (off_t)size;
        if (pread(file, piece, size, at) != (ssize_t)size)
            TRY(err_set(ERR_IO, "cannot read %s: %s", path, strerror(errno)));
        for (size_t i = size; i > 0; i--) {
            bool is_end = piece[i - 1] == '\n' && at + (off_t)i < end;
            if (is_end && ++ends == lines) {
                *start = at + (off_t)i;
                goto out;
            }
        }
    }
    *start = lines > 0 ? 0 : end;
out:
    mem_free(piece);
    return err;
}

enum err log_file_open(const char *run_folder, const char *name, long lines, struct log_file *log)
{
    enum err err = ERR_OK;
    char *path = file_join(run_folder, name);
    int file = -1;
    if (!is_log(name))
        TRY(err_set(ERR_DATA, "\"%s\" is not the name of a log of this run", name));
    TRY(file_open_plain(path, &file));
    TRY(find_start(file, path, lines, &log->at));
    log->file = file;
    file = -1;
out:
    if (file >= 0)
        close(file);
    mem_free(path);
    return err;
}

enum err log_file_copy(struct log_file *log, FILE *out)
{
    enum err err = ERR_OK;
    char *piece = mem_alloc(PIECE);
    for (;;) {
        ssize_t got = pread(log->file, piece, PIECE, log->at);
        if (got < 0 && errno != EINTR)
            TRY(err_set(ERR_IO, "cannot read the log: %s", strerror(errno)));
        if (got == 0)
            break;
        if (got > 0 && fwrite(piece, 1, (size_t)got, out) != (size_t)got)
            TRY(err_set(ERR_IO, "standard output cannot be written"));
        log->at += got > 0 ? got : 0;
    }
    if (fflush(out) != 0)
        TRY(err_set(ERR_IO, "standard output cannot be written"));
out:
    mem_free(piece);
    return err;
}

void log_file_close(struct log_file *log)
{
    if (log->file >= 0)
        close(log->file);
    log->file = -1;
}

void log_file_last_line(const char *path, char *line, size_t room)
{
    char *bytes = NULL;
    size_t size = 0;
    struct text safe;
    text_init(&safe);
    line[0] = '\0';
    if (file_read_tail(path, TAIL_BYTES, &bytes, &size) == ERR_OK) {
        while (size > 0 && bytes[size - 1] == '\n')
            bytes[--size] = '\0';
        const char *end = strrchr(bytes, '\n');
        end = end ? end + 1 : bytes;
        text_add_safe(&safe, end, strlen(end));
        snprintf(line, room, "%s", text_get(&safe));
    }
    text_fini(&safe);
    mem_free(bytes);
}
