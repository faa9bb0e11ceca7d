/* Keys of an encrypted wire (ZeroMQ's CURVE). Plain data. */
#ifndef BASE_WIRE_CURVE_H
#define BASE_WIRE_CURVE_H

#define WIRE_KEY_BYTES 41 /* a key in Z85 text, NUL included */

/* CURVE, for wires that leave the machine. A server answers only the clients of its list. */
struct wire_curve {
    const char *public_key, *secret_key; /* our own, Z85 */
    const char *server_key;              /* client: the server's public key */
    const char *const *allowed;          /* server: public keys of the clients; copied */
    int allowed_count;                   /* 0 lets nobody in */
};

#endif
