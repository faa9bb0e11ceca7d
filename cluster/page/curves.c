#include "cluster/page/curves.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/mem.h"
#include <errno.h>
#include <math.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { MAX_POINTS = 512, MAX_EVALUATIONS = 256, MAX_SUBNETS = 32, TAIL = 64 };
#define TURN_BYTES ((size_t)2 << 20) /* of a call: no other answer waits long */

static const char *const names[] = {"loss", "distil", "accuracy", "rate", "images_per_s"};
enum { NAMES = sizeof names / sizeof *names };

struct point { /* some steps in a row */
    int steps;
    int64_t last;      /* of them */
    double sum[NAMES]; /* of those that are numbers... */
    int count[NAMES];  /* ...so many */
};

struct curves {
    char *path;
    off_t at;        /* everything in front of it is taken in: whole lines */
    char tail[TAIL]; /* the bytes in front of it... */
    size_t tail_size;
    int64_t version;
    int64_t steps;   /* of the stage */
    int per_point;   /* steps; doubles when there are too many points */
    int point_count; /* the last may have fewer */
    struct point points[MAX_POINTS];
    int stride;         /* of the evaluations every so many is kept... */
    int evaluations;    /* ...of so many */
    json_t *evaluation; /* the array of those kept; the last is always there */
};

static void forget(struct curves *curves)
{
    json_decref(curves->evaluation);
    curves->evaluation = json_array();
    curves->at = 0;
    curves->tail_size = 0;
    curves->steps = 0;
    curves->per_point = curves->stride = 1;
    curves->point_count = curves->evaluations = 0;
    curves->version++;
}

struct curves *curves_create(const char *path)
{
    struct curves *curves = mem_alloc(sizeof *curves);
    curves->path = mem_string(path);
    curves->version = clock_wall_ms() * 1000; /* another's, of before, is not taken for it */
    forget(curves);
    return curves;
}

void curves_destroy(struct curves **curves)
{
    if (!*curves)
        return;
    json_decref((*curves)->evaluation);
    mem_free((*curves)->path);
    mem_free(*curves);
    *curves = NULL;
}

static void add_point(struct point *into, const struct point *from)
{
    into->steps += from->steps;
    into->last = from->last;
    for (int i = 0; i < NAMES; i++) {
        into->sum[i] += from->sum[i];
        into->count[i] += from->count[i];
    }
}

/* Two become one, all along. */
static void halve(struct curves *curves)
{
    int count = curves->point_count / 2;
    for (int i = 0; i < count; i++) {
        struct point pair = curves->points[2 * i];
        add_point(&pair, &curves->points[2 * i + 1]);
        curves->points[i] = pair;
    }
    curves->point_count = count;
    curves->per_point *= 2;
}

static void take_step(struct curves *curves, const json_t *event)
{
    struct point step = {.steps = 1, .last = json_integer_value(json_object_get(event, "step"))};
    for (int i = 0; i < NAMES; i++) {
        const json_t *value = json_object_get(event, names[i]);
        double number = json_number_value(value);
        step.count[i] = json_is_number(value) && isfinite(number);
        step.sum[i] = step.count[i] ? number : 0;
    }
    bool is_full = curves->point_count == 0 ||
                   curves->points[curves->point_count - 1].steps >= curves->per_point;
    if (is_full && curves->point_count == MAX_POINTS)
        halve(curves);
    if (is_full)
        curves->points[curves->point_count++] = (struct point){0};
    add_point(&curves->points[curves->point_count - 1], &step);
}

static json_t *copy_subnets(const json_t *subnets)
{
    json_t *copy = json_array();
    size_t i = 0;
    json_t *subnet = NULL;
    json_array_foreach(subnets, i, subnet)
    {
        json_t *label = json_object_get(subnet, "label");
        json_t *accuracy = json_object_get(subnet, "accuracy"),
               *loss = json_object_get(subnet, "loss");
        if (i < MAX_SUBNETS && json_is_string(label) && json_string_length(label) < 64)
            json_array_append_new(copy, json_pack("{s:O, s:O?, s:O?}", "label", label, "accuracy",
                                                  json_is_number(accuracy) ? accuracy : NULL,
                                                  "loss", json_is_number(loss) ? loss : NULL));
    }
    return copy;
}

/* Every second of those that are kept goes. */
static void thin_out(struct curves *curves)
{
    json_t *kept = json_array(), *evaluation = NULL;
    size_t i = 0;
    json_array_foreach(curves->evaluation, i, evaluation)
    {
        if (i % 2 == 0)
            json_array_append(kept, evaluation);
    }
    json_decref(curves->evaluation);
    curves->evaluation = kept;
    curves->stride *= 2;
}

static void take_evaluation(struct curves *curves, const json_t *event)
{
    size_t count = json_array_size(curves->evaluation);
    bool is_between = curves->evaluations > 0 && (curves->evaluations - 1) % curves->stride != 0;
    if (is_between) /* it was the last, and is no more */
        json_array_remove(curves->evaluation, count - 1);
    else if (count == MAX_EVALUATIONS)
        thin_out(curves);
    json_array_append_new(curves->evaluation,
                          json_pack("{s:I, s:o}", "step",
                                    json_integer_value(json_object_get(event, "step")), "subnets",
                                    copy_subnets(json_object_get(event, "subnets"))));
    curves->evaluations++;
}

static void take_line(struct curves *curves, const char *line, size_t size)
{
    json_t *event = json_loadb(line, size, 0, NULL);
    const char *name = json_string_value(json_object_get(event, "event"));
    if (name && strcmp(name, "step") == 0)
        take_step(curves, event);
    else if (name && strcmp(name, "evaluate") == 0)
        take_evaluation(curves, event);
    else if (name && strcmp(name, "start") == 0)
        curves->steps = (int64_t)json_number_value(json_object_get(event, "steps"));
    json_decref(event);
}

static ssize_t read_at(int file, char *bytes, size_t size, off_t at)
{
    ssize_t got = 0;
    do
        got = pread(file, bytes, size, at);
    while (got < 0 && errno == EINTR);
    return got;
}

/* Is what was taken in still there? A resume writes the file anew, shorter at first. */
static bool is_same(const struct curves *curves, int file)
{
    char tail[TAIL];
    ssize_t got = read_at(file, tail, curves->tail_size, curves->at - (off_t)curves->tail_size);
    return got == (ssize_t)curves->tail_size && memcmp(tail, curves->tail, curves->tail_size) == 0;
}

static void move_to(struct curves *curves, const char *bytes, size_t size)
{
    size_t kept = size < TAIL ? size : TAIL;
    memcpy(curves->tail, bytes + size - kept, kept);
    curves->tail_size = kept;
    curves->at += (off_t)size;
    curves->version++;
}

/* Whole lines; of a piece without an end (no line of ours is so long) all. */
static void take_lines(struct curves *curves, const char *bytes, size_t size)
{
    size_t done = 0;
    for (const char *end; (end = memchr(bytes + done, '\n', size - done));) {
        size_t line = (size_t)(end - bytes) - done;
        take_line(curves, bytes + done, line);
        done += line + 1;
    }
    done = done == 0 && size == TURN_BYTES ? size : done;
    if (done > 0)
        move_to(curves, bytes, done);
}

enum err curves_read(struct curves *curves, bool *is_all)
{
    enum err err = ERR_OK;
    int file = -1;
    char *bytes = NULL;
    struct stat status;
    TRY(file_open_plain(curves->path, &file));
    if (!is_same(curves, file))
        forget(curves);
    off_t left = fstat(file, &status) == 0 ? status.st_size - curves->at : 0;
    size_t room = left < (off_t)TURN_BYTES ? (size_t)(left > 0 ? left : 0) : TURN_BYTES;
    bytes = mem_alloc(room + 1);
    ssize_t got = read_at(file, bytes, room, curves->at);
    if (got < 0)
        TRY(err_set(ERR_IO, "cannot read %s: %s", curves->path, strerror(errno)));
    take_lines(curves, bytes, (size_t)got);
    *is_all = left <= (off_t)TURN_BYTES;
out:
    if (file >= 0)
        close(file);
    mem_free(bytes);
    return err;
}

int64_t curves_version(const struct curves *curves)
{
    return curves->version;
}

static json_t *points_json(const struct curves *curves, int name)
{
    json_t *list = json_array();
    for (int i = 0; i < curves->point_count; i++) {
        const struct point *point = &curves->points[i];
        double mean = point->count[name] > 0 ? point->sum[name] / point->count[name] : NAN;
        json_array_append_new(list, isfinite(mean) ? json_real(mean) : json_null());
    }
    return list;
}

json_t *curves_json(const struct curves *curves)
{
    json_t *json = json_object(), *steps = json_array();
    for (int i = 0; i < curves->point_count; i++)
        json_array_append_new(steps, json_integer(curves->points[i].last));
    json_object_set_new(json, "steps", json_integer(curves->steps));
    json_object_set_new(json, "step", steps);
    for (int i = 0; i < NAMES; i++)
        json_object_set_new(json, names[i], points_json(curves, i));
    json_object_set(json, "evaluate", curves->evaluation);
    return json;
}
