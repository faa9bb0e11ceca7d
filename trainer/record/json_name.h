/* Names from outside in JSON: those of files may be any bytes, JSON's texts may not. */
#ifndef TRAINER_RECORD_JSON_NAME_H
#define TRAINER_RECORD_JSON_NAME_H

#include <jansson.h>

/* The name as a JSON text; of one that is not UTF-8 each byte outside ASCII becomes '?'. Never
 * NULL. Returns owned (json_decref). */
json_t *json_name(const char *name);

#endif
