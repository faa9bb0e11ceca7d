/* glowworm publish: copies of a run's stores for other machines, made by a child of the runner
 * whose stores lie on scratch. */
#include "base/text.h"
#include "cluster/command.h"
#include "cluster/scratch/state.h"
#include <getopt.h>
#include <stdio.h>

enum err cmd_publish(int argc, char **argv)
{
    static const struct option known[] = {{"claim", required_argument, NULL, 'c'},
                                          {"stores", required_argument, NULL, 's'},
                                          {NULL, 0, NULL, 0}};
    enum err err = ERR_OK;
    long claim = 0;
    struct publish_cfg cfg = {.claim = 0};
    struct published_state name;
    bool is_new = false;
    for (int option; (option = getopt_long(argc, argv, "", known, NULL)) != -1;) {
        if (option == 'c')
            TRY(text_to_int(optarg, 1, 1L << 62, &claim));
        else if (option == 's')
            cfg.stores = optarg;
        else
            TRY(err_set(ERR_USAGE, "that option is not known, or lacks its value"));
    }
    if (argc - optind != 1 || claim == 0 || !cfg.stores)
        TRY(err_set(ERR_USAGE, "name one run, its claim and its stores"));
    cfg.run_folder = argv[optind];
    cfg.claim = (uint64_t)claim;
    TRY(state_publish(&cfg, &name, &is_new));
    printf("state-%llu-%llu %s\n", (unsigned long long)name.claim,
           (unsigned long long)name.sequence, is_new ? "is published" : "says it all already");
out:
    return err;
}
