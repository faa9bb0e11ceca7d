#include "trainer/weights/import_weights.h"
#include "base/mem.h"
#include "base/text.h"
#include <math.h>
#include <stdio.h>
#include <string.h>

#define MOST_LISTED 20 /* of one kind of trouble; the text has room for about a hundred lines */

enum trouble { TROUBLE_UNKNOWN, TROUBLE_MISSING, TROUBLE_SHAPE, TROUBLE_VALUE, TROUBLE_KINDS };

struct trial { /* what is found out before anything is moved */
    const struct supernet *net;
    struct supernet_tensor *wanted; /* (wanted_count) */
    int *from;                      /* (wanted_count) index in given, -1: not there */
    int wanted_count;
    struct tensor *given;
    int given_count;
    struct text lines[TROUBLE_KINDS];
    int counts[TROUBLE_KINDS];
};

static void note(struct trial *trial, enum trouble trouble, const char *name, const char *detail)
{
    if (trial->counts[trouble]++ < MOST_LISTED)
        text_add(&trial->lines[trouble], "\n    %s%s", name, detail);
}

static int find_wanted(const struct trial *trial, const char *name)
{
    for (int i = 0; i < trial->wanted_count; i++)
        if (strcmp(trial->wanted[i].name, name) == 0)
            return i;
    return -1;
}

/* name with the last `old` in it replaced; false when there is none or it gets too long. */
static bool replace_last(const char *name, const char *old, const char *by, char replaced[112])
{
    const char *found = NULL;
    for (const char *at = name; (at = strstr(at, old)); at++)
        found = at;
    if (!found)
        return false;
    return snprintf(replaced, 112, "%.*s%s%s", (int)(found - name), name, by, found + strlen(old)) <
           112;
}

/* The reference's first release called a block's layers "mobile_inverted_conv", and its networks of
 * one fixed size wrap convolution and norm once less. */
static int find_by_any_name(const struct trial *trial, const char *name)
{
    static const struct {
        const char *old, *by;
    } wraps[] = {{".conv.weight", ".conv.conv.weight"}, {".bn.", ".bn.bn."}};
    char modern[112], wrapped[112];
    int index = find_wanted(trial, name);
    if (!replace_last(name, ".mobile_inverted_conv.", ".conv.", modern))
        snprintf(modern, sizeof modern, "%s", name);
    if (index < 0)
        index = find_wanted(trial, modern);
    for (int i = 0; i < 2 && index < 0; i++)
        if (replace_last(modern, wraps[i].old, wraps[i].by, wrapped))
            index = find_wanted(trial, wrapped);
    return index;
}

static void print_shape(struct text *text, int rank, const int64_t *shape)
{
    text_add(text, "(");
    for (int d = 0; d < rank; d++)
        text_add(text, "%s%lld", d ? "," : "", (long long)shape[d]);
    text_add(text, ")");
}

static void note_shape(struct trial *trial, const struct tensor *tensor,
                       const struct supernet_tensor *wanted)
{
    struct text detail;
    int64_t shape[4];
    for (int d = 0; d < 4; d++)
        shape[d] = wanted->shape[d];
    text_init(&detail);
    text_add(&detail, " is ");
    print_shape(&detail, tensor->rank, tensor->shape);
    text_add(&detail, ", the space needs ");
    print_shape(&detail, wanted->rank, shape);
    note(trial, TROUBLE_SHAPE, tensor->name, text_get(&detail));
    text_fini(&detail);
}

static void check_values(struct trial *trial, const struct tensor *tensor, bool is_variance)
{
    for (uint64_t i = 0; i < tensor->count; i++) {
        bool is_finite = isfinite(tensor->values[i]);
        if (is_finite && !(is_variance && tensor->values[i] < 0.0f))
            continue;
        char detail[96];
        snprintf(detail, sizeof detail, ": element %llu is %s", (unsigned long long)i,
                 is_finite ? "a negative variance" : "not finite");
        note(trial, TROUBLE_VALUE, tensor->name, detail);
        return;
    }
}

static void match(struct trial *trial)
{
    for (int i = 0; i < trial->given_count; i++) {
        const struct tensor *tensor = &trial->given[i];
        int index = find_by_any_name(trial, tensor->name);
        if (index < 0) {
            note(trial, TROUBLE_UNKNOWN, tensor->name, "");
        } else if (trial->from[index] >= 0) {
            note(trial, TROUBLE_UNKNOWN, tensor->name, " (another tensor has that name too)");
        } else {
            trial->from[index] = i;
            const struct supernet_tensor *wanted = &trial->wanted[index];
            if (!tensor_has_shape(tensor, wanted->rank, wanted->shape))
                note_shape(trial, tensor, wanted);
            else
                check_values(trial, tensor, wanted->is_variance);
        }
    }
}

static bool is_statistic(const struct trial *trial, int index)
{
    return !trial->wanted[index].param;
}

static bool is_matrix(const struct trial *trial, int index)
{
    return trial->wanted[index].param && trial->wanted[index].param->kind == PARAM_MATRIX;
}

/* Statistics: all or none. Returns whether they are there. */
static bool find_missing(struct trial *trial)
{
    bool has_statistics = false;
    for (int i = 0; i < trial->wanted_count; i++)
        has_statistics |= is_statistic(trial, i) && trial->from[i] >= 0;
    for (int i = 0; i < trial->wanted_count; i++)
        if (trial->from[i] < 0 && !is_matrix(trial, i) &&
            (!is_statistic(trial, i) || has_statistics))
            note(trial, TROUBLE_MISSING, trial->wanted[i].name, "");
    return has_statistics;
}

static enum err refuse_troubles(const struct trial *trial)
{
    static const char *const titles[TROUBLE_KINDS] = {"that the space does not have", "missing",
                                                      "of another shape", "with impossible values"};
    struct text text;
    enum err err = ERR_OK;
    text_init(&text);
    for (int i = 0; i < TROUBLE_KINDS; i++) {
        if (trial->counts[i] == 0)
            continue;
        text_add(&text, "\n  %d tensor%s %s:%s", trial->counts[i], trial->counts[i] > 1 ? "s" : "",
                 titles[i], text_get(&trial->lines[i]));
        if (trial->counts[i] > MOST_LISTED)
            text_add(&text, "\n    and %d more", trial->counts[i] - MOST_LISTED);
    }
    if (text.size > 0)
        err = err_set(ERR_DATA, "the weights do not fit the space %s:%s", trial->net->space->name,
                      text_get(&text));
    text_fini(&text);
    return err;
}

static float *make_identity(const struct supernet_tensor *wanted)
{
    float *values = mem_array(wanted->count, sizeof *values);
    for (int i = 0; i < wanted->shape[0]; i++)
        values[i * wanted->shape[1] + i] = 1.0f;
    return values;
}

static void move(struct trial *trial, struct checkpoint *checkpoint,
                 struct imported_weights *imported)
{
    checkpoint->tensors = mem_array((size_t)trial->wanted_count, sizeof *checkpoint->tensors);
    for (int i = 0; i < trial->wanted_count; i++) {
        const struct supernet_tensor *wanted = &trial->wanted[i];
        if (trial->from[i] < 0 && !is_matrix(trial, i))
            continue; /* a statistic, where there are none */
        struct tensor *tensor = &checkpoint->tensors[checkpoint->tensor_count++];
        snprintf(tensor->name, sizeof tensor->name, "%s", wanted->name);
        tensor->rank = wanted->rank;
        for (int d = 0; d < wanted->rank; d++)
            tensor->shape[d] = wanted->shape[d];
        tensor->count = wanted->count;
        if (trial->from[i] >= 0) {
            tensor->values = trial->given[trial->from[i]].values;
            trial->given[trial->from[i]].values = NULL;
            imported->taken++;
        } else {
            tensor->values = make_identity(wanted);
            imported->identities++;
        }
    }
}

enum err import_weights(const struct supernet *net, struct tensor *given, int given_count,
                        struct checkpoint *checkpoint, struct imported_weights *imported)
{
    enum err err = ERR_OK;
    struct trial trial = {.net = net,
                          .given = given,
                          .given_count = given_count,
                          .wanted_count = supernet_tensor_count(net)};
    trial.wanted = mem_array((size_t)trial.wanted_count, sizeof *trial.wanted);
    trial.from = mem_array((size_t)trial.wanted_count, sizeof *trial.from);
    for (int i = 0; i < trial.wanted_count; i++) {
        supernet_tensor_at(net, i, &trial.wanted[i]);
        trial.from[i] = -1;
    }
    match(&trial);
    bool has_statistics = find_missing(&trial);
    TRY(refuse_troubles(&trial));
    *imported = (struct imported_weights){0};
    move(&trial, checkpoint, imported);
    checkpoint->meta.has_statistics = has_statistics;
out:
    for (int i = 0; i < TROUBLE_KINDS; i++)
        text_fini(&trial.lines[i]);
    mem_free(trial.wanted);
    mem_free(trial.from);
    return err;
}
