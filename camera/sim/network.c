#include "camera/sim/network.h"
#include "base/mem.h"
#include "camera/network_file.h"
#include "trainer/emulator/readers.h"

static enum err read_file(const uint8_t *bytes, size_t size_bytes, struct exported *net)
{
    struct caffe_files files;
    if (!network_file_is_caffe(bytes, size_bytes))
        return tensorflow_read(bytes, size_bytes, net);
    enum err err = network_file_split(bytes, size_bytes, &files);
    return err != ERR_OK ? err
                         : caffe_read(files.prototxt, files.prototxt_bytes, files.model,
                                      files.model_bytes, net);
}

static void count_macs(struct network *network)
{
    for (int i = 0; i < network->net.count; i++) {
        const struct exported_layer *layer = &network->net.layers[i];
        double macs = (double)exported_macs(layer) / 1e6;
        if (layer->kind == EXPORTED_CONV && layer->groups > 1)
            network->depthwise_mmacs += macs;
        else
            network->mmacs += macs;
    }
}

enum err network_open(const uint8_t *bytes, size_t size_bytes, enum arithmetic arithmetic,
                      struct network **network)
{
    enum err err = ERR_OK;
    struct network *made = mem_alloc(sizeof *made);
    TRY(read_file(bytes, size_bytes, &made->net));
    TRY(emulation_init(&made->net, &made->emulation));
    made->emulator = emulator_create(&made->net, arithmetic);
    made->classes = (int)exported_values(exported_output(&made->net, made->net.count - 1));
    count_macs(made);
    *network = made;
    made = NULL;
out:
    network_close(&made);
    return err;
}

void network_close(struct network **network)
{
    if (!*network)
        return;
    emulation_fini(&(*network)->emulation);
    emulator_destroy(&(*network)->emulator);
    exported_fini(&(*network)->net);
    mem_free(*network);
    *network = NULL;
}

struct network_answer network_run(struct network *network, const float *image)
{
    struct network_answer answer = {0, 0};
    emulator_run(network->emulator, image, &network->emulation);
    const float *probabilities = network->emulation.maps[network->net.count - 1];
    for (int k = 1; k < network->classes; k++)
        if (probabilities[k] > probabilities[answer.class_index])
            answer.class_index = k;
    answer.confidence = probabilities[answer.class_index];
    return answer;
}
