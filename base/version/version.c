#include "base/version/version.h"
#include "base/version/commit.h" /* written by the build: COMMIT, LIBRARIES */

const char *version_text(void)
{
    return VERSION " (" COMMIT ")";
}

const char *version_libraries(void)
{
    return LIBRARIES;
}
