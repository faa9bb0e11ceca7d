#include "cluster/probes.h"
#include "base/file.h"
#include "base/mem.h"
#include "cluster/json_file.h"
#include "cluster/probe_samples.h"
#include "trainer/data/image_file.h"
#include "trainer/export/bundle.h"
#include "trainer/export/convert_command.h"
#include "trainer/export/probe.h"
#include "trainer/export/writers.h"
#include "trainer/record/json_name.h"
#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define INDEX   "probes.json"
#define MISREAD "misread.pb" /* what the exporter refuses to write for the converter */

static const char *const outcomes[] = {
    [RULE_UNTESTED] = "nobody tried: accepted and right, accepted and wrong, or refused",
    [RULE_REFUSED] = "the converter refuses it",
    [RULE_WRONG] = "the converter takes it, and its answers are wrong"};

struct probing { /* the folder while it is being made */
    const struct camera_device *device;
    const char *folder;
    struct text readme, script;
    json_t *rows;
};

static int64_t count_macs(const struct folded *folded)
{
    int64_t macs = 0;
    for (int l = 0; l < folded->count; l++) {
        const struct folded_layer *layer = &folded->layers[l];
        int64_t side = folded_side(layer);
        if (layer->kind == FOLDED_CONV || layer->kind == FOLDED_LINEAR)
            macs += side * side * layer->K * layer->R * layer->R * (layer->C / layer->groups);
    }
    return macs;
}

static enum err write_bundle(const struct probing *probing, const struct probe *probe,
                             const struct dataset_info *dataset,
                             const struct probe_samples *samples)
{
    char *folder = file_join(probing->folder, probe->name);
    struct bundle_cfg cfg = {.folder = folder,
                             .target = probe->name,
                             .device = probing->device,
                             .folded = &probe->folded,
                             .subnet = "a probe",
                             .macs = count_macs(&probe->folded),
                             .dataset = dataset,
                             .formats = {true, true, true},
                             .samples = samples->list,
                             .sample_count = PROBE_SAMPLES,
                             .sample_split = SPLIT_TRAIN,
                             .checkpoint = ""};
    enum err err = bundle_write(&cfg);
    mem_free(folder);
    return err;
}

static bool has_file(const struct probing *probing, const struct probe *probe, const char *name)
{
    char *folder = file_join(probing->folder, probe->name), *path = file_join(folder, name);
    bool is_there = file_exists(path);
    mem_free(path);
    mem_free(folder);
    return is_there;
}

static void tell_command(struct probing *probing, const struct probe *probe, const char *road,
                         const struct text *line)
{
    text_add(&probing->readme, "  %-10s %s\n", road, text_get(line));
    text_add(&probing->script, "try %s %s '%s'\n", probe->name, road, text_get(line));
}

/* A file of its own, which the bundle does not list: nobody is to take it for one that goes to a
 * camera. */
static enum err write_misread(const struct probing *probing, const struct probe *probe)
{
    struct bytes bytes = {0};
    char *folder = file_join(probing->folder, probe->name), *path = file_join(folder, MISREAD);
    tensorflow_write_misread(&probe->folded, &bytes);
    enum err err = file_write(path, bytes.data, bytes.size);
    mem_free(bytes.data);
    mem_free(path);
    mem_free(folder);
    return err;
}

static enum err tell_tensorflow(struct probing *probing, const struct probe *probe)
{
    enum err err = ERR_OK;
    struct text line;
    bool has_tensorflow = has_file(probing, probe, "network.pb");
    text_init(&line);
    if (!has_tensorflow)
        TRY(write_misread(probing, probe));
    convert_command_tensorflow(has_tensorflow ? "network.pb" : MISREAD, "tensorflow.graph", &line);
    tell_command(probing, probe, "tensorflow", &line);
out:
    text_fini(&line);
    return err;
}

static void tell_caffe(struct probing *probing, const struct probe *probe)
{
    struct text line;
    if (!has_file(probing, probe, "network.prototxt"))
        return;
    text_init(&line);
    convert_command_caffe("network", "caffe.graph", &line);
    tell_command(probing, probe, "caffe", &line);
    text_fini(&line);
}

static void tell_answer(struct probing *probing, const struct probe *probe,
                        const struct probe_samples *samples)
{
    int outputs = probe->folded.outputs;
    for (int e = 0; samples->expected && e < BUNDLE_EXPECTED; e++) {
        const float *found = samples->expected + e * outputs;
        int best = probe_samples_best(found, outputs);
        text_add(&probing->readme, "  answer     to samples/00 in %s: class %d, confidence %.4f\n",
                 bundle_expected_names[e], best, (double)found[best]);
    }
}

static const char *outcome_of(const struct probe *probe)
{
    if (!probe->rule && probe->others.size) /* no network of this shape could keep them */
        return outcomes[RULE_UNTESTED];
    return probe->rule ? outcomes[probe->rule->outcome] : "accepted, and its answers are right";
}

static void tell_probe(struct probing *probing, const struct probe *probe)
{
    text_add(&probing->readme, "\n%s\n", probe->name);
    if (probe->rule)
        text_add(&probing->readme, "  rule       %s, %s (%s)\n", probe->rule->name,
                 probe->rule->basis == RULE_DOCUMENTED ? "documented" : "inferred",
                 probe->rule->source);
    if (probe->why_not.size)
        text_add(&probing->readme, "  left out   %s\n", text_get(&probe->why_not));
    else if (probe->rule)
        text_add(&probing->readme, "  breaks it  %s\n", text_get(&probe->breach));
    if (probe->others.size)
        text_add(&probing->readme, "  breaks     %s%s\n", text_get(&probe->others),
                 probe->rule ? ", too" : ", for want of a network of this shape that does not");
    if (!probe->why_not.size)
        text_add(&probing->readme, "  expected   %s\n", outcome_of(probe));
    json_array_append_new(
        probing->rows,
        json_pack("{s:s, s:o, s:o, s:o, s:o, s:o}", "name", probe->name, "rule",
                  probe->rule ? json_name(probe->rule->name) : json_null(), "breaks",
                  json_name(text_get(&probe->breach)), "also_breaks",
                  json_name(text_get(&probe->others)), "left_out",
                  json_name(text_get(&probe->why_not)), "expected",
                  probe->why_not.size ? json_null() : json_string(outcome_of(probe))));
}

static enum err write_made(struct probing *probing, const struct probe *probe)
{
    enum err err = ERR_OK;
    char labels[PROBE_OUTPUTS * 16][16], *names[PROBE_OUTPUTS * 16];
    struct dataset_info dataset = {.classes = probe->folded.classes,
                                   .class_names = names,
                                   .channels = probe->folded.channels,
                                   .mean = {127.5, 127.5, 127.5},
                                   .deviation = {127.5, 127.5, 127.5}};
    struct probe_samples *samples = NULL;
    for (int k = 0; k < dataset.classes; k++) {
        snprintf(labels[k], sizeof labels[k], "class %d", k);
        names[k] = labels[k];
    }
    TRY(probe_samples_make(&probe->folded, &dataset,
                           probing->device->arithmetic != DEVICE_ARITHMETIC_UNKNOWN, &samples));
    TRY(write_bundle(probing, probe, &dataset, samples));
    TRY(tell_tensorflow(probing, probe));
    tell_caffe(probing, probe);
    tell_answer(probing, probe, samples);
out:
    probe_samples_destroy(&samples);
    return err;
}

static enum err write_probes(struct probing *probing, struct probes *probes)
{
    enum err err = ERR_OK;
    for (int i = 0; i < probes->count; i++) {
        struct probe *probe = &probes->list[i];
        if (!probe->why_not.size && probe->folded.outputs > PROBE_OUTPUTS * 16)
            text_add(&probe->why_not, "it would have %d outputs", probe->folded.outputs);
        tell_probe(probing, probe);
        if (!probe->why_not.size)
            TRY(write_made(probing, probe));
    }
out:
    return err;
}

static void begin_texts(struct probing *probing)
{
    text_add(
        &probing->readme,
        "PROBES OF WHAT %s RUNS\n\n"
        "Each folder here is a tiny network that breaks one rule of the device's table, so that\n"
        "the table can be held against the real converter; \"baseline\" breaks none, or says\n"
        "which. With NCSDK 2.05.00.02 on the path, ./try-all.sh converts all of them and writes\n"
        "results.txt:\n"
        "accepted or refused, each with a log beside it. What is accepted may still be wrong:\n"
        "load its graph into the camera, inject samples/00.raw (README.txt in each folder says\n"
        "how), and compare class and confidence with the answer below.\n",
        probing->device->name);
    text_add(&probing->script,
             "#!/bin/sh\n# Converts every probe; results.txt says what became of each.\n"
             "cd \"$(dirname \"$0\")\" || exit 1\n: >results.txt\n"
             "try() {\n"
             "    if (cd \"$1\" && sh -c \"$3\") >\"$1-$2.log\" 2>&1; then said=accepted; else "
             "said=refused; fi\n"
             "    echo \"$1 $2 $said\" | tee -a results.txt\n}\n");
}

static enum err write_file(const struct probing *probing, const char *name, const char *bytes,
                           size_t size, mode_t mode)
{
    enum err err = ERR_OK;
    char *path = file_join(probing->folder, name);
    TRY(file_write(path, bytes, size));
    if (chmod(path, mode) != 0)
        TRY(err_set(ERR_IO, "%s cannot be given its mode: %s", path, strerror(errno)));
out:
    mem_free(path);
    return err;
}

static enum err write_index(const struct probing *probing)
{
    enum err err = ERR_OK;
    char *path = file_join(probing->folder, INDEX);
    TRY(write_file(probing, "README.txt", text_get(&probing->readme), probing->readme.size, 0644));
    TRY(write_file(probing, "try-all.sh", text_get(&probing->script), probing->script.size, 0755));
    TRY(json_file_write(path, json_incref(probing->rows)));
out:
    mem_free(path);
    return err;
}

static enum err check_folder(const char *folder)
{
    char *index = file_join(folder, INDEX);
    bool is_ours = !file_exists(folder) || rmdir(folder) == 0 || file_exists(index);
    mem_free(index);
    return is_ours ? ERR_OK
                   : err_set(ERR_CONFIG,
                             "%s exists and holds no probes: name another folder, or remove it by "
                             "hand",
                             folder);
}

enum err probes_write(const struct camera_device *device, const char *folder)
{
    enum err err = ERR_OK;
    struct probes probes = {0};
    struct probing probing = {.device = device, .folder = folder, .rows = json_array()};
    text_init(&probing.readme);
    text_init(&probing.script);
    TRY(check_folder(folder));
    TRY(file_make_folders(folder));
    TRY(image_file_start());
    begin_texts(&probing);
    probes_make(device, &probes);
    TRY(write_probes(&probing, &probes));
    TRY(write_index(&probing));
out:
    probes_fini(&probes);
    text_fini(&probing.readme);
    text_fini(&probing.script);
    json_decref(probing.rows);
    return err;
}
