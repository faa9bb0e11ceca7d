/* How many processors this process may use: not what the machine has, where a batch system or a
 * container gives fewer. */
#ifndef BASE_PROCESSORS_H
#define BASE_PROCESSORS_H

int processors_allowed(void); /* at least 1 */

#endif
