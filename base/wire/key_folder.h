/* The keys of one server and of those it lets in, in a folder that only its owner may enter: a pair
 * of the server's, and one that all its clients share. A client needs the folder, or a copy of it
 * without the server's secret. Any thread may call. */
#ifndef BASE_WIRE_KEY_FOLDER_H
#define BASE_WIRE_KEY_FOLDER_H

#include "base/wire/key_file.h"

struct key_folder {
    struct key_pair server, client;
    const char *allowed[1];
    struct wire_curve curve; /* borrows from this very struct, which must stay where it is */
};

/* The server's. Makes what is not there. ERR_CONFIG: a key that is not to be believed; ERR_IO,
 * ERR_FULL, ERR_UNAVAILABLE. */
MUST_CHECK enum err key_folder_serve(const char *folder, struct key_folder *keys);
/* A client's; the server's secret is not read. ERR_NOT_FOUND, ERR_CONFIG, ERR_IO. */
MUST_CHECK enum err key_folder_join(const char *folder, struct key_folder *keys);

#endif
