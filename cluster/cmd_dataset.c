/* glowworm dataset info and verify. */
#include "base/mem.h"
#include "base/processors.h"
#include "cluster/apart.h"
#include "cluster/command.h"
#include "cluster/dataset_words.h"
#include "trainer/data/dataset.h"
#include "trainer/record/json_name.h"
#include <getopt.h>
#include <jansson.h>
#include <stdio.h>

#define MOST_CLASSES 50 /* listed one by one for people */

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
            TRY(dataset_parse_number("--threads", optarg, 1, 1024, &threads));
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
           dataset_format_name(info->format), (double)info->record_bytes / (1 << 20));
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
    json_object_set_new(json, "format", json_string(dataset_format_name(info->format)));
    json_object_set_new(json, "record_bytes", json_integer((json_int_t)info->record_bytes));
    json_object_set_new(json, "imported", json_imported(&info->imported));
    json_object_set_new(json, "mean", mean);
    json_object_set_new(json, "deviation", deviation);
    json_object_set_new(json, "content", json_string(hex));
    json_object_set_new(json, "classes", classes);
    dataset_print_json(json);
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
    dataset_print_json(json);
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
