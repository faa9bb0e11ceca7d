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
    static const struct {
        const char *name;
        void (*write)(struct text *text);
    } pages[] = {{"", man_page_program},
                 {"campaign", man_page_campaign},
                 {"scheduler", man_page_scheduler},
                 {"camera-sim", man_page_camera_sim}};
    const char *name = argc == 2 ? argv[1] : "";
    for (size_t i = 0; argc <= 2 && i < sizeof pages / sizeof pages[0]; i++)
        if (strcmp(pages[i].name, name) == 0)
            return print(pages[i].write);
    return err_set(ERR_USAGE,
                   "the pages are this program's and, with \"campaign\", \"scheduler\" or "
                   "\"camera-sim\", the file's, the daemon's and the simulated camera's");
}

enum err cmd_help_completion(int argc, char **argv)
{
    (void)argv;
    return argc > 1 ? err_set(ERR_USAGE, "takes no arguments") : print(completion_bash);
}
