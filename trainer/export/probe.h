/* Tiny networks that each break one rule of a device's table, and one that keeps them all: what a
 * person with the device's converter compiles to see whether the rules are right. They are made
 * from the table alone, so that a rule needs no code of its own; weights are drawn, always the
 * same. Pure. */
#ifndef TRAINER_EXPORT_PROBE_H
#define TRAINER_EXPORT_PROBE_H

#include "base/text.h"
#include "trainer/export/folded.h"
#include "trainer/spec/target.h"

#define PROBE_OUTPUTS 8
#define PROBE_NAME    64
/* Of weights or of a map in fp16: what is to be tried by hand is no larger. */
#define PROBE_MOST_BYTES (16 << 20)

struct probe {
    char name[PROBE_NAME];          /* "baseline", "strides-convolution"; fit for a file */
    const struct device_rule *rule; /* that it breaks; NULL: none, it is the baseline */
    struct text breach;             /* the layer, and what of it breaks the rule */
    struct text others;             /* names of rules that it, or the baseline, cannot help breaking
                                     * too; "": none */
    struct text why_not;            /* it cannot be made; "": it is */
    struct folded folded;           /* where it is made */
};

struct probes { /* owned; starts zeroed */
    int count, room;
    struct probe *list;
};

/* Borrows the device for as long as they live. */
void probes_make(const struct camera_device *device, struct probes *probes);
void probes_fini(struct probes *probes); /* accepts a zeroed one */

#endif
