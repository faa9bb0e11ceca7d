/* The page: the worst of each kind, with their pictures, so that a look decides. */
#include "base/mem.h"
#include "cluster/html_page.h"
#include "cluster/quality/quality_check.h"
#include "cluster/svg.h"
#include "trainer/data/image_file.h"
#include "trainer/data/image_png.h"
#include <stdio.h>

enum { SHOWN = 24, GROUPS_SHOWN = 12, OF_GROUP_SHOWN = 8, THUMB_SIDE = 104, SMALL_SIDE = 64 };

static enum err add_thumb(const struct quality_check *check, uint32_t record, struct text *html)
{
    enum err err = ERR_OK;
    struct image image = {.room = 0};
    uint8_t *png = NULL;
    size_t size = 0;
    TRY(dataset_read(check->dataset, record, &image));
    TRY(image_shrink(&image, THUMB_SIDE));
    TRY(image_png(&image, &png, &size));
    bool is_small = image.H <= SMALL_SIDE && image.W <= SMALL_SIDE;
    text_add(html, "<figure><img alt=\"\"%s src=\"data:image/png;base64,",
             is_small ? " class=\"small\"" : "");
    text_add_base64(html, png, size);
    text_add(html, "\">");
out:
    mem_free(png);
    mem_free(image.pixels);
    return err;
}

static void add_class(const struct quality_check *check, int32_t label, struct text *html)
{
    html_add(html, dataset_info(check->dataset)->class_names[label]);
}

/* A picture with its class, split and name; `words` in front of the name. */
static enum err add_picture(const struct quality_check *check, uint32_t record, const char *words,
                            struct text *html)
{
    enum err err = ERR_OK;
    char name[512];
    TRY(dataset_record_name(check->dataset, record, name, sizeof name));
    TRY(add_thumb(check, record, html));
    text_add(html, "<figcaption>");
    add_class(check, check->measured[record].label, html);
    text_add(html, " (%s)", quality_split(check, record));
    html_add(html, words);
    text_add(html, ": ");
    html_add(html, name);
    text_add(html, "</figcaption></figure>\n");
out:
    return err;
}

static void describe(const struct quality_check *check, enum finding_kind kind,
                     const struct finding *finding, struct text *words)
{
    char *const *classes = dataset_info(check->dataset)->class_names;
    switch (kind) {
    case FINDING_MISLABELLED:
        text_add(words, ", taken for %s at %.1f %%", classes[finding->predicted],
                 100 * finding->value);
        break;
    case FINDING_BLURRED:
        text_add(words, ", %.1f %% of the median", 100 * finding->value);
        break;
    case FINDING_BLANK:
        text_add(words, ", deviation %.2f", finding->value);
        break;
    case FINDING_OVEREXPOSED:
        text_add(words, ", %.0f %% white", 100 * finding->value);
        break;
    case FINDING_KINDS:
        break;
    }
}

static enum err add_findings(const struct quality_check *check, enum finding_kind kind,
                             const char *title, const char *rule, struct text *html)
{
    enum err err = ERR_OK;
    struct text words;
    const struct findings *findings = &check->findings[kind];
    text_init(&words);
    text_add(html, "<section id=\"%s\"><h2>%s: %u</h2><p>%s</p>", finding_names[kind], title,
             findings->count, rule);
    text_add(html, "<div class=\"worst\">\n");
    for (uint32_t i = 0; i < findings->count && i < SHOWN; i++) {
        words.size = 0;
        describe(check, kind, &findings->rows[i], &words);
        TRY(add_picture(check, findings->rows[i].record, text_get(&words), html));
    }
    text_add(html, "</div>");
    if (findings->count > SHOWN)
        text_add(html, "<p>The worst %d are shown; --json lists all.</p>", SHOWN);
    text_add(html, "</section>\n");
out:
    text_fini(&words);
    return err;
}

static enum err add_group(const struct quality_check *check, uint32_t first, struct text *html)
{
    enum err err = ERR_OK;
    uint32_t left = check->in_group[first];
    text_add(html, "<h3>%u images%s</h3><div class=\"worst\">\n", left,
             check->crosses[first] ? ", across splits" : "");
    left = left < OF_GROUP_SHOWN ? left : OF_GROUP_SHOWN;
    for (uint32_t i = first; left > 0; i++)
        if (check->group[i] == first) {
            TRY(add_picture(check, i, "", html));
            left--;
        }
    text_add(html, "</div>");
out:
    return err;
}

/* Groups across splits first: a network is measured there on what it was trained on. */
static enum err add_alike(const struct quality_check *check, struct text *html)
{
    enum err err = ERR_OK;
    int shown = 0;
    text_add(
        html,
        "<section id=\"alike\"><h2>Alike: %u groups, %u across splits</h2><p>Images of which "
        "two difference hashes (8 x 8 comparisons of brightness, across and down) differ in at "
        "most %d of 64 bits each and 16 x 16 cells correlate by %.4g or more, each with some "
        "other of its group. Where one is for training and another to measure by, "
        "accuracy is told too well. Parts that always lie the same way are alike, too: look "
        "before anything is removed.</p>",
        check->groups, check->crossing, ALIKE_BITS, ALIKE_CORRELATION);
    for (int crosses = 1; crosses >= 0; crosses--)
        for (uint32_t i = 0; i < check->count && shown < GROUPS_SHOWN; i++)
            if (check->in_group[i] > 1 && check->crosses[i] == crosses) {
                TRY(add_group(check, i, html));
                shown++;
            }
    if (check->groups > GROUPS_SHOWN)
        text_add(html, "<p>%d groups are shown; --json lists all.</p>", GROUPS_SHOWN);
    text_add(html, "</section>\n");
out:
    return err;
}

static void add_header(const struct quality_check *check, struct text *html)
{
    html_page_begin(html, "Images to look at");
    text_add(html, "<p><code>");
    html_add(html, dataset_path(check->dataset));
    text_add(html, "</code>: %u images. Labels ", check->count);
    if (check->network) {
        text_add(html, "were held against <code>");
        html_add(html, check->network);
        text_add(html, "</code>.");
    } else {
        text_add(html, "were held against no network: --run RUN.");
    }
    text_add(html, "</p></header>\n");
}

enum err quality_page(const struct quality_check *check, struct text *html)
{
    enum err err = ERR_OK;
    char rule[160];
    add_header(check, html);
    snprintf(rule, sizeof rule,
             "The network says another class, at %.4g %% or more. Images that it was trained on "
             "it rarely contradicts.",
             100 * check->confidence);
    if (check->network)
        TRY(add_findings(check, FINDING_MISLABELLED, "Perhaps mislabelled", rule, html));
    TRY(add_alike(check, html));
    TRY(add_findings(check, FINDING_BLURRED, "Blurred",
                     "Variance of the Laplacian below a tenth of the median of the class.", html));
    TRY(add_findings(check, FINDING_OVEREXPOSED, "Over-exposed",
                     "Half of the pixels or more are 250 and above, in a class where that is not "
                     "usual.",
                     html));
    TRY(add_findings(check, FINDING_BLANK, "Blank", "Pixels deviate by less than 2 of 255.", html));
    html_page_end(html);
out:
    return err;
}
