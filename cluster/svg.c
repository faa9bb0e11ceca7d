#include "cluster/svg.h"
#include <math.h>
#include <stdbool.h>
#include <stdio.h>

enum { LEFT = 64, RIGHT = 28, TOP = 18, BOTTOM = 44, TICK_ROW = 16, LABEL_ROW = 14, TICKS = 6 };

/* The y of the x axis. */
static int bottom_of(const struct svg_plot *plot)
{
    return plot->height - BOTTOM - (plot->x.second_format ? TICK_ROW : 0);
}

static double place_x(const struct svg_plot *plot, double x)
{
    double unit = (x - plot->x.low) / (plot->x.high - plot->x.low);
    return LEFT + unit * (plot->width - LEFT - RIGHT);
}

static double place_y(const struct svg_plot *plot, double y)
{
    double unit = (y - plot->y.low) / (plot->y.high - plot->y.low);
    return bottom_of(plot) - unit * (bottom_of(plot) - TOP);
}

/* 1, 2 or 5 times a power of ten, so that [0, span] has about TICKS of them. */
static double round_step(double span)
{
    double power = pow(10, floor(log10(span / TICKS))), ratio = span / TICKS / power;
    return power * (ratio < 1.5 ? 1 : ratio < 3.5 ? 2 : ratio < 7.5 ? 5 : 10);
}

struct svg_axis svg_axis_of(const double *values, int n, const char *label, const char *tick_format)
{
    struct svg_axis axis = {.high = 1, .label = label, .tick_format = tick_format};
    if (n > 0)
        axis.low = axis.high = values[0];
    for (int i = 1; i < n; i++) {
        axis.low = fmin(axis.low, values[i]);
        axis.high = fmax(axis.high, values[i]);
    }
    if (!(axis.high - axis.low > 1e-9 * fabs(axis.high) + 1e-12))
        axis.low -= 0.5, axis.high += 0.5;
    double step = round_step(axis.high - axis.low);
    axis.low = floor(axis.low / step) * step;
    axis.high = ceil(axis.high / step) * step;
    return axis;
}

void html_add(struct text *html, const char *text)
{
    for (; *text; text++) {
        const char *escaped = *text == '<'   ? "&lt;"
                              : *text == '>' ? "&gt;"
                              : *text == '&' ? "&amp;"
                              : *text == '"' ? "&quot;"
                                             : NULL;
        if (escaped)
            text_add(html, "%s", escaped);
        else
            text_add_bytes(html, text, 1);
    }
}

static void add_tick(const struct svg_plot *plot, const char *format, double value, double x,
                     double y, const char *anchor)
{
    char number[48];
    snprintf(number, sizeof number, format, value);
    text_add(plot->html, "<text class=\"tick\" x=\"%.1f\" y=\"%.1f\" text-anchor=\"%s\">", x, y,
             anchor);
    html_add(plot->html, number);
    text_add(plot->html, "</text>\n");
}

/* The second row has round numbers of its own unit: between the grid's lines, not at them. */
static void add_second_ticks(const struct svg_plot *plot)
{
    const struct svg_axis *axis = &plot->x;
    double span = axis->second_high - axis->second_low, step = round_step(span);
    int y = bottom_of(plot);
    for (double v = ceil(axis->second_low / step - 1e-6) * step;
         v <= axis->second_high + step * 1e-6; v += step) {
        double unit = (v - axis->second_low) / span;
        double x = place_x(plot, axis->low + unit * (axis->high - axis->low));
        text_add(plot->html, "<path class=\"grid\" d=\"M%.1f %d v5\"/>\n", x, y);
        add_tick(plot, axis->second_format, fabs(v) < step * 1e-6 ? 0 : v, x, y + 2 * TICK_ROW,
                 "middle");
    }
}

static void add_grid(const struct svg_plot *plot)
{
    double right = plot->width - RIGHT, step = round_step(plot->x.high - plot->x.low);
    int bottom = bottom_of(plot);
    for (double v = ceil(plot->x.low / step - 1e-6) * step; v <= plot->x.high + step * 1e-6;
         v += step) {
        double x = place_x(plot, v);
        text_add(plot->html, "<path class=\"grid\" d=\"M%.1f %d V%d\"/>\n", x, TOP, bottom);
        add_tick(plot, plot->x.tick_format, fabs(v) < step * 1e-6 ? 0 : v, x, bottom + TICK_ROW,
                 "middle");
    }
    if (plot->x.second_format)
        add_second_ticks(plot);
    step = round_step(plot->y.high - plot->y.low);
    for (double v = ceil(plot->y.low / step - 1e-6) * step; v <= plot->y.high + step * 1e-6;
         v += step) {
        double y = place_y(plot, v);
        text_add(plot->html, "<path class=\"grid\" d=\"M%d %.1f H%.1f\"/>\n", LEFT, y, right);
        add_tick(plot, plot->y.tick_format, fabs(v) < step * 1e-6 ? 0 : v, LEFT - 8, y + 4, "end");
    }
}

void svg_begin(const struct svg_plot *plot)
{
    text_add(plot->html, "<svg viewBox=\"0 0 %d %d\" role=\"img\" aria-label=\"", plot->width,
             plot->height);
    html_add(plot->html, plot->y.label);
    text_add(plot->html, "\">\n");
    add_grid(plot);
    text_add(plot->html, "<text class=\"axis\" x=\"%.1f\" y=\"%d\" text-anchor=\"middle\">",
             (LEFT + plot->width - RIGHT) / 2.0, plot->height - 6);
    html_add(plot->html, plot->x.label);
    text_add(plot->html,
             "</text>\n<text class=\"axis\" text-anchor=\"middle\" transform=\"translate(14 %.1f) "
             "rotate(-90)\">",
             (TOP + bottom_of(plot)) / 2.0);
    html_add(plot->html, plot->y.label);
    text_add(plot->html, "</text>\n");
}

void svg_end(const struct svg_plot *plot)
{
    text_add(plot->html, "</svg>\n");
}

void svg_line(const struct svg_plot *plot, const double *x, const double *y, int n,
              const char *colour)
{
    if (n < 1)
        return;
    text_add(plot->html, "<polyline class=\"line %s\" points=\"", colour);
    for (int i = 0; i < n; i++)
        text_add(plot->html, "%.1f,%.1f ", place_x(plot, x[i]), place_y(plot, y[i]));
    text_add(plot->html, "\"/>\n");
}

void svg_dot(const struct svg_plot *plot, double x, double y, const char *colour, const char *title)
{
    text_add(plot->html, "<circle class=\"dot %s\" cx=\"%.1f\" cy=\"%.1f\" r=\"3\"><title>", colour,
             place_x(plot, x), place_y(plot, y));
    html_add(plot->html, title);
    text_add(plot->html, "</title></circle>\n");
}

void svg_diamond(const struct svg_plot *plot, double x, double y, const char *colour,
                 const char *label)
{
    double px = place_x(plot, x), py = place_y(plot, y);
    bool is_right = px < plot->width * 0.7;
    text_add(plot->html, "<path class=\"diamond %s\" d=\"M%.1f %.1f l7 7 l-7 7 l-7 -7 z\"/>\n",
             colour, px, py - 7);
    text_add(plot->html, "<text class=\"label\" x=\"%.1f\" y=\"%.1f\" text-anchor=\"%s\">",
             px + (is_right ? 11 : -11), py + 16, is_right ? "start" : "end");
    html_add(plot->html, label);
    text_add(plot->html, "</text>\n");
}

void svg_mark(const struct svg_plot *plot, double x, int row, const char *label)
{
    double px = place_x(plot, x);
    bool is_right = px < plot->width * 0.8;
    text_add(plot->html,
             "<path class=\"mark\" d=\"M%.1f %d V%d\"/>\n<text class=\"tick\" x=\"%.1f\" y=\"%d\" "
             "text-anchor=\"%s\">",
             px, TOP, bottom_of(plot), px + (is_right ? 4 : -4), TOP + 10 + LABEL_ROW * row,
             is_right ? "start" : "end");
    html_add(plot->html, label);
    text_add(plot->html, "</text>\n");
}
