/* The numbers and names both ends of scheduler/protocol.proto agree on. */
#ifndef SCHEDULER_PROTOCOL_H
#define SCHEDULER_PROTOCOL_H

#define PROTOCOL_FORMAT    4      /* raised when an old reader would misunderstand a new writer */
#define PROTOCOL_MAX_BYTES 262144 /* of one message; the texts inside are cut to fit */
#define PROTOCOL_MAX_TEXT  4096   /* of an error's text */

/* What the scheduler sets in the environment of a gang. */
#define PROTOCOL_ENDPOINT "GLOWWORM_ENDPOINT"
#define PROTOCOL_ADDRESS  "GLOWWORM_ADDRESS" /* instead, of a gang of several nodes */
#define PROTOCOL_KEYS     "GLOWWORM_KEYS"    /* with it: the folder of the run's keys */
#define PROTOCOL_TOKEN    "GLOWWORM_TOKEN"
#define PROTOCOL_LEASE    "GLOWWORM_LEASE"
#define PROTOCOL_GANG     "GLOWWORM_GANG" /* whose it is: no gang reads it (launch_reach()) */
/* Where the run's checkpoints lie, where that is not its folder. */
#define PROTOCOL_STORES "GLOWWORM_STORES"

#define PROTOCOL_KEYS_FOLDER "keys" /* in the run's folder, where it has gangs of several nodes */

#define PROTOCOL_PULSE_S   1.0 /* a gang is heard at least so often */
#define PROTOCOL_ALIVE_S   3.0 /* its scheduler, where it has nothing to say */
#define PROTOCOL_SILENCE_S 30.0

#endif
