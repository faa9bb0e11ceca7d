/* Plots as inline SVG: points go in, ticks and labels are worked out here. No state but the text
 * written to. */
#ifndef CLUSTER_SVG_H
#define CLUSTER_SVG_H

#include "base/text.h"

struct svg_axis {
    double low, high; /* low < high */
    const char *label;
    const char *tick_format; /* printf format of one double, e.g. "%.0f %%" */
    /* The x axis may have a second row of ticks in another unit; format NULL: none. */
    const char *second_format;
    double second_low, second_high; /* in that unit */
};

struct svg_plot {
    int width, height; /* of the whole picture, in CSS pixels */
    struct svg_axis x, y;
    struct text *html; /* written to */
};

/* Widens [low, high] to round numbers that hold all values; n may be 0. */
struct svg_axis svg_axis_of(const double *values, int n, const char *label,
                            const char *tick_format);

void svg_begin(const struct svg_plot *plot); /* frame, grid, ticks, labels */
void svg_end(const struct svg_plot *plot);
/* A polyline through (x, y); colour: a CSS class of the page ("s0".."s7", "grey"). */
void svg_line(const struct svg_plot *plot, const double *x, const double *y, int n,
              const char *colour);
/* Points further down than the line; `title` is what the mouse shows. */
void svg_dot(const struct svg_plot *plot, double x, double y, const char *colour,
             const char *title);
void svg_diamond(const struct svg_plot *plot, double x, double y, const char *colour,
                 const char *label);
/* A vertical line over the whole height, with a label at its top; row 0, 1, ...: how far down, so
 * that the labels of near lines do not cover each other. */
void svg_mark(const struct svg_plot *plot, double x, int row, const char *label);

/* Text with <, >, & and quotes escaped. */
void html_add(struct text *html, const char *text);

#endif
