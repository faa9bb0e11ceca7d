/* glowworm help campaign: the knobs of a campaign file, from the rows that parse it. */
#include "base/text.h"
#include "cluster/command.h"
#include "trainer/spec/campaign.h"
#include <stdio.h>

enum err cmd_help_campaign(int argc, char **argv)
{
    struct text help;
    (void)argv;
    if (argc > 1)
        return err_set(ERR_USAGE, "takes no arguments");
    text_init(&help);
    campaign_help(&help);
    fputs(text_get(&help), stdout);
    text_fini(&help);
    return ERR_OK;
}
