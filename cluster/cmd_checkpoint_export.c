/* glowworm checkpoint export: a checkpoint's weights as a .safetensors file under the reference
 * implementation's names, for other programs and for `checkpoint import`. */
#include "base/file.h"
#include "base/mem.h"
#include "cluster/apart.h"
#include "cluster/checkpoint_view.h"
#include "cluster/command.h"
#include "trainer/weights/export_weights.h"
#include <getopt.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

struct request {
    struct checkpoint_view view;
    const char *file;
    bool has_json;
    enum file_existing existing;
    struct file_update *update;
};

static enum err read_options(int argc, char **argv, struct request *request)
{
    static const struct option options[] = {
        {"json", no_argument, NULL, 'j'}, {"force", no_argument, NULL, 'F'}, {NULL, 0, NULL, 0}};
    enum err err = ERR_OK;
    optind = 0; /* from the start, whoever parsed before */
    *request = (struct request){.existing = FILE_KEEP};
    for (int option; (option = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        if (option == 'F')
            request->existing = FILE_REPLACE;
        else if (option == 'j')
            request->has_json = true;
        else
            TRY(err_set(ERR_USAGE, "that option is not known"));
    }
    if (argc - optind != 2)
        TRY(err_set(ERR_USAGE, "name a checkpoint and the .safetensors file to write"));
    TRY(view_init(&request->view, argv[optind]));
    request->file = argv[optind + 1];
out:
    return err;
}

/* Before any work. The commit looks again; a link, a device or a folder is never replaced. */
static enum err check_file(const struct request *request)
{
    struct stat status;
    if (lstat(request->file, &status) != 0)
        return ERR_OK;
    if (!S_ISREG(status.st_mode))
        return err_set(ERR_CONFIG, "%s exists and is not a regular file", request->file);
    if (request->existing == FILE_KEEP)
        return err_set(ERR_CONFIG, "%s exists; --force replaces it", request->file);
    return ERR_OK;
}

static void print_exported(const struct request *request, const struct exported *exported)
{
    char hex[HASH_HEX_BYTES];
    hash_hex(&exported->content, hex);
    if (request->has_json) {
        view_print_json(json_pack(
            "{s:s, s:s, s:i, s:i, s:b, s:I, s:s, s:f, s:i, s:i}", "file", request->file, "content",
            hex, "tensors", exported->tensors, "left_out", exported->left_out, "has_statistics",
            (int)exported->has_statistics, "bytes", (json_int_t)exported->bytes, "space",
            exported->space, "width", exported->width_multiplier, "classes", exported->classes,
            "channels", exported->channels));
        return;
    }
    printf("exported %d tensors, %.1f MiB, to %s, %s\n", exported->tensors,
           (double)exported->bytes / (1 << 20), request->file,
           exported->has_statistics ? "running statistics among them" : "no running statistics");
    if (exported->left_out > 0)
        printf("%d tensors were left out: they are not the network's (momentum)\n",
               exported->left_out);
    printf("to read it back: glowworm checkpoint import %s --space %s --classes %d --channels %d "
           "--width %g STORE\n",
           request->file, exported->space, exported->classes, exported->channels,
           exported->width_multiplier);
}

static enum err export(void *own) {
    enum err err = ERR_OK; struct request *request = own;
    const struct device_cfg cfg = {.name = "cpu", .threads = 1, .isa = ISA_AUTO};
    struct checkpoint_store *store = NULL;
    struct device *device = NULL;
    struct exported exported;
    TRY(view_open(&request->view, &store));
    TRY(device_open(&cfg, &device));
    TRY(export_weights(store, request->view.name, device, request->update, &exported));
    TRY(file_commit(&request->update, request->existing));
    print_exported(request, &exported);
    out : device_close(&device);
    checkpoint_store_close(&store);
    return err;
}

enum err cmd_checkpoint_export(int argc, char **argv)
{
    enum err err = ERR_OK;
    struct request request;
    TRY(read_options(argc, argv, &request));
    TRY(check_file(&request));
    TRY(file_begin(request.file, &request.update)); /* here, so that it goes if the child dies */
    TRY(apart(export, &request, request.view.path));
out:
    file_abort(&request.update);
    view_fini(&request.view);
    return err;
}
