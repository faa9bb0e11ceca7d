#include "trainer/weights/export_weights.h"
#include "base/mem.h"
#include "base/text.h"
#include "trainer/checkpoint/safetensors.h"
#include "trainer/checkpoint/stream.h"
#include <stdio.h>
#include <string.h>

#define MOST_LISTED 20

struct exporting {
    struct device *device;
    struct file_update *update;
    struct space space;
    bool *is_wanted; /* by tensor of the checkpoint */
    struct exported exported;
};

/* NULL when the tensor is what the supernet needs. */
static const char *find_trouble(const struct tensor *tensor, const struct supernet_tensor *wanted)
{
    if (!tensor)
        return "is missing";
    return tensor_has_shape(tensor, wanted->rank, wanted->shape) ? NULL : "has another shape";
}

static enum err choose(struct exporting *exporting, const struct supernet *net,
                       const struct checkpoint *checkpoint)
{
    enum err err = ERR_OK;
    int troubles = 0;
    struct text lines;
    text_init(&lines);
    for (int i = 0; i < supernet_tensor_count(net); i++) {
        struct supernet_tensor wanted;
        supernet_tensor_at(net, i, &wanted);
        if (!wanted.param && !checkpoint->meta.has_statistics)
            continue;
        const struct tensor *tensor = checkpoint_find(checkpoint, wanted.name);
        const char *trouble = find_trouble(tensor, &wanted);
        if (!trouble)
            exporting->is_wanted[tensor - checkpoint->tensors] = true;
        else if (troubles++ < MOST_LISTED)
            text_add(&lines, "\n    %s %s", wanted.name, trouble);
    }
    if (troubles > 0)
        TRY(err_set(ERR_DATA, "%d tensor%s that the space %s needs:%s%s", troubles,
                    troubles > 1 ? "s" : "", net->space->name, text_get(&lines),
                    troubles > MOST_LISTED ? "\n    and more" : ""));
out:
    text_fini(&lines);
    return err;
}

static enum err append_header(struct exporting *exporting, const struct checkpoint *checkpoint)
{
    const struct checkpoint_meta *meta = &checkpoint->meta;
    struct exported *exported = &exporting->exported;
    size_t count = (size_t)checkpoint->tensor_count;
    struct tensor *tensors = mem_array(count, sizeof *tensors);
    char hex[HASH_HEX_BYTES], step[32], width[32], classes[16], channels[16];
    struct text header;
    for (size_t i = 0; i < count; i++)
        if (exporting->is_wanted[i]) {
            tensors[exported->tensors++] = checkpoint->tensors[i];
            exported->bytes += checkpoint->tensors[i].count * sizeof(float);
        }
    exported->left_out = checkpoint->tensor_count - exported->tensors;
    hash_hex(&checkpoint->content, hex);
    snprintf(step, sizeof step, "%llu", (unsigned long long)checkpoint->position.step);
    snprintf(width, sizeof width, "%.17g", meta->width_multiplier);
    snprintf(classes, sizeof classes, "%d", meta->classes);
    snprintf(channels, sizeof channels, "%d", meta->channels);
    const struct safetensors_note notes[] = {
        {"format", "pt"},       {"checkpoint", hex},   {"stage", checkpoint->position.stage},
        {"step", step},         {"width", width},      {"classes", classes},
        {"channels", channels}, {"space", meta->space}};
    text_init(&header);
    safetensors_header(tensors, exported->tensors, notes, sizeof notes / sizeof *notes, &header);
    exported->bytes += header.size;
    enum err err = file_append(exporting->update, header.bytes, header.size);
    text_fini(&header);
    mem_free(tensors);
    return err;
}

static enum err begin(void *own, const struct checkpoint *checkpoint)
{
    enum err err = ERR_OK;
    struct exporting *exporting = own;
    const struct checkpoint_meta *meta = &checkpoint->meta;
    struct supernet *net = NULL;
    exporting->is_wanted = mem_array((size_t)checkpoint->tensor_count, sizeof(bool));
    err = space_parse("the checkpoint's space", meta->space, meta->width_multiplier, meta->classes,
                      meta->channels, &exporting->space);
    if (err != ERR_OK) /* nobody's file is wrong but the checkpoint */
        TRY(err_prefix(ERR_DATA, "it says of no network what it needs"));
    TRY(supernet_create(&exporting->space, exporting->device, &net));
    TRY(choose(exporting, net, checkpoint));
    exporting->exported = (struct exported){.content = checkpoint->content,
                                            .width_multiplier = meta->width_multiplier,
                                            .classes = meta->classes,
                                            .channels = meta->channels,
                                            .has_statistics = meta->has_statistics};
    snprintf(exporting->exported.space, sizeof exporting->exported.space, "%s",
             exporting->space.name);
    TRY(append_header(exporting, checkpoint));
out:
    supernet_destroy(&net);
    return err;
}

static enum err append_piece(void *own, int tensor, const float *values, size_t count)
{
    struct exporting *exporting = own;
    if (!exporting->is_wanted[tensor])
        return ERR_OK;
    return file_append(exporting->update, values, count * sizeof *values);
}

enum err export_weights(struct checkpoint_store *store, const char *name, struct device *device,
                        struct file_update *update, struct exported *exported)
{
    enum err err = ERR_OK;
    struct exporting *exporting = mem_alloc(sizeof *exporting);
    exporting->device = device;
    exporting->update = update;
    struct stream stream = {.begin = begin, .piece = append_piece, .own = exporting};
    TRY(checkpoint_stream(store, name, &stream));
    *exported = exporting->exported;
out:
    mem_free(exporting->is_wanted);
    mem_free(exporting);
    return err;
}
