/* Messages between processes: ZeroMQ's ROUTER (server, many peers) and DEALER (client, one peer),
 * the only includer of zmq.h. A message is one frame: a header (magic, format version, size) and a
 * payload nobody here looks into. What does not fit is refused: a larger frame closes the peer's
 * connection, a malformed one is ERR_DATA and the socket lives on. ZeroMQ itself keeps a message of
 * many frames until its last one comes: only whoever may connect (ipc:// in a folder of ours, or a
 * listed key) can make it grow. Sending never waits. A wire belongs to one thread; it may move
 * between threads with a barrier in between. */
#ifndef BASE_WIRE_WIRE_H
#define BASE_WIRE_WIRE_H

#include "base/err.h"
#include "base/wire/curve.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define WIRE_PEER_BYTES   32
#define WIRE_HEADER_BYTES 12
#define WIRE_ENDPOINT     256

enum wire_role { WIRE_SERVER, WIRE_CLIENT };

struct wire_cfg {
    enum wire_role role;
    /* "ipc:///folder/socket"; with keys "tcp://127.0.0.1:*" too (any free port) */
    const char *endpoint;
    uint32_t format; /* version of the payloads: another one is refused */
    size_t max_payload_bytes;
    int linger_ms; /* how long close waits for messages that were not sent yet */
    int wake_fd;   /* when readable, wire_receive returns ERR_AGAIN at once; -1: none */
    const struct wire_curve
        *curve; /* NULL: plain, which only ipc:// (a file) and inproc:// may be */
};

struct wire_peer { /* who a message came from; stays valid as long as its connection */
    uint8_t size;
    uint8_t bytes[WIRE_PEER_BYTES];
};

struct wire_message {
    struct wire_peer peer; /* server only */
    const void *payload;   /* borrowed until the next call on this wire */
    size_t size_bytes;
};

struct wire;

/* ERR_UNAVAILABLE (address in use, folder missing), ERR_CONFIG (a bad endpoint or key, or a plain
 * wire that would leave the machine), ERR_IO. A
 * client returns before it is connected: messages wait for the server. Returns owned. */
MUST_CHECK enum err wire_open(const struct wire_cfg *cfg, struct wire **wire);
void wire_close(struct wire **wire); /* accepts NULL */

/* Where peers connect to: the endpoint with a wildcard port made concrete. Borrowed. */
const char *wire_endpoint(const struct wire *wire);
/* Live connections, as of the last wire_receive(); one that still shakes hands counts too. */
int wire_connections(const struct wire *wire);
/* Server: connections that were closed because they did not know how to speak, or no key that is
 * allowed, as of the last wire_receive(). Grows. */
unsigned long long wire_strangers(const struct wire *wire);

/* peer: server only. Never waits: ERR_AGAIN when the queue is full, ERR_PEER when the peer has
 * gone, ERR_DATA when the payload is larger than the maximum. */
MUST_CHECK enum err wire_send(struct wire *wire, const struct wire_peer *peer, const void *payload,
                              size_t size_bytes);
/* ERR_AGAIN: nothing for timeout_ms, a signal came, or wake_fd is readable. ERR_DATA: a message was
 * refused (err_text says why; a very long one piece by piece), others may wait behind it. */
MUST_CHECK enum err wire_receive(struct wire *wire, int timeout_ms, struct wire_message *message);

/* The frame as bytes: what the tests and the fuzzer take apart. frame: WIRE_HEADER_BYTES written.
 */
void wire_frame_write(uint32_t format, size_t payload_bytes, uint8_t frame[WIRE_HEADER_BYTES]);
/* ERR_DATA unless the frame is exactly a header of this format and as much payload as it says. */
MUST_CHECK enum err wire_frame_read(const void *frame, size_t frame_bytes, uint32_t format,
                                    const void **payload, size_t *payload_bytes);

bool wire_peer_equal(const struct wire_peer *left, const struct wire_peer *right);
/* A new CURVE pair. ERR_UNAVAILABLE when the library lacks CURVE. */
MUST_CHECK enum err wire_make_keys(char public_key[WIRE_KEY_BYTES],
                                   char secret_key[WIRE_KEY_BYTES]);

#endif
