/* The options of commands that read image files which say too little of their samples: --bits,
 * --bayer and --raw. */
#ifndef CLUSTER_SAMPLE_OPTIONS_H
#define CLUSTER_SAMPLE_OPTIONS_H

#include "base/err.h"
#include "trainer/data/sample_format.h"
#include <getopt.h>

/* Among getopt_long()'s; their letters are b, B and r. */
#define SAMPLE_OPTIONS                                                                             \
    {"bits", required_argument, NULL, 'b'}, {"bayer", required_argument, NULL, 'B'},               \
    {                                                                                              \
        "raw", required_argument, NULL, 'r'                                                        \
    }

/* ERR_USAGE names the option and what it takes. */
MUST_CHECK enum err sample_option_take(int letter, const char *value,
                                       struct sample_format *samples);

#endif
