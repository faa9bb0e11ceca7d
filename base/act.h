/* The activations by name, for planners that must not see a device. Pure. */
#ifndef BASE_ACT_H
#define BASE_ACT_H

enum act { ACT_NONE, ACT_RELU, ACT_RELU6, ACT_HSWISH };

#endif
