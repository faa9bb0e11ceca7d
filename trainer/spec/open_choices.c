#include "trainer/spec/open_choices.h"
#include "base/mem.h"
#include "trainer/spec/schedule.h"
#include <string.h>

static void format_list(const char *letter, const struct choices *choices, struct text *text)
{
    text_add(text, "%s=", letter);
    for (int i = 0; i < choices->count; i++)
        text_add(text, "%s%d", i ? "," : "", choices->value[i]);
}

void open_choices_format(const struct open_choices *open, struct text *text)
{
    format_list("k", &open->kernels, text);
    format_list(" e", &open->expansions, text);
    format_list(" d", &open->depths, text);
}

/* "3,4,6" into choices that have the largest already. */
static enum err parse_values(const struct choices *all, char *values, struct choices *choices)
{
    enum err err = ERR_OK;
    char *rest = values;
    for (char *word; (word = strsep(&rest, ","));) {
        long value = 0;
        TRY(text_to_int(word, 0, 1000, &value));
        if (choices_find(all, (int)value) < 0)
            TRY(err_set(ERR_CONFIG, "%ld is not a choice of this space", value));
        (void)choices_add(choices, (int)value); /* as many as the space has */
    }
out:
    return err;
}

static enum err parse_word(const struct space *space, char *word, struct open_choices *open)
{
    static const char cure[] = "write all, biggest, or lists such as k=3,5,7 e=4,6 d=2,3,4";
    const struct choices *all[] = {&space->kernels, &space->expansions, &space->depths};
    struct choices *lists[] = {&open->kernels, &open->expansions, &open->depths};
    int which = word[0] == 'k' ? 0 : word[0] == 'e' ? 1 : word[0] == 'd' ? 2 : -1;
    if (which < 0 || word[1] != '=')
        return err_set(ERR_CONFIG, "'%.40s' names no choices; %s", word, cure);
    if (parse_values(all[which], word + 2, lists[which]) != ERR_OK)
        return err_prefix(ERR_CONFIG, "%c=; %s", word[0], cure);
    return ERR_OK;
}

enum err open_choices_parse(const struct space *space, const char *text, struct open_choices *open)
{
    enum err err = ERR_OK;
    struct open_choices made;
    char *copy = mem_string(text), *rest = NULL;
    schedule_open_biggest(space, &made);
    if (strcmp(text, "all") == 0)
        made = (struct open_choices){space->kernels, space->expansions, space->depths};
    else if (strcmp(text, "biggest") != 0)
        for (char *word = strtok_r(copy, " ", &rest); word; word = strtok_r(NULL, " ", &rest))
            TRY(parse_word(space, word, &made));
    *open = made;
out:
    mem_free(copy);
    return err;
}
