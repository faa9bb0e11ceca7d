/* A list of scores that several gangs measure, at rank 0's border: what is believed of what others
 * say, what is measured here then, and that the numbers are the same whoever measured them. */
#include "base/mem.h"
#include "tests/data/running.h"
#include "tests/gang/gang.h"
#include "tests/supernet/rig.h"
#include "tests/support/test_device.h"
#include "trainer/checkpoint/measurement_record.h"
#include "trainer/evaluate/evaluate.h"
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

enum {
    PICTURES = 30,
    HOLDOUT = 9,
    MICRO = 4,
    CALIBRATION = 10,
    MOST = 28,
    COUNT = 4,
    MOST_SCORES = 8
};

static const char *const genes[COUNT] = {"r=28 k=7 e=4 d=3", "r=20 k=3 e=2 d=1", "r=28 k=5 e=3 d=2",
                                         "r=20 k=7 e=3 d=3"};
static const struct hash checkpoint = {{1, 2, 3}};

struct trial {
    struct scene *scene;
    struct dataset *dataset;
    uint32_t *train, *holdout, train_count, holdout_count;
    struct rig rig;
    float *weights; /* host */
};

static int open_trial(void **state)
{
    char name[64];
    void *scene = NULL;
    struct trial *trial = mem_alloc(sizeof *trial);
    if (scene_make(&scene) != 0)
        return -1;
    trial->scene = scene;
    for (int i = 0; i < PICTURES; i++) {
        snprintf(name, sizeof name, "%d/%02d.png", i % 3, i);
        write_picture(trial->scene->source, name, 20 + i % 9, 30 - i % 7, 3, (uint64_t)i);
    }
    trial->dataset = must_import(&trial->scene->cfg);
    must(dataset_split(trial->dataset, SPLIT_TRAIN, HOLDOUT, &trial->train, &trial->train_count));
    must(dataset_split(trial->dataset, SPLIT_HOLDOUT, HOLDOUT, &trial->holdout,
                       &trial->holdout_count));
    struct space space = rig_space("configs/spaces/firefly-tiny.yaml", 3);
    rig_open(&trial->rig, &space, MICRO, MOST, 2);
    const struct supernet *net = trial->rig.net;
    trial->weights = mem_array(net->weight_count, sizeof(float));
    must(net->device->ops->download(net->device, trial->weights, net->weights,
                                    net->weight_count * sizeof(float)));
    *state = trial;
    return 0;
}

static int close_trial(void **state)
{
    struct trial *trial = *state;
    void *scene = trial->scene;
    rig_close(&trial->rig);
    dataset_close(&trial->dataset);
    mem_free(trial->weights);
    mem_free(trial->train);
    mem_free(trial->holdout);
    mem_free(trial);
    return scene_remove(&scene);
}

struct known { /* a score that was wanted or kept */
    struct exchange_score score;
    char subnet[64];
    struct text record; /* empty: nobody knows it */
    bool is_dealt, is_told;
};

/* What a scheduler does between gangs, with shares of one score. Any thread. */
struct hub {
    pthread_mutex_t lock;
    struct known known[MOST_SCORES];
    int count;
    enum exchange_aim aim;
    atomic_bool is_over; /* helpers go */
};

struct end { /* a gang's end of it */
    struct exchange exchange;
    struct hub *hub;
    bool is_asking, is_ready;
    bool (*deals)(const char *subnet);  /* whether it is given this to measure; NULL: all */
    void (*spoil)(struct text *record); /* how what is known comes; NULL: as it is */
    struct text spoilt;
    int kept, readies;
};

/* Under the lock. */
static struct known *find(struct hub *hub, const struct hash *key)
{
    for (int i = 0; i < hub->count; i++)
        if (hash_equal(&hub->known[i].score.key, key))
            return &hub->known[i];
    return NULL;
}

static void want(struct exchange *exchange, enum exchange_aim aim,
                 const struct exchange_score *scores, int count)
{
    struct end *end = exchange->own;
    struct hub *hub = end->hub;
    end->is_asking = count > 0;
    pthread_mutex_lock(&hub->lock);
    for (int i = 0; i < count; i++) {
        struct known *known = find(hub, &scores[i].key);
        if (!known)
            known = &hub->known[hub->count++];
        known->score = scores[i];
        snprintf(known->subnet, sizeof known->subnet, "%s", scores[i].subnet);
        known->score.subnet = known->subnet;
        known->is_told = known->is_dealt = false;
    }
    if (count > 0) /* a helper wants nothing, whatever the asking gang is at */
        hub->aim = aim;
    pthread_mutex_unlock(&hub->lock);
}

static void be_ready(struct exchange *exchange)
{
    struct end *end = exchange->own;
    end->is_ready = true;
    end->readies++;
}

/* Under the lock. */
static bool tell_known(struct end *end, struct exchange_event *event)
{
    struct hub *hub = end->hub;
    for (int i = 0; i < hub->count && end->is_asking; i++) {
        struct known *known = &hub->known[i];
        if (known->is_told || (known->record.size == 0 && hub->aim == EXCHANGE_WANT))
            continue;
        known->is_told = true;
        text_fini(&end->spoilt);
        text_add_bytes(&end->spoilt, known->record.bytes, known->record.size);
        if (end->spoil && known->record.size > 0)
            end->spoil(&end->spoilt);
        event->kind = EXCHANGE_RECORD;
        event->record = (struct exchange_record){
            .key = known->score.key, .bytes = end->spoilt.bytes, .size_bytes = end->spoilt.size};
        return true;
    }
    return false;
}

/* Under the lock. */
static bool deal(struct end *end, struct exchange_event *event)
{
    struct hub *hub = end->hub;
    for (int i = 0; i < hub->count && end->is_ready && hub->aim == EXCHANGE_WANT; i++) {
        struct known *known = &hub->known[i];
        if (known->is_dealt || known->record.size > 0 || (end->deals && !end->deals(known->subnet)))
            continue;
        known->is_dealt = true;
        end->is_ready = false;
        *event =
            (struct exchange_event){.kind = EXCHANGE_SHARE, .scores = &known->score, .count = 1};
        return true;
    }
    return false;
}

static enum err next(struct exchange *exchange, struct exchange_event *event)
{
    struct end *end = exchange->own;
    *event = (struct exchange_event){0};
    pthread_mutex_lock(&end->hub->lock);
    bool is_there = tell_known(end, event) || deal(end, event);
    pthread_mutex_unlock(&end->hub->lock);
    if (!is_there)
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    return is_there ? ERR_OK : ERR_AGAIN;
}

static void keep(struct exchange *exchange, const struct exchange_record *record)
{
    struct end *end = exchange->own;
    pthread_mutex_lock(&end->hub->lock);
    struct known *known = find(end->hub, &record->key);
    if (!known)
        BUG("a record of what nobody asked for");
    text_fini(&known->record);
    text_add_bytes(&known->record, record->bytes, record->size_bytes);
    end->kept++;
    pthread_mutex_unlock(&end->hub->lock);
}

static void open_end(struct hub *hub, struct end *end)
{
    *end = (struct end){.hub = hub};
    end->exchange =
        (struct exchange){.own = end, .want = want, .ready = be_ready, .next = next, .keep = keep};
}

static void open_hub(struct hub *hub, struct end *end)
{
    *hub = (struct hub){.aim = EXCHANGE_ASK};
    pthread_mutex_init(&hub->lock, NULL);
    open_end(hub, end);
}

static void close_hub(struct hub *hub)
{
    for (int i = 0; i < hub->count; i++)
        text_fini(&hub->known[i].record);
    pthread_mutex_destroy(&hub->lock);
}

struct gang { /* what its ranks share */
    const struct trial *trial;
    struct end *end;
    const char *lineage;
    int ranks;
    enum eval_detail detail;
    bool helps;
    atomic_bool stops;
    enum err err;
    char text[300];
    struct evaluate_item items[COUNT];
    struct evaluate_counts counts;
};

static bool wants_stop(void *own)
{
    const struct gang *gang = own;
    return atomic_load(&gang->stops) || (gang->helps && atomic_load(&gang->end->hub->is_over));
}

/* Rank 0's are the gang's from here on. */
static void take_result(struct gang *gang, struct comm *comm, enum err err,
                        struct evaluate_item *items)
{
    if (comm->rank != 0) {
        for (int i = 0; i < COUNT; i++)
            eval_metrics_fini(&items[i].metrics);
        return;
    }
    gang->err = err;
    snprintf(gang->text, sizeof gang->text, "%s", err == ERR_OK ? "" : err_text());
    memcpy(gang->items, items, sizeof gang->items);
}

static enum err measure(struct gang *gang, struct comm *comm, struct supernet *net,
                        struct device_comm *device_comm)
{
    enum err err = ERR_OK;
    const struct trial *trial = gang->trial;
    struct evaluate *evaluate = NULL;
    struct evaluate_item items[COUNT] = {0};
    const struct evaluate_batch batch = {.items = items, .count = COUNT};
    struct evaluate_cfg cfg = {.calibrate = {.comm = comm,
                                             .device_comm = device_comm,
                                             .net = net,
                                             .dataset = trial->dataset,
                                             .train = trial->train,
                                             .train_count = trial->train_count,
                                             .set = {CALIBRATION, MICRO, 3},
                                             .seed = 9,
                                             .augment = &running_augment,
                                             .loader_threads = 1},
                               .holdout = trial->holdout,
                               .holdout_count = trial->holdout_count,
                               .micro = MICRO,
                               .precision = "fp32",
                               .lineage = gang->lineage ? gang->lineage : "",
                               .exchange =
                                   gang->end && comm->rank == 0 ? &gang->end->exchange : NULL,
                               .is_shared = true,
                               .own = gang,
                               .wants_stop = wants_stop};
    for (int i = 0; i < COUNT; i++) {
        TRY(subnet_parse(net->space, genes[i], &items[i].subnet));
        items[i].split = SPLIT_HOLDOUT;
        items[i].detail = gang->detail;
    }
    TRY(evaluate_create(&cfg, &evaluate));
    evaluate_set_checkpoint(evaluate, &checkpoint);
    err = gang->helps ? evaluate_help(evaluate) : evaluate_measure(evaluate, &batch);
    if (comm->rank == 0)
        gang->counts = evaluate_counts(evaluate);
    take_result(gang, comm, err, items);
    err = ERR_OK;
out:
    evaluate_destroy(&evaluate);
    return err;
}

/* A rank with a device and a network of its own. No assertions: it is a thread. */
static void work(struct comm *comm, void *own)
{
    enum err err = ERR_OK;
    struct gang *gang = own;
    struct device *device = NULL;
    struct supernet *net = NULL;
    struct device_comm *device_comm = NULL;
    struct device_cfg cfg = {.name = test_device(), .threads = 1, .precision = test_precision()};
    const struct trial *trial = gang->trial;
    TRY(device_open(&cfg, &device));
    TRY(supernet_create(&trial->rig.space, device, &net));
    device->ops->upload(device, net->weights, trial->weights, net->weight_count * sizeof(float));
    supernet_cast(net, 0, net->weight_count);
    device_comm = comm_staged(comm, device);
    TRY(measure(gang, comm, net, device_comm));
out:
    if (err != ERR_OK)
        BUG("rank %d: %s", comm->rank, err_text());
    device_comm_close(&device_comm);
    supernet_destroy(&net);
    device_close(&device);
}

static void run(const struct trial *trial, struct end *end, struct gang *gang)
{
    gang->trial = trial;
    gang->end = end;
    gang_run(gang->ranks, work, gang);
}

static void check_same(const struct gang *got, const struct gang *wanted)
{
    if (got->err != ERR_OK)
        fail_msg("%s: %s", err_name(got->err), got->text);
    for (int i = 0; i < COUNT; i++)
        assert_memory_equal(&got->items[i].metrics, &wanted->items[i].metrics,
                            sizeof wanted->items[i].metrics);
}

static void check_counts(const struct gang *gang, int measured, int reused)
{
    assert_int_equal(gang->counts.measured, measured);
    assert_int_equal(gang->counts.reused, reused);
}

static void measure_alone(const struct trial *trial, struct gang *gang)
{
    *gang = (struct gang){.ranks = 1};
    run(trial, NULL, gang);
    check_same(gang, gang);
    for (int i = 1; i < COUNT; i++) /* they do depend on the sub-network */
        assert_true(gang->items[i].metrics.loss != gang->items[0].metrics.loss);
}

static void any_number_of_ranks_takes_shares_and_finds_the_same_bits(void **state)
{
    struct gang wanted;
    measure_alone(*state, &wanted);
    for (int ranks = 1; ranks <= 3; ranks++) {
        struct hub hub;
        struct end end;
        struct gang gang = {.ranks = ranks}, again = {.ranks = ranks};
        open_hub(&hub, &end);
        run(*state, &end, &gang);
        check_same(&gang, &wanted);
        check_counts(&gang, COUNT, 0);
        assert_int_equal(end.kept, COUNT);
        assert_int_equal(end.readies, COUNT + 1);
        run(*state, &end, &again);
        check_same(&again, &wanted);
        check_counts(&again, 0, COUNT);
        assert_int_equal(end.kept, COUNT);
        close_hub(&hub);
        text_fini(&end.spoilt);
    }
}

static bool is_small(const char *subnet)
{
    return strncmp(subnet, "r=20 ", 5) == 0;
}

static bool is_large(const char *subnet)
{
    return !is_small(subnet);
}

static void *help(void *own)
{
    struct gang *gang = own;
    run(gang->trial, gang->end, gang);
    return NULL;
}

/* Two gangs at once, of one rank and of two; each is given what the other is not. */
static void a_helper_measures_what_the_asking_gang_waits_for(void **state)
{
    struct gang wanted;
    measure_alone(*state, &wanted);
    for (int ranks = 1; ranks <= 2; ranks++) {
        pthread_t thread;
        struct hub hub;
        struct end end, other;
        struct gang gang = {.ranks = ranks};
        open_hub(&hub, &end);
        open_end(&hub, &other);
        end.deals = is_small;
        other.deals = is_large;
        struct gang helper = {.trial = *state, .end = &other, .ranks = 3 - ranks, .helps = true};
        assert_int_equal(pthread_create(&thread, NULL, help, &helper), 0);
        run(*state, &end, &gang);
        atomic_store(&hub.is_over, true);
        pthread_join(thread, NULL);
        check_same(&gang, &wanted);
        check_counts(&gang, COUNT, 0);
        assert_int_equal(end.kept, 2);
        assert_int_equal(other.kept, 2);
        assert_int_equal(helper.err, ERR_INTERRUPTED);
        close_hub(&hub);
        text_fini(&end.spoilt);
    }
}

static void flip_a_bit(struct text *record)
{
    record->bytes[record->size - 3] ^= 4;
}

static void cut(struct text *record)
{
    record->size = 20;
}

/* A whole record, but of another score. */
static void exchange_it(struct text *record)
{
    struct measurement_record foreign;
    struct measurement measurement = {.key = "another", .score = "score", .score_bytes = 5};
    measurement_record_pack(&measurement, &foreign);
    text_fini(record);
    *record = foreign.packed;
}

static void what_is_damaged_or_foreign_is_measured_here_and_kept_again(void **state)
{
    static void (*const spoils[])(struct text *) = {flip_a_bit, cut, exchange_it};
    struct gang wanted;
    measure_alone(*state, &wanted);
    for (size_t i = 0; i < sizeof spoils / sizeof *spoils; i++) {
        struct hub hub;
        struct end end;
        struct gang gang = {.ranks = 1}, again = {.ranks = 2};
        open_hub(&hub, &end);
        run(*state, &end, &gang);
        end.spoil = spoils[i];
        run(*state, &end, &again);
        check_same(&again, &wanted);
        check_counts(&again, COUNT, 0);
        assert_int_equal(end.kept, 2 * COUNT);
        close_hub(&hub);
        text_fini(&end.spoilt);
    }
}

/* The hub hands out what it has, whatever detail was wanted. */
static void a_score_in_less_detail_than_wanted_is_measured_again(void **state)
{
    struct hub hub;
    struct end end;
    struct gang plain = {.ranks = 1}, detailed = {.ranks = 2, .detail = EVAL_DETAILED};
    struct gang again = {.ranks = 1}, wanted;
    measure_alone(*state, &wanted);
    open_hub(&hub, &end);
    run(*state, &end, &plain);
    run(*state, &end, &detailed);
    assert_int_equal(detailed.err, ERR_OK);
    check_counts(&detailed, COUNT, 0);
    for (int i = 0; i < COUNT; i++) {
        assert_true(detailed.items[i].metrics.classes > 0);
        assert_true(detailed.items[i].metrics.loss == wanted.items[i].metrics.loss);
        eval_metrics_fini(&detailed.items[i].metrics);
    }
    run(*state, &end, &again);
    check_same(&again, &wanted);
    check_counts(&again, 0, COUNT);
    close_hub(&hub);
    text_fini(&end.spoilt);
}

/* What a gang of another lineage wants is not what this one would measure. */
static void a_share_of_another_lineage_ends_a_helper_with_the_reason(void **state)
{
    pthread_t thread;
    struct hub hub;
    struct end end, other;
    open_hub(&hub, &end);
    open_end(&hub, &other);
    end.deals = is_small;
    other.deals = is_large;
    struct gang waiting = {.trial = *state, .end = &end, .lineage = "this processor", .ranks = 1};
    struct gang helper = {
        .trial = *state, .end = &other, .lineage = "another processor", .ranks = 2, .helps = true};
    assert_int_equal(pthread_create(&thread, NULL, help, &waiting), 0);
    run(*state, &other, &helper);
    atomic_store(&waiting.stops, true); /* nobody measures for it any more */
    pthread_join(thread, NULL);
    assert_int_equal(helper.err, ERR_CONFIG);
    assert_non_null(strstr(helper.text, "r=28 "));
    assert_non_null(strstr(helper.text, "another processor"));
    assert_int_equal(other.kept, 0);
    assert_int_equal(waiting.err, ERR_INTERRUPTED);
    close_hub(&hub);
    text_fini(&end.spoilt);
}

#define TEST(name) cmocka_unit_test(name)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(any_number_of_ranks_takes_shares_and_finds_the_same_bits),
        TEST(a_helper_measures_what_the_asking_gang_waits_for),
        TEST(what_is_damaged_or_foreign_is_measured_here_and_kept_again),
        TEST(a_score_in_less_detail_than_wanted_is_measured_again),
        TEST(a_share_of_another_lineage_ends_a_helper_with_the_reason),
    };
    return cmocka_run_group_tests(tests, open_trial, close_trial);
}
