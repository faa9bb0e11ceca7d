#include "camera/usb_access.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/text.h"
#include <dirent.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define MAKER "1e10" /* idVendor of FLIR's machine vision cameras */

const char usb_access_rule[] = "SUBSYSTEM==\"usb\", ATTRS{idVendor}==\"" MAKER
                               "\", GROUP=\"plugdev\", MODE=\"0660\", TAG+=\"uaccess\"";

/* A short file of one word, "" where there is none. */
static void read_word(const char *folder, const char *name, char *word, size_t room)
{
    char *path = file_join(folder, name);
    FILE *file = fopen(path, "re");
    word[0] = '\0';
    if (file && !fgets(word, (int)room, file))
        word[0] = '\0';
    if (file)
        fclose(file);
    word[strcspn(word, "\n")] = '\0';
    mem_free(path);
}

static bool is_denied(const char *folder, const char *devices, char *path, size_t room)
{
    char maker[16], bus[16], device[16];
    long bus_number = 0, device_number = 0;
    read_word(folder, "idVendor", maker, sizeof maker);
    read_word(folder, "busnum", bus, sizeof bus);
    read_word(folder, "devnum", device, sizeof device);
    if (strcmp(maker, MAKER) != 0 || text_to_int(bus, 1, 999, &bus_number) != ERR_OK ||
        text_to_int(device, 1, 999, &device_number) != ERR_OK)
        return false;
    snprintf(path, room, "%s/%03ld/%03ld", devices, bus_number, device_number);
    return access(path, R_OK | W_OK) != 0;
}

bool usb_access_denied(const char *system, const char *devices, char *path, size_t room)
{
    bool is_found = false;
    DIR *folder = opendir(system);
    for (struct dirent *entry; folder && !is_found && (entry = readdir(folder));) {
        char *device = file_join(system, entry->d_name);
        is_found = entry->d_name[0] != '.' && is_denied(device, devices, path, room);
        mem_free(device);
    }
    if (folder)
        closedir(folder);
    return is_found;
}
