#include "tests/golden/formula.h"
#include "base/mem.h"
#include <math.h>
#include <string.h>

double formula_unit(const char *name, uint64_t seed, size_t i)
{
    uint64_t hash = 0xcbf29ce484222325u; /* FNV-1a */
    for (const char *c = name; *c; c++)
        hash = (hash ^ (unsigned char)*c) * 0x100000001b3u;
    uint64_t z = (hash ^ seed) + ((uint64_t)i + 1) * 0x9E3779B97F4A7C15u;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    z ^= z >> 31;
    return (double)(z >> 11) / 9007199254740992.0 * 2.0 - 1.0;
}

static double scale_of(const struct supernet_tensor *tensor, double *base, size_t i)
{
    *base = 0;
    if (!tensor->param) {
        *base = tensor->is_variance ? 1 : 0;
        return tensor->is_variance ? 0.2 : 0.1;
    }
    double fan_in = (double)tensor->count / tensor->shape[0];
    switch (tensor->param->kind) {
    case PARAM_MATRIX:
        *base = i / (size_t)tensor->shape[1] == i % (size_t)tensor->shape[1];
        return 0.05;
    case PARAM_GAMMA:
        *base = 1;
        return 0.1;
    case PARAM_BETA:
    case PARAM_BIAS:
        return 0.1;
    case PARAM_LINEAR:
        return sqrt(3.0 / fan_in);
    default:
        return sqrt(6.0 / fan_in);
    }
}

void formula_fill(struct supernet *net, uint64_t seed)
{
    for (int t = 0; t < supernet_tensor_count(net); t++) {
        struct supernet_tensor tensor;
        supernet_tensor_at(net, t, &tensor);
        float *host = mem_array(tensor.count, sizeof *host);
        for (size_t i = 0; i < tensor.count; i++) {
            double base, scale = scale_of(&tensor, &base, i);
            host[i] = (float)(base + scale * formula_unit(tensor.name, seed, i));
        }
        supernet_set_tensor(net, &tensor, host);
        mem_free(host);
    }
    net->has_statistics = true;
}

void formula_images(uint64_t seed, int N, int resolution, float *images)
{
    size_t R = (size_t)resolution, i = 0;
    for (size_t n = 0; n < (size_t)N; n++)
        for (size_t c = 0; c < 3; c++)
            for (size_t y = 0; y < R; y++)
                for (size_t x = 0; x < R; x++)
                    images[((n * R + y) * R + x) * 3 + c] =
                        (float)formula_unit("images", seed, i++);
}
