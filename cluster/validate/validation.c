#include "cluster/validate/validation.h"
#include "base/mem.h"
#include <string.h>

void validation_fini(struct validation *validation)
{
    bundle_check_fini(&validation->check);
    measured_fini(&validation->measured);
    mem_free(validation->file.bytes);
    mem_free(validation->images);
    memset(validation, 0, sizeof *validation);
}
