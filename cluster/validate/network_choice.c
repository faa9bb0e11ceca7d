#include "cluster/validate/network_choice.h"
#include "base/file.h"
#include "base/mem.h"
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

static enum err choose_graph(struct validation *validation)
{
    enum err err = read_network(validation, FIREFLY_GRAPH);
    if (err != ERR_NOT_FOUND)
        return err;
    return err_set(ERR_HELD,
                   "%s has no " FIREFLY_GRAPH ", and a camera takes nothing else: on a machine "
                   "with NCSDK 2.05 run convert.sh of the bundle, or convert network.pb with the "
                   "maker's NeuroUtility; put " FIREFLY_GRAPH " into the bundle, then give this "
                   "command again. (--camera simulated needs none)",
                   validation->cfg.bundle);
}

enum err network_choose(struct validation *validation)
{
    const struct check_format *checked = validation->check.checked;
    if (!validation->cfg.is_simulated)
        return choose_graph(validation);
    if (strcmp(checked->name, "tensorflow") == 0)
        return read_network(validation, "network.pb");
    return err_set(ERR_CONFIG,
                   "%s has no network.pb for the simulated camera: compile it with tensorflow "
                   "among compile.formats",
                   validation->cfg.bundle);
}
