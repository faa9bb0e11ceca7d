#include "base/room.h"
#include "base/fault.h"
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <unistd.h>

static bool is_full(int number)
{
    return number == ENOSPC || number == EDQUOT;
}

enum err room_check(const char *folder, size_t bytes)
{
    enum err err = FAULT("room.check");
    int file = open(folder, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    int number = file < 0 ? errno : posix_fallocate(file, 0, (off_t)bytes);
    if (file >= 0)
        close(file);
    if (err == ERR_OK && is_full(number))
        err = err_set(ERR_FULL, "no room for %zu KiB on the disk of %s", bytes >> 10, folder);
    return err;
}
