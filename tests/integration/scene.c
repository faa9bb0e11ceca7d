#include "tests/integration/scene.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/rng.h"
#include "base/text.h"
#include "tests/support/test_device.h"
#include "trainer/data/import.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define SIDE    20
#define CLASSES 4
#define LOG_END 900 /* cmocka cuts messages at about a thousand characters */

static const char campaign_text[] = "campaign: scene\n"
                                    "dataset: {path: %s/data, holdout: %u, augment: {crop: 0.8, "
                                    "flip: no}}\n"
                                    "space: configs/spaces/firefly-tiny.yaml\n"
                                    "resolutions: [16, 20]\n"
                                    "seed: 11\n"
                                    "batch: {global: 48, micro: 8}\n"
                                    "teacher: {epochs: 1, rate: 0.1}\n"
                                    "shrink: {schedule: ofa, epochs_scale: 0.008}\n"
                                    "evaluate: {calibration_images: 44, calibration_batch: 8, "
                                    "every_epochs: 0}\n"
                                    "checkpoint: {every: 60s, keep: 2}\n"
                                    "search: {evaluations: 6, population: 4, targets: [{name: "
                                    "small, device: firefly-dl-mono, macs: 0.6M}]}\n"
                                    "resources: {device: %s}\n";

/* A bright bar whose place tells the class, in noise: enough to learn something in a second. */
static uint8_t pixel(uint32_t image, int y, int x)
{
    int label = (int)(image % CLASSES), bar = 2 + label * 4;
    uint32_t noise = rng_below(rng(1, RNG_TEST, image, (uint64_t)y, (uint64_t)x), 120);
    return (uint8_t)(noise + (y >= bar && y < bar + 4 ? 120 : 0));
}

static void put_words(FILE *file, const uint32_t *words, int count)
{
    for (int i = 0; i < count; i++)
        for (int shift = 24; shift >= 0; shift -= 8)
            fputc((int)(words[i] >> shift & 255), file);
}

static void write_idx(const char *folder, const char *stem, uint32_t first, uint32_t count)
{
    char path[400];
    snprintf(path, sizeof path, "%s/%s-images-idx3-ubyte", folder, stem);
    FILE *images = fopen(path, "we");
    snprintf(path, sizeof path, "%s/%s-labels-idx1-ubyte", folder, stem);
    FILE *labels = fopen(path, "we");
    if (!images || !labels)
        BUG("cannot write into %s", folder);
    put_words(images, (uint32_t[]){0x803, count, SIDE, SIDE}, 4);
    put_words(labels, (uint32_t[]){0x801, count}, 2);
    for (uint32_t i = first; i < first + count; i++) {
        fputc((int)(i % CLASSES), labels);
        for (int at = 0; at < SIDE * SIDE; at++)
            fputc(pixel(i, at / SIDE, at % SIDE), images);
    }
    fclose(images);
    fclose(labels);
}

struct sizes { /* images; train's last are the hold-out */
    uint32_t train, holdout, test;
};

static void make_data(const char *folder, const struct sizes *sizes)
{
    char names[4][400], data[400];
    const char *sources[4];
    struct import_report report = {0};
    static const char *const files[] = {"train-images-idx3-ubyte", "train-labels-idx1-ubyte",
                                        "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"};
    write_idx(folder, "train", 0, sizes->train);
    write_idx(folder, "t10k", sizes->train, sizes->test);
    for (int i = 0; i < 4; i++) {
        snprintf(names[i], sizeof names[i], "%s/%s", folder, files[i]);
        sources[i] = names[i];
    }
    snprintf(data, sizeof data, "%s/data", folder);
    struct import_cfg cfg = {
        .sources = sources, .source_count = 4, .destination = data, .threads = 1};
    if (dataset_import(&cfg, &report) != ERR_OK)
        BUG("%s", err_text());
    import_report_fini(&report);
}

static int make(void **state, const struct sizes *sizes)
{
    const char *root = getenv("TMPDIR");
    struct scene *scene = mem_alloc(sizeof *scene);
    char text[2048];
    snprintf(scene->folder, sizeof scene->folder, "%s/glowworm-test-XXXXXX", root ? root : "/tmp");
    if (!mkdtemp(scene->folder))
        return -1;
    setenv("OMPI_ALLOW_RUN_AS_ROOT", "1", 1);
    setenv("OMPI_ALLOW_RUN_AS_ROOT_CONFIRM", "1", 1);
    make_data(scene->folder, sizes);
    snprintf(scene->campaign, sizeof scene->campaign, "%s/campaign.yaml", scene->folder);
    snprintf(scene->output, sizeof scene->output, "%s/output", scene->folder);
    snprintf(scene->log, sizeof scene->log, "%s/log", scene->folder);
    int used =
        snprintf(text, sizeof text, campaign_text, scene->folder, sizes->holdout, test_device());
    if (test_precision() == PRECISION_BF16)
        snprintf(text + used, sizeof text - (size_t)used, "precision: bf16\n");
    *state = scene;
    return file_write(scene->campaign, text, strlen(text)) == ERR_OK ? 0 : -1;
}

int scene_make(void **state)
{
    return make(state, &(struct sizes){580, 100, 60});
}

int scene_make_tiny(void **state)
{
    return make(state, &(struct sizes){112, 16, 16});
}

int scene_remove(void **state)
{
    struct scene *scene = *state;
    enum err err = file_remove_folder(scene->folder);
    mem_free(scene);
    return err == ERR_OK ? 0 : -1;
}

static char *read_or_empty(const char *path)
{
    char *bytes = NULL;
    size_t size_bytes = 0;
    if (!file_exists(path) || file_read(path, 1 << 28, &bytes, &size_bytes) != ERR_OK)
        return mem_string("");
    return bytes;
}

struct program scene_start(struct scene *scene, const struct gang_cfg *cfg)
{
    char ranks[16], folder[400];
    const char *words[48] = {"mpirun", "-q", "--oversubscribe", "--bind-to", "none", "-n", ranks};
    const char *const behind[] = {WORKER, "--campaign", scene->campaign, "--run",
                                  folder, "--stage",    cfg->stages};
    int count = 7;
    if (cfg->wrapper)
        words[count++] = cfg->wrapper;
    for (int i = 0; i < 7; i++)
        words[count++] = behind[i];
    snprintf(ranks, sizeof ranks, "%d", cfg->ranks);
    snprintf(folder, sizeof folder, "%s/%s", scene->folder, cfg->run);
    for (int i = 0; i < SCENE_MAX_SETS && cfg->sets[i]; i++) {
        words[count++] = "--set";
        words[count++] = cfg->sets[i];
    }
    char *before = read_or_empty(scene->log);
    scene->log_from = strlen(before);
    mem_free(before);
    return program_start(words, scene->output, scene->log);
}

int scene_run(struct scene *scene, const struct gang_cfg *cfg)
{
    struct program program = scene_start(scene, cfg);
    return program_wait(&program, SCENE_WAIT_S);
}

char *scene_read(const struct scene *scene, const char *run, const char *name)
{
    char path[600];
    snprintf(path, sizeof path, "%s/%s/%s", scene->folder, run, name);
    return read_or_empty(path);
}

char *scene_log(const struct scene *scene)
{
    char *whole = read_or_empty(scene->log);
    char *newest = mem_string(whole + scene->log_from);
    mem_free(whole);
    return newest;
}

char *scene_log_end(const struct scene *scene)
{
    char *log = scene_log(scene);
    size_t size = strlen(log);
    char *end = mem_string(size > LOG_END ? log + size - LOG_END : log);
    mem_free(log);
    return end;
}

bool scene_peek(const struct scene *scene, const char *run, const char *name,
                struct position *position, struct hash *content)
{
    char path[600];
    struct checkpoint_store *store = NULL;
    struct checkpoint checkpoint = {0};
    snprintf(path, sizeof path, "%s/%s/checkpoints", scene->folder, run);
    struct checkpoint_store_cfg cfg = {.path = path, .keep = 1};
    bool is_there = checkpoint_store_open(&cfg, &store) == ERR_OK &&
                    checkpoint_peek(store, name, &checkpoint) == ERR_OK;
    if (is_there) {
        *position = checkpoint.position;
        *content = checkpoint.content;
    }
    checkpoint_fini(&checkpoint);
    checkpoint_store_close(&store);
    return is_there;
}

void scene_content(const struct scene *scene, const char *run, const char *name,
                   char hex[HASH_HEX_BYTES])
{
    struct position position;
    struct hash content;
    if (!scene_peek(scene, run, name, &position, &content)) {
        char *log = scene_log_end(scene);
        fail_msg("run %s has no checkpoint %s; its log:\n%s", run, name, log);
    }
    hash_hex(&content, hex);
}

int scene_events(const char *metrics, const char *event, uint64_t **steps)
{
    char head[128];
    int count = 0, room = 0;
    snprintf(head, sizeof head, "{\"event\":\"%s\",\"step\":", event);
    *steps = NULL;
    for (const char *line = metrics; (line = strstr(line, head)); line++) {
        if (count == room) {
            *steps = mem_grow(*steps, (size_t)room * sizeof **steps,
                              (size_t)(room + 256) * sizeof **steps);
            room += 256;
        }
        (*steps)[count++] = strtoull(line + strlen(head), NULL, 10);
    }
    return count;
}
