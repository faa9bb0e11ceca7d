#include "base/file_system.h"
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/vfs.h>

/* statfs(2) */
static const struct {
    unsigned long type;
    enum file_system_kind kind;
    const char *name;
} types[] = {
    {0x6969, FILE_SYSTEM_NETWORK, "NFS"},        {0x517B, FILE_SYSTEM_NETWORK, "SMB"},
    {0xFF534D42, FILE_SYSTEM_NETWORK, "CIFS"},   {0xFE534D42, FILE_SYSTEM_NETWORK, "SMB2"},
    {0x0BD00BD0, FILE_SYSTEM_NETWORK, "Lustre"}, {0x47504653, FILE_SYSTEM_NETWORK, "GPFS"},
    {0x19830326, FILE_SYSTEM_NETWORK, "BeeGFS"}, {0x00C36400, FILE_SYSTEM_NETWORK, "Ceph"},
    {0x5346414F, FILE_SYSTEM_NETWORK, "AFS"},    {0x73757245, FILE_SYSTEM_NETWORK, "Coda"},
    {0x7461636F, FILE_SYSTEM_NETWORK, "OCFS2"},  {0x01161970, FILE_SYSTEM_NETWORK, "GFS2"},
    {0xAAD7AAEA, FILE_SYSTEM_NETWORK, "PanFS"},  {0xEF53, FILE_SYSTEM_LOCAL, "ext4"},
    {0x58465342, FILE_SYSTEM_LOCAL, "XFS"},      {0x9123683E, FILE_SYSTEM_LOCAL, "Btrfs"},
    {0x2FC12FC1, FILE_SYSTEM_LOCAL, "ZFS"},      {0xF2F52010, FILE_SYSTEM_LOCAL, "F2FS"},
    {0xCA451A4E, FILE_SYSTEM_LOCAL, "bcachefs"}, {0x01021994, FILE_SYSTEM_MEMORY, "tmpfs"},
    {0x858458F6, FILE_SYSTEM_MEMORY, "ramfs"},   {0x794C7630, FILE_SYSTEM_LAYERED, "overlay"},
    {0x61756673, FILE_SYSTEM_LAYERED, "aufs"},   {0x65735546, FILE_SYSTEM_USER, "FUSE"},
    {0x01021997, FILE_SYSTEM_USER, "9p"},
};

enum err file_system_of(const char *path, struct file_system *found)
{
    struct statfs status;
    if (statfs(path, &status) != 0)
        return err_set(ERR_IO, "cannot look at the file system of %s: %s", path, strerror(errno));
    unsigned long type = (unsigned long)status.f_type & 0xFFFFFFFFul;
    found->kind = FILE_SYSTEM_UNKNOWN;
    snprintf(found->name, sizeof found->name, "type %#lx", type);
    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        if (types[i].type == type) {
            found->kind = types[i].kind;
            snprintf(found->name, sizeof found->name, "%s", types[i].name);
        }
    found->free_bytes = (unsigned long long)status.f_bavail * (unsigned long long)status.f_bsize;
    found->free_files = status.f_files > 0 ? (unsigned long long)status.f_ffree : 0;
    return ERR_OK;
}
