/* A peer that speaks ZeroMQ's bytes (ZMTP 3.0, no security) by hand, so that it can misbehave in
 * ways the library would not let us. For tests of base/wire. */
#ifndef TESTS_WIRE_RAW_PEER_H
#define TESTS_WIRE_RAW_PEER_H

#include <stdbool.h>
#include <stddef.h>

enum raw_frame { RAW_LAST = 0, RAW_MORE = 1, RAW_LONG = 2, RAW_COMMAND = 4 };

/* Connects to ipc://PATH; -1 on failure. */
int raw_connect(const char *path);
/* The same to a TCP port of this machine. */
int raw_connect_port(int port);
/* Greeting and READY as a DEALER. False when the other side closes. */
bool raw_shake_hands(int fd);
/* One frame whose size field says `said` bytes. False when the other side has closed. */
bool raw_send_frame(int fd, unsigned flags, size_t said, const void *bytes, size_t size_bytes);
bool raw_send(int fd, const void *bytes, size_t size_bytes);
/* Waits (2 s at most) for the other side to close; false when it does not. */
bool raw_is_closed(int fd);

#endif
