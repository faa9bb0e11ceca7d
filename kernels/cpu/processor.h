/* What the processor says of itself, and what follows from it: the best instruction set that all of
 * its features are there for, and the model's name. Reading it is one function; the rest is pure,
 * so that a test can make a processor up. Any thread. */
#ifndef KERNELS_CPU_PROCESSOR_H
#define KERNELS_CPU_PROCESSOR_H

#include "kernels/device.h"
#include <stdint.h>

#define PROCESSOR_CACHES 4 /* data caches, from the first level on */

struct processor { /* words of the CPUID instruction as they come; 0 where a leaf is not there */
    uint32_t leaf1_eax, leaf1_ecx;     /* family, model, stepping; features */
    uint32_t leaf7_ebx, leaf7_edx;     /* features */
    uint32_t leaf7_1_eax;              /* of subleaf 1 */
    uint32_t extended1_ecx;            /* leaf 0x80000001 */
    uint32_t xcr0;                     /* the registers the kernel saves; 0 without OSXSAVE */
    char vendor[13], brand[49];        /* texts of leaves 0 and 0x80000002 to 4 */
    uint32_t caches[PROCESSOR_CACHES]; /* bytes of the data caches by level; 0: none */
};

void processor_read(struct processor *processor);

/* The best level of the x86-64 psABI, or ISA_V4_BF16 above; ISA_AUTO when not even x86-64-v2 is
 * there. */
enum isa processor_isa(const struct processor *processor);
/* The level that `auto` computes these maps on: the best, but for bf16 ISA_V4_BF16 only where
 * VDPBF16PS multiplies faster than fp32 does (docs/benchmarks.md). ISA_AUTO as processor_isa(). */
enum isa processor_best_isa(const struct processor *processor, enum precision precision);
/* The first feature that it lacks of a level or of those below; NULL: none. */
const char *processor_lacks(const struct processor *processor, enum isa isa);

/* As if it had nothing above this level. ISA_AUTO: it is left as it is. */
void processor_limit(struct processor *processor, enum isa most);

/* "Intel(R) Xeon(R) Platinum 8259CL (6/85/7, caches 32K 1024K 36608K)": brand, or vendor where
 * there is none, family, model and stepping. The cores of a hybrid processor have caches that
 * differ, and which one answered is chance: "hybrid" then. */
void processor_model(const struct processor *processor, char *text, size_t size_bytes);

#endif
