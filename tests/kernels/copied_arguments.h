/* What operations are given, as the device of a test has it (host_copies.h): a struct of arguments
 * whose arrays are the device's. Where a struct is optional or has pointers to another one, the
 * caller gives the room for the copy. */
#ifndef TESTS_KERNELS_COPIED_ARGUMENTS_H
#define TESTS_KERNELS_COPIED_ARGUMENTS_H

#include "tests/kernels/host_copies.h"

void *copied_floats(struct host_copies *copies, unsigned way, const float *host, size_t count);
void *copied_doubles(struct host_copies *copies, unsigned way, const double *host, size_t count);
/* Of rows of `used` elements, ld apart: nobody has what lies behind the last row. */
size_t row_elements(int rows, int ld, int used);
size_t vector_elements(struct dims dims); /* (N,C) */

struct view copied_view(struct host_copies *copies, struct dims dims, struct view view);
/* Of what is no map: z is fp32. */
struct view copied_vector_view(struct host_copies *copies, struct dims dims, struct view view);
struct grad copied_grad(struct host_copies *copies, struct dims dims, const struct grad *grad);
struct flaw copied_flaw(struct host_copies *copies, struct flaw flaw);
const struct norm_forward *copied_norm_forward(struct host_copies *copies,
                                               const struct norm_forward *norm, int channels,
                                               struct norm_forward *copied);
const struct norm_backward *copied_norm_backward(struct host_copies *copies,
                                                 const struct norm_backward *norm, int channels,
                                                 struct norm_backward *copied);
/* norm: room for sink->norm's copy */
const struct grad_sink *copied_sink(struct host_copies *copies, struct dims in,
                                    const struct grad_sink *sink, struct grad_sink *copied,
                                    struct norm_backward *norm);
struct squeeze_excite copied_squeeze_excite(struct host_copies *copies,
                                            const struct squeeze_excite *se);
struct excitation copied_excitation(struct host_copies *copies, unsigned way, struct dims dims,
                                    int Cr, const struct excitation *kept);
struct squeeze_excite_grad copied_weight_grad(struct host_copies *copies,
                                              const struct squeeze_excite *se,
                                              const struct squeeze_excite_grad *grad);
/* But for w, which the caller adds. */
struct kernel_transform copied_transform(struct host_copies *copies,
                                         const struct kernel_transform *transform);

#endif
