/* Which camera a person means, and where what is found on cameras is kept. One thread. */
#ifndef CLUSTER_VALIDATE_CAMERA_PLACE_H
#define CLUSTER_VALIDATE_CAMERA_PLACE_H

#include "camera/camera.h"
#include "cluster/validate/simulator.h"

struct camera_place { /* starts zeroed */
    char id[CAMERA_TEXT];
    bool is_simulated;
    bool starts_simulator;
    struct simulator simulator;
};

/* "simulated", "simulated@ADDRESS" (one that runs), or a camera's id, serial number or address.
 * ERR_USAGE. */
MUST_CHECK enum err camera_place_parse(const char *word, struct camera_place *place);
/* Opens it; a simulated one is started before that, of the model with so many channels. ERR_AGAIN,
 * ERR_UNAVAILABLE, ERR_NOT_FOUND say what is there and what to do. *camera: returns owned. */
MUST_CHECK enum err camera_place_open(struct camera_place *place, int channels,
                                      struct camera **camera);
void camera_place_fini(
    struct camera_place *place); /* behind camera_close(); accepts a zeroed one */

/* The folder of found states ($XDG_STATE_HOME/glowworm/cameras), made where missing. *folder:
 * returns owned. ERR_CONFIG, ERR_IO. */
MUST_CHECK enum err camera_place_state(char **folder);

/* Prints what can be opened. */
MUST_CHECK enum err camera_place_list(bool is_json);
/* Puts back every camera of which a validation has not done so, or that of this id alone; NULL:
 * all. Says so, a line each; one that is away or busy keeps none from it, and ends with its error.
 */
MUST_CHECK enum err camera_place_restore(const char *id);

#endif
