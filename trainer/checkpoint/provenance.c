#include "trainer/checkpoint/provenance.h"
#include "base/mem.h"

void provenance_fini(struct provenance *provenance)
{
    mem_free(provenance->campaign);
    mem_free(provenance->space);
    mem_free(provenance->lineage);
    *provenance = (struct provenance){0};
}
