/* glowworm space cost --csv: the published table comes back byte for byte; bad rows are named. */
#include "base/file.h"
#include "base/mem.h"
#include "cluster/space_csv.h"
#include "tests/spec/spec_test.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PUBLISHED "tests/spec/published/ofa_mbv3_w10_imagenet_subnets.csv"

static struct space mbv3;

static int load_space(void **state)
{
    (void)state;
    return space_load("configs/spaces/mbv3.yaml", 1.0, 1000, 3, &mbv3) != ERR_OK;
}

static enum err count_text(const char *text, int resolution, struct text *csv)
{
    char path[] = "/tmp/gw-csv-XXXXXX";
    int file = mkstemp(path);
    assert_true(file >= 0);
    assert_int_equal(write(file, text, strlen(text)), (ssize_t)strlen(text));
    close(file);
    enum err err = space_csv_count(path, &mbv3, resolution, csv);
    unlink(path);
    return err;
}

static void the_published_table_with_wrong_counts_is_corrected_exactly(void **state)
{
    (void)state;
    char *bytes = NULL;
    size_t size = 0;
    struct text spoilt, csv;
    text_init(&spoilt);
    text_init(&csv);
    assert_ok(file_read(PUBLISHED, 1 << 20, &bytes, &size));
    int lines = 0;
    char *rest = NULL;
    for (char *line = strtok_r(bytes, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
        const char *accuracy = strrchr(line, ','), *counts = accuracy;
        for (int commas = 0; commas < 2;)
            commas += *--counts == ',';
        if (lines++ == 0)
            text_add(&spoilt, "%s\n", line);
        else
            text_add(&spoilt, "%.*s,1,2%s\n", (int)(counts - line), line, accuracy);
    }
    mem_free(bytes);
    assert_int_equal(lines, 1113);
    assert_ok(count_text(text_get(&spoilt), 0, &csv));
    assert_ok(file_read(PUBLISHED, 1 << 20, &bytes, &size));
    assert_string_equal(text_get(&csv), bytes);
    mem_free(bytes);
    text_fini(&spoilt);
    text_fini(&csv);
}

#define ROW                                                                                        \
    "7-7-7-7-7-7-7-7-7-7-7-7-7-7-7-7-7-7-7-7,6-6-6-6-6-6-6-6-6-6-6-6-6-6-6-6-6-6-6-6,4-4-4-4-4"

static void columns_are_found_by_name_and_added_where_missing(void **state)
{
    (void)state;
    struct text csv;
    text_init(&csv);
    assert_ok(
        count_text("name,resolution,kernel,expand,depth\r\n\"a, b\",224," ROW "\r\n\n", 0, &csv));
    assert_string_equal(text_get(&csv), "name,resolution,kernel,expand,depth,params,macs\n"
                                        "\"a, b\",224," ROW ",7664760,566170656\n");
    text_fini(&csv);
    assert_ok(count_text("\xEF\xBB\xBFmacs,kernel,expand,depth\n,7,6,4\n", 128, &csv));
    assert_string_equal(text_get(&csv),
                        "macs,kernel,expand,depth,params\n188248320,7,6,4,7664760\n");
    text_fini(&csv);
}

static void bad_files_are_refused_with_line_and_column(void **state)
{
    (void)state;
    static const struct {
        const char *text, *expected;
    } rows[] = {
        {"", ":1:1: empty"},
        {"kernel,expand,depth\n", ":1:1: there is no column 'resolution'"},
        {"kernel,depth,resolution\n", ":1:1: there is no column 'expand'"},
        {"kernel,expand,depth,resolution,kernel\n", ":1:32: this column is there twice"},
        {"kernel,expand,depth,resolution\n3,4,2\n", ":2:1: 3 columns; the header has 4"},
        {"kernel,expand,depth,resolution\n3,4,2,224\n3,4,5,224\n",
         ":3:5: sub-network: d=5 (open stage 1 of 5): space mbv3 has only 2, 3 or 4"},
        {"kernel,expand,depth,resolution\n3-5,4,2,224\n", ":2:1: sub-network: k= has 2 entries"},
        {"kernel,expand,depth,resolution\n3,4 d=2,2,224\n", ":2:3: '4 d=2' is not a list"},
        {"kernel,expand,depth,resolution\n3,,2,224\n", ":2:3: sub-network: e= has 0 entries"},
        {"kernel,expand,depth,resolution\n3,4,2,big\n", ":2:7: a resolution is 1 to 4096"},
        {"kernel,expand,depth,resolution\n3,4,2,\"224\n", ":2:8: a quote is not closed"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct text csv;
        text_init(&csv);
        assert_refused(count_text(rows[i].text, 0, &csv), ERR_DATA, rows[i].expected);
        text_fini(&csv);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_published_table_with_wrong_counts_is_corrected_exactly),
        cmocka_unit_test(columns_are_found_by_name_and_added_where_missing),
        cmocka_unit_test(bad_files_are_refused_with_line_and_column),
    };
    return cmocka_run_group_tests(tests, load_space, NULL);
}
