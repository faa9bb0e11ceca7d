/* How many sub-networks, exactly; and what a space consists of, line by line. */
#include "base/text.h"
#include "trainer/spec/space.h"
#include <stdint.h>

#define LIMBS     96 /* of nine digits: 10^864, beyond 64 blocks of 64 choices */
#define LIMB_BASE UINT64_C(1000000000)

struct big { /* an unsigned whole number, least limb first */
    uint32_t limb[LIMBS];
};

static void big_multiply(struct big *number, uint32_t factor)
{
    uint64_t carry = 0;
    for (int i = 0; i < LIMBS; i++) {
        carry += (uint64_t)number->limb[i] * factor;
        number->limb[i] = (uint32_t)(carry % LIMB_BASE);
        carry /= LIMB_BASE;
    }
    if (carry > 0)
        BUG("more sub-networks than 10^864");
}

static void big_add(struct big *number, const struct big *other)
{
    uint64_t carry = 0;
    for (int i = 0; i < LIMBS; i++) {
        carry += (uint64_t)number->limb[i] + other->limb[i];
        number->limb[i] = (uint32_t)(carry % LIMB_BASE);
        carry /= LIMB_BASE;
    }
}

static void big_format(const struct big *number, struct text *digits)
{
    int i = LIMBS - 1;
    while (i > 0 && number->limb[i] == 0)
        i--;
    text_add(digits, "%u", number->limb[i]);
    while (--i >= 0)
        text_add(digits, "%09u", number->limb[i]);
}

/* number *= the ways to fill one stage: a sum over its depths. */
static void multiply_stage(const struct space *space, const struct stage *stage, struct big *number)
{
    uint32_t per_block = (uint32_t)(space->kernels.count * space->expansions.count);
    struct big sum = {{0}};
    for (int depth = 1; depth <= stage->block_count; depth++) {
        big_multiply(number, per_block);
        bool is_choice = stage->is_elastic ? choices_find(&space->depths, depth) >= 0
                                           : depth == stage->block_count;
        if (is_choice)
            big_add(&sum, number);
    }
    *number = sum;
}

void space_count(const struct space *space, struct text *digits)
{
    struct big number = {{1}};
    for (int i = 0; i < space->stage_count; i++)
        multiply_stage(space, &space->stages[i], &number);
    big_format(&number, digits);
}

static void add_choices(struct text *lines, const char *name, const int *value, int count)
{
    text_add(lines, "space.%s=", name);
    for (int i = 0; i < count; i++)
        text_add(lines, "%s%d", i ? "," : "", value[i]);
    text_add(lines, "\n");
}

void space_lines(const struct space *space, struct text *lines)
{
    text_add(lines, "space.classes=%d\nspace.channels=%d\nspace.norm_eps=", space->classes,
             space->channels);
    text_add_real(lines, space->norm_eps);
    text_add(lines, "\nspace.dropout=");
    text_add_real(lines, space->dropout);
    text_add(lines, "\nspace.kernel_transform=%d\n", space->has_kernel_transform);
    if (space->padding != PAD_SYMMETRIC) /* left out, so that keys of before stay */
        text_add(lines, "space.padding=%d\n", space->padding);
    if (space->divisor != 8)
        text_add(lines, "space.divisor=%d\n", space->divisor);
    add_choices(lines, "kernels", space->kernels.value, space->kernels.count);
    add_choices(lines, "expansions", space->expansions.value, space->expansions.count);
    add_choices(lines, "depths", space->depths.value, space->depths.count);
    add_choices(lines, "resolutions", space->resolutions, space->resolution_count);
    text_add(lines, "space.stem=%d,%d,%d\n", space->stem_width, space->stem_stride,
             space->stem_act);
    text_add(lines, "space.first=%d,%d,%d,%d\n", space->first_width, space->first_stride,
             space->first_act, space->first_has_shortcut);
    for (int i = 0; i < space->stage_count; i++) {
        const struct stage *stage = &space->stages[i];
        text_add(lines, "space.stage.%d=%d,%d,%d,%d,%d,%d\n", i, stage->width, stage->stride,
                 stage->act, stage->has_se, stage->is_elastic, stage->block_count);
    }
    text_add(lines, "space.head=%d,%d,%d,%d\n", space->expand_width, space->expand_act,
             space->mix_width, space->mix_act);
}
