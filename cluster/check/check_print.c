#include "cluster/check/check_text.h"
#include "cluster/table.h"
#include <math.h>
#include <stdio.h>

enum { CELL = 64 };

/* A number, or "-" for one that is none. */
static void set_cell(char cell[CELL], const char *format, double value)
{
    if (isnan(value))
        snprintf(cell, CELL, "-");
    else
        snprintf(cell, CELL, format, value);
}

static double percent(int part, int whole)
{
    return whole ? 100.0 * part / whole : NAN;
}

static void print_arithmetics(const struct bundle_check *check)
{
    static const struct table_column columns[] = {
        {"arithmetic", TABLE_LEFT}, {"accuracy", TABLE_RIGHT}, {"same answer", TABLE_RIGHT},
        {"largest", TABLE_RIGHT},   {"mean", TABLE_RIGHT},     {"beyond 2 %", TABLE_RIGHT},
        {"L2", TABLE_RIGHT}};
    struct table table;
    table_init(&table, columns, 7, 0);
    for (int a = 0; a < ARITHMETICS; a++) {
        const struct compared *of = &check->divergence.of[a];
        char cells[7][CELL];
        const char *row[7];
        snprintf(cells[0], CELL, "%s", arithmetic_names[a]);
        set_cell(cells[1], "%.2f %%", 100 * check_accuracy(check, (enum arithmetic)a));
        set_cell(cells[2], "%.2f %%", percent(of->agree, check->divergence.images));
        set_cell(cells[3], "%.3f %%", of->figures.largest);
        set_cell(cells[4], "%.3f %%", of->figures.mean);
        set_cell(cells[5], "%.2f %%", of->figures.far);
        set_cell(cells[6], "%.3f %%", of->figures.l2);
        for (int c = 0; c < 7; c++)
            row[c] = cells[c];
        table_add(&table, row);
    }
    table_print(&table);
    table_fini(&table);
}

static void add_layer(const struct bundle_check *check, int l, struct table *table)
{
    char cells[8][CELL];
    const char *row[9] = {check->checked->net.layers[l].name};
    const struct compared_layer *sum32 = &check->divergence.of[ARITHMETIC_FP16_SUM32].layers[l];
    const struct compared_layer *sum16 = &check->divergence.of[ARITHMETIC_FP16].layers[l];
    set_cell(cells[0], "%.3f", 2e-6 * (double)exported_macs(&check->checked->net.layers[l]));
    set_cell(cells[1], "%.3f", 1e-6 * check_layer_bytes(check, l));
    set_cell(cells[2], "%.3f", check_layer_ms(check, l));
    set_cell(cells[3], "%.2e", sum32->worst_error);
    set_cell(cells[4], "%.2e", sum16->worst_error);
    set_cell(cells[5], "%.0f", (double)(sum16->counts.overflows + sum16->weights.overflows));
    set_cell(cells[6], "%.0f", (double)(sum16->counts.subnormals + sum16->weights.subnormals));
    set_cell(cells[7], "%.1f %%",
             100.0 * (double)sum32->counts.saturated / (double)sum32->counts.values);
    for (int c = 0; c < 8; c++)
        row[1 + c] = cells[c];
    table_add(table, row);
}

static void print_layers(const struct bundle_check *check)
{
    static const struct table_column columns[] = {
        {"layer", TABLE_LEFT},      {"MFLOPs", TABLE_RIGHT},    {"MB", TABLE_RIGHT},
        {"ms", TABLE_RIGHT},        {"fp16/fp32", TABLE_RIGHT}, {"fp16/fp16", TABLE_RIGHT},
        {"overflows", TABLE_RIGHT}, {"subnormal", TABLE_RIGHT}, {"saturated", TABLE_RIGHT}};
    struct table table;
    table_init(&table, columns, 9, 0);
    for (int l = 0; l < check->checked->net.count; l++)
        add_layer(check, l, &table);
    table_print(&table);
    table_fini(&table);
}

static void print_formats(const struct bundle_check *check)
{
    for (int f = 0; f < CHECK_FORMATS; f++)
        if (check->formats[f].is_there)
            printf("%s: within %.1e of %s, within %.1e of the supernet\n", check->formats[f].files,
                   check->formats[f].difference, check->checked->files,
                   check->formats[f].supernet_difference);
    if (check->frames > 0)
        printf("%d raw frames: within %.1e of the probabilities that samples.json expects\n",
               check->frames, check->frame_difference);
}

static void print_sentences(const char *what, const json_t *sentences)
{
    size_t i = 0;
    json_t *sentence = NULL;
    json_array_foreach(sentences, i, sentence)
        printf("%s: %s\n", what, json_string_value(sentence));
}

void check_print(const struct bundle_check *check)
{
    double ms = check_total_ms(check);
    printf("%s: %s on %d %s images\n\n", check->cfg.bundle, check->checked->files,
           check->images.count, check->images.from);
    print_arithmetics(check);
    printf("\n");
    print_layers(check);
    if (isfinite(ms) && ms > 0)
        printf("predicted on %s: %.2f ms, %.2f of them whatever the network\n", check->device.name,
               ms, check->device.latency_fixed_ms);
    printf("\n");
    print_formats(check);
    print_sentences("warning", check->warnings);
    print_sentences("failed", check->failures);
    printf("%s\n", json_array_size(check->failures) ? "the bundle does not pass" : "passed");
}
