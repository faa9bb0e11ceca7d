/* How fast images are imported: import SOURCE FOLDER [THREADS...]. FOLDER is made anew each time
 * and removed again. Prints one line for every number of threads: images/s and MiB of records/s. */
#include "trainer/data/import.h"
#include "base/file.h"
#include "base/mem.h"
#include <stdio.h>
#include <stdlib.h>

#define ROUNDS 5

static int compare(const void *left, const void *right)
{
    double l = *(const double *)left, r = *(const double *)right;
    return l < r ? -1 : l > r;
}

static enum err measure(const struct import_cfg *cfg)
{
    enum err err = ERR_OK;
    double seconds[ROUNDS];
    struct import_report report = {.skip_count = 0};
    for (int i = 0; i < ROUNDS; i++) {
        import_report_fini(&report);
        TRY(dataset_import(cfg, &report));
        seconds[i] = report.seconds;
        TRY(file_remove_folder(cfg->destination));
    }
    qsort(seconds, ROUNDS, sizeof *seconds, compare);
    double images = report.train_count + report.test_count;
    printf("%d threads: %.0f images/s, %.1f MiB/s of records (%.2f s, median of %d; %s)\n",
           cfg->threads, images / seconds[ROUNDS / 2],
           (double)report.record_bytes / (1 << 20) / seconds[ROUNDS / 2], seconds[ROUNDS / 2],
           ROUNDS, report.format == IMAGE_RAW ? "raw" : "jpeg");
out:
    import_report_fini(&report);
    return err;
}

int main(int argc, char **argv)
{
    enum err err = ERR_OK;
    if (argc < 3) {
        fprintf(stderr, "usage: import SOURCE FOLDER [THREADS...]\n");
        return 2;
    }
    const char *source = argv[1];
    char *destination = file_join(argv[2], "bench-import");
    struct import_cfg cfg = {
        .sources = &source, .source_count = 1, .destination = destination, .threads = 1};
    if (argc == 3)
        TRY(measure(&cfg));
    for (int i = 3; i < argc; i++) {
        cfg.threads = (int)strtol(argv[i], NULL, 10);
        TRY(measure(&cfg));
    }
out:
    mem_free(destination);
    if (err != ERR_OK)
        fprintf(stderr, "import: %s\n", err_text());
    return err_exit_code(err);
}
