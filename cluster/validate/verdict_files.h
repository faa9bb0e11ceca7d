/* validate.json and validate.html: what a camera said of a bundle the last time it was asked. From
 * the moment that it is asked again they say so, for a verdict that outlived a failure would be
 * believed. One thread. */
#ifndef CLUSTER_VALIDATE_VERDICT_FILES_H
#define CLUSTER_VALIDATE_VERDICT_FILES_H

#include "cluster/validate/validation.h"

struct verdict_files {  /* borrowed */
    const char *folder; /* made where it is not there */
    const char *run;    /* whose claim is looked at before; NULL: none's */
};

/* No verdict, and why: "passed" and "complete" are false. ERR_AGAIN: the run is another's by now;
 * ERR_IO, ERR_FULL, with what an earlier validation said still there. */
MUST_CHECK enum err verdict_files_void(const struct verdict_files *files, const char *why);
/* Likewise, at the end of a validation that failed with `err`, whose text is kept: returns `err`,
 * whether or not it could be written. */
MUST_CHECK enum err verdict_files_fail(const struct verdict_files *files, enum err err);
/* json: the text of validation_json(). Errors as above. */
MUST_CHECK enum err verdict_files_write(const struct verdict_files *files, const char *json,
                                        const struct validation *validation);

#endif
