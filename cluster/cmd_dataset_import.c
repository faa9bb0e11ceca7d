/* glowworm dataset import: its options, the progress line, what is said of files left out. */
#include "base/clock.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/processors.h"
#include "base/text.h"
#include "cluster/command.h"
#include "cluster/dataset_words.h"
#include "cluster/interrupt.h"
#include "cluster/sample_options.h"
#include "trainer/data/import.h"
#include "trainer/record/json_name.h"
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define PLAIN_SECONDS 5.0 /* between progress lines where there is no terminal */
#define MOST_SKIPS    20  /* shown; the file lists all */

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
           report->channels == 1 ? "" : "s", dataset_format_name(report->format),
           (double)report->record_bytes / (1 << 20), hex);
    if (report->empty_classes > 0)
        printf("%d of %d classes %s no training image, the first is %s\n", report->empty_classes,
               report->classes, report->empty_classes == 1 ? "has" : "have",
               report->first_empty_class);
    print_counts(stdout, report, list);
    int bits = import_report_fitting_bits(report);
    if (bits > 0)
        printf("warning: no value of the %u pictures of 16 bits is above %d, of 65535 that they "
               "may have: they are nearly black here. If they are of a camera of %d bits, import "
               "them anew with --bits %d --replace\n",
               report->word_count, (1 << bits) - 1, bits, bits);
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
    json_object_set_new(json, "format", json_string(dataset_format_name(report->format)));
    json_object_set_new(json, "record_bytes", json_integer((json_int_t)report->record_bytes));
    json_object_set_new(json, "content", json_string(hex));
    int bits = import_report_fitting_bits(report);
    json_object_set_new(json, "bits_that_fit", bits > 0 ? json_integer(bits) : json_null());
    json_object_set_new(json, "seconds", json_real(report->seconds));
    json_object_set_new(json, "skipped", json_integer(report->skip_count));
    json_object_set_new(json, "skipped_by_kind", counts);
    json_object_set_new(json, "skips", json_skips(report));
    json_object_set_new(json, "skipped_file", list ? json_name(list) : json_null());
    dataset_print_json(json);
}

struct import_options {
    struct import_cfg cfg;
    bool wants_json;
};

static enum err parse_format(const char *text, enum import_format *format)
{
    if (strcmp(text, "raw") != 0 && strcmp(text, "jpeg") != 0)
        return err_set(ERR_USAGE, "--format must be raw or jpeg, not \"%s\"", text);
    *format = strcmp(text, "raw") == 0 ? IMPORT_RAW : IMPORT_JPEG;
    return ERR_OK;
}

static enum err take_option(struct import_options *options, int option, const char *value)
{
    enum err err = ERR_OK;
    struct import_cfg *cfg = &options->cfg;
    long number = 0;
    switch (option) {
    case 's':
        TRY(dataset_parse_number("--side", value, 8, 4096, &number));
        cfg->side = (int)number;
        break;
    case 'f':
        TRY(parse_format(value, &cfg->format));
        break;
    case 'q':
        TRY(dataset_parse_number("--quality", value, 1, 100, &number));
        cfg->quality = (int)number;
        break;
    case 't':
        TRY(dataset_parse_number("--threads", value, 1, 1024, &number));
        cfg->threads = (int)number;
        break;
    case 'p':
        TRY(dataset_parse_number("--max-pixels", value, 1, 4000000000, &number));
        cfg->max_pixels = (uint64_t)number;
        break;
    case 'l':
        cfg->labels_path = value;
        break;
    case 'g':
        cfg->is_grey = true;
        break;
    case 'b':
    case 'B':
    case 'r':
        return sample_option_take(option, value, &cfg->samples);
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
                                          SAMPLE_OPTIONS,
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
