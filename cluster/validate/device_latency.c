#include "cluster/validate/device_latency.h"
#include <math.h>
#include <string.h>

#define LEAST 1e-6

/* What a person would write: six digits are more than any measurement has. */
static void add_number(struct text *line, double value)
{
    double digits = pow(10, 5 - floor(log10(value)));
    text_add_real(line, round(value * digits) / digits);
}

void device_latency_line(const struct latency_model *model, struct text *line)
{
    text_add(line, "latency: {fixed_ms: ");
    add_number(line, fmax(model->fixed_ms, LEAST));
    for (int k = 0; k < COST_KINDS; k++) {
        text_add(line, ", %s_ms: ", cost_kind_names[k]);
        add_number(line, fmax(model->rate_ms[k], LEAST));
    }
    text_add(line, "}\n");
}

static size_t line_size(const char *at)
{
    size_t size = strcspn(at, "\n");
    return size + (at[size] == '\n');
}

enum err device_latency_replace(const char *yaml, const struct latency_model *model,
                                struct text *made)
{
    bool is_done = false, is_inside = false;
    for (const char *at = yaml; *at; at += line_size(at)) {
        bool goes_on = is_inside && (at[0] == ' ' || at[0] == '\n');
        is_inside = goes_on || strncmp(at, "latency:", 8) == 0;
        if (!is_inside)
            text_add_bytes(made, at, line_size(at));
        if (strncmp(at, "device:", 7) == 0 && !is_done) {
            if (at[strcspn(at, "\n")] != '\n')
                text_add(made, "\n");
            device_latency_line(model, made);
            is_done = true;
        }
    }
    return is_done ? ERR_OK : err_set(ERR_DATA, "it has no line that begins with \"device:\"");
}
