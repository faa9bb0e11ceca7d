#include "base/secret.h"
#include "base/file.h"
#include "base/mem.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

static enum err refuse(const char *path, const char *reason)
{
    return err_set(ERR_CONFIG, "%s %s", path, reason);
}

static enum err check_owner(const char *path, int file)
{
    struct stat status;
    if (fstat(file, &status) != 0)
        return err_set(ERR_IO, "%s: %s", path, strerror(errno));
    if (!S_ISREG(status.st_mode))
        return refuse(path, "is not a file");
    if (status.st_uid != geteuid())
        return refuse(path, "belongs to somebody else: only its owner may use it");
    if (status.st_mode & 077)
        return refuse(path, "can be read by others: chmod 600 it, and change what it holds");
    return ERR_OK;
}

static enum err take_line(const char *path, const char *bytes, char *secret, size_t room)
{
    size_t size = strcspn(bytes, "\r\n");
    if (size == 0)
        return refuse(path, "is empty: one line is meant");
    if (bytes[size + strspn(bytes + size, "\r\n")] != '\0')
        return refuse(path, "holds more than one line: one is meant");
    if (size >= room)
        return refuse(path, "holds a line that is too long");
    memcpy(secret, bytes, size);
    secret[size] = '\0';
    return ERR_OK;
}

enum err secret_read(const char *path, char *secret, size_t room)
{
    enum err err = ERR_OK;
    char *bytes = NULL;
    size_t size = 0;
    int file = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (file < 0 && errno == ENOENT)
        TRY(err_set(ERR_NOT_FOUND, "there is no file %s", path));
    if (file < 0 && errno == ELOOP)
        TRY(refuse(path, "is a link: name the file itself"));
    if (file < 0)
        TRY(err_set(ERR_IO, "%s: %s", path, strerror(errno)));
    TRY(check_owner(path, file));
    TRY(file_read_from(file, path, 4096, &bytes, &size));
    TRY(take_line(path, bytes, secret, room));
out:
    mem_free(bytes);
    if (file >= 0)
        close(file);
    return err;
}

enum err secret_write(const char *path, const char *secret)
{
    size_t size = strlen(secret);
    char *line = mem_alloc(size + 1);
    memcpy(line, secret, size);
    line[size] = '\n';
    enum err err = file_write_private(path, line, size + 1);
    mem_free(line);
    return err;
}

enum err secret_draw(char secret[SECRET_HEX_BYTES])
{
    unsigned char random[(SECRET_HEX_BYTES - 1) / 2];
    if (getrandom(random, sizeof random, 0) != (ssize_t)sizeof random)
        return err_set(ERR_IO, "no random numbers: %s", strerror(errno));
    for (size_t i = 0; i < sizeof random; i++)
        snprintf(secret + 2 * i, 3, "%02x", random[i]);
    return ERR_OK;
}

bool secret_equal(const char *secret, const char *given)
{
    size_t size = strlen(secret), given_size = strlen(given);
    volatile unsigned char differs = size != given_size;
    for (size_t i = 0; i < size; i++)
        differs |= (unsigned char)(secret[i] ^ given[i < given_size ? i : given_size]);
    return !differs;
}
