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
    const char *page = argc == 2 ? argv[1] : "";
    if (argc > 2 || (page[0] && strcmp(page, "campaign") != 0 && strcmp(page, "scheduler") != 0))
        return err_set(ERR_USAGE, "the pages are this program's and, with \"campaign\" or "
                                  "\"scheduler\", the file's and the daemon's");
    if (!page[0])
        return print(man_page_program);
    return print(strcmp(page, "campaign") == 0 ? man_page_campaign : man_page_scheduler);
}

enum err cmd_help_completion(int argc, char **argv)
{
    (void)argv;
    return argc > 1 ? err_set(ERR_USAGE, "takes no arguments") : print(completion_bash);
}
