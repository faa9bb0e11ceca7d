/* The doorkeeper of a CURVE server: ZeroMQ asks it (ZAP, RFC 27) about every connection, over a
 * socket inside the process; without one, ZeroMQ would let any key in. Inside base/wire only. */
#ifndef BASE_WIRE_ZAP_H
#define BASE_WIRE_ZAP_H

#include "base/err.h"
#include "base/wire/curve.h"

struct zap;

/* Answers for all sockets of the context, from before they bind until zap_destroy(). ERR_CONFIG for
 * a malformed key. Returns owned. */
MUST_CHECK enum err zap_create(void *context, const struct wire_curve *curve, struct zap **zap);
/* After the sockets it guards are closed, before the context ends. Accepts NULL. */
void zap_destroy(struct zap **zap);

#endif
