/* A campaign file: everything a run depends on, every default written out, const after
 * campaign_load(). The schema (campaign.c) has one row per knob: name, type, default, range, unit,
 * whether it affects results, help. One walk reports every error with file, line, column and the
 * nearest valid key. The resolved text is what a run's folder and every checkpoint keep. */
#ifndef TRAINER_SPEC_CAMPAIGN_H
#define TRAINER_SPEC_CAMPAIGN_H

#include "base/hash.h"
#include "base/text.h"
#include "trainer/spec/schedule.h"
#include "trainer/spec/target.h"

#define CAMPAIGN_MAX_TARGETS 16
#define CAMPAIGN_MAX_NOTIFY  16
enum { CAMPAIGN_MAX_CONVERTER = 32, CAMPAIGN_CONVERTER_BYTES = 256 };
#define CAMPAIGN_TEXT 256

/* Raised by hand whenever the result of a training stage changes for the same inputs. Part of every
 * stage key. */
#define TRAINING_VERSION 5

struct row_override {                   /* one row of shrink.rows: what replaces the table's */
    char name[32];                      /* the phase's */
    double epochs, warmup_epochs, rate; /* -1: keep; else taken as given, not scaled */
    int subnets;                        /* -1: keep */
    int distil, sort;                   /* enum keep_no_yes */
    struct choices kernels, expansions, depths; /* count 0: keep */
};
enum keep_no_yes { KEEP, KEEP_NO, KEEP_YES };

/* Whose result a knob changes: the mask in the schema's rows. */
enum campaign_affects {
    AFFECTS_TRAINING = 1, /* every training stage */
    AFFECTS_SPACE = 2,    /* through the space made with it */
    AFFECTS_PHASE = 4,    /* through the rows of the schedule made with it */
    AFFECTS_DISTIL = 8,   /* training stages that distil */
    AFFECTS_EVALUATE = 16,
    AFFECTS_SEARCH = 32,
    AFFECTS_COMPILE = 64,
    AFFECTS_REPORT = 128,
    AFFECTS_MATRICES = 256, /* training stages that train kernel matrices */
    AFFECTS_CHECK = 512,
    AFFECTS_VALIDATE = 1024
};

struct campaign {
    char name[64];
    char path[CAMPAIGN_TEXT]; /* the file it came from */

    struct { /* dataset */
        char path[CAMPAIGN_TEXT];
        uint32_t holdout; /* images */
        int geometry;     /* enum geometry */
        double crop_min;  /* augment.crop: least area, 1: off */
        bool flip, colour;
    } dataset;

    char space_path[CAMPAIGN_TEXT];
    double width;         /* multiplier */
    int resolution_count; /* resolutions trained and searched; default: the space's */
    int resolutions[SPACE_MAX_RESOLUTIONS];
    uint64_t seed;

    struct {
        int global, micro;
    } batch;           /* global = micro * leaves */
    char precision[8]; /* "fp32", "bf16" */
    struct {
        double momentum, decay, matrix_decay, smoothing, dropout;
    } optimiser; /* 0.9, 3e-5, 0, 0.1, the space's */

    struct {                      /* teacher: {epochs, warmup, rate} or {from: CHECKPOINT} */
        char from[CAMPAIGN_TEXT]; /* "" : trained here */
        double epochs, warmup_epochs, rate;
    } teacher;
    char schedule_name[32];
    double epochs_scale, rate_scale;
    int row_count;
    struct row_override rows[SCHEDULE_MAX_PHASES];
    struct {
        double ratio; /* weight of the soft cross entropy */
    } distil;

    struct {
        int calibration_images, calibration_batch;
        double every_epochs;
    } evaluate;
    struct {
        double every_seconds, publish_seconds;
        int keep;
    } checkpoint;
    struct {
        bool tensorboard;
    } record;
    struct {
        int evaluations;
        int population;
        double mutation;
    } search;
    int target_count;
    struct target targets[CAMPAIGN_MAX_TARGETS];
    struct {
        bool tensorflow, caffe, onnx;
    } compile;
    char converter[CAMPAIGN_MAX_CONVERTER][CAMPAIGN_CONVERTER_BYTES]; /* a command's words */
    int converter_count;
    struct {
        int images;
        double loss_max; /* points of accuracy */
    } check;
    struct {
        char launcher[16];         /* "local", "slurm" */
        int nodes, gpus_per_rank;  /* that Slurm is asked for... */
        double memory_bytes;       /* ...likewise, of a node; 0: as the partition gives it */
        int gangs, gangs_per_node; /* 0: all */
        int helper_jobs;           /* beside them */
        int ranks, threads, loader_threads;
        double image_cache_bytes;
        double stall_seconds;
        char device[32]; /* "auto", "cpu", or a module's (kernels/device_module.h) */
        char isa[16];    /* "auto", "x86-64-v2", "x86-64-v3", "x86-64-v4", "x86-64-v4-bf16" */
        char lineage[8]; /* "any", "same" */
        char scratch[CAMPAIGN_TEXT]; /* "": the run's folder (base/scratch_folder.h) */
    } resources;
    int notify_count;
    char notify[CAMPAIGN_MAX_NOTIFY][CAMPAIGN_TEXT]; /* an argument vector; none: nobody is told */
    char run_folder[CAMPAIGN_TEXT];                  /* default runs/<campaign> */
};

/* Gangs that share a node. */
int campaign_gangs_of_node(const struct campaign *campaign);
/* Nodes that all gangs together take of a job, spare ones not counted. */
int campaign_nodes(const struct campaign *campaign);

struct campaign_override { /* --set key=value */
    const char *key;       /* "teacher.epochs" */
    const char *value;
};

/* ERR_CONFIG with every error in one text, ERR_NOT_FOUND, ERR_IO. Overrides are applied before
 * checking. */
MUST_CHECK enum err campaign_load(const char *path, const struct campaign_override *overrides,
                                  int override_count, struct campaign *campaign);
/* The campaign that a resolved text of some time ago describes, for its schedule on this space. The
 * files it names are not looked for. ERR_CONFIG: it is no campaign as of now. */
MUST_CHECK enum err campaign_recall(const char *text, const struct space *space,
                                    struct campaign *campaign);
/* The resolved file: loads back to the same campaign. */
void campaign_write(const struct campaign *campaign, struct text *yaml);

struct schema;
/* The rows of a campaign file: for the help, and for tests that must see every knob. */
const struct schema *campaign_schema(void);
void campaign_help(struct text *text);

/* Every target whose device gives its networks no images of so many channels, in one text:
 * ERR_CONFIG. */
MUST_CHECK enum err campaign_check_images(const struct campaign *campaign, int channels);
/* The space with this campaign's width, for a dataset of so many classes and channels; narrowed to
 * its resolutions. ERR_CONFIG. Also checks what needs both (camera targets need choices the space
 * has, ...): every target that cannot be met, in one text. */
MUST_CHECK enum err campaign_space(const struct campaign *campaign, int classes, int channels,
                                   struct space *space);

/* The images that set a sub-network's batch norm statistics, and how they are cut: full batches in
 * order, and what is left in a last, smaller one (as the reference's loader does). */
struct calibration_set {
    uint32_t images; /* evaluate.calibration_images, or all there are to train on */
    int batch;       /* evaluate.calibration_batch, or all the images when they are fewer */
    int batches;
};
struct calibration_set campaign_calibration(const struct campaign *campaign, uint32_t train_images);
/* Where that set is not what the two knobs say: why. One sentence a line. */
void campaign_calibration_hints(const struct campaign *campaign, uint32_t train_images,
                                struct text *lines);

/* Teacher row (unless teacher.from: what that one was trained for is said by schedule_give()) and
 * the shrinking rows, scaled and overridden. */
void campaign_schedule(const struct campaign *campaign, const struct space *space,
                       struct schedule *schedule);

/* The choices a search for this target draws from: what is trained, narrowed to what its device
 * runs. ERR_CONFIG as camera_device_narrow. */
MUST_CHECK enum err campaign_target_choices(const struct target *target, const struct space *space,
                                            const struct schedule *schedule,
                                            struct open_choices *open);

/* Training costs that bring nothing: resolutions above the images' longest stored side in pixels,
 * a single class, and what no target can use (kernels no device runs, resolutions beyond every
 * budget). One sentence a line. */
void campaign_hints(const struct campaign *campaign, const struct space *space,
                    const struct schedule *schedule, int image_side, struct text *lines);

enum stage_kind { /* keys have the numbers: add behind, change none */
                  STAGE_TRAIN,
                  STAGE_EVALUATE,
                  STAGE_SEARCH,
                  STAGE_COMPILE,
                  STAGE_REPORT,
                  STAGE_CHECK,
                  STAGE_VALIDATE
};
/* A verdict on a bundle: one that fails keeps nobody waiting, what waits for it tells of it. */
static inline bool stage_is_verdict(enum stage_kind kind)
{
    return kind == STAGE_CHECK || kind == STAGE_VALIDATE;
}

/* The report waits for an evaluation, a search, and every target's bundle, check and validation. */
#define PLAN_MAX_DEPENDENCIES (3 * CAMPAIGN_MAX_TARGETS + 4)

struct stage_plan { /* one stage of the graph */
    /* a phase's name, "evaluate", "search", "compile-<target>", "check-<target>",
     * "validate-<target>", "report" */
    char name[64];
    enum stage_kind kind;
    int phase;  /* index in the schedule, STAGE_TRAIN */
    int target; /* index in targets, behind the search; -1: of none */
    int dependency_count;
    /* indices of earlier stages; the first is the stage whose checkpoint this one starts from, a
     * distilling stage's second (if any) is the teacher */
    int dependencies[PLAN_MAX_DEPENDENCIES];
};

#define PLAN_MAX_STAGES (SCHEDULE_MAX_PHASES + 3 * CAMPAIGN_MAX_TARGETS + 4)
struct plan {
    int stage_count;
    struct stage_plan stages[PLAN_MAX_STAGES]; /* in a valid order */
};
void campaign_expand(const struct campaign *campaign, const struct schedule *schedule,
                     struct plan *plan);

/* What a stage's result depends on, one "knob=value" line each (so that `plan` can say which knob
 * changed), and its key: BLAKE2b of those lines, of training_version, of the keys of the stages it
 * depends on, of the dataset's content hash and of an imported teacher's content hash ("" when
 * there is none). keys: of the plan's earlier stages. */
void campaign_stage_inputs(const struct campaign *campaign, const struct space *space,
                           const struct schedule *schedule, const struct plan *plan, int stage,
                           struct text *lines);
struct hash campaign_stage_key(const char *input_lines, const struct plan *plan, int stage,
                               const struct hash *keys, const struct hash *dataset,
                               const char *teacher_content);

#endif
