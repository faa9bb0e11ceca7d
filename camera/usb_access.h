/* USB cameras that are plugged in and may not be opened by us: the libraries of cameras pass over
 * them without a word. Reads what Linux says of its devices. Any thread. */
#ifndef CAMERA_USB_ACCESS_H
#define CAMERA_USB_ACCESS_H

#include <stdbool.h>
#include <stddef.h>

/* The first device of the Firefly's maker under `system` ("/sys/bus/usb/devices") whose file under
 * `devices` ("/dev/bus/usb") we may not write; false: there is none. path: that file. */
bool usb_access_denied(const char *system, const char *devices, char *path, size_t room);

/* What lets people open such cameras, for /etc/udev/rules.d. */
extern const char usb_access_rule[];

#endif
