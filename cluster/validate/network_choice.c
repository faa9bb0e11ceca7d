#include "cluster/validate/network_choice.h"
#include "base/file.h"
#include "base/mem.h"
#include "camera/network_file.h"
#include "cluster/validate/conversion_record.h"
#include "cluster/validate/converter.h"
#include <string.h>
#include <unistd.h>

#define MOST_GRAPH ((size_t)320 << 20) /* NCSDK's own bound of its graphs */

static enum err read_network(struct validation *validation, const char *name)
{
    enum err err = ERR_OK;
    int file = -1;
    char *path = file_join(validation->cfg.bundle, name);
    TRY(file_open_regular(path, &file));
    TRY(file_read_from(file, path, MOST_GRAPH, &validation->file.bytes, &validation->file.size));
    if (validation->file.size == 0)
        TRY(err_set(ERR_DATA, "%s is empty: convert the network anew", path));
    validation->file.name = name;
    validation->file.hash = hash_of(validation->file.bytes, validation->file.size);
out:
    if (file >= 0)
        close(file);
    mem_free(path);
    return err;
}

/* What the converter of the bundle's campaign made of it, or makes now. ERR_NOT_FOUND: there is
 * neither. */
static enum err choose_converted(struct validation *validation)
{
    const struct campaign *campaign = validation->check.images.campaign;
    const char *argv[CAMPAIGN_MAX_CONVERTER + 1] = {NULL};
    for (int w = 0; campaign && w < campaign->converter_count; w++)
        argv[w] = campaign->converter[w];
    if (conversion_record_holds(validation->cfg.bundle, argv))
        return read_network(validation, CONVERTED_GRAPH);
    if (!argv[0])
        return ERR_NOT_FOUND;
    struct converter_cfg cfg = {validation->cfg.bundle, argv, validation->cfg.stop};
    enum err err = converter_run(&cfg);
    return err == ERR_OK ? read_network(validation, CONVERTED_GRAPH) : err;
}

/* A person's own first. */
static enum err choose_graph(struct validation *validation)
{
    enum err err = read_network(validation, FIREFLY_GRAPH);
    if (err == ERR_NOT_FOUND)
        err = choose_converted(validation);
    if (err != ERR_NOT_FOUND)
        return err;
    return err_set(ERR_HELD,
                   "%s has no " FIREFLY_GRAPH ", and a camera takes nothing else: on a machine "
                   "with NCSDK 2.05 run convert.sh of the bundle, or convert network.pb with the "
                   "maker's NeuroUtility; put " FIREFLY_GRAPH " into the bundle, then give this "
                   "command again. (--camera simulated needs none)",
                   validation->cfg.bundle);
}

/* Both files in one, as the simulated camera takes them. */
static enum err join_caffe(struct validation *validation)
{
    enum err err = ERR_OK;
    char *prototxt = NULL;
    uint8_t *joined = NULL;
    size_t prototxt_bytes = 0, joined_bytes = 0;
    TRY(read_network(validation, "network.prototxt"));
    prototxt = validation->file.bytes, prototxt_bytes = validation->file.size;
    validation->file.bytes = NULL;
    TRY(read_network(validation, "network.caffemodel"));
    struct caffe_files files = {.prototxt = (const uint8_t *)prototxt,
                                .prototxt_bytes = prototxt_bytes,
                                .model = (const uint8_t *)validation->file.bytes,
                                .model_bytes = validation->file.size};
    TRY(network_file_join(&files, &joined, &joined_bytes));
    mem_free(validation->file.bytes);
    validation->file.bytes = (char *)joined;
    validation->file.size = joined_bytes;
    validation->file.hash = hash_of(joined, joined_bytes);
out:
    mem_free(prototxt);
    return err;
}

enum err network_choose(struct validation *validation)
{
    const struct check_format *checked = validation->check.checked;
    if (!validation->cfg.is_simulated)
        return choose_graph(validation);
    if (strcmp(checked->name, "tensorflow") == 0)
        return read_network(validation, "network.pb");
    if (strcmp(checked->name, "caffe") == 0)
        return join_caffe(validation);
    return err_set(ERR_CONFIG,
                   "%s has no network.pb for the simulated camera: compile it with tensorflow "
                   "or caffe among compile.formats",
                   validation->cfg.bundle);
}
