/* The text form of which choices are open or trained: "k=3,5,7 e=3,4,6 d=2,3,4". Plain data. */
#ifndef TRAINER_SPEC_OPEN_CHOICES_H
#define TRAINER_SPEC_OPEN_CHOICES_H

#include "trainer/spec/subnet.h"

/* Appends the text form. */
void open_choices_format(const struct open_choices *open, struct text *text);
/* "all", "biggest", or the text form, where a letter that is left out stands for the largest alone
 * and the largest is always among them. ERR_CONFIG with the cure: malformed, or the space does not
 * have that choice. */
MUST_CHECK enum err open_choices_parse(const struct space *space, const char *text,
                                       struct open_choices *open);

#endif
