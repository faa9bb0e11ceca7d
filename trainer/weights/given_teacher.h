/* What a campaign has to know of the checkpoint it is given as its teacher (teacher.from) before
 * any stage runs: its content, and which choices it was trained for. Any process; one thread. */
#ifndef TRAINER_WEIGHTS_GIVEN_TEACHER_H
#define TRAINER_WEIGHTS_GIVEN_TEACHER_H

#include "trainer/checkpoint/checkpoint.h"

struct given_teacher {            /* plain data: may be sent to other ranks */
    char content[HASH_HEX_BYTES]; /* hex; "": the campaign trains a teacher of its own */
    struct open_choices trained;  /* at least the biggest of its space */
};

/* from: teacher.from, may be "". ERR_NOT_FOUND, ERR_DATA, ERR_USAGE, all naming teacher.from. */
MUST_CHECK enum err given_teacher_read(const char *from, struct given_teacher *teacher);

/* Which choices a checkpoint was trained for: what it records. One from before that was recorded:
 * what its campaign's text says of its stage; where that says nothing (weights from elsewhere, a
 * campaign that was given its teacher too), every choice of its space, so that nothing which may be
 * trained is lost. ERR_DATA: nothing is recorded, and its space cannot be read either. */
MUST_CHECK enum err given_teacher_trained(const struct checkpoint *checkpoint,
                                          struct open_choices *trained);

#endif
