#include "cluster/table.h"
#include "cluster/validate/validation_text.h"
#include <math.h>
#include <stdio.h>

enum { CELL = 96 };

static void add_row(struct table *table, const char *what, const char *found, const char *asked)
{
    const char *row[] = {what, found, asked};
    table_add(table, row);
}

static void add_answers(const struct pass_figures *figures, struct table *table)
{
    char found[CELL], asked[CELL];
    snprintf(found, CELL, "%d of %d", figures->clear_agree, figures->clear);
    snprintf(asked, CELL, "%.0f %%", 100 * PASS_CLEAR_AGREEMENT);
    add_row(table, "same answer, clear images", found, asked);
    snprintf(found, CELL, "%d of %d", figures->certain_agree, figures->certain);
    add_row(table, "same answer, certain images", found, "all");
    snprintf(found, CELL, "%.4f", figures->confidence_difference);
    snprintf(asked, CELL, "%.2f", PASS_CONFIDENCE);
    add_row(table, "confidence off by (median)", found, asked);
    if (figures->labelled == 0)
        return;
    snprintf(found, CELL, "%.2f %%", 100.0 * figures->correct / figures->labelled);
    snprintf(asked, CELL, "%.2f %% less %.0f", 100.0 * figures->fp32_correct / figures->labelled,
             PASS_LOSS_POINTS);
    add_row(table, "accuracy", found, asked);
}

static void add_frames(const struct measured *measured, struct table *table)
{
    char found[CELL];
    snprintf(found, CELL, "%d lost, %d of another frame, %d impossible", measured->lost,
             measured->strays, measured->garbled);
    add_row(table, "frames left out", found, "-");
}

static void add_latency(const struct pass_figures *figures, struct table *table)
{
    char found[CELL], asked[CELL] = "-";
    snprintf(found, CELL, "%.2f ms", figures->latency_median_ms);
    if (figures->budget_ms > 0)
        snprintf(asked, CELL, "%.2f ms", figures->budget_ms);
    add_row(table, "latency, median", found, asked);
    snprintf(found, CELL, "%.2f ms", figures->latency_p95_ms);
    add_row(table, "latency, 95 of 100 within", found, "-");
    if (figures->predicted_ms > 0) {
        snprintf(found, CELL, "%.2f ms", figures->predicted_ms);
        add_row(table, "latency, predicted", found, "-");
    }
}

void validation_print(const struct validation *validation)
{
    static const struct table_column columns[] = {
        {"what", TABLE_LEFT}, {"found", TABLE_RIGHT}, {"asked for", TABLE_RIGHT}};
    const struct camera_identity *camera = &validation->camera;
    const struct pass_verdict *verdict = &validation->verdict;
    struct table table;
    printf("%s on %s%s (serial %s, firmware %s), %d %s images\n", validation->file.name,
           camera->model, validation->cfg.is_simulated ? " simulated" : "", camera->serial,
           camera->firmware, validation->figures.images, validation->check.images.from);
    table_init(&table, columns, 3, 0);
    add_answers(&validation->figures, &table);
    add_latency(&validation->figures, &table);
    add_frames(&validation->measured, &table);
    table_print(&table);
    table_fini(&table);
    for (int w = 0; w < verdict->warnings; w++)
        printf("warning: %s\n", verdict->warning[w]);
    for (int f = 0; f < verdict->failures; f++)
        printf("fails: %s\n", verdict->failure[f]);
    if (verdict->failures == 0)
        printf("passes\n");
}
