#include "trainer/record/run_record.h"
#include "base/file.h"
#include "base/mem.h"

enum err run_record_path(const struct run_record *record, const char *sub, const char *name,
                         const char *ending, char **path)
{
    enum err err = ERR_OK;
    struct text text;
    char *folder = file_join(record->folder, sub);
    text_init(&text);
    TRY(file_make_folders(folder));
    text_add(&text, "%s/%s%s", folder, name, ending);
    *path = mem_string(text_get(&text));
out:
    text_fini(&text);
    mem_free(folder);
    return err;
}
