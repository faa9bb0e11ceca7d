/* glowworm key: who may ask a scheduler from another machine. */
#include "base/wire/key_file.h"
#include "cluster/command.h"
#include "cluster/next_command.h"
#include <stdio.h>
#include <string.h>

enum err cmd_key_generate(int argc, char **argv)
{
    enum err err = ERR_OK;
    struct key_pair pair = {0};
    if (argc != 2 || argv[1][0] == '-')
        TRY(err_set(ERR_USAGE, "name the file that is to hold the pair"));
    TRY(key_file_make(argv[1], &pair));
    printf("%s\n", pair.public_key);
    next_command("let it in, on the scheduler's machine", "cat %s.pub >>ALLOW", argv[1]);
out:
    memset(&pair, 0, sizeof pair);
    return err;
}
