#include "cluster/dataset_words.h"
#include "base/text.h"
#include <stdio.h>

void dataset_print_json(json_t *json)
{
    json_dumpf(json, stdout, JSON_INDENT(2) | JSON_PRESERVE_ORDER);
    printf("\n");
    json_decref(json);
}

const char *dataset_format_name(enum image_format format)
{
    return format == IMAGE_JPEG ? "jpeg" : "raw";
}

enum err dataset_parse_number(const char *option, const char *text, long low, long high,
                              long *value)
{
    enum err err = text_to_int(text, low, high, value);
    return err == ERR_OK
               ? ERR_OK
               : err_set(ERR_USAGE, "%s must be %ld to %ld, not \"%s\"", option, low, high, text);
}
