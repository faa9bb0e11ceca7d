/* A growing string: formatted pieces are appended; the memory is ours until text_fini(). One thread
 * at a time. */
#ifndef BASE_TEXT_H
#define BASE_TEXT_H

#include "base/err.h"
#include <stddef.h>

struct text {
    char *bytes; /* always NUL-terminated once something was added; NULL before */
    size_t size; /* without the NUL */
    size_t room;
};

void text_init(struct text *text);
void text_fini(struct text *text);
void text_add(struct text *text, const char *format, ...) PRINTF_LIKE(2, 3);
/* The fewest digits that read back as the same number: 0.05, not 0.050000000000000003. */
void text_add_real(struct text *text, double value);
void text_add_bytes(struct text *text, const void *bytes, size_t size_bytes);
/* As base64 (RFC 4648), padded, without line ends. */
void text_add_base64(struct text *text, const void *bytes, size_t size_bytes);
const char *text_get(const struct text *text); /* "" when empty; borrowed */

/* Length of the UTF-8 character that begins here, of at most `left` bytes; 0 when it is none, or a
 * control character other than tab and line ends. */
size_t text_character_size(const char *bytes, size_t left);

/* Text from elsewhere, fit for a terminal: what is no UTF-8, or a control character (of C1 too),
 * becomes '?', a tab a space; line ends stay. */
void text_add_safe(struct text *text, const char *bytes, size_t size_bytes);

/* Distance of two words in single-character edits, for "did you mean". */
int text_distance(const char *left, const char *right);

/* strtol and strtod with the whole string checked: ERR_DATA naming the text when it is not a number
 * in [low, high]. */
MUST_CHECK enum err text_to_int(const char *text, long low, long high, long *value);
MUST_CHECK enum err text_to_double(const char *text, double low, double high, double *value);

#endif
