/* The shape of a network of an ONNX file. Plain data. */
#ifndef TRAINER_EXPORT_ONNX_SHAPE_H
#define TRAINER_EXPORT_ONNX_SHAPE_H

struct onnx_shape {
    int channels, height, width, classes;
};

#endif
