#include "tests/yaml/mutate.h"
#include "base/rng.h"
#include <string.h>

const char *const mutate_values[] = {
    "",         "~",           "null",    "[]",           "{}",       "[[]]",
    "[1, [2]]", "{a: {b: c}}", "\"\"",    "'0'",          "0",        "-1",
    "1",        "2",           "3",       "1e999",        "-0.5",     "nan",
    "0x10",     "1e-320",      "9e18",    "yes",          "auto",     "18446744073709551616",
    "[7, 3]",   "[3, 3]",      "[0]",     "[-3]",         "1..0",     "word",
    "a/../b",   "- x",         "1000000", "999999999999", "1..65536", "[1..9]",
    "1 step",   "2147483647"};
const int mutate_value_count = (int)(sizeof mutate_values / sizeof *mutate_values);

static uint32_t draw(uint64_t seed, uint64_t round, uint64_t index, uint32_t bound)
{
    return rng_below(rng(seed, RNG_TEST, 0, round, index), bound);
}

size_t mutate_bytes(uint64_t seed, uint64_t round, char *bytes, size_t size)
{
    static const char *const words[] = {"&a ",   "*a", "!!x ", "---\n", "{",    "[",    "]",
                                        "}",     ": ", "- ",   "\t",    "\n",   "'",    "#",
                                        "\"",    "? ", "|",    ">-\n",  "%TAG", "\xff", "\0",
                                        "1e999", ",",  "<<: ", "~",     "..."};
    uint32_t edits = 1 + draw(seed, round, 0, 4);
    for (uint32_t e = 0; e < edits && size > 0; e++) {
        size_t at = draw(seed, round, 8 * e + 1, (uint32_t)size);
        size_t run = 1 + draw(seed, round, 8 * e + 2, 40);
        const char *word = words[draw(seed, round, 8 * e + 4, sizeof words / sizeof *words)];
        size_t length = strlen(word) ? strlen(word) : 1;
        switch (draw(seed, round, 8 * e + 3, 4)) {
        case 0:
            bytes[at] = (char)draw(seed, round, 8 * e + 5, 256);
            break;
        case 1:
            run = run < size - at ? run : size - at;
            memmove(bytes + at, bytes + at + run, size - at - run);
            size -= run;
            break;
        case 2:
            run = run < size - at ? run : size - at;
            memmove(bytes + at + run, bytes + at, size - at);
            size += run;
            break;
        default:
            memmove(bytes + at + length, bytes + at, size - at);
            memcpy(bytes + at, word, length);
            size += length;
        }
    }
    return size;
}

/* [from, to) becomes the word. */
static size_t replace(char *bytes, size_t size, size_t from, size_t to, const char *word)
{
    size_t length = strlen(word);
    memmove(bytes + from + length, bytes + to, size - to);
    memcpy(bytes + from, word, length);
    return size - (to - from) + length;
}

size_t mutate_value(uint64_t seed, uint64_t round, char *bytes, size_t size)
{
    const char *word = mutate_values[draw(seed, round, 1, (uint32_t)mutate_value_count)];
    if (size == 0 || draw(seed, round, 2, 16) == 0)
        return replace(bytes, size, 0, size, word);
    size_t from = draw(seed, round, 3, (uint32_t)size), to;
    while (from < size && bytes[from] != ':')
        from++;
    from = from + 2 < size ? from + 2 : size;
    for (to = from; to < size && !strchr("\n,}]", bytes[to]);)
        to++;
    return replace(bytes, size, from, to, word);
}
