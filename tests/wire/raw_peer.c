#include "tests/wire/raw_peer.h"
#include <netinet/in.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

int raw_connect(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(address.sun_path, sizeof address.sun_path, "%s", path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd >= 0 && connect(fd, (struct sockaddr *)&address, sizeof address) != 0) {
        close(fd);
        fd = -1;
    }
    return fd;
}

int raw_connect_port(int port)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons((uint16_t)port),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd >= 0 && connect(fd, (struct sockaddr *)&address, sizeof address) != 0) {
        close(fd);
        fd = -1;
    }
    return fd;
}

bool raw_send(int fd, const void *bytes, size_t size_bytes)
{
    const char *at = bytes;
    while (size_bytes > 0) {
        ssize_t sent = send(fd, at, size_bytes, MSG_NOSIGNAL);
        if (sent <= 0)
            return false;
        at += sent;
        size_bytes -= (size_t)sent;
    }
    return true;
}

bool raw_send_frame(int fd, unsigned flags, size_t said, const void *bytes, size_t size_bytes)
{
    uint8_t header[9] = {(uint8_t)flags};
    size_t header_bytes = flags & RAW_LONG ? 9 : 2;
    for (size_t i = 1; i < header_bytes; i++) /* big-endian */
        header[i] = (uint8_t)((uint64_t)said >> (8 * (header_bytes - 1 - i)));
    return raw_send(fd, header, header_bytes) && raw_send(fd, bytes, size_bytes);
}

static bool read_some(int fd, void *bytes, size_t size_bytes)
{
    char *at = bytes;
    while (size_bytes > 0) {
        struct pollfd item = {.fd = fd, .events = POLLIN};
        if (poll(&item, 1, 2000) <= 0)
            return false;
        ssize_t got = recv(fd, at, size_bytes, 0);
        if (got <= 0)
            return false;
        at += got;
        size_bytes -= (size_t)got;
    }
    return true;
}

bool raw_shake_hands(int fd)
{
    uint8_t greeting[64] = {0xff, 0, 0, 0, 0, 0, 0, 0, 0, 0x7f, 3, 0, 'N', 'U', 'L', 'L'};
    static const uint8_t ready[] = "\5READY\13Socket-Type\0\0\0\6DEALER\10Identity\0\0\0";
    uint8_t theirs[64], header[2], body[255];
    return raw_send(fd, greeting, sizeof greeting) && read_some(fd, theirs, sizeof theirs) &&
           raw_send_frame(fd, RAW_COMMAND, sizeof ready, ready, sizeof ready) &&
           read_some(fd, header, sizeof header) && header[0] == RAW_COMMAND &&
           read_some(fd, body, header[1]);
}

bool raw_is_closed(int fd)
{
    for (;;) {
        struct pollfd item = {.fd = fd, .events = POLLIN};
        char byte;
        if (poll(&item, 1, 2000) <= 0)
            return false;
        if (recv(fd, &byte, 1, 0) <= 0)
            return true;
    }
}
