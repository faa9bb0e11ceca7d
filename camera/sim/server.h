/* The camera on the network: sockets on a loopback address, and the loop that drives control
 * channel, stream and camera. One thread. */
#ifndef CAMERA_SIM_SERVER_H
#define CAMERA_SIM_SERVER_H

#include "camera/sim/sim_camera.h"

struct server;
/* Takes the addresses. ERR_AGAIN: another program has it (with the address); ERR_IO. Borrows the
 * camera and the cfg's faults. *server: returns owned. */
MUST_CHECK enum err server_open(struct sim_camera *camera, const struct sim_camera_cfg *cfg,
                                struct server **server);
void server_close(struct server **server); /* accepts NULL */

/* Until *stop is not zero: signals that set it are let in only while it waits. ERR_IO. */
MUST_CHECK enum err server_run(struct server *server, const volatile int *stop);

#endif
