/* glowworm help: what the program knows about itself, for a person, for man and for bash. */
#include "base/text.h"
#include "cluster/command.h"
#include "cluster/completion.h"
#include "cluster/man_page.h"
#include "trainer/spec/campaign.h"
#include <stdio.h>
#include <string.h>

/* Prints what `write` makes. */
static enum err print(void (*write)(struct text *text))
{
    struct text text;
    text_init(&text);
    write(&text);
    fputs(text_get(&text), stdout);
    text_fini(&text);
    return ERR_OK;
}

enum err cmd_help_campaign(int argc, char **argv)
{
    (void)argv;
    return argc > 1 ? err_set(ERR_USAGE, "takes no arguments") : print(campaign_help);
}

enum err cmd_help_man(int argc, char **argv)
{
    if (argc > 2 || (argc == 2 && strcmp(argv[1], "campaign") != 0))
        return err_set(ERR_USAGE,
                       "the pages are this program's and, with \"campaign\", the file's");
    return print(argc == 2 ? man_page_campaign : man_page_program);
}

enum err cmd_help_completion(int argc, char **argv)
{
    (void)argv;
    return argc > 1 ? err_set(ERR_USAGE, "takes no arguments") : print(completion_bash);
}
