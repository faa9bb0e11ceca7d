/* CSV as RFC 4180 has it, and what is none named by line and column. */
#include "base/csv.h"
#include "base/err.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static char path[] = "/tmp/gw-csv-XXXXXX"; /* one file, written anew by every test */

static enum err open_text(const char *text, struct csv *csv)
{
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
    return csv_open(path, csv);
}

/* Rows as [a|b] one behind another; the text of the error where one ends them. */
static void read_all(const char *text, char *read, size_t room)
{
    struct csv csv = {.path = NULL};
    struct text rows;
    bool has_row = true;
    text_init(&rows);
    enum err err = open_text(text, &csv);
    while (err == ERR_OK && has_row) {
        err = csv_next(&csv, &has_row);
        for (int i = 0; err == ERR_OK && has_row && i < csv.count; i++)
            text_add(&rows, "%s%s%s", i ? "|" : "[", csv.fields[i].text,
                     i == csv.count - 1 ? "]" : "");
    }
    if (err != ERR_OK)
        text_add(&rows, "%s", err_text() + strlen(path));
    snprintf(read, room, "%s", text_get(&rows));
    text_fini(&rows);
    csv_close(&csv);
}

static void expect(const char *text, const char *expected)
{
    char read[256];
    read_all(text, read, sizeof read);
    assert_string_equal(read, expected);
}

static void fields_end_at_commas_and_rows_at_line_ends(void **state)
{
    (void)state;
    expect("a,b\n1,2\n", "[a|b][1|2]");
    expect("a,b\r\n1,2\r\n", "[a|b][1|2]");
    expect("a,b\n1,2", "[a|b][1|2]");
    expect("a,b\n,\n", "[a|b][|]");
    expect("\xEF\xBB\xBF"
           "a\n1\n",
           "[a][1]");
    expect("a\n\n1\n\r\n2\n\n", "[a][1][2]");
    expect("", "");
    expect("\n1\n", "[][1]");
}

static void quoted_fields_hold_commas_quotes_and_line_ends(void **state)
{
    (void)state;
    expect("a,b\n\"1,2\",\"say \"\"3\"\"\"\n", "[a|b][1,2|say \"3\"]");
    expect("a,b\n\"1\r\n2\",\"\"\n4,5\n", "[a|b][1\r\n2|][4|5]");
    expect("\"a\",\"b\"\r\n\"\"\"\",\"\n\"\r\n", "[a|b][\"|\n]");
}

static void what_is_no_csv_is_named_by_line_and_column(void **state)
{
    (void)state;
    expect("a,b\n1\n", "[a|b]:2:1: 1 columns; the header has 2");
    expect("a\n\"1\n2\n", "[a]:2:2: a quote is not closed, or one inside not doubled");
    expect("a\n\"1\n2\"\n\"3\" \n",
           "[a][1\n2]:4:2: a quote is not closed, or one inside not doubled");
    expect("a,b\nx,1\"2\n", "[a|b]:2:4: a quote inside a field that is not quoted");
    expect("a\n1,2\n", "[a]:2:1: 2 columns; the header has 1");
}

static void a_row_may_have_64_columns(void **state)
{
    (void)state;
    char row[65];
    memset(row, ',', 64);
    row[64] = '\0';
    expect(row, ":1:65: more than 64 columns");
    char read[256];
    row[63] = '\0';
    read_all(row, read, sizeof read);
    assert_int_equal(strlen(read), 2 + 63);
}

static void a_zero_byte_is_no_text(void **state)
{
    (void)state;
    struct csv csv;
    FILE *file = fopen(path, "w");
    assert_int_equal(fwrite("a\0b", 1, 3, file), 3);
    fclose(file);
    assert_int_equal(csv_open(path, &csv), ERR_DATA);
    assert_non_null(strstr(err_text(), "a zero byte"));
}

static void a_column_is_found_by_its_name(void **state)
{
    (void)state;
    struct csv csv;
    bool has_row = false;
    int where = 0;
    assert_int_equal(open_text("a,\"b c\",a\n", &csv), ERR_OK);
    assert_int_equal(csv_next(&csv, &has_row), ERR_OK);
    assert_int_equal(csv_find(&csv, "b c", &where), ERR_OK);
    assert_int_equal(where, 1);
    assert_int_equal(csv_find(&csv, "b", &where), ERR_OK);
    assert_int_equal(where, -1);
    assert_int_equal(csv_find(&csv, "a", &where), ERR_DATA);
    assert_non_null(strstr(err_text(), ":1:9: this column is there twice"));
    csv_close(&csv);
}

static void the_row_stays_as_it_stands_in_the_file(void **state)
{
    (void)state;
    struct csv csv;
    bool has_row = false;
    assert_int_equal(open_text("\"a\"\"b\",c\r\n", &csv), ERR_OK);
    assert_int_equal(csv_next(&csv, &has_row), ERR_OK);
    assert_string_equal(csv.fields[0].text, "a\"b");
    assert_string_equal(text_get(&csv.raw), "\"a\"\"b\",c");
    assert_int_equal(csv.fields[0].start, 0);
    assert_int_equal(csv.fields[0].size, 6);
    assert_int_equal(csv.fields[1].start, 7);
    assert_int_equal(csv.fields[1].size, 1);
    csv_close(&csv);
}

static int make_file(void **state)
{
    (void)state;
    int file = mkstemp(path);
    return file < 0 || close(file) != 0;
}

static int remove_file(void **state)
{
    (void)state;
    return unlink(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fields_end_at_commas_and_rows_at_line_ends),
        cmocka_unit_test(quoted_fields_hold_commas_quotes_and_line_ends),
        cmocka_unit_test(what_is_no_csv_is_named_by_line_and_column),
        cmocka_unit_test(a_row_may_have_64_columns),
        cmocka_unit_test(a_zero_byte_is_no_text),
        cmocka_unit_test(a_column_is_found_by_its_name),
        cmocka_unit_test(the_row_stays_as_it_stands_in_the_file),
    };
    return cmocka_run_group_tests(tests, make_file, remove_file);
}
