/* From a campaign file to what the loader is told to draw. */
#include "base/mem.h"
#include "trainer/workbench.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static struct augment_cfg augment_of(const char *crop, const char *flip, const char *colour)
{
    struct campaign *campaign = mem_alloc(sizeof *campaign);
    const struct campaign_override overrides[] = {{"dataset.augment.crop", crop},
                                                  {"dataset.augment.flip", flip},
                                                  {"dataset.augment.colour", colour}};
    if (campaign_load("configs/quickstart.yaml", overrides, 3, campaign) != ERR_OK)
        fail_msg("%s", err_text());
    struct augment_cfg augment = splits_augment(campaign);
    mem_free(campaign);
    return augment;
}

static void each_switch_of_a_campaign_s_augmentation_is_its_own(void **state)
{
    (void)state;
    struct augment_cfg flip = augment_of("1", "yes", "no"), colour = augment_of("1", "no", "yes");
    assert_true(flip.crop_min >= 1 && colour.crop_min >= 1);
    assert_true(flip.has_flip && !flip.has_colour);
    assert_true(colour.has_colour && !colour.has_flip);
    struct augment_cfg crop = augment_of("0.25", "no", "no");
    assert_float_equal(crop.crop_min, 0.25, 0);
    assert_false(crop.has_flip || crop.has_colour);
    assert_float_equal(crop.brightness, 32.0 / 255.0, 1e-12);
    assert_float_equal(crop.saturation, 0.5, 1e-12);
}

/* Hold-out images lie in the order of their classes: the first ones would be of one. */
static void a_few_images_stand_for_all_of_a_list(void **state)
{
    (void)state;
    assert_int_equal(splits_spread(60, 0, 4), 0);
    assert_int_equal(splits_spread(60, 3, 4), 45);
    for (int i = 0; i < 7; i++)
        assert_int_equal(splits_spread(7, i, 7), i);
    assert_int_equal(splits_spread(UINT32_MAX, 499, 500), 4286377360u);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_switch_of_a_campaign_s_augmentation_is_its_own),
        cmocka_unit_test(a_few_images_stand_for_all_of_a_list),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
