/* The camera on the network: sockets on a loopback address, who controls it, acknowledgements that
 * come late, and the loop that drives the device. One thread. */
#ifndef CAMERA_SIM_SERVER_H
#define CAMERA_SIM_SERVER_H

#include "camera/sim/device.h"

struct server;
/* Takes the addresses. ERR_AGAIN: another program has it (with the address); ERR_IO. Borrows the
 * device and the cfg's faults. *server: returns owned. */
MUST_CHECK enum err server_open(struct device *device, const struct device_cfg *cfg,
                                struct server **server);
void server_close(struct server **server); /* accepts NULL */

/* Until *stop is not zero: signals that set it are let in only while it waits. ERR_IO. */
MUST_CHECK enum err server_run(struct server *server, const volatile int *stop);

#endif
