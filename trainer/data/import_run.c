/* The import: passes over the source until one plan fits all its images, then the move into place.
 * A pass begins with the narrowest plan (one channel, raw) and is begun anew with a wider one at
 * the first image that needs it; usually that is the first image of all, so it costs nothing. */
#include "base/clock.h"
#include "base/fault.h"
#include "base/mem.h"
#include "trainer/data/dataset_store.h"
#include "trainer/data/duplicates.h"
#include "trainer/data/import.h"
#include "trainer/data/import_place.h"
#include "trainer/data/import_pool.h"
#include <math.h>
#include <stdio.h>
#include <string.h>

#define WAIT_MS          100
#define PROGRESS_SECONDS 0.1

struct importing { /* one import; the second half belongs to the running pass */
    const struct import_cfg *cfg;
    struct import_report *report;
    struct source *source;
    struct place place;
    struct import_plan plan;
    uint32_t listing_skips; /* of the report, made before the first pass */
    int pass;

    bool wants_wider;
    struct dataset_info info;
    struct dataset_writer *writer;
    struct duplicates duplicates;
    uint64_t sums[3], squares[3], pixels; /* of training images */
    double started, progressed;
    char name[4096];
};

static enum err show_progress(struct importing *importing, uint32_t done, uint32_t total)
{
    double now = clock_seconds();
    if (!importing->cfg->progress ||
        (done < total && now - importing->progressed < PROGRESS_SECONDS))
        return ERR_OK;
    importing->progressed = now;
    struct import_progress progress = {.done = done,
                                       .total = total,
                                       .skipped = importing->report->skip_count,
                                       .seconds = now - importing->started,
                                       .pass = importing->pass};
    return importing->cfg->progress(importing->cfg->own, &progress)
               ? ERR_OK
               : err_set(ERR_INTERRUPTED, "stopped before the end; nothing was imported");
}

/* Files only: a published IDX set is taken as it is. True when the image is left out. */
static bool is_duplicate(struct importing *importing, uint32_t index,
                         const struct prepared *prepared)
{
    struct source *source = importing->source;
    if (source_is_stream(source))
        return false;
    uint32_t first = duplicates_find(&importing->duplicates, &prepared->pixels, index);
    if (first == index)
        return false;
    char reason[4300];
    bool agrees = source->items[first].label == prepared->image.label;
    snprintf(reason, sizeof reason, "the same pixels as %s%s", source->items[first].name,
             agrees ? "" : ", which is of another class");
    import_report_skip(importing->report, agrees ? SKIP_DUPLICATE : SKIP_CONFLICT, importing->name,
                       reason);
    return true;
}

static void count_in(struct importing *importing, uint32_t index, const struct prepared *prepared)
{
    struct dataset_info *info = &importing->info;
    const struct image *image = &prepared->image;
    bool is_train = index < importing->source->train_count;
    info->max_height = image->H > info->max_height ? image->H : info->max_height;
    info->max_width = image->W > info->max_width ? image->W : info->max_width;
    info->record_bytes += prepared->record_bytes;
    if (image->word_bits > 0)
        importing->report->word_count++;
    if (image->word_bits > importing->report->word_bits)
        importing->report->word_bits = image->word_bits;
    (is_train ? info->train_per_class : info->test_per_class)[image->label]++;
    if (!is_train) {
        info->test_count++;
        return;
    }
    info->train_count++;
    importing->pixels += (uint64_t)image->H * (uint64_t)image->W;
    for (int c = 0; c < image->C; c++) {
        importing->sums[c] += prepared->sums[c];
        importing->squares[c] += prepared->squares[c];
    }
}

/* One image, in order. */
static enum err take(struct importing *importing, uint32_t index, const struct prepared *prepared)
{
    enum err err = ERR_OK;
    TRY(FAULT("import.record"));
    source_name(importing->source, index, importing->name, sizeof importing->name);
    if (prepared->err != ERR_OK)
        TRY(err_set(prepared->err, "%s", prepared->reason));
    if (prepared->is_skipped) {
        import_report_skip(importing->report, prepared->kind, importing->name, prepared->reason);
    } else if (prepared->needs_colour || prepared->needs_jpeg) {
        importing->wants_wider = true;
        if (prepared->needs_colour)
            importing->plan.channels = 3;
        if (prepared->needs_jpeg)
            importing->plan.format = IMAGE_JPEG;
    } else if (!is_duplicate(importing, index, prepared)) {
        TRY(dataset_writer_add(importing->writer, prepared->record, prepared->record_bytes));
        count_in(importing, index, prepared);
    }
out:
    return err;
}

static void finish_statistics(struct importing *importing)
{
    struct dataset_info *info = &importing->info;
    double count = (double)importing->pixels;
    for (int c = 0; c < info->channels; c++) {
        double mean = (double)importing->sums[c] / count;
        double variance = (double)importing->squares[c] / count - mean * mean;
        info->mean[c] = mean;
        /* Images of one single value would divide by zero: they stay as they are. */
        info->deviation[c] = variance > 1e-6 ? sqrt(variance) : 1.0;
    }
}

static void begin_pass(struct importing *importing)
{
    struct source *source = importing->source;
    struct dataset_info *info = &importing->info;
    size_t classes = (size_t)source->classes;
    import_report_forget(importing->report, importing->listing_skips);
    memset(info->train_per_class, 0, classes * sizeof(uint32_t));
    memset(info->test_per_class, 0, classes * sizeof(uint32_t));
    info->channels = importing->plan.channels;
    info->format = importing->plan.format;
    info->train_count = info->test_count = 0;
    info->max_height = info->max_width = 0;
    info->record_bytes = 0;
    importing->report->word_count = 0;
    importing->report->word_bits = 0;
    importing->wants_wider = false;
    importing->pixels = 0;
    memset(importing->sums, 0, sizeof importing->sums);
    memset(importing->squares, 0, sizeof importing->squares);
    importing->started = clock_seconds();
    importing->pass++;
}

static enum err take_all(struct importing *importing, struct import_pool *pool)
{
    enum err err = ERR_OK;
    uint32_t total = importing->source->train_count + importing->source->test_count;
    for (uint32_t i = 0; i < total && !importing->wants_wider;) {
        struct prepared *prepared = import_pool_next(pool, WAIT_MS);
        if (prepared) {
            TRY(take(importing, i, prepared));
            import_pool_release(pool);
            i++;
        }
        TRY(show_progress(importing, i, total));
    }
out:
    return err;
}

static enum err finish_pass(struct importing *importing)
{
    if (importing->info.train_count == 0)
        return err_set(ERR_DATA, "no training image could be imported from %s",
                       importing->cfg->sources[0]);
    finish_statistics(importing);
    return dataset_writer_finish(importing->writer, &importing->info);
}

static enum err run_pass(struct importing *importing)
{
    enum err err = ERR_OK;
    struct import_pool *pool = NULL;
    struct import_pool_cfg cfg = {.source = importing->source,
                                  .plan = importing->plan,
                                  .widens = importing->cfg->format == IMPORT_AUTO,
                                  .threads = importing->cfg->threads};
    begin_pass(importing);
    duplicates_init(&importing->duplicates);
    TRY(place_clear(&importing->place));
    TRY(dataset_writer_open(importing->place.dataset, &importing->writer));
    TRY(import_pool_create(&cfg, &pool));
    TRY(take_all(importing, pool));
    if (!importing->wants_wider)
        TRY(finish_pass(importing));
out:
    import_pool_destroy(&pool);
    dataset_writer_close(&importing->writer);
    duplicates_fini(&importing->duplicates);
    return err;
}

/* The narrowest plan. A stream cannot be read twice, but its header says what it needs. */
static void first_plan(struct importing *importing)
{
    const struct import_cfg *cfg = importing->cfg;
    struct import_plan *plan = &importing->plan;
    plan->side = cfg->side ? cfg->side : IMPORT_DEFAULT_SIDE;
    plan->quality = cfg->quality ? cfg->quality : IMPORT_QUALITY;
    plan->max_pixels = cfg->max_pixels ? cfg->max_pixels : IMAGE_MAX_PIXELS;
    plan->format = cfg->format == IMPORT_JPEG ? IMAGE_JPEG : IMAGE_RAW;
    plan->channels = 1;
    plan->is_grey = cfg->is_grey;
    plan->samples = cfg->samples;
    if (!source_is_stream(importing->source))
        return;
    int least = source_stream_side(importing->source);
    if (!plan->is_grey)
        plan->channels = source_stream_channels(importing->source);
    least = least < plan->side ? least : plan->side;
    if (cfg->format == IMPORT_AUTO && least > IMPORT_RAW_SIDE)
        plan->format = IMAGE_JPEG;
}

static enum err begin(struct importing *importing)
{
    enum err err = ERR_OK;
    const struct import_cfg *cfg = importing->cfg;
    struct dataset_info *info = &importing->info;
    TRY(image_file_start());
    TRY(place_open(cfg->destination, cfg->replaces ? PLACE_REPLACE : PLACE_NEW, &importing->place));
    TRY(source_open(cfg, importing->report, &importing->source));
    importing->listing_skips = importing->report->skip_count;
    snprintf(info->source, sizeof info->source, "%s", cfg->sources[0]);
    info->classes = importing->source->classes;
    info->class_names = importing->source->class_names;
    info->train_per_class = mem_array((size_t)info->classes, sizeof(uint32_t));
    info->test_per_class = mem_array((size_t)info->classes, sizeof(uint32_t));
    first_plan(importing);
    info->imported = (struct imported){
        .side = importing->plan.side, .is_grey = cfg->is_grey, .samples = cfg->samples};
    if (info->imported.samples.bits == 0)
        info->imported.samples.bits = SAMPLE_BITS;
out:
    return err;
}

static void finish_report(struct importing *importing)
{
    struct import_report *report = importing->report;
    report->train_count = importing->info.train_count;
    report->test_count = importing->info.test_count;
    report->record_bytes = importing->info.record_bytes;
    report->format = importing->info.format;
    report->channels = importing->info.channels;
    report->content = importing->info.content;
    report->classes = importing->info.classes;
    for (int i = report->classes - 1; i >= 0; i--) {
        if (importing->info.train_per_class[i] > 0)
            continue;
        report->empty_classes++;
        snprintf(report->first_empty_class, sizeof report->first_empty_class, "%s",
                 importing->info.class_names[i]);
    }
}

enum err dataset_import(const struct import_cfg *cfg, struct import_report *report)
{
    enum err err = ERR_OK;
    double started = clock_seconds();
    struct importing importing = {.cfg = cfg, .report = report, .place = {.lock = -1}};
    memset(report, 0, sizeof *report);
    TRY(begin(&importing));
    do {
        TRY(run_pass(&importing));
    } while (importing.wants_wider);
    TRY(place_commit(&importing.place));
    finish_report(&importing);
out:
    report->seconds = clock_seconds() - started;
    mem_free(importing.info.train_per_class);
    mem_free(importing.info.test_per_class);
    source_close(&importing.source);
    place_close(&importing.place);
    return err;
}
