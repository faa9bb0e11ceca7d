/* glowworm report: writes a run's page. */
#include "base/fence.h"
#include "base/file.h"
#include "base/mem.h"
#include "cluster/command.h"
#include "cluster/report.h"
#include <getopt.h>
#include <stdio.h>

enum err cmd_report(int argc, char **argv)
{
    static const struct option options[] = {{"output", required_argument, NULL, 'o'},
                                            {NULL, 0, NULL, 0}};
    enum err err = ERR_OK;
    struct run_results results = {0};
    struct text html;
    char *path = NULL;
    text_init(&html);
    for (int option; (option = getopt_long(argc, argv, "o:", options, NULL)) != -1;) {
        if (option != 'o')
            TRY(err_set(ERR_USAGE, "unknown option"));
        mem_free(path);
        path = mem_string(optarg);
    }
    if (argc - optind != 1)
        TRY(err_set(ERR_USAGE, "name one run's folder"));
    TRY(run_results_load(argv[optind], &results));
    report_write(&results, &html);
    if (!path)
        path = file_join(argv[optind], "report.html");
    TRY(fence_write(&(struct fence){argv[optind], fence_given_claim()}, path, text_get(&html),
                    html.size));
    printf("%s\n", path);
out:
    mem_free(path);
    text_fini(&html);
    run_results_fini(&results);
    return err;
}
