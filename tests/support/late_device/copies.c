/* Memory, copies between host and device, events. */
#include "base/mem.h"
#include "kernels/device_module.h"
#include "tests/support/late_device/late.h"
#include <stdio.h>
#include <string.h>

struct event { /* passed when so many orders have run */
    uint64_t mark;
};

struct copy { /* host pointers and translated ones */
    const void *from;
    void *to;
    size_t size_bytes;
};

enum err late_alloc(struct device *device, size_t size_bytes, void **memory)
{
    struct late *late = device->own;
    pthread_mutex_lock(&late->lock);
    enum err err = late_memory_alloc(late->memory, size_bytes, memory);
    pthread_mutex_unlock(&late->lock);
    return err;
}

void late_free(struct device *device, void *memory)
{
    struct late *late = device->own;
    if (!memory)
        return;
    struct order *order = late_begin(device, "free", NULL);
    pthread_mutex_lock(&late->lock);
    bool is_block = late_memory_retire(late->memory, memory);
    pthread_mutex_unlock(&late->lock);
    if (!is_block)
        late_refuse("free", "memory = %p is no live block of the device", memory);
    order->gone = memory;
    late_end(order, NULL, 0);
}

enum err late_pin(struct device *device, size_t size_bytes, void **host)
{
    struct late *late = device->own;
    pthread_mutex_lock(&late->lock);
    enum err err = late_memory_pin(late->memory, size_bytes, host);
    pthread_mutex_unlock(&late->lock);
    return err;
}

void late_unpin(struct device *device, void *host)
{
    struct late *late = device->own;
    if (!host)
        return;
    pthread_mutex_lock(&late->lock);
    late_memory_unpin(late->memory, host);
    pthread_mutex_unlock(&late->lock);
}

/* The order uses these pinned bytes until it has run. */
static void use_pinned(struct order *order, const void *host, size_t size_bytes)
{
    struct late *late = order->late;
    pthread_mutex_lock(&late->lock);
    order->uses = late_memory_uses(late->memory, host, size_bytes);
    if (order->uses)
        (*order->uses)++;
    pthread_mutex_unlock(&late->lock);
    if (!order->uses)
        late_refuse(order->operation, "host = %p: %zu bytes there are not pinned", host,
                    size_bytes);
}

static void upload_run(struct device *cpu, const void *arguments)
{
    const struct copy *copy = arguments;
    cpu->ops->upload(cpu, copy->to, copy->from, copy->size_bytes);
}

static void download_run(struct device *cpu, const void *arguments)
{
    const struct copy *copy = arguments;
    /* a download cannot fail here; what an operation left is told to whoever waits (left_error) */
    cpu->ops->download_async(cpu, copy->to, copy->from, copy->size_bytes);
}

void late_upload(struct device *device, void *to, const void *host, size_t size_bytes)
{
    struct order *order = late_begin(device, "upload", upload_run);
    struct copy copy = {late_keep(order, host, size_bytes),
                        late_keep_range(order, "to", to, size_bytes), size_bytes};
    late_end(order, &copy, sizeof copy);
}

void late_upload_async(struct device *device, void *to, const void *host, size_t size_bytes)
{
    struct order *order = late_begin(device, "upload_async", upload_run);
    struct copy copy = {host, late_keep_range(order, "to", to, size_bytes), size_bytes};
    use_pinned(order, host, size_bytes);
    late_end(order, &copy, sizeof copy);
}

void late_download_async(struct device *device, void *host, const void *from, size_t size_bytes)
{
    struct order *order = late_begin(device, "download_async", download_run);
    struct copy copy = {late_keep_range(order, "from", from, size_bytes), host, size_bytes};
    use_pinned(order, host, size_bytes);
    memset(host, 0xff, size_bytes); /* what somebody finds who does not wait */
    late_end(order, &copy, sizeof copy);
}

enum err late_download(struct device *device, void *host, const void *from, size_t size_bytes)
{
    struct order *order = late_begin(device, "download", download_run);
    struct copy copy = {late_keep_range(order, "from", from, size_bytes), host, size_bytes};
    late_end(order, &copy, sizeof copy);
    return late_sync(device);
}

/* What an operation that has run left; any thread. */
static enum err left_error(struct late *late)
{
    return late->cpu->ops->event_wait(late->cpu, late->passed);
}

enum err late_sync(struct device *device)
{
    struct late *late = device->own;
    late_run_until(late, late_queued(late));
    return left_error(late);
}

/* Nothing runs meanwhile: the one thread that calls the device is here, and the queue is empty. */
enum err late_prepare(struct device *device, const struct workload *workload)
{
    enum err err = ERR_OK;
    struct late *late = device->own;
    TRY(late_sync(device));
    TRY(late->cpu->ops->prepare(late->cpu, workload));
out:
    return err;
}

enum err late_event_create(struct device *device, struct event **event)
{
    (void)device;
    *event = mem_alloc(sizeof **event);
    return ERR_OK;
}

void late_event_destroy(struct device *device, struct event *event)
{
    (void)device;
    mem_free(event);
}

void late_event_record(struct device *device, struct event *event)
{
    event->mark = late_queued(device->own);
}

enum err late_event_wait(struct device *device, struct event *event)
{
    late_run_until(device->own, event->mark);
    return left_error(device->own);
}

static void close_cpu(struct late *late)
{
    if (late->cpu)
        late->cpu->ops->event_destroy(late->cpu, late->passed);
    device_close(&late->cpu);
}

void late_close(struct device *device)
{
    struct late *late = device->own;
    late_queue_destroy(late);
    late_memory_destroy(&late->memory);
    close_cpu(late);
    mem_free(late);
}

static enum err late_open(const struct device_cfg *cfg, struct device **device)
{
    enum err err = ERR_OK;
    struct device_cfg cpu = *cfg;
    struct late *late = mem_alloc(sizeof *late);
    cpu.name = "cpu";
    TRY(device_open(&cpu, &late->cpu));
    TRY(late->cpu->ops->event_create(late->cpu, &late->passed));
    TRY(late_memory_create(&late->memory));
    late->face = (struct device){.ops = &late_ops, .map_bytes = late->cpu->map_bytes, .own = late};
    snprintf(late->face.lineage, sizeof late->face.lineage, "%s", late->cpu->lineage);
    TRY(late_queue_create(late));
    *device = &late->face;
    late = NULL;
out:
    if (late) {
        late_memory_destroy(&late->memory);
        close_cpu(late);
        mem_free(late);
    }
    return err;
}

const struct device_module *glowworm_device_module(void)
{
    static const struct device_module module = {
        .abi = DEVICE_ABI, .name = "late", .open = late_open};
    return &module;
}
