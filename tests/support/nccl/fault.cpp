#include "tests/support/nccl/nccl.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static enum fault_kind kind_of(const char *name)
{
    static const char *const names[] = {"none", "dies", "is-silent", "errs", "abort-hangs"};
    for (int kind = FAULT_DIES; kind <= FAULT_ABORT_HANGS; kind++)
        if (strcmp(name, names[kind]) == 0)
            return static_cast<enum fault_kind>(kind);
    fprintf(stderr, "GLOWWORM_NCCL_FAULT: \"%s\" is no fault\n", name);
    abort();
}

enum fault_kind fault_at(int rank, int group, enum fault_kind asked)
{
    const char *text = getenv("GLOWWORM_NCCL_FAULT");
    while (text && *text) {
        int at_rank = -1, at_group = -1;
        char name[32] = "";
        if (sscanf(text, "%d:%d:%31[a-z-]", &at_rank, &at_group, name) != 3)
            kind_of(text);
        enum fault_kind kind = kind_of(name);
        bool is_asked = asked == FAULT_NONE ? kind != FAULT_ABORT_HANGS : kind == asked;
        if (is_asked && at_rank == rank && (at_group == group || kind == FAULT_ABORT_HANGS))
            return kind;
        text = strchr(text, ',');
        text = text ? text + 1 : NULL;
    }
    return FAULT_NONE;
}
