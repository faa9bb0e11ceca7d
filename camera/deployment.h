/* A network on a camera for as long as it is validated: put there, verified, ready to be measured;
 * afterwards the camera is as it was. What an earlier run left changed is put back first. One
 * thread. */
#ifndef CAMERA_DEPLOYMENT_H
#define CAMERA_DEPLOYMENT_H

#include "camera/firefly.h"

/* What becomes of a network that is on the camera already. */
enum found_network {
    FOUND_NETWORK_KEEP,      /* read back first, and put back in the end */
    FOUND_NETWORK_OVERWRITE, /* given up */
    FOUND_NETWORK_REFUSE     /* ERR_CONFIG: which of the two? */
};

struct deployment_cfg { /* borrowed */
    struct camera *camera;
    const char *id;     /* by which it was opened */
    const char *folder; /* where folders of found states are, one a camera; made where missing */
    const struct firefly_network *network;
    enum camera_memory memory;
    enum found_network existing;
    const volatile sig_atomic_t *stop;                    /* not 0: ERR_INTERRUPTED; NULL: never */
    void (*progress)(size_t done, size_t all, void *own); /* bytes of the network; NULL: nobody */
    void *own;
};

struct deployment { /* starts zeroed */
    struct firefly firefly;
    struct found_state *found; /* NULL: nothing was changed */
};

/* The caller calls deployment_end() whatever happens. */
MUST_CHECK enum err deployment_begin(const struct deployment_cfg *cfg,
                                     struct deployment *deployment);
/* Puts the camera back, and ends with `why`, or, where that was ERR_OK, with what went wrong now;
 * the text has both. */
MUST_CHECK enum err deployment_end(struct deployment *deployment, enum network_end end,
                                   enum err why);

/* The folder of one camera inside of `folder`: by model and serial number, letters and digits.
 * Returns owned. */
char *deployment_folder(const char *folder, const struct camera_identity *identity);
/* Puts back what lies in that folder; ERR_NOT_FOUND: nothing; ERR_CONFIG: it is of another camera,
 * which has the same id or address now. */
MUST_CHECK enum err deployment_restore(struct camera *camera, const char *folder);

#endif
