/* glowworm checkpoint import: weights trained elsewhere, in a .safetensors file under the reference
 * implementation's names, become a checkpoint. */
#include "base/file.h"
#include "base/mem.h"
#include "base/text.h"
#include "base/version/version.h"
#include "cluster/command.h"
#include "trainer/checkpoint/safetensors.h"
#include "trainer/spec/lookup.h"
#include "trainer/spec/open_choices.h"
#include "trainer/weights/import_weights.h"
#include <errno.h>
#include <getopt.h>
#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#define MOST_SPACE_BYTES ((size_t)1 << 20)
#define NAME             "import" /* the checkpoint's, beside "latest"; and its stage */

struct request {
    const char *file, *space, *dest;
    const char *trained; /* which choices, as open_choices_parse() reads them */
    long classes, channels;
    double width;
    bool has_json;
};

static enum err read_number(int option, const char *value, struct request *request)
{
    enum err err = ERR_OK;
    if (option == 'c')
        err = text_to_int(value, 1, 100000, &request->classes);
    else if (option == 'n')
        err = text_to_int(value, 1, 3, &request->channels);
    else
        err = text_to_double(value, 0.1, 4, &request->width);
    return err == ERR_OK ? ERR_OK : err_prefix(ERR_USAGE, "an option's number");
}

static enum err read_options(int argc, char **argv, struct request *request)
{
    static const struct option options[] = {{"space", required_argument, NULL, 's'},
                                            {"classes", required_argument, NULL, 'c'},
                                            {"channels", required_argument, NULL, 'n'},
                                            {"width", required_argument, NULL, 'w'},
                                            {"trained", required_argument, NULL, 't'},
                                            {"json", no_argument, NULL, 'j'},
                                            {NULL, 0, NULL, 0}};
    enum err err = ERR_OK;
    optind = 0; /* from the start, whoever parsed before */
    *request = (struct request){.width = 1, .channels = 3, .trained = "all"};
    for (int option; (option = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        if (option == 's')
            request->space = optarg;
        else if (option == 't')
            request->trained = optarg;
        else if (option == 'j')
            request->has_json = true;
        else if (strchr("cnw", option))
            TRY(read_number(option, optarg, request));
        else
            TRY(err_set(ERR_USAGE, "that option is not known, or lacks its value"));
    }
    if (argc - optind != 2)
        TRY(err_set(ERR_USAGE, "name the .safetensors file and the store to write"));
    if (!request->space || request->classes == 0)
        TRY(err_set(ERR_USAGE, "--space and --classes are needed"));
    if (request->channels == 2)
        TRY(err_set(ERR_USAGE, "--channels is 1 or 3"));
    request->file = argv[optind];
    request->dest = argv[optind + 1];
out:
    return err;
}

struct import {
    struct device *device;
    struct space space;
    struct supernet *net;
    struct tensor *given;
    int given_count;
    struct checkpoint checkpoint;
    struct imported_weights imported;
};

static void import_fini(struct import *import)
{
    checkpoint_fini(&import->checkpoint);
    safetensors_free(import->given, import->given_count);
    supernet_destroy(&import->net);
    device_close(&import->device);
}

static enum err read_file_hash(const char *path, char hex[HASH_HEX_BYTES])
{
    struct hasher hasher;
    unsigned char piece[1 << 16];
    FILE *file = fopen(path, "rb");
    if (!file)
        return err_set(ERR_IO, "cannot open %s: %s", path, strerror(errno));
    hasher_init(&hasher);
    for (size_t got; (got = fread(piece, 1, sizeof piece, file)) > 0;)
        hasher_add(&hasher, piece, got);
    bool is_read = !ferror(file);
    fclose(file);
    if (!is_read)
        return err_set(ERR_IO, "cannot read %s: %s", path, strerror(errno));
    struct hash hash = hasher_end(&hasher);
    hash_hex(&hash, hex);
    return ERR_OK;
}

/* Where the weights come from, for whoever asks a year later. */
static enum err describe(const struct request *request, const char *space_path,
                         struct checkpoint *checkpoint)
{
    enum err err = ERR_OK;
    struct checkpoint_meta *meta = &checkpoint->meta;
    char hex[HASH_HEX_BYTES];
    struct text lineage;
    size_t size = 0;
    text_init(&lineage);
    TRY(read_file_hash(request->file, hex));
    TRY(file_read(space_path, MOST_SPACE_BYTES, &meta->space, &size));
    text_add(&lineage, "imported from %s (BLAKE2b %s) by glowworm %s", request->file, hex,
             version_text());
    meta->lineage = mem_string(text_get(&lineage));
    meta->width_multiplier = request->width;
    meta->classes = (int)request->classes;
    meta->channels = (int)request->channels;
    meta->ranks = 1;
    snprintf(checkpoint->position.stage, sizeof checkpoint->position.stage, "%s", NAME);
    checkpoint->position.is_final = true;
out:
    text_fini(&lineage);
    return err;
}

static enum err read_weights(const struct request *request, struct import *import)
{
    enum err err = ERR_OK;
    char path[1024];
    const struct device_cfg device = {.name = "cpu", .threads = 1, .isa = ISA_AUTO};
    TRY(lookup_find(request->space, "spaces", NULL, path, sizeof path));
    TRY(space_load(path, request->width, (int)request->classes, (int)request->channels,
                   &import->space));
    err = open_choices_parse(&import->space, request->trained, &import->checkpoint.meta.trained);
    if (err != ERR_OK)
        TRY(err_prefix(ERR_USAGE, "--trained"));
    import->checkpoint.meta.has_trained = true;
    TRY(device_open(&device, &import->device));
    TRY(supernet_create(&import->space, import->device, &import->net));
    TRY(safetensors_read(request->file, &import->given, &import->given_count));
    err = import_weights(import->net, import->given, import->given_count, &import->checkpoint,
                         &import->imported);
    if (err != ERR_OK)
        TRY(err_prefix(err, "%s", request->file));
    TRY(describe(request, path, &import->checkpoint));
out:
    return err;
}

static enum err save(const struct request *request, struct import *import, struct hash *content)
{
    enum err err = ERR_OK;
    struct checkpoint_store *store = NULL;
    struct checkpoint_saved saved;
    struct checkpoint_store_cfg cfg = {.path = request->dest, .is_writer = true, .keep = 3};
    TRY(checkpoint_store_open(&cfg, &store));
    TRY(checkpoint_save(store, &import->checkpoint));
    TRY(checkpoint_wait(store));
    if (!checkpoint_saved(store, &saved))
        BUG("a checkpoint was saved, but not");
    TRY(checkpoint_name(store, NAME, &saved.content));
    *content = saved.content;
out:
    checkpoint_store_close(&store);
    return err;
}

/* Said aloud: a sort of channels keeps these, and only who made the file knows. */
static void print_trained(const struct import *import)
{
    struct text text;
    text_init(&text);
    open_choices_format(&import->checkpoint.meta.trained, &text);
    printf("taken as trained for %s (--trained says otherwise)\n", text_get(&text));
    text_fini(&text);
}

static void print_import(const struct request *request, const struct import *import,
                         const struct hash *content)
{
    char hex[HASH_HEX_BYTES];
    hash_hex(content, hex);
    bool has_statistics = import->checkpoint.meta.has_statistics;
    if (request->has_json) {
        json_t *json =
            json_pack("{s:s, s:s, s:i, s:i, s:b}", "path", request->dest, "content", hex, "tensors",
                      import->imported.taken, "identity_matrices", import->imported.identities,
                      "has_statistics", (int)has_statistics);
        json_dumpf(json, stdout, JSON_INDENT(2) | JSON_PRESERVE_ORDER);
        printf("\n");
        json_decref(json);
        return;
    }
    printf("imported %d tensors into %s@%s, %s\n", import->imported.taken, request->dest, NAME,
           has_statistics ? "running statistics among them" : "no running statistics");
    if (import->imported.identities > 0)
        printf("%d kernel matrices were not in the file: identity\n", import->imported.identities);
    print_trained(import);
    printf("content %s\n", hex);
}

enum err cmd_checkpoint_import(int argc, char **argv)
{
    enum err err = ERR_OK;
    struct request request;
    struct import import = {0};
    struct hash content;
    TRY(read_options(argc, argv, &request));
    TRY(read_weights(&request, &import));
    TRY(save(&request, &import, &content));
    print_import(&request, &import, &content);
out:
    import_fini(&import);
    return err;
}
