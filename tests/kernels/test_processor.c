/* Which instruction set a made-up processor has, and what it is called. */
#include "kernels/cpu/processor.h"
#include "tests/kernels/check.h"
#include <string.h>

#define WORD(name) offsetof(struct processor, name)

/* Every feature of the levels above the first, from the table "Micro-Architecture Levels" of the
 * x86-64 psABI; for XCR0 the parts of the registers that the kernel must save. */
static const struct {
    const char *name;
    enum isa without; /* the best level of a processor that lacks only this one */
    size_t word;
    int bit;
} features[] = {
    {"SSE3", ISA_AUTO, WORD(leaf1_ecx), 0},
    {"SSSE3", ISA_AUTO, WORD(leaf1_ecx), 9},
    {"CMPXCHG16B", ISA_AUTO, WORD(leaf1_ecx), 13},
    {"SSE4.1", ISA_AUTO, WORD(leaf1_ecx), 19},
    {"SSE4.2", ISA_AUTO, WORD(leaf1_ecx), 20},
    {"POPCNT", ISA_AUTO, WORD(leaf1_ecx), 23},
    {"LAHF", ISA_AUTO, WORD(extended1_ecx), 0},
    {"FMA", ISA_V2, WORD(leaf1_ecx), 12},
    {"MOVBE", ISA_V2, WORD(leaf1_ecx), 22},
    {"OSXSAVE", ISA_V2, WORD(leaf1_ecx), 27},
    {"AVX", ISA_V2, WORD(leaf1_ecx), 28},
    {"F16C", ISA_V2, WORD(leaf1_ecx), 29},
    {"BMI1", ISA_V2, WORD(leaf7_ebx), 3},
    {"AVX2", ISA_V2, WORD(leaf7_ebx), 5},
    {"BMI2", ISA_V2, WORD(leaf7_ebx), 8},
    {"LZCNT", ISA_V2, WORD(extended1_ecx), 5},
    {"XCR0", ISA_V2, WORD(xcr0), 1},
    {"XCR0", ISA_V2, WORD(xcr0), 2},
    {"AVX512F", ISA_V3, WORD(leaf7_ebx), 16},
    {"AVX512DQ", ISA_V3, WORD(leaf7_ebx), 17},
    {"AVX512CD", ISA_V3, WORD(leaf7_ebx), 28},
    {"AVX512BW", ISA_V3, WORD(leaf7_ebx), 30},
    {"AVX512VL", ISA_V3, WORD(leaf7_ebx), 31},
    {"XCR0", ISA_V3, WORD(xcr0), 5},
    {"XCR0", ISA_V3, WORD(xcr0), 6},
    {"XCR0", ISA_V3, WORD(xcr0), 7},
    {"AVX512_BF16", ISA_V4, WORD(leaf7_1_eax), 5},
};
enum { FEATURES = sizeof features / sizeof *features };

static struct processor with_everything(void)
{
    return (struct processor){
        .leaf1_ecx = ~0u, .leaf7_ebx = ~0u, .leaf7_1_eax = ~0u, .extended1_ecx = ~0u, .xcr0 = ~0u};
}

static void set_vendor(struct processor *processor, const char vendor[13])
{
    memcpy(processor->vendor, vendor, sizeof processor->vendor);
}

static uint32_t *word_of(struct processor *processor, int feature)
{
    return (uint32_t *)((char *)processor + features[feature].word);
}

static void every_feature_of_a_level_is_asked_for(void **state)
{
    (void)state;
    struct processor whole = with_everything();
    assert_int_equal(processor_isa(&whole), ISA_V4_BF16);
    assert_null(processor_lacks(&whole, ISA_V4_BF16));
    for (int i = 0; i < FEATURES; i++) {
        struct processor processor = with_everything();
        *word_of(&processor, i) &= ~(1u << features[i].bit);
        if (processor_isa(&processor) != features[i].without)
            fail_msg("without %s (bit %d): level %d, expected %d", features[i].name,
                     features[i].bit, processor_isa(&processor), features[i].without);
        const char *lack = processor_lacks(&processor, features[i].without + 1);
        assert_non_null(lack);
        if (!strstr(lack, features[i].name))
            fail_msg("without %s it is said to lack %s", features[i].name, lack);
    }
}

/* Pairs of bf16 where they are faster, and never for fp32. */
static void auto_takes_bf16_s_instructions_where_they_pay(void **state)
{
    (void)state;
    struct processor amd = with_everything(), intel = with_everything(), old = {0};
    set_vendor(&amd, "AuthenticAMD");
    set_vendor(&intel, "GenuineIntel");
    assert_int_equal(processor_best_isa(&amd, PRECISION_BF16), ISA_V4_BF16);
    assert_int_equal(processor_best_isa(&amd, PRECISION_FP32), ISA_V4);
    assert_int_equal(processor_best_isa(&intel, PRECISION_BF16), ISA_V4);
    amd.leaf7_1_eax = 0;
    assert_int_equal(processor_best_isa(&amd, PRECISION_BF16), ISA_V4);
    assert_int_equal(processor_best_isa(&old, PRECISION_BF16), ISA_AUTO);
}

static void no_other_feature_is_asked_for(void **state)
{
    (void)state;
    struct processor processor = {0};
    assert_int_equal(processor_isa(&processor), ISA_AUTO);
    for (int i = 0; i < FEATURES; i++)
        *word_of(&processor, i) |= 1u << features[i].bit;
    assert_int_equal(processor_isa(&processor), ISA_V4_BF16);
}

static void a_processor_is_called_by_brand_version_and_caches(void **state)
{
    (void)state;
    char text[160];
    struct processor processor = {.leaf1_eax = 0x50657, /* family 6, model 0x55, stepping 7 */
                                  .vendor = "GenuineIntel",
                                  .brand = "  Intel(R) Xeon(R)   CPU @ 2.50GHz ",
                                  .caches = {32 << 10, 1 << 20, 35 << 20}};
    processor_model(&processor, text, sizeof text);
    assert_string_equal(text, "Intel(R) Xeon(R) CPU @ 2.50GHz (6/85/7, caches 32K 1024K 35840K)");
    processor = (struct processor){.leaf1_eax = 0xa20f12, .vendor = "AuthenticAMD"};
    processor_model(&processor, text, sizeof text);
    assert_string_equal(text, "AuthenticAMD (25/33/2)");
    processor.leaf7_edx = 1 << 15; /* two kinds of cores: whose caches were read is chance */
    processor.caches[0] = 48 << 10;
    processor_model(&processor, text, sizeof text);
    assert_string_equal(text, "AuthenticAMD (25/33/2, hybrid)");
}

/* The compiler's runtime knows some of the features: the words are read from the right leaves. */
static void this_machine_has_what_the_compiler_finds(void **state)
{
    (void)state;
    struct processor processor;
    processor_read(&processor);
    __builtin_cpu_init();
    assert_int_equal(processor.leaf1_ecx >> 20 & 1, __builtin_cpu_supports("sse4.2") != 0);
    assert_int_equal(processor.leaf7_ebx >> 8 & 1, __builtin_cpu_supports("bmi2") != 0);
    if (__builtin_cpu_supports("avx2"))
        assert_int_equal(processor.xcr0 & 6, 6);
    assert_int_equal(strlen(processor.vendor), 12);
    assert_int_not_equal(processor_isa(&processor), ISA_AUTO);
}

static void a_processor_can_be_taken_for_an_older_one(void **state)
{
    (void)state;
    for (enum isa isa = ISA_V2; isa <= ISA_V4_BF16; isa++) {
        struct processor processor = with_everything();
        processor_limit(&processor, isa);
        assert_int_equal(processor_isa(&processor), isa);
    }
    struct processor whole = with_everything();
    processor_limit(&whole, ISA_AUTO);
    assert_int_equal(processor_isa(&whole), ISA_V4_BF16);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_feature_of_a_level_is_asked_for),
        cmocka_unit_test(auto_takes_bf16_s_instructions_where_they_pay),
        cmocka_unit_test(no_other_feature_is_asked_for),
        cmocka_unit_test(a_processor_is_called_by_brand_version_and_caches),
        cmocka_unit_test(a_processor_can_be_taken_for_an_older_one),
        cmocka_unit_test(this_machine_has_what_the_compiler_finds),
    };
    return cmocka_run_group_tests_name("processor", tests, NULL, NULL);
}
