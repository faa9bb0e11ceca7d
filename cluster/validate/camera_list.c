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

static bool has_serial(struct camera *camera, const struct camera_identity *wanted)
{
    struct firefly firefly;
    return firefly_open(camera, wanted->id, &firefly) == ERR_OK &&
           strcmp(firefly.identity.serial, wanted->serial) == 0;
}

/* Where it has gone: *wanted gets its id. false: nowhere that is seen. */
static bool find_serial(const struct camera_module *module, struct camera_identity *wanted)
{
    bool is_found = false;
    struct camera_list *list = mem_alloc(sizeof *list);
    int count = wanted->serial[0] && module->list(list) == ERR_OK ? list->count : 0;
    for (int c = 0; c < count && !is_found; c++) {
        const struct camera_identity *camera = &list->cameras[c];
        is_found = strcmp(camera->serial, wanted->serial) == 0 &&
                   strcmp(camera->model, wanted->model) == 0 && strcmp(camera->id, wanted->id) != 0;
        if (is_found)
            *wanted = *camera;
    }
    mem_free(list);
    return is_found;
}

/* By its id or, where that is another camera's by now or nobody's, by its serial number. */
static enum err open_again(struct camera_identity *wanted, struct camera **camera)
{
    enum err err = ERR_OK;
    const struct camera_module *module = NULL;
    char text[1024];
    TRY(camera_module_open(&module));
    err = module->open(wanted->id, camera);
    snprintf(text, sizeof text, "%s", err == ERR_OK ? "" : err_text());
    if (err == ERR_AGAIN || (err == ERR_OK && has_serial(*camera, wanted)))
        goto out;
    if (find_serial(module, wanted)) {
        camera_close(camera);
        err = module->open(wanted->id, camera);
    } else if (err != ERR_OK) {
        err =
            err_set(err, "%s (nor is another one of serial number %s seen)", text, wanted->serial);
    }
out:
    return err;
}

/* One camera that was left changed; id: only if it is this one, NULL: in any case. */
static enum err restore(const char *folder, const char *id, int *count)
{
    enum err err = ERR_OK;
    struct found_state *found = NULL;
    struct camera *camera = NULL;
    err = found_state_load(folder, &found);
    if (err != ERR_OK) { /* of whom it is nobody knows */
        ++*count;
        goto out;
    }
    if (id && strcmp(id, found->camera.id) != 0 && strcmp(id, found->camera.serial) != 0)
        goto out;
    ++*count;
    TRY(open_again(&found->camera, &camera));
    TRY(deployment_restore(camera, folder));
    printf("%s %s (serial %s) is as it was found\n", found->camera.id, found->camera.model,
           found->camera.serial);
out:
    camera_close(&camera);
    found_state_close(&found);
    return err;
}

/* One that fails keeps no other from being put back. */
struct restoring {
    int count, failed;
    enum err first;
    char text[1024];
};

static void restore_one(const char *folder, const char *id, struct restoring *restoring)
{
    enum err err = restore(folder, id, &restoring->count);
    if (err == ERR_OK)
        return;
    fprintf(stderr, "%s: %s\n", folder, err_text());
    if (restoring->failed++ > 0)
        return;
    restoring->first = err;
    snprintf(restoring->text, sizeof restoring->text, "%s", err_text());
}

static void restore_all(const char *state, const char *id, struct restoring *restoring)
{
    DIR *folder = opendir(state);
    for (struct dirent *entry; folder && (entry = readdir(folder));) {
        char *path = file_join(state, entry->d_name);
        if (entry->d_name[0] != '.' && found_state_exists(path))
            restore_one(path, id, restoring);
        mem_free(path);
    }
    if (folder)
        closedir(folder);
}

enum err camera_place_restore(const char *id)
{
    enum err err = ERR_OK;
    char *state = NULL;
    struct restoring restoring = {0};
    TRY(camera_place_state(&state));
    restore_all(state, id, &restoring);
    if (restoring.failed > 0)
        TRY(err_set(restoring.first, "%d of %d cameras were not put back, first: %s",
                    restoring.failed, restoring.count, restoring.text));
    if (restoring.count == 0)
        printf("no camera was left changed\n");
out:
    mem_free(state);
    return err;
}
