#include "cluster/validate/verdict_files.h"
#include "base/clock.h"
#include "base/fence.h"
#include "base/file.h"
#include "base/mem.h"
#include "cluster/html_page.h"
#include "cluster/svg.h"
#include "cluster/validate/validation_text.h"
#include "trainer/record/json_name.h"
#include <stdlib.h>
#include <string.h>

static enum err write_part(const char *folder, const char *name, const char *bytes, size_t size)
{
    char *path = file_join(folder, name);
    enum err err = file_write(path, bytes, size);
    mem_free(path);
    return err;
}

static enum err write_both(const struct verdict_files *files, const char *json,
                           const struct text *html)
{
    enum err err = ERR_OK;
    TRY(file_make_folders(files->folder));
    if (files->run)
        TRY(fence_check(&(struct fence){files->run, fence_given_claim()}));
    TRY(write_part(files->folder, "validate.json", json, strlen(json)));
    TRY(write_part(files->folder, "validate.html", text_get(html), html->size));
out:
    return err;
}

enum err verdict_files_void(const struct verdict_files *files, const char *why)
{
    char now[32];
    struct text html;
    clock_wall_text(now);
    json_t *json = json_pack("{s:i, s:s, s:b, s:b, s:[o], s:[]}", "version", 1, "time", now,
                             "passed", 0, "complete", 0, "failures", json_name(why), "warnings");
    char *text = json_dumps(json, JSON_INDENT(2));
    text_init(&html);
    if (!text)
        BUG("a verdict that is void without its JSON");
    html_page_begin(&html, "validation");
    text_add(&html, "</header><section id=\"verdict\"><h2>The last validation came to no "
                    "verdict</h2>\n<p class=\"missing\">");
    html_add(&html, why);
    text_add(&html, "</p></section>\n");
    html_page_end(&html);
    enum err err = write_both(files, text, &html);
    text_fini(&html);
    free(text);
    json_decref(json);
    return err;
}

enum err verdict_files_fail(const struct verdict_files *files, enum err err)
{
    char *why = mem_string(err_text());
    enum err written = verdict_files_void(files, why);
    err = written == ERR_OK ? err_set(err, "%s", why)
                            : err_set(err, "%s (and validate.json does not say so)", why);
    mem_free(why);
    return err;
}

enum err verdict_files_write(const struct verdict_files *files, const char *json,
                             const struct validation *validation)
{
    struct text html;
    text_init(&html);
    validation_page(validation, &html);
    enum err err = write_both(files, json, &html);
    text_fini(&html);
    return err;
}
