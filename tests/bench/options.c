#include "tests/bench/options.h"
#include "base/text.h"
#include <getopt.h>
#include <stdio.h>
#include <string.h>

static const struct option all[] = {{"batch", required_argument, NULL, 'b'},
                                    {"global", required_argument, NULL, 'g'},
                                    {"micro", required_argument, NULL, 'm'},
                                    {"threads", required_argument, NULL, 't'},
                                    {"seconds", required_argument, NULL, 's'},
                                    {"isa", required_argument, NULL, 'i'},
                                    {"precision", required_argument, NULL, 'p'},
                                    {"phase", required_argument, NULL, 'r'},
                                    {"device", required_argument, NULL, 'd'},
                                    {"layers", no_argument, NULL, 'l'},
                                    {"teacher", no_argument, NULL, 'k'},
                                    {"fixed", no_argument, NULL, 'f'},
                                    {"json", no_argument, NULL, 'j'},
                                    {NULL, 0, NULL, 0}};

static enum err read_count(int *count)
{
    enum err err = ERR_OK;
    long value = 0;
    TRY(text_to_int(optarg, 1, 65536, &value));
    *count = (int)value;
out:
    return err;
}

static enum err read_value(int option, struct bench_options *options)
{
    switch (option) {
    case 'b':
        return read_count(&options->batch);
    case 'g':
        return read_count(&options->global);
    case 'm':
        return read_count(&options->micro);
    case 't':
        return read_count(&options->threads);
    case 's':
        return text_to_double(optarg, 0, 86400, &options->seconds);
    case 'i':
        options->isa = optarg;
        break;
    case 'p':
        options->precision = optarg;
        break;
    case 'r':
        options->phase = optarg;
        break;
    case 'd':
        options->device = optarg;
        break;
    case 'l':
        options->has_layers = true;
        break;
    case 'f':
        options->is_fixed = true;
        break;
    case 'k':
        options->has_teacher = true;
        break;
    default:
        options->has_json = true;
    }
    return ERR_OK;
}

enum err bench_options_read(int argc, char **argv, const char *known, struct bench_options *options)
{
    enum err err = ERR_OK;
    int index = 0;
    for (int option; (option = getopt_long(argc, argv, "", all, &index)) != -1;) {
        char name[32];
        if (option == '?')
            TRY(err_set(ERR_USAGE, "that option is not known, or lacks its value"));
        snprintf(name, sizeof name, " %s ", all[index].name);
        if (!strstr(known, name))
            TRY(err_set(ERR_USAGE, "--%s is not for this one; it has%s", all[index].name, known));
        TRY(read_value(option, options));
    }
    options->words = argv + optind;
    options->word_count = argc - optind;
out:
    if (err == ERR_DATA) /* a number */
        err = err_prefix(ERR_USAGE, "an option's number");
    return err;
}

enum err bench_options_device(const struct bench_options *options, struct device_cfg *cfg)
{
    enum err err = ERR_OK;
    *cfg = (struct device_cfg){.name = options->device ? options->device : "cpu",
                               .threads = options->threads};
    TRY(isa_parse(options->isa, &cfg->isa));
    TRY(precision_parse(options->precision, &cfg->precision));
out:
    return err;
}
