/* glowworm predict: a compiled bundle on image files, as the camera would see them. */
#include "base/mem.h"
#include "base/text.h"
#include "cluster/command.h"
#include "cluster/opened_bundle.h"
#include "cluster/sample_options.h"
#include "trainer/data/image_file.h"
#include "trainer/export/bundle.h"
#include "trainer/record/json_name.h"
#include <jansson.h>
#include <stdio.h>

static void print_answer(const struct opened_bundle *opened, const char *path, int top)
{
    int classes = opened->classes;
    bool *is_shown = mem_array((size_t)classes, sizeof *is_shown);
    printf("%s:", path);
    for (int n = 0; n < top && n < classes; n++) {
        int best = -1;
        for (int k = 0; k < classes; k++)
            if (!is_shown[k] &&
                (best < 0 || opened->probabilities[k] > opened->probabilities[best]))
                best = k;
        is_shown[best] = true;
        printf("%s %s %.2f %%", n ? "," : "", opened->labels[best],
               100 * (double)opened->probabilities[best]);
    }
    printf("\n");
    mem_free(is_shown);
}

static json_t *answer_json(const struct opened_bundle *opened, const char *path)
{
    int classes = opened->classes, best = 0;
    json_t *logits = json_array(), *probabilities = json_array();
    for (int k = 0; k < classes; k++) {
        best = opened->probabilities[k] > opened->probabilities[best] ? k : best;
        json_array_append_new(logits, json_real(opened->logits[k]));
        json_array_append_new(probabilities, json_real(opened->probabilities[k]));
    }
    return json_pack("{s:o, s:i, s:o, s:o, s:o}", "image", json_name(path), "class", best, "label",
                     json_name(opened->labels[best]), "logits", logits, "probabilities",
                     probabilities);
}

static enum err predict_file(struct opened_bundle *opened, const char *path,
                             const struct sample_format *samples)
{
    enum err err = ERR_OK;
    struct image read = {0}, fitted = {0};
    struct image_limits limits = {.pixels = IMAGE_MAX_PIXELS, .samples = *samples};
    err = image_file_read(path, &limits, &read, NULL);
    if (err != ERR_OK)
        TRY(err_prefix(err, "%s", path));
    bundle_fit_image(&read, opened->shape.height, opened->shape.channels, opened->geometry,
                     &fitted);
    bundle_normalise(&opened->dataset, &fitted, opened->is_bgr, opened->values);
    err = onnx_run(opened->net, opened->values, opened->logits, opened->probabilities);
    if (err != ERR_OK)
        TRY(err_prefix(err, "%s through network.onnx", path));
out:
    mem_free(read.pixels);
    mem_free(fitted.pixels);
    return err;
}

enum err cmd_predict(int argc, char **argv)
{
    static const struct option options[] = {{"json", no_argument, NULL, 'j'},
                                            {"top", required_argument, NULL, 't'},
                                            SAMPLE_OPTIONS,
                                            {NULL, 0, NULL, 0}};
    enum err err = ERR_OK;
    struct opened_bundle opened = {0};
    json_t *answers = json_array();
    long top = 1;
    bool is_json = false;
    struct sample_format samples = {0};
    for (int option; (option = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        if (option == 't' && text_to_int(optarg, 1, 1000, &top) != ERR_OK)
            TRY(err_set(ERR_USAGE, "--top must be 1 to 1000, not \"%s\"", optarg));
        else if (option == 'j')
            is_json = true;
        else if (option == 'b' || option == 'B' || option == 'r')
            TRY(sample_option_take(option, optarg, &samples));
        else if (option != 't')
            TRY(err_set(ERR_USAGE, "unknown option"));
    }
    if (argc - optind < 2)
        TRY(err_set(ERR_USAGE, "name a bundle's folder and at least one image"));
    TRY(image_file_start());
    TRY(opened_bundle_load(argv[optind], &opened));
    for (int i = optind + 1; i < argc; i++) {
        TRY(predict_file(&opened, argv[i], &samples));
        if (is_json)
            json_array_append_new(answers, answer_json(&opened, argv[i]));
        else
            print_answer(&opened, argv[i], (int)top);
    }
    if (is_json) {
        json_dumpf(answers, stdout, JSON_INDENT(2) | JSON_REAL_PRECISION(9));
        printf("\n");
    }
out:
    json_decref(answers);
    opened_bundle_fini(&opened);
    return err;
}
