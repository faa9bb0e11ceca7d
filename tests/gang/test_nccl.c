/* Exchanges by NCCL, on cards that the host emulates, with a stand-in for its library
 * (tests/support/nccl). GLOWWORM_NCCL, the device and its cards: CMakeLists.txt. With real cards
 * and NVIDIA's library (tests/gpu/run.sh) what asks the stand-in for faults is left out. */
#include "base/mem.h"
#include "base/rng.h"
#include "kernels/cuda/nccl_gang.h"
#include "kernels/cuda/nccl_library.h"
#include "kernels/device_module.h"
#include "tests/gang/processes.h"
#include "tests/support/test_device.h"
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define PATIENCE_S 30.0 /* of gangs that nothing befalls */
#if defined __SANITIZE_ADDRESS__ || defined __SANITIZE_THREAD__
#define SHORT_S 5.0
#else
#define SHORT_S 1.0
#endif
#define DEADLINE_S (has_stand_in() ? SHORT_S : 30.0) /* NVIDIA's takes seconds to connect */
#define LEAVING_S  (DEADLINE_S / 4) /* an abort, and to hear of it, may take as long again each */
#define ABOUT_S    (has_stand_in() ? 10.0 : 60.0) /* to open a card and a communicator */

struct place { /* of one rank */
    struct device *device;
    struct device_comm *comm;
};

static enum err open_place(struct comm *comm, struct place *place)
{
    enum err err = ERR_OK;
    struct device_cfg cfg = {.name = test_device(), .threads = 1, .precision = test_precision()};
    *place = (struct place){0};
    TRY(device_open(&cfg, &place->device));
    TRY(comm_on_device(comm, place->device, &place->comm));
out:
    return err;
}

static void close_place(struct place *place)
{
    device_comm_close(&place->comm);
    device_close(&place->device);
}

static bool has_stand_in(void)
{
    return strcmp(test_device(), "cuda-emulated") == 0;
}

static void run_until(double deadline_s, int size, enum err (*work)(struct comm *, void *),
                      void *own, struct ending *endings)
{
    struct processes gang = {.size = size,
                             .deadline_s = deadline_s,
                             .limit_s = ABOUT_S + 2 * deadline_s + 10,
                             .work = work,
                             .own = own};
    processes_run(&gang, endings);
}

static void run(int size, enum err (*work)(struct comm *, void *), void *own,
                struct ending *endings)
{
    run_until(PATIENCE_S, size, work, own, endings);
}

static void check_fine(const struct ending *endings, int size)
{
    for (int rank = 0; rank < size; rank++)
        if (endings[rank].code != 0 || endings[rank].signal != 0)
            fail_msg("rank %d of %d ends with %d, signal %d: %s", rank, size, endings[rank].code,
                     endings[rank].signal, endings[rank].said);
}

static void check_said(const struct ending *ending, const char *words)
{
    if (!strstr(ending->said, words))
        fail_msg("\"%s\" was not said, but: %s", words, ending->said);
}

static enum err count_cards(struct comm *comm, void *own)
{
    (void)comm;
    struct device_cards *cards = own;
    return device_module_cards(test_device(), cards);
}

/* In a process of its own: whoever has asked a driver must not fork. */
static int most_ranks(void)
{
    struct ending ending;
    struct device_cards *cards = processes_share(sizeof *cards);
    run(1, count_cards, cards, &ending);
    int count = cards->count < PROCESSES_MOST ? cards->count : PROCESSES_MOST;
    processes_unshare(cards, sizeof *cards);
    if (count < 2)
        fail_msg("exchanges want two cards, there are %d", count);
    return count;
}

/* ---- sums */

enum { COUNT = 2501, MOST_LEAVES = 7 }; /* no multiple of a gang's size; shards of several boxes */

struct sums {
    int leaves;
    float totals[PROCESSES_MOST][COUNT];
};

static float value(int leaf, int item)
{
    double unit = rng_unit(rng(5, RNG_TEST, (uint64_t)leaf, (uint64_t)item, 0));
    return (float)((unit - 0.5) * (double)(1 << (leaf * 5 % 17)));
}

static enum err add_up_on(struct comm *comm, struct place *place, struct sums *sums)
{
    enum err err = ERR_OK;
    struct tree_sum *sum = NULL;
    void *total = NULL;
    float *leaf = mem_array(COUNT, sizeof *leaf);
    struct tree_sum_cfg cfg = {
        .comm = comm, .on_device = place->comm, .leaves = sums->leaves, .count = COUNT};
    TRY(tree_sum_create(&cfg, &sum));
    for (int i = comm_first(sums->leaves, comm->size, comm->rank);
         i < comm_first(sums->leaves, comm->size, comm->rank + 1); i++) {
        for (int item = 0; item < COUNT; item++)
            leaf[item] = value(i, item);
        place->device->ops->upload(place->device, tree_sum_leaf(sum), leaf, COUNT * sizeof *leaf);
        tree_sum_close_leaf(sum);
    }
    TRY(tree_sum_total(sum, &total));
    TRY(place->device->ops->download(place->device, sums->totals[comm->rank], total,
                                     sizeof sums->totals[0]));
out:
    tree_sum_destroy(&sum);
    mem_free(leaf);
    return err;
}

static enum err add_up(struct comm *comm, void *own)
{
    enum err err = ERR_OK;
    struct place place;
    TRY(open_place(comm, &place));
    TRY(add_up_on(comm, &place, own));
out:
    close_place(&place);
    return err;
}

static float sum_of(int lo, int hi, int item)
{
    if (hi - lo == 1)
        return value(lo, item);
    return sum_of(lo, (lo + hi) / 2, item) + sum_of((lo + hi) / 2, hi, item);
}

static void check_sums(int leaves, int size)
{
    struct ending endings[PROCESSES_MOST];
    struct sums *sums = processes_share(sizeof *sums);
    sums->leaves = leaves;
    run(size, add_up, sums, endings);
    check_fine(endings, size);
    if (size > 1)
        check_said(&endings[0], "ranks exchange by NCCL");
    for (int rank = 0; rank < size; rank++)
        for (int item = 0; item < COUNT; item++) {
            float got = sums->totals[rank][item], wanted = sum_of(0, leaves, item);
            if (memcmp(&got, &wanted, sizeof got) != 0)
                fail_msg("M=%d ranks=%d rank=%d item=%d: got %.9g, the tree is %.9g", leaves, size,
                         rank, item, (double)got, (double)wanted);
        }
    processes_unshare(sums, sizeof *sums);
}

static void every_number_of_ranks_gets_the_bits_of_the_tree(void **state)
{
    (void)state;
    int most = most_ranks();
    for (int size = 1; size <= most; size++)
        check_sums(MOST_LEAVES, size);
    check_sums(most - 1, most); /* one of them has no leaf */
    check_sums(3, 2);
}

/* ---- exchanges */

/* Nothing from some, several boxes from others, numbers of bytes that are no multiple of anything.
 */
static size_t count_of(int from, int to)
{
    return (size_t)((from * 3 + to * 2) % 4) * 2467;
}

static unsigned char byte_of(int from, int to, size_t i)
{
    return (unsigned char)((size_t)(from * 31 + to * 7) + i * 13 + (i >> 8));
}

enum { ROOM = PROCESSES_MOST * 4 * 2467, GUARD = 0x5a };

struct lists { /* in bytes, of one rank */
    size_t send_counts[PROCESSES_MOST], send_offsets[PROCESSES_MOST];
    size_t receive_counts[PROCESSES_MOST], receive_offsets[PROCESSES_MOST];
};

/* Received pieces lie a few bytes apart. */
static void lay_out(const struct comm *comm, struct lists *lists)
{
    size_t sent = 0, received = 5;
    for (int rank = 0; rank < comm->size; rank++) {
        lists->send_counts[rank] = count_of(comm->rank, rank);
        lists->send_offsets[rank] = sent;
        sent += lists->send_counts[rank];
        lists->receive_counts[rank] = count_of(rank, comm->rank);
        lists->receive_offsets[rank] = received;
        received += lists->receive_counts[rank] + 3;
    }
}

static enum err check_received(const struct comm *comm, const struct lists *lists,
                               const unsigned char *got, bool is_gather)
{
    unsigned char *wanted = mem_alloc(ROOM);
    enum err err = ERR_OK;
    memset(wanted, GUARD, ROOM);
    for (int from = 0; from < comm->size; from++)
        for (size_t i = 0; i < lists->receive_counts[from]; i++)
            wanted[lists->receive_offsets[from] + i] = byte_of(from, is_gather ? 0 : comm->rank, i);
    for (size_t i = 0; i < ROOM && err == ERR_OK; i++)
        if (got[i] != wanted[i])
            err = err_set(ERR_DATA, "byte %zu is %d, not %d", i, got[i], wanted[i]);
    mem_free(wanted);
    return err;
}

static enum err swap_on(struct comm *comm, struct place *place)
{
    enum err err = ERR_OK;
    const struct device_ops *ops = place->device->ops;
    struct lists lists;
    unsigned char *host = mem_alloc(ROOM);
    void *send = NULL, *receive = NULL;
    lay_out(comm, &lists);
    TRY(ops->alloc(place->device, ROOM, &send));
    TRY(ops->alloc(place->device, ROOM, &receive));
    for (int to = 0; to < comm->size; to++)
        for (size_t i = 0; i < lists.send_counts[to]; i++)
            host[lists.send_offsets[to] + i] = byte_of(comm->rank, to, i);
    ops->upload(place->device, send, host, ROOM);
    memset(host, GUARD, ROOM);
    ops->upload(place->device, receive, host, ROOM);
    struct device_exchange exchange = {.send = send,
                                       .send_counts = lists.send_counts,
                                       .send_offsets = lists.send_offsets,
                                       .receive = receive,
                                       .receive_counts = lists.receive_counts,
                                       .receive_offsets = lists.receive_offsets,
                                       .item_bytes = 1};
    TRY(place->comm->exchange(place->comm, &exchange));
    TRY(ops->download(place->device, host, receive, ROOM));
    TRY(check_received(comm, &lists, host, false));
out:
    ops->free(place->device, send);
    ops->free(place->device, receive);
    mem_free(host);
    return err;
}

static enum err swap(struct comm *comm, void *own)
{
    enum err err = ERR_OK;
    struct place place;
    (void)own;
    TRY(open_place(comm, &place));
    for (int round = 0; round < 20; round++) /* more than are under way at once */
        TRY(swap_on(comm, &place));
    device_comm_close(&place.comm);
    TRY(place.device->ops->sync(place.device)); /* to leave the others is no error */
out:
    close_place(&place);
    return err;
}

static void an_exchange_brings_each_rank_its_pieces_and_touches_nothing_else(void **state)
{
    (void)state;
    struct ending endings[PROCESSES_MOST];
    int most = most_ranks();
    for (int size = 2; size <= most; size++) {
        run(size, swap, NULL, endings);
        check_fine(endings, size);
        check_said(&endings[0], "ranks exchange by NCCL");
    }
}

/* Several exchanges are queued before the host waits for one. */
static enum err gather_many_on(struct comm *comm, struct place *place)
{
    enum err err = ERR_OK;
    const struct device_ops *ops = place->device->ops;
    struct lists lists = {.receive_counts = {4099, 1, 0, 17},
                          .receive_offsets = {3, 4109, 1, 5000}};
    unsigned char *host = mem_alloc(ROOM);
    void *send = NULL, *receive[2] = {NULL, NULL};
    TRY(ops->alloc(place->device, ROOM, &send));
    for (size_t i = 0; i < lists.receive_counts[comm->rank]; i++)
        host[i] = byte_of(comm->rank, 0, i);
    ops->upload(place->device, send, host, ROOM);
    memset(host, GUARD, ROOM);
    struct device_exchange gather = {.send = send,
                                     .receive_counts = lists.receive_counts,
                                     .receive_offsets = lists.receive_offsets,
                                     .item_bytes = 1};
    for (int i = 0; i < 2; i++) {
        TRY(ops->alloc(place->device, ROOM, &receive[i]));
        ops->upload(place->device, receive[i], host, ROOM);
    }
    for (int i = 0; i < 40; i++) {
        gather.receive = receive[i % 2];
        TRY(place->comm->gather_all(place->comm, &gather));
    }
    for (int i = 0; i < 2; i++) {
        TRY(ops->download(place->device, host, receive[i], ROOM));
        TRY(check_received(comm, &lists, host, true));
    }
out:
    ops->free(place->device, send);
    ops->free(place->device, receive[0]);
    ops->free(place->device, receive[1]);
    mem_free(host);
    return err;
}

static enum err gather_many(struct comm *comm, void *own)
{
    enum err err = ERR_OK;
    struct place place;
    (void)own;
    TRY(open_place(comm, &place));
    TRY(gather_many_on(comm, &place));
out:
    close_place(&place);
    return err;
}

static void what_each_has_reaches_all_however_many_exchanges_are_queued(void **state)
{
    (void)state;
    struct ending endings[PROCESSES_MOST];
    int most = most_ranks();
    for (int size = 2; size <= most; size++) {
        run(size, gather_many, NULL, endings);
        check_fine(endings, size);
    }
}

struct words {
    uint64_t said[PROCESSES_MOST], heard[PROCESSES_MOST];
    int rounds;      /* of the agreement */
    int dies_at;     /* rank 1, in front of the exchange of this round; 0: never */
    bool is_lazy;    /* the host does not come back to the device */
    bool is_awaited; /* by another thread, for an event behind the exchange, as loaders wait */
};

struct other_thread {
    pthread_t id;
    struct device *device;
    struct event *event;
};

static void *wait_for_event(void *argument)
{
    struct other_thread *other = argument;
    enum err err = other->device->ops->event_wait(other->device, other->event);
    fprintf(stderr, "the other thread: %s\n", err == ERR_OK ? "no error" : err_text());
    return NULL;
}

static enum err start_waiting(struct device *device, struct other_thread *other)
{
    enum err err = ERR_OK;
    *other = (struct other_thread){.device = device};
    TRY(device->ops->event_create(device, &other->event));
    device->ops->event_record(device, other->event);
    if (pthread_create(&other->id, NULL, wait_for_event, other) != 0)
        err = err_set(ERR_FAILED, "no thread");
out:
    return err;
}

static enum err agree_on(struct comm *comm, struct place *place, struct words *words)
{
    enum err err = ERR_OK;
    const struct device_ops *ops = place->device->ops;
    uint64_t *word = NULL;
    struct other_thread other;
    TRY(ops->alloc(place->device, sizeof *word, (void **)&word));
    for (int round = 0; round < words->rounds; round++) {
        ops->set_word(place->device, words->said[comm->rank], word);
        if (comm->rank == 1 && words->dies_at == round + 1)
            raise(SIGKILL);
        TRY(place->comm->least(place->comm, word));
        if (words->is_awaited)
            TRY(start_waiting(place->device, &other));
        while (words->is_lazy)
            pause();
        TRY(ops->download(place->device, &words->heard[comm->rank], word, sizeof *word));
    }
out:
    ops->free(place->device, word);
    return err;
}

static enum err agree(struct comm *comm, void *own)
{
    enum err err = ERR_OK;
    struct place place;
    TRY(open_place(comm, &place));
    TRY(agree_on(comm, &place, own));
out:
    close_place(&place);
    return err;
}

static struct words *share_words(int rounds)
{
    struct words *words = processes_share(sizeof *words);
    *words = (struct words){.said = {FLAW_NONE, 9, (uint64_t)1 << 63, 8}, .rounds = rounds};
    return words;
}

static void the_least_word_reaches_each_rank(void **state)
{
    (void)state;
    static const uint64_t least[] = {0, 0, 9, 9, 8};
    struct ending endings[PROCESSES_MOST];
    int most = most_ranks();
    for (int size = 2; size <= most; size++) {
        struct words *words = share_words(3);
        run(size, agree, words, endings);
        check_fine(endings, size);
        for (int rank = 0; rank < size; rank++)
            assert_int_equal(words->heard[rank], least[size]);
        processes_unshare(words, sizeof *words);
    }
}

static void check_end_of_first(const struct ending *ending)
{
    assert_int_equal(ending->code, err_exit_code(ERR_PEER));
    if (ending->seconds > ABOUT_S + DEADLINE_S + 2 * LEAVING_S)
        fail_msg("rank 0 took %.1f s: %s", ending->seconds, ending->said);
}

static void a_rank_killed_between_exchanges_ends_the_other_within_its_deadline(void **state)
{
    (void)state;
    struct ending endings[2];
    struct words *words = share_words(5);
    words->dies_at = 3;
    run_until(DEADLINE_S, 2, agree, words, endings);
    processes_unshare(words, sizeof *words);
    assert_int_equal(endings[1].signal, SIGKILL);
    check_end_of_first(&endings[0]);
    check_said(&endings[0], "s in its GPU for the others (agreement): one of them is gone");
}

/* ---- what goes without it */

static void check_staged(const char *why)
{
    struct ending endings[PROCESSES_MOST];
    struct words *words = share_words(2);
    run(2, agree, words, endings);
    check_fine(endings, 2);
    check_said(&endings[0], "ranks exchange through the host, not by NCCL");
    check_said(&endings[0], why);
    assert_null(strstr(endings[1].said, "through the host"));
    assert_int_equal(words->heard[0], 9);
    processes_unshare(words, sizeof *words);
}

static void ranks_that_share_a_card_exchange_through_the_host_and_say_so(void **state)
{
    (void)state;
    if (!has_stand_in())
        skip();
    char *cards = mem_string(getenv("GPU_EMULATOR_DEVICES"));
    setenv("GPU_EMULATOR_DEVICES", "1", 1);
    check_staged("ranks 0 and 1 share GPU 0000:01:00.0");
    setenv("GPU_EMULATOR_DEVICES", cards, 1);
    mem_free(cards);
}

static void a_machine_without_the_library_exchanges_through_the_host_and_says_so(void **state)
{
    (void)state;
    char *library = mem_string(getenv("GLOWWORM_NCCL") ? getenv("GLOWWORM_NCCL") : "");
    setenv("GLOWWORM_NCCL", "/nowhere/libnccl.so.2", 1);
    check_staged("/nowhere/libnccl.so.2");
    check_staged("install NCCL 2.14 or later, or name its library in GLOWWORM_NCCL");
    setenv("GLOWWORM_NCCL", "none", 1);
    check_staged("GLOWWORM_NCCL=none");
    setenv("GLOWWORM_NCCL", library, 1);
    mem_free(library);
}

static void a_gang_decides_alike_whether_it_can(void **state)
{
    (void)state;
    char why[400] = "";
    struct nccl_offer offers[3] = {{.version = 22809, .node = "n1", .card = "0000:01:00.0"},
                                   {.version = 22809, .node = "n1", .card = "0000:02:00.0"},
                                   {.version = 22809, .node = "n2", .card = "0000:01:00.0"}};
    assert_true(nccl_gang_can(offers, 3, why, sizeof why));
    offers[2].version = 21403;
    assert_false(nccl_gang_can(offers, 3, why, sizeof why));
    assert_string_equal(why, "rank 0 has NCCL 2.28.9, rank 2 on n2 has 2.14.3; install one on all "
                             "nodes");
    snprintf(offers[1].missing, sizeof offers[1].missing, "no library");
    assert_false(nccl_gang_can(offers, 3, why, sizeof why));
    assert_string_equal(why, "rank 1 on n1: no library");
}

/* NVIDIA's, where the loader finds it; it needs no card for that. */
static void the_library_that_is_installed_has_all_that_is_asked_of_it(void **state)
{
    (void)state;
    struct nccl_library nccl = {0};
    char *library = mem_string(getenv("GLOWWORM_NCCL") ? getenv("GLOWWORM_NCCL") : "");
    unsetenv("GLOWWORM_NCCL");
    enum err err = nccl_library_load(&nccl);
    setenv("GLOWWORM_NCCL", library, 1);
    mem_free(library);
    if (err != ERR_OK && strstr(err_text(), "cannot open shared object file"))
        skip();
    if (err != ERR_OK)
        fail_msg("%s", err_text());
    assert_in_range(nccl.version, NCCL_LEAST_VERSION, 99999);
    assert_non_null(nccl.get_error_string(NCCL_REMOTE_ERROR));
}

/* ---- ranks that go */

/* Runs two ranks with this fault, and gives the words back; the first ends within what a deadline,
 * an abort and hearing of it may take, in each of these cases with ERR_PEER's code. */
static void run_words_with_fault(const char *fault, struct words *words, struct ending *endings)
{
    setenv("GLOWWORM_NCCL_FAULT", fault, 1);
    run_until(DEADLINE_S, 2, agree, words, endings);
    unsetenv("GLOWWORM_NCCL_FAULT");
    processes_unshare(words, sizeof *words);
    check_end_of_first(&endings[0]);
}

static void run_with_fault(const char *fault, struct ending *endings)
{
    run_words_with_fault(fault, share_words(5), endings);
}

static void a_killed_rank_ends_the_other_within_its_deadline(void **state)
{
    (void)state;
    if (!has_stand_in())
        skip();
    struct ending endings[2];
    run_with_fault("1:3:dies", endings);
    assert_int_equal(endings[1].signal, SIGKILL);
    check_said(&endings[0], "s in its GPU for the others (agreement): one of them is gone");
    assert_null(strstr(endings[0].said, "this rank ends")); /* it came back by itself */
}

static void a_silent_rank_ends_both_within_their_deadline(void **state)
{
    (void)state;
    if (!has_stand_in())
        skip();
    struct ending endings[2];
    run_with_fault("1:3:is-silent", endings);
    check_said(&endings[0], "rank 0 waited ");
    assert_int_equal(endings[1].code, err_exit_code(ERR_PEER));
    check_said(&endings[1], "rank 1 waited ");
}

static void an_asynchronous_error_is_told_before_the_deadline(void **state)
{
    (void)state;
    if (!has_stand_in())
        skip();
    struct ending endings[2];
    run_with_fault("0:3:errs", endings);
    check_said(&endings[0], "rank 0: NCCL, of its own accord: remote process exited");
    assert_null(strstr(endings[0].said, "waited")); /* before its deadline */
}

static void an_abort_that_hangs_ends_the_process(void **state)
{
    (void)state;
    if (!has_stand_in())
        skip();
    struct ending endings[2];
    run_with_fault("1:3:is-silent,0:0:abort-hangs", endings);
    check_said(&endings[0], "NCCL's communicator cannot be aborted: this rank ends");
}

/* The thread that calls operations never comes back to the device. */
static void check_lazy(struct words *words, struct ending *endings)
{
    words->is_lazy = true;
    run_words_with_fault("1:1:is-silent", words, endings);
    check_said(&endings[0], "rank 0 waited ");
    check_said(&endings[0], "nobody comes back from the GPU: this rank ends");
    assert_int_equal(endings[1].code, err_exit_code(ERR_PEER));
}

static void a_rank_that_nobody_comes_back_to_ends_itself(void **state)
{
    (void)state;
    if (!has_stand_in())
        skip();
    struct ending endings[2];
    check_lazy(share_words(1), endings);
}

static void it_does_where_another_thread_hears_of_the_error(void **state)
{
    (void)state;
    if (!has_stand_in())
        skip();
    struct ending endings[2];
    struct words *words = share_words(1);
    words->is_awaited = true;
    check_lazy(words, endings);
    check_said(&endings[0], "the other thread: rank 0 waited ");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_number_of_ranks_gets_the_bits_of_the_tree),
        cmocka_unit_test(an_exchange_brings_each_rank_its_pieces_and_touches_nothing_else),
        cmocka_unit_test(what_each_has_reaches_all_however_many_exchanges_are_queued),
        cmocka_unit_test(the_least_word_reaches_each_rank),
        cmocka_unit_test(a_rank_killed_between_exchanges_ends_the_other_within_its_deadline),
        cmocka_unit_test(ranks_that_share_a_card_exchange_through_the_host_and_say_so),
        cmocka_unit_test(a_machine_without_the_library_exchanges_through_the_host_and_says_so),
        cmocka_unit_test(a_gang_decides_alike_whether_it_can),
        cmocka_unit_test(the_library_that_is_installed_has_all_that_is_asked_of_it),
        cmocka_unit_test(a_killed_rank_ends_the_other_within_its_deadline),
        cmocka_unit_test(a_silent_rank_ends_both_within_their_deadline),
        cmocka_unit_test(an_asynchronous_error_is_told_before_the_deadline),
        cmocka_unit_test(an_abort_that_hangs_ends_the_process),
        cmocka_unit_test(a_rank_that_nobody_comes_back_to_ends_itself),
        cmocka_unit_test(it_does_where_another_thread_hears_of_the_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
