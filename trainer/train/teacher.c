#include "trainer/train/teacher.h"
#include "base/mem.h"
#include "kernels/memory.h"

struct teacher {
    struct supernet *net;
    struct activation_arena *arena;
    float *weights; /* device */
    void *shadow;   /* of weights */
};

enum err teacher_create(struct supernet *net, float **weights, int N, int resolution,
                        struct teacher **result)
{
    enum err err = ERR_OK;
    struct teacher *teacher = mem_alloc(sizeof *teacher);
    *teacher = (struct teacher){.net = net, .weights = *weights};
    *weights = NULL;
    TRY(shadow_create(net, teacher->weights, &teacher->shadow));
    TRY(activation_arena_create(net, N, resolution, PASS_BATCH_NORM, &teacher->arena));
    *result = teacher;
    teacher = NULL;
out:
    teacher_destroy(&teacher);
    return err;
}

void teacher_destroy(struct teacher **pointer)
{
    struct teacher *teacher = *pointer;
    if (!teacher)
        return;
    activation_arena_destroy(&teacher->arena);
    shadow_destroy(teacher->net, teacher->weights, teacher->shadow);
    memory_free(teacher->net->device, teacher->weights);
    mem_free(teacher);
    *pointer = NULL;
}

enum err teacher_logits(struct teacher *teacher, const struct prefetched *prefetched,
                        struct flaw flaw, const float **logits)
{
    struct subnet biggest;
    subnet_biggest(teacher->net->space, prefetched->host.resolution, &biggest);
    struct forward forward = {.subnet = &biggest,
                              .weights = teacher->weights,
                              .shadow = teacher->shadow,
                              .images = prefetched->images,
                              .N = prefetched->host.N,
                              .mode = PASS_BATCH_NORM,
                              .flaw = flaw};
    return supernet_forward(teacher->net, teacher->arena, &forward, logits);
}
