#include "camera/sim/inference.h"
#include "base/hash.h"
#include "base/mem.h"
#include <pthread.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

struct inference {
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t wake;
    int event;
    /* the rest under the lock */
    struct network *network; /* set */
    struct network *running; /* what the thread computes with; NULL: nothing */
    float *image;            /* (H,W,C), the thread's while it runs */
    bool has_work, has_answer, is_over;
    struct network_answer answer;
    struct hash known; /* the image that `remembered` is of */
    struct network_answer remembered;
    bool has_remembered;
};

static void signal_answer(struct inference *inference)
{
    uint64_t one = 1;
    ssize_t written = write(inference->event, &one, sizeof one);
    (void)written; /* a full counter is readable, too */
}

static size_t image_bytes(const struct network *network)
{
    return exported_values(&network->net.input) * sizeof(float);
}

/* With the lock, which is let go while the network runs. */
static void compute(struct inference *inference)
{
    struct network *network = inference->running = inference->network;
    struct network_answer answer;
    inference->has_work = false;
    pthread_mutex_unlock(&inference->lock);
    answer = network_run(network, inference->image);
    pthread_mutex_lock(&inference->lock);
    inference->running = NULL;
    signal_answer(inference);
    if (inference->network != network) { /* another one was set meanwhile */
        network_close(&network);
        return;
    }
    inference->answer = inference->remembered = answer;
    inference->has_answer = inference->has_remembered = true;
}

static void *work(void *own)
{
    struct inference *inference = own;
    pthread_mutex_lock(&inference->lock);
    while (!inference->is_over) {
        if (inference->has_work)
            compute(inference);
        else
            pthread_cond_wait(&inference->wake, &inference->lock);
    }
    pthread_mutex_unlock(&inference->lock);
    return NULL;
}

enum err inference_create(struct inference **inference)
{
    struct inference *made = mem_alloc(sizeof *made);
    pthread_mutex_init(&made->lock, NULL);
    pthread_cond_init(&made->wake, NULL);
    made->event = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (made->event < 0 || pthread_create(&made->thread, NULL, work, made) != 0) {
        if (made->event >= 0)
            close(made->event);
        mem_free(made);
        return err_set(ERR_UNAVAILABLE, "no thread could be started for the inference");
    }
    *inference = made;
    return ERR_OK;
}

void inference_destroy(struct inference **inference)
{
    struct inference *gone = *inference;
    if (!gone)
        return;
    pthread_mutex_lock(&gone->lock);
    gone->is_over = true;
    pthread_cond_signal(&gone->wake);
    pthread_mutex_unlock(&gone->lock);
    pthread_join(gone->thread, NULL);
    pthread_cond_destroy(&gone->wake);
    pthread_mutex_destroy(&gone->lock);
    network_close(&gone->network);
    mem_free(gone->image);
    close(gone->event);
    mem_free(gone);
    *inference = NULL;
}

int inference_descriptor(const struct inference *inference)
{
    return inference->event;
}

void inference_set_network(struct inference *inference, struct network *network)
{
    pthread_mutex_lock(&inference->lock);
    if (inference->network != inference->running)
        network_close(&inference->network);
    inference->network = network;
    inference->has_work = inference->has_answer = inference->has_remembered = false;
    pthread_mutex_unlock(&inference->lock);
}

const struct network *inference_network(const struct inference *inference)
{
    return inference->network;
}

void inference_start(struct inference *inference, const float *image)
{
    pthread_mutex_lock(&inference->lock);
    size_t bytes = image_bytes(inference->network);
    struct hash hash = hash_of(image, bytes);
    inference->has_answer = false;
    if (inference->has_remembered && hash_equal(&hash, &inference->known)) {
        inference->answer = inference->remembered;
        inference->has_answer = true;
        signal_answer(inference);
    } else {
        mem_free(inference->image);
        inference->image = mem_alloc(bytes);
        memcpy(inference->image, image, bytes);
        inference->known = hash;
        inference->has_remembered = false;
        inference->has_work = true;
        pthread_cond_signal(&inference->wake);
    }
    pthread_mutex_unlock(&inference->lock);
}

bool inference_is_running(struct inference *inference)
{
    pthread_mutex_lock(&inference->lock);
    bool is_running = inference->has_work || inference->running;
    pthread_mutex_unlock(&inference->lock);
    return is_running;
}

bool inference_take(struct inference *inference, struct network_answer *answer)
{
    uint64_t count;
    ssize_t got = read(inference->event, &count, sizeof count);
    (void)got; /* nothing to read: no answer either */
    pthread_mutex_lock(&inference->lock);
    bool has = inference->has_answer;
    inference->has_answer = false;
    *answer = inference->answer;
    pthread_mutex_unlock(&inference->lock);
    return has;
}
