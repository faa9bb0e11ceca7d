#include "cluster/next_command.h"
#include "base/mem.h"
#include "base/text.h"
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define PLAIN "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_./=,:@+%"

void next_command(const char *purpose, const char *format, ...)
{
    char command[2048];
    va_list list;
    if (!isatty(STDERR_FILENO))
        return;
    va_start(list, format);
    vsnprintf(command, sizeof command, format, list);
    va_end(list);
    fprintf(stderr, "next: %s    # %s\n", command, purpose);
}

char *next_command_word(const char *word)
{
    struct text quoted;
    if (word[0] && strspn(word, PLAIN) == strlen(word))
        return mem_string(word);
    text_init(&quoted);
    text_add(&quoted, "'");
    for (const char *at = word; *at; at++)
        if (*at == '\'')
            text_add(&quoted, "'\\''");
        else
            text_add(&quoted, "%c", *at);
    text_add(&quoted, "'");
    char *copy = mem_string(text_get(&quoted));
    text_fini(&quoted);
    return copy;
}
