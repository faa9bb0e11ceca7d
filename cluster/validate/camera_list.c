/* validate --list and validate --restore: cameras without a bundle. */
#include "base/file.h"
#include "base/mem.h"
#include "camera/camera_module.h"
#include "camera/deployment.h"
#include "cluster/table.h"
#include "cluster/validate/camera_place.h"
#include "trainer/record/json_name.h"
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void print_table(const struct camera_list *list)
{
    static const struct table_column columns[] = {{"id", TABLE_LEFT},
                                                  {"vendor", TABLE_LEFT},
                                                  {"model", TABLE_LEFT},
                                                  {"serial", TABLE_LEFT},
                                                  {"address", TABLE_LEFT}};
    struct table table;
    table_init(&table, columns, 5, 0);
    for (int c = 0; c < list->count; c++) {
        const struct camera_identity *camera = &list->cameras[c];
        const char *row[] = {camera->id, camera->vendor, camera->model, camera->serial,
                             camera->address};
        table_add(&table, row);
    }
    table_print(&table);
    table_fini(&table);
}

static void print_json(const struct camera_list *list)
{
    json_t *rows = json_array();
    for (int c = 0; c < list->count; c++) {
        const struct camera_identity *camera = &list->cameras[c];
        json_array_append_new(
            rows, json_pack("{s:o, s:o, s:o, s:o, s:o}", "id", json_name(camera->id), "vendor",
                            json_name(camera->vendor), "model", json_name(camera->model), "serial",
                            json_name(camera->serial), "address", json_name(camera->address)));
    }
    char *text = json_dumps(rows, JSON_INDENT(2));
    printf("%s\n", text ? text : "[]");
    free(text);
    json_decref(rows);
}

enum err camera_place_list(bool is_json)
{
    enum err err = ERR_OK;
    const struct camera_module *module = NULL;
    struct camera_list *list = mem_alloc(sizeof *list);
    TRY(camera_module_open(&module));
    TRY(module->list(list));
    if (is_json)
        print_json(list);
    else if (list->count > 0)
        print_table(list);
    else
        printf("no camera is there\n");
out:
    mem_free(list);
    return err;
}

/* One camera that was left changed; id: only if it is this one, NULL: in any case. */
static enum err restore(const char *folder, const char *id, int *count)
{
    enum err err = ERR_OK;
    const struct camera_module *module = NULL;
    struct found_state *found = NULL;
    struct camera *camera = NULL;
    TRY(found_state_load(folder, &found));
    if (id && strcmp(id, found->camera.id) != 0 && strcmp(id, found->camera.serial) != 0)
        goto out;
    TRY(camera_module_open(&module));
    TRY(module->open(found->camera.id, &camera));
    TRY(deployment_restore(camera, folder));
    printf("%s %s (serial %s) is as it was found\n", found->camera.id, found->camera.model,
           found->camera.serial);
    ++*count;
out:
    camera_close(&camera);
    found_state_close(&found);
    return err;
}

static enum err restore_all(const char *state, const char *id, int *count)
{
    enum err err = ERR_OK;
    DIR *folder = opendir(state);
    for (struct dirent *entry; folder && (entry = readdir(folder));) {
        char *path = file_join(state, entry->d_name);
        if (entry->d_name[0] != '.' && found_state_exists(path))
            err = restore(path, id, count);
        mem_free(path);
        if (err != ERR_OK)
            break;
    }
    if (folder)
        closedir(folder);
    return err;
}

enum err camera_place_restore(const char *id)
{
    enum err err = ERR_OK;
    char *state = NULL;
    int count = 0;
    TRY(camera_place_state(&state));
    TRY(restore_all(state, id, &count));
    if (count == 0)
        printf("no camera was left changed\n");
out:
    mem_free(state);
    return err;
}
