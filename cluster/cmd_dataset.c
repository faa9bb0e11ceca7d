/* glowworm dataset import | info | verify. */
#include "base/clock.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/processors.h"
#include "base/text.h"
#include "cluster/apart.h"
#include "cluster/command.h"
#include "cluster/interrupt.h"
#include "trainer/data/image_file.h"
#include "trainer/data/import.h"
#include "trainer/record/json_name.h"
#include <getopt.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define PLAIN_SECONDS 5.0 /* between progress lines where there is no terminal */
#define MOST_SKIPS    20  /* shown; the file lists all */
#define MOST_CLASSES  50  /* listed one by one for people */

static void print_json(json_t *json)
{
    json_dumpf(json, stdout, JSON_INDENT(2) | JSON_PRESERVE_ORDER);
    printf("\n");
    json_decref(json);
}

static const char *format_name(enum image_format format)
{
    return format == IMAGE_JPEG ? "jpeg" : "raw";
}

struct shown { /* the progress line */
    bool is_terminal, has_line;
    double printed;
};

static bool show_progress(void *own, const struct import_progress *progress)
{
    struct shown *shown = own;
    double now = clock_seconds(), seconds = progress->seconds;
    if (*interrupt_count() > 0) /* the import cleans up behind itself */
        return false;
    bool is_due = shown->is_terminal || now - shown->printed >= PLAIN_SECONDS;
    if (!is_due || seconds <= 0.0)
        return true;
    double rate = progress->done / seconds;
    char left[32] = "";
    if (rate > 0.0 && progress->done < progress->total)
        snprintf(left, sizeof left, ", %.0f s left", (progress->total - progress->done) / rate);
    fprintf(stderr, "%s%u of %u images, %.0f/s%s, %u skipped%s", shown->is_terminal ? "\r" : "",
            progress->done, progress->total, rate, left, progress->skipped,
            shown->is_terminal ? "\033[K" : "\n");
    shown->has_line = shown->is_terminal;
    shown->printed = now;
    return true;
}

/* Where all skips of an import are listed: beside its data set. Returns owned. */
static char *skip_list_of(const char *destination)
{
    char *name = file_without_slash(destination);
    struct text path;
    text_init(&path);
    text_add(&path, "%s.skipped.txt", name);
    mem_free(name);
    name = mem_string(text_get(&path));
    text_fini(&path);
    return name;
}

/* The list beside the data set and its first lines for people. What cannot be written is no reason
 * to call an import a failure: *list becomes NULL. */
static void tell_skips(const struct import_report *report, char **list)
{
    struct text lines;
    text_init(&lines);
    bool is_saved = import_report_save(report, *list) == ERR_OK;
    if (!is_saved)
        text_add(&lines, "the list of skipped files is not there: %s\n", err_text());
    for (uint32_t i = 0; i < report->skip_count && i < MOST_SKIPS; i++) {
        text_add(&lines, "  ");
        import_report_line(&report->skips[i], ": ", &lines);
        text_add(&lines, "\n");
    }
    if (report->skip_count > MOST_SKIPS)
        text_add(&lines, "  and %u more\n", report->skip_count - MOST_SKIPS);
    fputs(text_get(&lines), stderr);
    text_fini(&lines);
    if (!is_saved || report->skip_count == 0) {
        mem_free(*list);
        *list = NULL;
    }
}

/* list: NULL when there is none. */
static void print_counts(FILE *out, const struct import_report *report, const char *list)
{
    struct text line;
    text_init(&line);
    import_report_count(report, &line);
    if (list)
        text_add(&line, "; all are listed in %s", list);
    if (line.size > 0)
        fprintf(out, "%s\n", text_get(&line));
    text_fini(&line);
}

/* No image was left of all the files: why, and the error of the import behind it again. */
static enum err tell_failure(const struct import_report *report, char **list)
{
    char *why = mem_string(err_text());
    tell_skips(report, list);
    print_counts(stderr, report, *list);
    enum err err = err_set(ERR_DATA, "%s", why);
    mem_free(why);
    return err;
}

static void print_import(const char *path, const struct import_report *report, const char *list)
{
    char hex[HASH_HEX_BYTES];
    hash_hex(&report->content, hex);
    printf("imported %u training and %u test images into %s in %.1f s\n", report->train_count,
           report->test_count, path, report->seconds);
    printf("%d channel%s, %s, %.1f MiB\ncontent %s\n", report->channels,
           report->channels == 1 ? "" : "s", format_name(report->format),
           (double)report->record_bytes / (1 << 20), hex);
    if (report->empty_classes > 0)
        printf("%d of %d classes %s no training image, the first is %s\n", report->empty_classes,
               report->classes, report->empty_classes == 1 ? "has" : "have",
               report->first_empty_class);
    print_counts(stdout, report, list);
}

static json_t *json_skips(const struct import_report *report)
{
    json_t *rows = json_array();
    for (uint32_t i = 0; i < report->skip_count && i < MOST_SKIPS; i++) {
        json_t *skip = json_object();
        json_object_set_new(skip, "name", json_name(report->skips[i].name));
        json_object_set_new(skip, "kind", json_string(skip_name(report->skips[i].kind)));
        json_object_set_new(skip, "reason", json_name(report->skips[i].reason));
        json_array_append_new(rows, skip);
    }
    return rows;
}

static void print_import_json(const char *path, const struct import_report *report,
                              const char *list)
{
    char hex[HASH_HEX_BYTES];
    hash_hex(&report->content, hex);
    json_t *counts = json_object(), *json = json_object();
    for (int kind = 0; kind < SKIP_KINDS; kind++)
        json_object_set_new(counts, skip_name(kind), json_integer(report->kinds[kind]));
    json_object_set_new(json, "path", json_name(path));
    json_object_set_new(json, "train", json_integer(report->train_count));
    json_object_set_new(json, "test", json_integer(report->test_count));
    json_object_set_new(json, "empty_classes", json_integer(report->empty_classes));
    json_object_set_new(json, "channels", json_integer(report->channels));
    json_object_set_new(json, "format", json_string(format_name(report->format)));
    json_object_set_new(json, "record_bytes", json_integer((json_int_t)report->record_bytes));
    json_object_set_new(json, "content", json_string(hex));
    json_object_set_new(json, "seconds", json_real(report->seconds));
    json_object_set_new(json, "skipped", json_integer(report->skip_count));
    json_object_set_new(json, "skipped_by_kind", counts);
    json_object_set_new(json, "skips", json_skips(report));
    json_object_set_new(json, "skipped_file", list ? json_name(list) : json_null());
    print_json(json);
}

struct import_options {
    struct import_cfg cfg;
    bool wants_json;
};

static enum err parse_number(const char *option, const char *text, long low, long high, long *value)
{
    enum err err = text_to_int(text, low, high, value);
    return err == ERR_OK
               ? ERR_OK
               : err_set(ERR_USAGE, "%s must be %ld to %ld, not \"%s\"", option, low, high, text);
}

static enum err parse_format(const char *text, enum import_format *format)
{
    if (strcmp(text, "raw") != 0 && strcmp(text, "jpeg") != 0)
        return err_set(ERR_USAGE, "--format must be raw or jpeg, not \"%s\"", text);
    *format = strcmp(text, "raw") == 0 ? IMPORT_RAW : IMPORT_JPEG;
    return ERR_OK;
}

static enum err parse_bayer(const char *text, enum bayer *bayer)
{
    if (!bayer_named(text, bayer))
        return err_set(ERR_USAGE, "--bayer must be RG, GR, GB or BG, not \"%s\"", text);
    return ERR_OK;
}

/* WIDTHxHEIGHT */
static enum err parse_raw(const char *text, struct sample_format *samples)
{
    enum err err = ERR_OK;
    long width = 0, height = 0;
    char *sides = mem_string(text), *cross = strchr(sides, 'x');
    if (cross)
        *cross = '\0';
    if (!cross || text_to_int(sides, 1, IMAGE_MAX_SIDE, &width) != ERR_OK ||
        text_to_int(cross + 1, 1, IMAGE_MAX_SIDE, &height) != ERR_OK)
        TRY(err_set(ERR_USAGE, "--raw must be a width and a height such as 1440x1080, not \"%s\"",
                    text));
    samples->raw_width = (int)width;
    samples->raw_height = (int)height;
out:
    mem_free(sides);
    return err;
}

static enum err take_option(struct import_options *options, int option, const char *value)
{
    enum err err = ERR_OK;
    struct import_cfg *cfg = &options->cfg;
    long number = 0;
    switch (option) {
    case 's':
        TRY(parse_number("--side", value, 8, 4096, &number));
        cfg->side = (int)number;
        break;
    case 'f':
        TRY(parse_format(value, &cfg->format));
        break;
    case 'q':
        TRY(parse_number("--quality", value, 1, 100, &number));
        cfg->quality = (int)number;
        break;
    case 't':
        TRY(parse_number("--threads", value, 1, 1024, &number));
        cfg->threads = (int)number;
        break;
    case 'p':
        TRY(parse_number("--max-pixels", value, 1, 4000000000, &number));
        cfg->max_pixels = (uint64_t)number;
        break;
    case 'l':
        cfg->labels_path = value;
        break;
    case 'g':
        cfg->is_grey = true;
        break;
    case 'b':
        TRY(parse_number("--bits", value, 8, SAMPLE_BITS, &number));
        cfg->samples.bits = (int)number;
        break;
    case 'B':
        TRY(parse_bayer(value, &cfg->samples.bayer));
        break;
    case 'r':
        TRY(parse_raw(value, &cfg->samples));
        break;
    case 'F':
        cfg->replaces = true;
        break;
    case 'j':
        options->wants_json = true;
        break;
    default:
        err = err_set(ERR_USAGE, "an unknown option, or one without its value");
    }
out:
    return err;
}

static enum err parse_import(int argc, char **argv, struct import_options *options)
{
    static const struct option known[] = {{"side", required_argument, NULL, 's'},
                                          {"format", required_argument, NULL, 'f'},
                                          {"quality", required_argument, NULL, 'q'},
                                          {"threads", required_argument, NULL, 't'},
                                          {"max-pixels", required_argument, NULL, 'p'},
                                          {"labels", required_argument, NULL, 'l'},
                                          {"grey", no_argument, NULL, 'g'},
                                          {"bits", required_argument, NULL, 'b'},
                                          {"bayer", required_argument, NULL, 'B'},
                                          {"raw", required_argument, NULL, 'r'},
                                          {"force", no_argument, NULL, 'F'},
                                          {"json", no_argument, NULL, 'j'},
                                          {NULL, 0, NULL, 0}};
    enum err err = ERR_OK;
    optind = 0;
    opterr = 0;
    options->cfg.threads = processors_allowed();
    for (int option; (option = getopt_long(argc, argv, "", known, NULL)) != -1;)
        TRY(take_option(options, option, optarg));
    if (argc - optind < 2)
        TRY(err_set(ERR_USAGE, "a source and a destination are needed"));
    options->cfg.sources = (const char *const *)argv + optind;
    options->cfg.source_count = argc - optind - 1;
    options->cfg.destination = argv[argc - 1];
out:
    return err;
}

enum err cmd_dataset_import(int argc, char **argv)
{
    enum err err = ERR_OK;
    struct import_options options = {.wants_json = false};
    struct import_report report = {.skip_count = 0};
    char *list = NULL;
    struct shown shown = {.is_terminal = isatty(STDERR_FILENO), .printed = clock_seconds()};
    TRY(parse_import(argc, argv, &options));
    interrupt_watch();
    options.cfg.progress = show_progress;
    options.cfg.own = &shown;
    err = dataset_import(&options.cfg, &report);
    if (shown.has_line)
        fprintf(stderr, "\n");
    list = skip_list_of(options.cfg.destination);
    if (err == ERR_DATA && report.skip_count > 0)
        TRY(tell_failure(&report, &list));
    TRY(err);
    tell_skips(&report, &list);
    if (options.wants_json)
        print_import_json(options.cfg.destination, &report, list);
    else
        print_import(options.cfg.destination, &report, list);
out:
    mem_free(list);
    import_report_fini(&report);
    return err;
}

/* PATH [--json], for info and verify, and --threads for verify. */
struct look {
    const char *path;
    int threads;
    bool wants_json;
};

static enum err parse_look(int argc, char **argv, struct look *look)
{
    static const struct option known[] = {{"threads", required_argument, NULL, 't'},
                                          {"json", no_argument, NULL, 'j'},
                                          {NULL, 0, NULL, 0}};
    enum err err = ERR_OK;
    long threads = processors_allowed();
    optind = 0;
    opterr = 0;
    for (int option; (option = getopt_long(argc, argv, "", known, NULL)) != -1;) {
        if (option == '?')
            TRY(err_set(ERR_USAGE, "an unknown option, or one without its value"));
        if (option == 't')
            TRY(parse_number("--threads", optarg, 1, 1024, &threads));
        look->wants_json |= option == 'j';
    }
    if (argc - optind != 1)
        TRY(err_set(ERR_USAGE, "the path of one dataset is needed"));
    look->path = argv[optind];
    look->threads = (int)threads;
out:
    return err;
}

/* "1440x1080": room for two numbers. */
static const char *raw_name(const struct sample_format *samples, char name[32])
{
    snprintf(name, 32, "%dx%d", samples->raw_width, samples->raw_height);
    return name;
}

static void print_imported(const struct imported *imported)
{
    const struct sample_format *samples = &imported->samples;
    char raw[32];
    if (imported->side == 0)
        return;
    printf("imported with --side %d", imported->side);
    if (imported->is_grey)
        printf(" --grey");
    if (samples->bits != SAMPLE_BITS)
        printf(" --bits %d", samples->bits);
    if (samples->bayer != BAYER_NONE)
        printf(" --bayer %s", bayer_name(samples->bayer));
    if (samples->raw_width > 0)
        printf(" --raw %s", raw_name(samples, raw));
    printf("\n");
}

static void print_info(const struct look *look, const struct dataset_info *info)
{
    char hex[HASH_HEX_BYTES];
    hash_hex(&info->content, hex);
    printf("%s, from %s\n", look->path, info->source);
    printf("%u training and %u test images of %d classes\n", info->train_count, info->test_count,
           info->classes);
    printf("%d channel%s, up to %d x %d, %s, %.1f MiB\n", info->channels,
           info->channels == 1 ? "" : "s", info->max_height, info->max_width,
           format_name(info->format), (double)info->record_bytes / (1 << 20));
    print_imported(&info->imported);
    for (int c = 0; c < info->channels; c++)
        printf("channel %d: mean %.3f, deviation %.3f\n", c, info->mean[c], info->deviation[c]);
    printf("content %s\n", hex);
    for (int i = 0; i < info->classes && i < MOST_CLASSES; i++)
        printf("  %-24s %8u %8u\n", info->class_names[i], info->train_per_class[i],
               info->test_per_class[i]);
    if (info->classes > MOST_CLASSES)
        printf("  and %d more classes (--json lists all)\n", info->classes - MOST_CLASSES);
}

static json_t *json_imported(const struct imported *imported)
{
    const struct sample_format *samples = &imported->samples;
    char raw[32];
    if (imported->side == 0)
        return json_null();
    json_t *json = json_object();
    json_object_set_new(json, "side", json_integer(imported->side));
    json_object_set_new(json, "grey", json_boolean(imported->is_grey));
    json_object_set_new(json, "bits", json_integer(samples->bits));
    json_object_set_new(json, "bayer",
                        samples->bayer ? json_string(bayer_name(samples->bayer)) : json_null());
    json_object_set_new(json, "raw",
                        samples->raw_width ? json_string(raw_name(samples, raw)) : json_null());
    return json;
}

static void print_info_json(const struct look *look, const struct dataset_info *info)
{
    char hex[HASH_HEX_BYTES];
    hash_hex(&info->content, hex);
    json_t *json = json_object(), *classes = json_array(), *mean = json_array();
    json_t *deviation = json_array();
    for (int i = 0; i < info->classes; i++) {
        json_t *row = json_object();
        json_object_set_new(row, "name", json_name(info->class_names[i]));
        json_object_set_new(row, "train", json_integer(info->train_per_class[i]));
        json_object_set_new(row, "test", json_integer(info->test_per_class[i]));
        json_array_append_new(classes, row);
    }
    for (int c = 0; c < info->channels; c++) {
        json_array_append_new(mean, json_real(info->mean[c]));
        json_array_append_new(deviation, json_real(info->deviation[c]));
    }
    json_object_set_new(json, "path", json_name(look->path));
    json_object_set_new(json, "source", json_name(info->source));
    json_object_set_new(json, "train", json_integer(info->train_count));
    json_object_set_new(json, "test", json_integer(info->test_count));
    json_object_set_new(json, "channels", json_integer(info->channels));
    json_object_set_new(json, "max_height", json_integer(info->max_height));
    json_object_set_new(json, "max_width", json_integer(info->max_width));
    json_object_set_new(json, "format", json_string(format_name(info->format)));
    json_object_set_new(json, "record_bytes", json_integer((json_int_t)info->record_bytes));
    json_object_set_new(json, "imported", json_imported(&info->imported));
    json_object_set_new(json, "mean", mean);
    json_object_set_new(json, "deviation", deviation);
    json_object_set_new(json, "content", json_string(hex));
    json_object_set_new(json, "classes", classes);
    print_json(json);
}

enum err cmd_dataset_info(int argc, char **argv)
{
    enum err err = ERR_OK;
    struct look look = {.path = NULL};
    struct dataset *dataset = NULL;
    TRY(parse_look(argc, argv, &look));
    TRY(dataset_open(look.path, &dataset));
    if (look.wants_json)
        print_info_json(&look, dataset_info(dataset));
    else
        print_info(&look, dataset_info(dataset));
out:
    dataset_close(&dataset);
    return err;
}

static void print_check(const struct look *look, const struct dataset *dataset,
                        const struct dataset_check *check)
{
    const struct dataset_info *info = dataset_info(dataset);
    char hex[HASH_HEX_BYTES];
    for (uint32_t i = 0; i < check->fault_count; i++)
        printf("record %u, %s: %s\n", check->faults[i].record, check->faults[i].name,
               check->faults[i].reason);
    hash_hex(&check->content_found, hex);
    printf("%s: %u records, %u damaged, content %s %s\n", look->path,
           info->train_count + info->test_count, check->fault_count, hex,
           check->content_agrees ? "as imported" : "DIFFERS from what was imported");
}

static void print_check_json(const struct look *look, const struct dataset *dataset,
                             const struct dataset_check *check)
{
    const struct dataset_info *info = dataset_info(dataset);
    char hex[HASH_HEX_BYTES], found[HASH_HEX_BYTES];
    json_t *json = json_object(), *faults = json_array();
    for (uint32_t i = 0; i < check->fault_count; i++) {
        json_t *row = json_object();
        json_object_set_new(row, "record", json_integer(check->faults[i].record));
        json_object_set_new(row, "name", json_name(check->faults[i].name));
        json_object_set_new(row, "reason", json_name(check->faults[i].reason));
        json_array_append_new(faults, row);
    }
    hash_hex(&info->content, hex);
    hash_hex(&check->content_found, found);
    json_object_set_new(json, "path", json_name(look->path));
    json_object_set_new(json, "records", json_integer(info->train_count + info->test_count));
    json_object_set_new(json, "damaged", faults);
    json_object_set_new(json, "content", json_string(hex));
    json_object_set_new(json, "content_found", json_string(found));
    json_object_set_new(json, "sound",
                        json_boolean(check->fault_count == 0 && check->content_agrees));
    print_json(json);
}

static enum err verify_and_print(void *own)
{
    const struct look *look = own;
    enum err err = ERR_OK;
    struct dataset *dataset = NULL;
    struct dataset_check check = {.faults = NULL};
    TRY(dataset_open(look->path, &dataset));
    TRY(dataset_verify(dataset, look->threads, &check));
    if (look->wants_json)
        print_check_json(look, dataset, &check);
    else
        print_check(look, dataset, &check);
    if (check.fault_count > 0 || !check.content_agrees)
        TRY(err_set(ERR_DATA, "%s is damaged: import it again", look->path));
out:
    mem_free(check.faults);
    dataset_close(&dataset);
    return err;
}

enum err cmd_dataset_verify(int argc, char **argv)
{
    enum err err = ERR_OK;
    struct look look = {.path = NULL};
    TRY(parse_look(argc, argv, &look));
    TRY(apart(verify_and_print, &look, look.path));
out:
    return err;
}
