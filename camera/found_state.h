/* What a camera was like before we changed it, kept in a folder of its user's until it is so
 * again: found.json, and the network that was on it, network-HASH.kept. Every value is in the file
 * before the node is written for the first time, so that after a cable that came off, or a kill,
 * another process can put it back. One process and thread per folder: who has opened the camera. */
#ifndef CAMERA_FOUND_STATE_H
#define CAMERA_FOUND_STATE_H

#include "camera/found.h"

/* Is there one in this folder: a camera that was not put back? */
bool found_state_exists(const char *folder);
/* A new one, in a folder that is there, nobody else's. *state: returns owned. ERR_AGAIN: one is
 * there already. ERR_IO, ERR_FULL. */
MUST_CHECK enum err found_state_begin(const char *folder, const struct camera_identity *camera,
                                      struct found_state **state);
/* ERR_NOT_FOUND; ERR_DATA: not what we wrote; ERR_IO. *state: returns owned. */
MUST_CHECK enum err found_state_load(const char *folder, struct found_state **state);
void found_state_close(struct found_state **state); /* accepts NULL; the files stay */

/* Notes the value of a node, and writes it down, unless that was done. Errors of the camera,
 * ERR_IO, ERR_FULL. */
MUST_CHECK enum err found_state_note(struct found_state *state, struct camera *camera,
                                     const char *node);
/* The value that a node has for what its selector stands on; note the selector first. */
MUST_CHECK enum err found_state_note_selected(struct found_state *state, struct camera *camera,
                                              const char *node, const char *selector);
/* Before what was noted until now is put back, a node whose value was noted, too, is set to this
 * one: what depends on it is locked otherwise. */
MUST_CHECK enum err found_state_pass(struct found_state *state, struct camera *camera,
                                     const char *node, const char *selector, const char *text);
/* The nodes that file_access.h changes. */
MUST_CHECK enum err found_state_note_files(struct found_state *state, struct camera *camera);
/* Reads the network that is on the camera back into a file beside found.json. */
MUST_CHECK enum err found_state_keep_network(struct found_state *state,
                                             const struct camera_file *file);
/* The network that is on the camera will be gone: ours is there from now on, and without one a
 * camera cannot go on inferring. Behind the note of InferenceEnable. */
MUST_CHECK enum err found_state_give_up_network(struct found_state *state);
/* From now on the file of that name is ours. */
MUST_CHECK enum err found_state_own_file(struct found_state *state, const char *file);

/* Ours stays on the camera, whoever puts the rest back. */
MUST_CHECK enum err found_state_let_stay(struct found_state *state);

/* The file with the network that was on the camera; returns owned, NULL: none is kept. */
char *found_state_kept(const struct found_state *state);
/* Puts everything back, the last change first, and removes the files; goes on behind what fails,
 * and then the file stays for another try. NETWORK_STAYS: ours is to stay where it is, whoever puts
 * the rest back, and the file with the other one stays. ERR_FAILED names the first thing that could
 * not be put back; ERR_PEER: the camera is away. */
enum network_end { NETWORK_AS_FOUND, NETWORK_STAYS };
MUST_CHECK enum err found_state_restore(struct found_state *state, struct camera *camera,
                                        enum network_end end);

#endif
