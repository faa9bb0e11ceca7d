#include "tests/kernels/copied_arguments.h"
#include "tests/kernels/reference_dw.h"

void *copied_floats(struct host_copies *copies, unsigned way, const float *host, size_t count)
{
    return copies_array(copies, way, host, count * sizeof *host);
}

void *copied_doubles(struct host_copies *copies, unsigned way, const double *host, size_t count)
{
    return copies_array(copies, way, host, count * sizeof *host);
}

size_t row_elements(int rows, int ld, int used)
{
    return (size_t)(rows - 1) * (size_t)ld + (size_t)used;
}

size_t vector_elements(struct dims dims)
{
    return (size_t)dims.N * (size_t)dims.C;
}

struct view copied_vector_view(struct host_copies *copies, struct dims dims, struct view view)
{
    view.z = copied_floats(copies, COPY_IN, view.z, vector_elements(dims));
    view.scale = copied_floats(copies, COPY_IN, view.scale, (size_t)dims.C);
    view.shift = copied_floats(copies, COPY_IN, view.shift, (size_t)dims.C);
    view.gate = copied_floats(copies, COPY_IN, view.gate, vector_elements(dims));
    return view;
}

struct view copied_view(struct host_copies *copies, struct dims dims, struct view view)
{
    const void *z = view.z;
    view.z = NULL;
    view = copied_vector_view(copies, dims, view);
    view.z = copies_map(copies, COPY_IN, z, reference_count(dims));
    return view;
}

struct grad copied_grad(struct host_copies *copies, struct dims dims, const struct grad *grad)
{
    size_t C = (size_t)dims.C;
    return (struct grad){.q = copies_map(copies, COPY_IN, grad->q, reference_count(dims)),
                         .of = copied_view(copies, dims, grad->of),
                         .p = copied_floats(copies, COPY_IN, grad->p, vector_elements(dims)),
                         .a = copied_floats(copies, COPY_IN, grad->a, C),
                         .b = copied_floats(copies, COPY_IN, grad->b, C),
                         .c = copied_floats(copies, COPY_IN, grad->c, C)};
}

static struct norm copied_norm(struct host_copies *copies, unsigned way, struct norm norm, size_t C)
{
    return (struct norm){copied_floats(copies, way, norm.scale, C),
                         copied_floats(copies, way, norm.shift, C),
                         copied_floats(copies, way, norm.mean, C),
                         copied_floats(copies, way, norm.inverse_deviation, C)};
}

struct flaw copied_flaw(struct host_copies *copies, struct flaw flaw)
{
    flaw.word = copies_array(copies, COPY_IN_OUT, flaw.word, sizeof *flaw.word);
    return flaw;
}

const struct norm_forward *copied_norm_forward(struct host_copies *copies,
                                               const struct norm_forward *norm, int channels,
                                               struct norm_forward *copied)
{
    size_t C = (size_t)channels;
    if (!norm)
        return NULL;
    *copied = *norm;
    copied->sums = copied_doubles(copies, COPY_OUT, norm->sums, 2 * C);
    copied->gamma = copied_floats(copies, COPY_IN, norm->gamma, C);
    copied->beta = copied_floats(copies, COPY_IN, norm->beta, C);
    copied->mean = copied_floats(copies, COPY_IN, norm->mean, C);
    copied->variance = copied_floats(copies, COPY_IN, norm->variance, C);
    copied->total = copied_doubles(copies, COPY_IN_OUT, norm->total, C);
    copied->total_square = copied_doubles(copies, COPY_IN_OUT, norm->total_square, C);
    copied->norm = copied_norm(copies, COPY_OUT, norm->norm, C);
    copied->flaw = copied_flaw(copies, norm->flaw);
    return copied;
}

const struct norm_backward *copied_norm_backward(struct host_copies *copies,
                                                 const struct norm_backward *norm, int channels,
                                                 struct norm_backward *copied)
{
    size_t C = (size_t)channels;
    if (!norm)
        return NULL;
    *copied = (struct norm_backward){.gamma = copied_floats(copies, COPY_IN, norm->gamma, C),
                                     .norm = copied_norm(copies, COPY_IN, norm->norm, C),
                                     .dgamma = copied_floats(copies, COPY_IN_OUT, norm->dgamma, C),
                                     .dbeta = copied_floats(copies, COPY_IN_OUT, norm->dbeta, C),
                                     .a = copied_floats(copies, COPY_OUT, norm->a, C),
                                     .b = copied_floats(copies, COPY_OUT, norm->b, C),
                                     .c = copied_floats(copies, COPY_OUT, norm->c, C)};
    return copied;
}

const struct grad_sink *copied_sink(struct host_copies *copies, struct dims in,
                                    const struct grad_sink *sink, struct grad_sink *copied,
                                    struct norm_backward *norm)
{
    size_t C = (size_t)in.C;
    if (!sink)
        return NULL;
    *copied = (struct grad_sink){
        .q = copies_map(copies, COPY_OUT, sink->q, reference_count(in)),
        .add = copies_map(copies, COPY_IN, sink->add, reference_count(in)),
        .of = copied_view(copies, in, sink->of),
        .mean = copied_floats(copies, COPY_IN, sink->mean, C),
        .sums = copied_doubles(copies, COPY_OUT, sink->sums, 2 * C),
        .gate_sums = copied_doubles(copies, COPY_OUT, sink->gate_sums, 3 * vector_elements(in)),
        .norm = copied_norm_backward(copies, sink->norm, in.C, norm)};
    return copied;
}

struct squeeze_excite copied_squeeze_excite(struct host_copies *copies,
                                            const struct squeeze_excite *se)
{
    struct squeeze_excite copied = *se;
    copied.reduce_w =
        copied_floats(copies, COPY_IN, se->reduce_w, row_elements(se->Cr, se->ld_reduce, se->C));
    copied.expand_w =
        copied_floats(copies, COPY_IN, se->expand_w, row_elements(se->C, se->ld_expand, se->Cr));
    copied.reduce_b = copied_floats(copies, COPY_IN, se->reduce_b, (size_t)se->Cr);
    copied.expand_b = copied_floats(copies, COPY_IN, se->expand_b, (size_t)se->C);
    return copied;
}

struct excitation copied_excitation(struct host_copies *copies, unsigned way, struct dims dims,
                                    int Cr, const struct excitation *kept)
{
    return (struct excitation){
        copied_floats(copies, way, kept->pooled, vector_elements(dims)),
        copied_floats(copies, way, kept->hidden, (size_t)dims.N * (size_t)Cr),
        copied_floats(copies, way, kept->gate, vector_elements(dims)),
        copied_doubles(copies, way, kept->pool_sums, 2 * vector_elements(dims))};
}

struct squeeze_excite_grad copied_weight_grad(struct host_copies *copies,
                                              const struct squeeze_excite *se,
                                              const struct squeeze_excite_grad *grad)
{
    return (struct squeeze_excite_grad){
        copied_floats(copies, COPY_IN_OUT, grad->reduce_w,
                      row_elements(se->Cr, se->ld_reduce, se->C)),
        copied_floats(copies, COPY_IN_OUT, grad->reduce_b, (size_t)se->Cr),
        copied_floats(copies, COPY_IN_OUT, grad->expand_w,
                      row_elements(se->C, se->ld_expand, se->Cr)),
        copied_floats(copies, COPY_IN_OUT, grad->expand_b, (size_t)se->C)};
}

struct kernel_transform copied_transform(struct host_copies *copies,
                                         const struct kernel_transform *transform)
{
    struct kernel_transform copied = *transform;
    copied.w7 = copied_floats(copies, COPY_IN, transform->w7,
                              row_elements(49, transform->ld, transform->C));
    copied.m75 = copied_floats(copies, COPY_IN, transform->m75, 625);
    copied.m53 = copied_floats(copies, COPY_IN, transform->m53, 81);
    copied.w = NULL;
    return copied;
}
