/* Every knob of a campaign file, one row each. The order is that of the resolved file. */
#include "base/yaml/schema.h"
#include "trainer/spec/campaign.h"
#include "trainer/spec/geometry.h"
#include <stddef.h>

#define MANY 1e12

static const struct knob row_knobs[] = {
    {"epochs", KNOB_REAL, KNOB_FIELD(row_override, epochs), .fallback = "keep", .low = 0,
     .high = 1e6, .unit = UNIT_EPOCHS, .words = "keep=-1", .help = "epochs after the warm-up"},
    {"warmup", KNOB_REAL, KNOB_FIELD(row_override, warmup_epochs), .fallback = "keep", .low = 0,
     .high = 1e6, .unit = UNIT_EPOCHS, .words = "keep=-1", .help = "epochs of warm-up"},
    {"rate", KNOB_REAL, KNOB_FIELD(row_override, rate), .fallback = "keep", .low = 0, .high = 1000,
     .words = "keep=-1", .help = "learning rate at batch.global"},
    {"subnets", KNOB_INT, KNOB_FIELD(row_override, subnets), .fallback = "keep", .low = 1,
     .high = 64, .words = "keep=-1", .help = "sub-networks a step samples"},
    {"distil", KNOB_ENUM, KNOB_FIELD(row_override, distil), .fallback = "keep",
     .words = "keep|no|yes", .help = "soft targets from the full network"},
    {"sort", KNOB_ENUM, KNOB_FIELD(row_override, sort), .fallback = "keep", .words = "keep|no|yes",
     .help = "sort channels by importance before the first step"},
    {"kernels", KNOB_INTS, KNOB_LIST(row_override, kernels.value, kernels.count), .fallback = "[]",
     .low = 3, .high = 7, .help = "kernels open in this phase; empty: the table's"},
    {"depths", KNOB_INTS, KNOB_LIST(row_override, depths.value, depths.count), .fallback = "[]",
     .low = 1, .high = 16, .help = "depths open in this phase; empty: the table's"},
    {"expansions", KNOB_INTS, KNOB_LIST(row_override, expansions.value, expansions.count),
     .fallback = "[]", .low = 1, .high = 16,
     .help = "expansions open in this phase; empty: the table's"},
};
static const struct schema row_schema = {row_knobs, sizeof row_knobs / sizeof *row_knobs,
                                         sizeof(struct row_override)};

static const struct knob target_knobs[] = {
    {"name", KNOB_TEXT, KNOB_FIELD(target, name), .help = "name of the target and its bundle"},
    {"device", KNOB_TEXT, KNOB_FIELD(target, device_name), .fallback = "\"\"",
     .help = "configs/devices/<device>.yaml or a path; empty: any device"},
    {"macs", KNOB_REAL, KNOB_FIELD(target, macs_max), .fallback = "any", .low = 1, .high = MANY,
     .unit = UNIT_COUNT, .words = "any=0", .help = "most multiply-accumulates per image"},
    {"latency_ms", KNOB_REAL, KNOB_FIELD(target, latency_ms_max), .fallback = "any", .low = 1e-6,
     .high = 1e6, .unit = UNIT_MS, .words = "any=0", .help = "longest predicted time per image"},
    {"camera", KNOB_TEXT, KNOB_FIELD(target, camera), .fallback = "\"\"",
     .help =
         "where its bundle is validated: a camera's id, serial number or address, or simulated; "
         "empty: nowhere"},
};
static const struct schema target_schema = {
    target_knobs, sizeof target_knobs / sizeof *target_knobs, sizeof(struct target)};

#define FIELD(member)       KNOB_FIELD(campaign, member)
#define LIST(member, count) KNOB_LIST(campaign, member, count)

static const struct knob campaign_knobs[] = {
    {"campaign", KNOB_TEXT, FIELD(name), .affects = AFFECTS_REPORT,
     .help = "name of the campaign and of its run folder"},
    {"dataset.path", KNOB_TEXT, FIELD(dataset.path),
     .help = "an imported dataset; its content counts, not its place"},
    {"dataset.holdout", KNOB_UINT32, FIELD(dataset.holdout), .fallback = "5000", .low = 0,
     .high = 1e9, .unit = UNIT_COUNT, .affects = AFFECTS_TRAINING,
     .help = "training images kept for measuring sub-networks"},
    {"dataset.geometry", KNOB_ENUM, FIELD(dataset.geometry), .fallback = "crop",
     .words = GEOMETRY_WORDS, .affects = AFFECTS_TRAINING,
     .help = "what of a picture is seen, in training and by the camera: the largest square in its "
             "middle, all of it stretched, or padded to a square with its border"},
    {"dataset.augment.crop", KNOB_REAL, FIELD(dataset.crop_min), .fallback = "0.08", .low = 0.01,
     .high = 1, .words = "no=1", .affects = AFFECTS_TRAINING,
     .help = "least area of a random resized crop"},
    {"dataset.augment.flip", KNOB_BOOL, FIELD(dataset.flip), .fallback = "yes",
     .affects = AFFECTS_TRAINING, .help = "mirror half of the images"},
    {"dataset.augment.colour", KNOB_BOOL, FIELD(dataset.colour), .fallback = "yes",
     .affects = AFFECTS_TRAINING, .help = "jitter brightness and saturation"},
    {"space", KNOB_TEXT, FIELD(space_path), .affects = AFFECTS_SPACE,
     .help = "a search space: configs/spaces/<name>.yaml by name or path"},
    {"width", KNOB_REAL, FIELD(width), .fallback = "1", .low = 0.1, .high = 4,
     .affects = AFFECTS_SPACE, .help = "multiplier of every width of the space"},
    {"resolutions", KNOB_INTS, LIST(resolutions, resolution_count), .fallback = "[]", .low = 8,
     .high = 2048, .unit = UNIT_PIXELS, .affects = AFFECTS_SPACE,
     .help = "input sides trained and searched: a list or 128..224 step 4; empty: the space's"},
    {"seed", KNOB_UINT64, FIELD(seed), .fallback = "1",
     .affects = AFFECTS_TRAINING | AFFECTS_EVALUATE | AFFECTS_SEARCH,
     .help = "of every random choice"},
    {"batch.global", KNOB_INT, FIELD(batch.global), .fallback = "2048", .low = 2, .high = 1048576,
     .affects = AFFECTS_TRAINING, .help = "images per update"},
    {"batch.micro", KNOB_INT, FIELD(batch.micro), .fallback = "64", .low = 2, .high = 65536,
     .affects = AFFECTS_TRAINING,
     .help = "images computed at once; batch statistics are those of a micro-batch"},
    {"precision", KNOB_WORD, FIELD(precision), .fallback = "fp32", .words = "fp32|bf16",
     .affects = AFFECTS_TRAINING | AFFECTS_EVALUATE | AFFECTS_SEARCH, .is_input_when_set = true,
     .help = "of activations and of the weights that convolutions read: fp32, or bf16, half the "
             "memory; sums, gradients of weights, masters and momentum are fp32 in both"},
    {"optimiser.momentum", KNOB_REAL, FIELD(optimiser.momentum), .fallback = "0.9", .low = 0,
     .high = 0.999, .affects = AFFECTS_TRAINING, .help = "Nesterov momentum"},
    {"optimiser.decay", KNOB_REAL, FIELD(optimiser.decay), .fallback = "3e-5", .low = 0, .high = 1,
     .affects = AFFECTS_TRAINING,
     .help = "weight decay, not on batch norm, biases and kernel matrices"},
    {"optimiser.matrix_decay", KNOB_REAL, FIELD(optimiser.matrix_decay), .fallback = "0", .low = 0,
     .high = 1, .affects = AFFECTS_MATRICES,
     .help = "decay of the kernel matrices, toward 0, once a smaller kernel is open; the "
             "reference's is 3e-5"},
    {"optimiser.smoothing", KNOB_REAL, FIELD(optimiser.smoothing), .fallback = "0.1", .low = 0,
     .high = 0.9, .affects = AFFECTS_TRAINING, .help = "label smoothing"},
    {"optimiser.dropout", KNOB_REAL, FIELD(optimiser.dropout), .fallback = "space", .low = 0,
     .high = 0.9, .words = "space=-1", .affects = AFFECTS_SPACE,
     .help = "dropout in front of the classifier"},
    {"teacher.from", KNOB_TEXT, FIELD(teacher.from), .fallback = "\"\"",
     .help = "start from this checkpoint (PATH or PATH@NAME) instead of training a full network"},
    {"teacher.epochs", KNOB_REAL, FIELD(teacher.epochs), .fallback = "auto", .low = 0, .high = 1e6,
     .unit = UNIT_EPOCHS, .words = "auto=-1", .affects = AFFECTS_PHASE,
     .help = "epochs of the full network after the warm-up; auto: 180"},
    {"teacher.warmup", KNOB_REAL, FIELD(teacher.warmup_epochs), .fallback = "auto", .low = 0,
     .high = 1e6, .unit = UNIT_EPOCHS, .words = "auto=-1", .affects = AFFECTS_PHASE,
     .help = "epochs of its warm-up; auto: a 36th of its epochs"},
    {"teacher.rate", KNOB_REAL, FIELD(teacher.rate), .fallback = "auto", .low = 0, .high = 1000,
     .words = "auto=-1", .affects = AFFECTS_PHASE,
     .help = "its learning rate at batch.global; auto: 2.6 at a batch of 2048"},
    {"shrink.schedule", KNOB_WORD, FIELD(schedule_name), .fallback = "ofa", .words = SCHEDULE_NAMES,
     .affects = AFFECTS_PHASE, .help = "table of phases"},
    {"shrink.epochs_scale", KNOB_REAL, FIELD(epochs_scale), .fallback = "1", .low = 1e-6,
     .high = 1000, .affects = AFFECTS_PHASE, .help = "times the table's epochs"},
    {"shrink.rate_scale", KNOB_REAL, FIELD(rate_scale), .fallback = "1", .low = 1e-6, .high = 1000,
     .affects = AFFECTS_PHASE, .help = "times the table's rates (already scaled to batch.global)"},
    {"shrink.rows", KNOB_NAMED, LIST(rows, row_count), .fallback = "{}", .rows = &row_schema,
     .affects = AFFECTS_PHASE, .help = "by phase: fields that replace the table's, taken as given"},
    {"distil.ratio", KNOB_REAL, FIELD(distil.ratio), .fallback = "1", .low = 0, .high = 1000,
     .affects = AFFECTS_DISTIL, .help = "weight of the teacher's soft targets"},
    {"distil.loss", KNOB_RETIRED, .fallback = "soft_cross_entropy", .affects = AFFECTS_DISTIL,
     .help = "leave it out"},
    {"evaluate.calibration_images", KNOB_INT, FIELD(evaluate.calibration_images),
     .fallback = "2000", .low = 2, .high = 1e7, .unit = UNIT_COUNT,
     .affects = AFFECTS_EVALUATE | AFFECTS_SEARCH,
     .help = "images that set a sub-network's batch norm statistics"},
    {"evaluate.calibration_batch", KNOB_INT, FIELD(evaluate.calibration_batch), .fallback = "200",
     .low = 2, .high = 65536, .unit = UNIT_COUNT, .affects = AFFECTS_EVALUATE | AFFECTS_SEARCH,
     .help = "of them normalised together, by their own statistics; all of them when they are "
             "fewer"},
    {"evaluate.every_epochs", KNOB_REAL, FIELD(evaluate.every_epochs), .fallback = "1", .low = 0,
     .high = 1e6, .unit = UNIT_EPOCHS,
     .help = "how often training measures its grid of sub-networks; 0: at a phase's end only"},
    {"checkpoint.every", KNOB_REAL, FIELD(checkpoint.every_seconds), .fallback = "5m", .low = 0.1,
     .high = 1e7, .unit = UNIT_SECONDS, .help = "time between checkpoints"},
    {"checkpoint.keep", KNOB_INT, FIELD(checkpoint.keep), .fallback = "3", .low = 1, .high = 10000,
     .help = "checkpoints kept besides the last of every stage"},
    {"checkpoint.publish", KNOB_REAL, FIELD(checkpoint.publish_seconds), .fallback = "10m",
     .low = 0.1, .high = 1e7, .unit = UNIT_SECONDS,
     .help = "with resources.scratch: time between copies of the run for other machines"},
    {"record.tensorboard", KNOB_BOOL, FIELD(record.tensorboard), .fallback = "yes",
     .help = "event files for TensorBoard in metrics/tensorboard, about as big as metrics/*.jsonl"},
    {"search.evaluations", KNOB_INT, FIELD(search.evaluations), .fallback = "256", .low = 2,
     .high = 1e7, .unit = UNIT_COUNT, .affects = AFFECTS_SEARCH,
     .help = "most sub-networks measured, over all targets"},
    {"search.population", KNOB_INT, FIELD(search.population), .fallback = "auto", .low = 2,
     .high = 1e6, .words = "auto=0", .affects = AFFECTS_SEARCH,
     .help = "sub-networks of a generation; auto: a quarter of the evaluations, at most 50"},
    {"search.mutation", KNOB_REAL, FIELD(search.mutation), .fallback = "0.1", .low = 0, .high = 1,
     .affects = AFFECTS_SEARCH,
     .help = "chance that a kernel, an expansion or a depth is drawn again; the resolution is at "
             "least every other time"},
    {"search.targets", KNOB_ROWS, LIST(targets, target_count), .fallback = "[]",
     .rows = &target_schema, .affects = AFFECTS_SEARCH,
     .help = "what to find: the most accurate sub-network within each row's budget"},
    {"compile.formats", KNOB_WORDS, KNOB_FIELD(campaign, compile), .fallback = "[tensorflow, onnx]",
     .words = "tensorflow|caffe|onnx", .affects = AFFECTS_COMPILE,
     .help = "files written for every target; caffe only for spaces of relu"},
    {"compile.converter", KNOB_TEXTS, LIST(converter, converter_count), .fallback = "[]",
     .affects = AFFECTS_VALIDATE,
     .help =
         "the maker's converter, as a list of words, never a shell's: run on a copy of a bundle "
         "that has no firefly.graph, it writes that file"},
    {"check.images", KNOB_INT, FIELD(check.images), .fallback = "500", .low = 1, .high = 1000000,
     .unit = UNIT_COUNT, .affects = AFFECTS_CHECK,
     .help = "hold-out images that a bundle is run on in its device's arithmetic"},
    {"check.loss", KNOB_REAL, FIELD(check.loss_max), .fallback = "1", .low = 0, .high = 100,
     .affects = AFFECTS_CHECK,
     .help = "points of accuracy that a bundle may lose to its device's arithmetic"},
    {"resources.launcher", KNOB_WORD, FIELD(resources.launcher), .fallback = "local",
     .words = "local|slurm",
     .help =
         "who starts the ranks: this machine, or Slurm, as steps of the job that the run is in"},
    {"resources.nodes", KNOB_INT, FIELD(resources.nodes), .fallback = "1", .low = 1, .high = 4096,
     .help = "nodes that Slurm is asked for; every gang has as many of its ranks on each"},
    {"resources.memory", KNOB_REAL, FIELD(resources.memory_bytes), .fallback = "auto", .low = 1,
     .high = 1e15, .unit = UNIT_BYTES, .words = "auto=0",
     .help = "memory of the node that Slurm is asked for; auto: as the partition gives it"},
    {"resources.gpus_per_rank", KNOB_INT, FIELD(resources.gpus_per_rank), .fallback = "0", .low = 0,
     .high = 64, .help = "GPUs that Slurm is asked for"},
    {"resources.gangs", KNOB_INT, FIELD(resources.gangs), .fallback = "1", .low = 1, .high = 1024,
     .help = "gangs at once, each of resources.ranks: one trains, several evaluate and search"},
    {"resources.gangs_per_node", KNOB_INT, FIELD(resources.gangs_per_node), .fallback = "0",
     .low = 0, .high = 1024,
     .help = "so many of them on a node: Slurm is asked for more nodes, where gangs help to "
             "evaluate and search; 0: all on one. Needs resources.scratch"},
    {"resources.helper_jobs", KNOB_INT, FIELD(resources.helper_jobs), .fallback = "0", .low = 0,
     .high = 1024,
     .help = "jobs of their own that Slurm is asked for while something waits to be measured, each "
             "of a gang that helps to evaluate and search. Needs resources.scratch"},
    {"resources.ranks", KNOB_INT, FIELD(resources.ranks), .fallback = "1", .low = 1, .high = 65536,
     .help = "processes of a gang; at most batch.global / batch.micro"},
    {"resources.threads", KNOB_INT, FIELD(resources.threads), .fallback = "1", .low = 1,
     .high = 1024, .help = "compute threads of a rank"},
    {"resources.loader_threads", KNOB_INT, FIELD(resources.loader_threads), .fallback = "1",
     .low = 1, .high = 1024, .help = "threads of a rank that load and augment images"},
    {"resources.image_cache", KNOB_REAL, FIELD(resources.image_cache_bytes), .fallback = "512MiB",
     .low = 0, .high = 1e15, .unit = UNIT_BYTES,
     .help = "memory of a rank for images it measures again and again; what does not fit is loaded "
             "again for every sub-network"},
    {"resources.stall", KNOB_REAL, FIELD(resources.stall_seconds), .fallback = "30s", .low = 3,
     .high = 1e6, .unit = UNIT_SECONDS,
     .help = "a rank silent for so long, or still for so long and three times its longest recent "
             "batch, is taken for hung, and its gang is started again"},
    {"resources.device", KNOB_TEXT, FIELD(resources.device), .fallback = "auto",
     .affects = AFFECTS_TRAINING | AFFECTS_EVALUATE | AFFECTS_SEARCH, .is_input_when_set = true,
     .help = "where a rank computes: auto, cpu, cuda (an NVIDIA GPU), or another module's "
             "device by its name"},
    {"resources.isa", KNOB_WORD, FIELD(resources.isa), .fallback = "auto",
     .words = "auto|x86-64-v2|x86-64-v3|x86-64-v4|x86-64-v4-bf16",
     .affects = AFFECTS_TRAINING | AFFECTS_EVALUATE | AFFECTS_SEARCH,
     .help = "pin the instruction set, so that every machine gives the same bits"},
    {"resources.lineage", KNOB_WORD, FIELD(resources.lineage), .fallback = "any",
     .words = "any|same",
     .help = "what a run goes on on: any device, marked as mixed where they differ, or the same "
             "model, instruction set and library"},
    {"resources.scratch", KNOB_TEXT, FIELD(resources.scratch), .fallback = "\"\"",
     .help = "a local disk for journal and checkpoints, so that the run's folder may be shared: a "
             "path, with $NAME of the environment at its start, and {node}; empty: the run's "
             "folder"},
    {"notify", KNOB_TEXTS, LIST(notify, notify_count), .fallback = "[]",
     .help =
         "a command for when the run ends, as a list of words, never a shell's: [mail-me, done]; "
         "what happened is in its environment (GLOWWORM_STATE, ...)"},
    {"run_folder", KNOB_TEXT, FIELD(run_folder), .fallback = "\"\"",
     .help = "where everything is kept; empty: runs/<campaign>"},
};
static const struct schema schema = {campaign_knobs, sizeof campaign_knobs / sizeof *campaign_knobs,
                                     sizeof(struct campaign)};

const struct schema *campaign_schema(void)
{
    return &schema;
}

void campaign_help(struct text *text)
{
    schema_help(&schema, text);
}

void campaign_write(const struct campaign *campaign, struct text *yaml)
{
    schema_write(&schema, campaign, yaml);
}
