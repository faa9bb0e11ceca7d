/* A bundle of a small network, as compile writes one, for who takes bundles. */
#ifndef TESTS_VALIDATE_TINY_BUNDLE_H
#define TESTS_VALIDATE_TINY_BUNDLE_H

enum { TINY_BUNDLE_SAMPLES = 6, TINY_BUNDLE_SIDE = 8, TINY_BUNDLE_OUTPUTS = 8 };

/* Ends the program where that fails. device: its name in bundle.json; of a "...colour" one the
 * network takes blue, green and red, else grey. Labels of the samples are what it answers. */
void tiny_bundle_write(const char *folder, const char *device);

#endif
