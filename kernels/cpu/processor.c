#include "kernels/cpu/processor.h"
#include <cpuid.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

enum word { LEAF1_ECX, LEAF7_EBX, LEAF7_1_EAX, EXTENDED1_ECX, XCR0 };

struct feature {
    enum isa isa; /* the level that asks for it first */
    const char *name;
    enum word word;
    uint32_t bits; /* all of them */
};

#define BIT(n) ((uint32_t)1 << (n))

/* System V psABI for x86-64, table "Micro-Architecture Levels"; bits as in Intel's manual, vol. 2A,
 * CPUID, and vol. 1, sec. 13.3 (XCR0). What every x86-64 has is not asked for. */
static const struct feature features[] = {
    {ISA_V2, "SSE3", LEAF1_ECX, BIT(0)},
    {ISA_V2, "SSSE3", LEAF1_ECX, BIT(9)},
    {ISA_V2, "CMPXCHG16B", LEAF1_ECX, BIT(13)},
    {ISA_V2, "SSE4.1", LEAF1_ECX, BIT(19)},
    {ISA_V2, "SSE4.2", LEAF1_ECX, BIT(20)},
    {ISA_V2, "POPCNT", LEAF1_ECX, BIT(23)},
    {ISA_V2, "LAHF and SAHF", EXTENDED1_ECX, BIT(0)},
    {ISA_V3, "OSXSAVE", LEAF1_ECX, BIT(27)},
    {ISA_V3, "AVX registers saved by the system (XCR0)", XCR0, BIT(1) | BIT(2)},
    {ISA_V3, "AVX", LEAF1_ECX, BIT(28)},
    {ISA_V3, "AVX2", LEAF7_EBX, BIT(5)},
    {ISA_V3, "BMI1", LEAF7_EBX, BIT(3)},
    {ISA_V3, "BMI2", LEAF7_EBX, BIT(8)},
    {ISA_V3, "F16C", LEAF1_ECX, BIT(29)},
    {ISA_V3, "FMA", LEAF1_ECX, BIT(12)},
    {ISA_V3, "LZCNT", EXTENDED1_ECX, BIT(5)},
    {ISA_V3, "MOVBE", LEAF1_ECX, BIT(22)},
    {ISA_V4, "AVX-512 registers saved by the system (XCR0)", XCR0, BIT(5) | BIT(6) | BIT(7)},
    {ISA_V4, "AVX512F", LEAF7_EBX, BIT(16)},
    {ISA_V4, "AVX512DQ", LEAF7_EBX, BIT(17)},
    {ISA_V4, "AVX512CD", LEAF7_EBX, BIT(28)},
    {ISA_V4, "AVX512BW", LEAF7_EBX, BIT(30)},
    {ISA_V4, "AVX512VL", LEAF7_EBX, BIT(31)},
    {ISA_V4_BF16, "AVX512_BF16", LEAF7_1_EAX, BIT(5)},
};

static uint32_t *find_word(struct processor *processor, enum word word)
{
    switch (word) {
    case LEAF1_ECX:
        return &processor->leaf1_ecx;
    case LEAF7_EBX:
        return &processor->leaf7_ebx;
    case LEAF7_1_EAX:
        return &processor->leaf7_1_eax;
    case EXTENDED1_ECX:
        return &processor->extended1_ecx;
    case XCR0:
        return &processor->xcr0;
    }
    BUG("word %d of a processor", (int)word);
}

static uint32_t word_of(const struct processor *processor, enum word word)
{
    struct processor copy = *processor;
    return *find_word(&copy, word);
}

void processor_limit(struct processor *processor, enum isa most)
{
    for (size_t i = 0; most != ISA_AUTO && i < sizeof features / sizeof *features; i++)
        if (features[i].isa > most)
            *find_word(processor, features[i].word) &= ~features[i].bits;
}

const char *processor_lacks(const struct processor *processor, enum isa isa)
{
    for (size_t i = 0; i < sizeof features / sizeof *features; i++) {
        const struct feature *feature = &features[i];
        if (feature->isa <= isa &&
            (word_of(processor, feature->word) & feature->bits) != feature->bits)
            return feature->name;
    }
    return NULL;
}

enum isa processor_isa(const struct processor *processor)
{
    enum isa best = ISA_AUTO;
    for (enum isa isa = ISA_V2; isa <= ISA_V4_BF16 && !processor_lacks(processor, isa); isa++)
        best = isa;
    return best;
}

/* A table, not a stopwatch: whoever reads it knows what a machine computes. AMD from Zen 4 on
 * multiplies twice as many bf16 as fp32 in the same time; Intel's Sapphire Rapids at most as many.
 */
static bool pairs_pay(const struct processor *processor)
{
    return strcmp(processor->vendor, "AuthenticAMD") == 0;
}

enum isa processor_best_isa(const struct processor *processor, enum precision precision)
{
    enum isa best = processor_isa(processor);
    bool takes_pairs = precision == PRECISION_BF16 && pairs_pay(processor);
    return best == ISA_V4_BF16 && !takes_pairs ? ISA_V4 : best;
}

/* What the kernel saves of the registers; the instruction is there only with OSXSAVE. */
static uint32_t read_xcr0(void)
{
    uint32_t low = 0, high = 0;
    __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return low;
}

/* Leaves 4 (Intel) and 0x8000001D (AMD) have one shape: a cache per subleaf. */
static void read_caches(unsigned leaf, uint32_t caches[PROCESSOR_CACHES])
{
    enum { NONE = 0, INSTRUCTIONS = 2, MOST = 16 };
    uint32_t eax = 0, ebx = 0, ecx = 0, edx = 0;
    for (unsigned i = 0; i < MOST; i++) {
        __cpuid_count(leaf, i, eax, ebx, ecx, edx);
        uint32_t kind = eax & 31, level = eax >> 5 & 7;
        if (kind == NONE)
            break;
        if (kind != INSTRUCTIONS && level >= 1 && level <= PROCESSOR_CACHES)
            caches[level - 1] =
                ((ebx >> 22) + 1) * ((ebx >> 12 & 1023) + 1) * ((ebx & 4095) + 1) * (ecx + 1);
    }
}

static void read_texts(unsigned last_extended, struct processor *processor)
{
    uint32_t words[12] = {0}, eax = 0;
    __cpuid(0, eax, words[0], words[2], words[1]);
    memcpy(processor->vendor, words, 12);
    if (last_extended < 0x80000004)
        return;
    for (unsigned i = 0; i < 3; i++)
        __cpuid(0x80000002 + i, words[4 * i], words[4 * i + 1], words[4 * i + 2], words[4 * i + 3]);
    memcpy(processor->brand, words, sizeof words);
}

void processor_read(struct processor *processor)
{
    uint32_t ebx = 0, ecx = 0, edx = 0, eax = 0;
    unsigned last = __get_cpuid_max(0, NULL), last_extended = __get_cpuid_max(0x80000000, NULL);
    *processor = (struct processor){0};
    __cpuid(1, processor->leaf1_eax, ebx, processor->leaf1_ecx, edx);
    if (last >= 7) {
        unsigned last_subleaf = 0;
        __cpuid_count(7, 0, last_subleaf, processor->leaf7_ebx, ecx, processor->leaf7_edx);
        if (last_subleaf >= 1)
            __cpuid_count(7, 1, processor->leaf7_1_eax, ebx, ecx, edx);
    }
    if (last_extended >= 0x80000001)
        __cpuid(0x80000001, eax, ebx, processor->extended1_ecx, edx);
    if (processor->leaf1_ecx & BIT(27))
        processor->xcr0 = read_xcr0();
    read_texts(last_extended, processor);
    if (processor->extended1_ecx & BIT(22) && last_extended >= 0x8000001D) /* TOPOEXT */
        read_caches(0x8000001D, processor->caches);
    else if (last >= 4)
        read_caches(4, processor->caches);
}

/* Blanks at the ends and doubled ones are left out: brands are padded with them. */
static void squeeze(const char *from, char *to)
{
    char *start = to;
    for (; *from; from++)
        if (*from != ' ' || (to > start && to[-1] != ' '))
            *to++ = *from;
    while (to > start && to[-1] == ' ')
        to--;
    *to = '\0';
}

void processor_model(const struct processor *processor, char *text, size_t size_bytes)
{
    uint32_t word = processor->leaf1_eax, family = word >> 8 & 15, model = word >> 4 & 15;
    char name[sizeof processor->brand], caches[64] = "";
    if (family == 6 || family == 15)
        model |= (word >> 16 & 15) << 4;
    if (family == 15)
        family += word >> 20 & 255;
    squeeze(processor->brand[0] ? processor->brand : processor->vendor, name);
    for (int i = 0, used = 0; i < PROCESSOR_CACHES && processor->caches[i]; i++)
        used += snprintf(caches + used, sizeof caches - (size_t)used, "%s%uK",
                         i ? " " : ", caches ", processor->caches[i] >> 10);
    bool is_hybrid = processor->leaf7_edx & BIT(15);
    snprintf(text, size_bytes, "%s (%u/%u/%u%s)", name, family, model, word & 15,
             is_hybrid ? ", hybrid" : caches);
}
