/* A bundle's files as they lie on the disk: unchanged since they were compiled, and each network of
 * them read back. The folder may be anybody's. */
#ifndef CLUSTER_CHECK_CHECK_FILES_H
#define CLUSTER_CHECK_CHECK_FILES_H

#include "cluster/check/check.h"

/* Every file of bundle.json has its hash, and every file that a check reads is listed there:
 * ERR_DATA names the first that has not, is missing, or is not listed. */
MUST_CHECK enum err check_hashes(const char *bundle, const json_t *list);

/* The formats that are there: formats (CHECK_FORMATS), in the order the converter is given them.
 * ERR_DATA names the file, and says what to do; one whose shape is not that of the ONNX file, too.
 */
MUST_CHECK enum err check_formats_read(const char *bundle, const struct onnx_shape *shape,
                                       struct check_format *formats);
struct check_format *check_formats_first(struct check_format *formats);

#endif
