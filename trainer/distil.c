#include "trainer/distil.h"
#include "base/mem.h"
#include "trainer/memory.h"

struct distil {
    struct supernet *net;
    struct pass *pass;
    float *weights; /* device */
    void *shadow;   /* of weights */
};

enum err distil_create(struct supernet *net, float **weights, int N, int resolution,
                       struct distil **result)
{
    enum err err = ERR_OK;
    struct distil *distil = mem_alloc(sizeof *distil);
    *distil = (struct distil){.net = net, .weights = *weights};
    *weights = NULL;
    TRY(shadow_create(net, distil->weights, &distil->shadow));
    TRY(pass_create(net, N, resolution, PASS_BATCH_NORM, &distil->pass));
    *result = distil;
    distil = NULL;
out:
    distil_destroy(&distil);
    return err;
}

void distil_destroy(struct distil **pointer)
{
    struct distil *distil = *pointer;
    if (!distil)
        return;
    pass_destroy(&distil->pass);
    shadow_destroy(distil->net, distil->weights, distil->shadow);
    memory_free(distil->net->device, distil->weights);
    mem_free(distil);
    *pointer = NULL;
}

enum err distil_logits(struct distil *distil, const struct fed *fed, struct flaw flaw,
                       const float **logits)
{
    struct subnet biggest;
    subnet_biggest(distil->net->space, fed->host.resolution, &biggest);
    struct forward forward = {.subnet = &biggest,
                              .weights = distil->weights,
                              .shadow = distil->shadow,
                              .images = fed->images,
                              .N = fed->host.N,
                              .mode = PASS_BATCH_NORM,
                              .flaw = flaw};
    return supernet_forward(distil->net, distil->pass, &forward, logits);
}
