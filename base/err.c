#include "base/err.h"
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Long enough for a campaign file with dozens of mistakes, all listed in one text. */
#define TEXT_BYTES 8192

static _Thread_local char text[TEXT_BYTES];

static const struct {
    const char *name;
    int exit_code;
} codes[] = {
    [ERR_OK] = {"ok", 0},
    [ERR_FAILED] = {"failed", 1},
    [ERR_USAGE] = {"usage", 2},
    [ERR_DATA] = {"data", 65},
    [ERR_NOT_FOUND] = {"not-found", 65},
    [ERR_NUMERIC] = {"numeric", 65},
    [ERR_UNAVAILABLE] = {"unavailable", 69},
    [ERR_IO] = {"io", 74},
    [ERR_FULL] = {"full", 74},
    [ERR_MEMORY] = {"memory", 71},
    [ERR_PEER] = {"peer", 75},
    [ERR_AGAIN] = {"again", 75},
    [ERR_CONFIG] = {"config", 78},
    [ERR_INTERRUPTED] = {"interrupted", 130},
    [ERR_REQUEUE] = {"requeue", 85},
    [ERR_HELD] = {"held", 86},
};
#define CODE_COUNT (sizeof codes / sizeof *codes)

enum err err_set(enum err code, const char *format, ...)
{
    char made[TEXT_BYTES]; /* made beside: an argument may be err_text() itself */
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(made, sizeof made, format, arguments);
    va_end(arguments);
    memcpy(text, made, strlen(made) + 1);
    return code;
}

enum err err_prefix(enum err code, const char *format, ...)
{
    char made[TEXT_BYTES];
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(made, sizeof made, format, arguments);
    va_end(arguments);
    size_t used = length < 0 ? 0 : (size_t)length;
    if (used < sizeof made && snprintf(made + used, sizeof made - used, ": %s", text) < 0)
        made[used] = '\0';
    memcpy(text, made, strlen(made) + 1);
    return code;
}

const char *err_text(void)
{
    return text;
}

const char *err_name(enum err code)
{
    return (size_t)code < CODE_COUNT ? codes[code].name : "unknown";
}

enum err err_of_name(const char *name)
{
    for (size_t i = 0; i < CODE_COUNT; i++)
        if (strcmp(name, codes[i].name) == 0)
            return (enum err)i;
    return ERR_FAILED;
}

int err_exit_code(enum err code)
{
    return (size_t)code < CODE_COUNT ? codes[code].exit_code : 70;
}

NORETURN void err_bug(const char *file, int line, const char *format, ...)
{
    va_list arguments;
    fprintf(stderr, "glowworm: a bug at %s:%d: ", file, line);
    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fprintf(stderr, "\n");
    abort();
}
