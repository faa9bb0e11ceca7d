#include "trainer/emulator/divergence.h"
#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

struct shared { /* of the threads */
    const struct divergence_cfg *cfg;
    struct emulator *emulators[ARITHMETICS];
    struct divergence *result; /* under the lock */
    pthread_mutex_t lock;
    atomic_int next;
    enum err err;
    char *err_text;
    int done;
};

struct lane { /* one thread's maps */
    struct emulation emulations[ARITHMETICS];
    double *errors; /* (layers) */
    float *image;
};

static int find_best(const float *values, int count, double *margin)
{
    int best = 0;
    double second = -INFINITY;
    for (int k = 1; k < count; k++)
        best = values[k] > values[best] ? k : best;
    for (int k = 0; k < count; k++)
        second = k != best && values[k] > second ? values[k] : second;
    *margin = values[best] - second;
    return best;
}

static void add_counts(struct emulated_layer *to, const struct emulated_layer *from)
{
    to->values += from->values;
    to->overflows += from->overflows;
    to->subnormals += from->subnormals;
    to->saturated += from->saturated;
    to->largest = fmaxf(to->largest, from->largest);
}

/* Ties go to the earlier image, so that threads decide nothing. */
static void add_error(struct compared_layer *to, double error, int image)
{
    if (error < to->worst_error || (error == to->worst_error && image > to->worst_image))
        return;
    to->worst_error = error;
    to->worst_image = image;
}

/* Of a layer's values those that count. */
static int count_values(const struct divergence_cfg *cfg, int layer)
{
    bool is_answer = layer == cfg->net->logits || layer == cfg->net->count - 1;
    return is_answer && cfg->classes ? cfg->classes
                                     : (int)exported_values(&cfg->net->layers[layer].out);
}

/* One that is no number is as far off as any can be. */
static double confidence_difference(double expected, double found)
{
    double off = fabs(expected - found);
    return isfinite(off) ? off : 1;
}

static void add_answers(const struct divergence_cfg *cfg, const struct lane *lane,
                        enum arithmetic arithmetic, int label, struct divergence *to)
{
    const struct exported *net = to->net;
    struct compared *compared = &to->of[arithmetic];
    int classes = count_values(cfg, net->count - 1);
    const float *expected = lane->emulations[ARITHMETIC_FP32].maps[net->count - 1];
    const float *found = lane->emulations[arithmetic].maps[net->count - 1];
    int outputs = (int)exported_values(&net->layers[net->count - 1].out);
    double margin, ignored;
    int right = find_best(expected, outputs, &margin), best = find_best(found, outputs, &ignored);
    bool agrees = best == right && best < classes;
    compared->agree += agrees;
    compared->agree_clear += agrees && margin > DIVERGENCE_MARGIN;
    compared->correct += best < classes && best == label;
    compared->strays += best >= classes;
    compared->largest_confidence_difference =
        fmax(compared->largest_confidence_difference,
             confidence_difference((double)expected[right], (double)found[right]));
    compared->figures =
        error_figures_worst(compared->figures, error_figures(expected, found, classes));
    to->clear += arithmetic == ARITHMETIC_FP32 && margin > DIVERGENCE_MARGIN;
}

static double layer_error(const struct divergence_cfg *cfg, const struct lane *lane,
                          enum arithmetic arithmetic, int layer)
{
    struct error_figures figures =
        error_figures(lane->emulations[ARITHMETIC_FP32].maps[layer],
                      lane->emulations[arithmetic].maps[layer], count_values(cfg, layer));
    return figures.largest / 100;
}

static void add_image(struct lane *lane, int image, int label, struct shared *shared)
{
    struct divergence *to = shared->result;
    for (enum arithmetic a = 0; a < ARITHMETICS; a++) {
        const struct emulation *emulation = &lane->emulations[a];
        for (int l = 0; l < to->net->count; l++)
            lane->errors[l] = layer_error(shared->cfg, lane, a, l);
        pthread_mutex_lock(&shared->lock);
        add_counts(&to->of[a].of_input, &emulation->of_input);
        for (int l = 0; l < to->net->count; l++) {
            add_counts(&to->of[a].layers[l].counts, &emulation->layers[l]);
            add_error(&to->of[a].layers[l], lane->errors[l], image);
        }
        add_answers(shared->cfg, lane, a, label, to);
        pthread_mutex_unlock(&shared->lock);
    }
    pthread_mutex_lock(&shared->lock);
    to->labelled += label >= 0;
    shared->done++;
    if (shared->cfg->progress)
        shared->cfg->progress(shared->done, shared->cfg->own);
    pthread_mutex_unlock(&shared->lock);
}

static enum err open_lane(const struct exported *net, struct lane *lane)
{
    enum err err = ERR_OK;
    lane->errors = mem_array((size_t)net->count, sizeof *lane->errors);
    lane->image = mem_array(exported_values(&net->input), sizeof *lane->image);
    for (int a = 0; a < ARITHMETICS; a++)
        TRY(emulation_init(net, &lane->emulations[a]));
out:
    return err;
}

static void close_lane(struct lane *lane)
{
    for (int a = 0; a < ARITHMETICS; a++)
        emulation_fini(&lane->emulations[a]);
    mem_free(lane->errors);
    mem_free(lane->image);
}

static enum err run_images(struct shared *shared, struct lane *lane)
{
    enum err err = ERR_OK;
    const struct divergence_cfg *cfg = shared->cfg;
    for (int i; (i = atomic_fetch_add(&shared->next, 1)) < cfg->images;) {
        int label = -1;
        TRY(cfg->image(i, lane->image, &label, cfg->own));
        for (int a = 0; a < ARITHMETICS; a++)
            emulator_run(shared->emulators[a], lane->image, &lane->emulations[a]);
        add_image(lane, i, label, shared);
    }
out:
    return err;
}

/* The first error ends all threads; its text is this thread's, so it is kept. */
static void run_lane(struct shared *shared, struct lane *lane)
{
    enum err err = run_images(shared, lane);
    if (err == ERR_OK)
        return;
    atomic_store(&shared->next, shared->cfg->images);
    pthread_mutex_lock(&shared->lock);
    if (shared->err == ERR_OK) {
        shared->err = err;
        shared->err_text = mem_string(err_text());
    }
    pthread_mutex_unlock(&shared->lock);
}

/* One without memory for its maps leaves the images to the others. */
static void *run_thread(void *own)
{
    struct shared *shared = own;
    struct lane lane = {0};
    if (open_lane(shared->cfg->net, &lane) == ERR_OK)
        run_lane(shared, &lane);
    close_lane(&lane);
    return NULL;
}

/* One of them is this one, whatever could be started; its maps come first. */
static enum err run_threads(struct shared *shared)
{
    enum err err = ERR_OK;
    struct lane lane = {0};
    const struct divergence_cfg *cfg = shared->cfg;
    int count = cfg->threads < cfg->images ? cfg->threads : cfg->images, started = 0;
    pthread_t *threads = mem_array((size_t)count + 1, sizeof *threads);
    TRY(open_lane(cfg->net, &lane));
    while (started < count - 1 && pthread_create(&threads[started], NULL, run_thread, shared) == 0)
        started++;
    run_lane(shared, &lane);
    for (int t = 0; t < started; t++)
        pthread_join(threads[t], NULL);
    if (shared->err != ERR_OK)
        err = err_set(shared->err, "%s", shared->err_text);
out:
    close_lane(&lane);
    mem_free(threads);
    mem_free(shared->err_text);
    return err;
}

enum err divergence_run(const struct divergence_cfg *cfg, struct divergence *divergence)
{
    struct shared shared = {.cfg = cfg, .result = divergence};
    *divergence = (struct divergence){.net = cfg->net, .images = cfg->images};
    pthread_mutex_init(&shared.lock, NULL);
    for (enum arithmetic a = 0; a < ARITHMETICS; a++) {
        shared.emulators[a] = emulator_create(cfg->net, a);
        divergence->of[a].layers =
            mem_array((size_t)cfg->net->count, sizeof *divergence->of[a].layers);
        for (int l = 0; l < cfg->net->count; l++) {
            divergence->of[a].layers[l].weights = emulator_weights(shared.emulators[a], l);
            divergence->of[a].layers[l].worst_image = cfg->images;
        }
    }
    enum err err = run_threads(&shared);
    divergence->correct = divergence->of[ARITHMETIC_FP32].correct;
    for (int a = 0; a < ARITHMETICS; a++)
        emulator_destroy(&shared.emulators[a]);
    pthread_mutex_destroy(&shared.lock);
    return err;
}

void divergence_fini(struct divergence *divergence)
{
    for (int a = 0; a < ARITHMETICS; a++)
        mem_free(divergence->of[a].layers);
    memset(divergence, 0, sizeof *divergence);
}

int divergence_culprit(const struct divergence *divergence, enum arithmetic arithmetic)
{
    const struct compared_layer *layers = divergence->of[arithmetic].layers;
    double most = -1;
    int culprit = 0;
    for (int l = 0; l < divergence->net->count - 1; l++) {
        const struct exported_layer *layer = &divergence->net->layers[l];
        double given = layer->input < 0 ? 0 : layers[layer->input].worst_error;
        if (layer->other >= 0)
            given = fmax(given, layers[layer->other].worst_error);
        if (layers[l].worst_error - given > most) {
            most = layers[l].worst_error - given;
            culprit = l;
        }
    }
    return culprit;
}

int divergence_overflow(const struct divergence *divergence, enum arithmetic arithmetic)
{
    const struct compared_layer *layers = divergence->of[arithmetic].layers;
    for (int l = 0; l < divergence->net->count; l++)
        if (layers[l].counts.overflows + layers[l].weights.overflows > 0)
            return l;
    return -1;
}
