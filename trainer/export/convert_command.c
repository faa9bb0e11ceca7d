#include "trainer/export/convert_command.h"

void convert_command_tensorflow(const char *network, const char *graph, struct text *line)
{
    text_add(line, "mvNCCompile -s 12 -in=%s -on=%s -o %s %s", CONVERT_INPUT, CONVERT_OUTPUT, graph,
             network);
}

void convert_command_caffe(const char *network, const char *graph, struct text *line)
{
    text_add(line, "mvNCCompile -s 12 -w %s.caffemodel -o %s %s.prototxt", network, graph, network);
}

/* The shape has width before height there; ours are square. */
void convert_command_transform(int side, int channels, struct text *line)
{
    text_add(line,
             "transform_graph --in_graph=network.pb --out_graph=optimised.pb --inputs=%s "
             "--outputs=%s --transforms='strip_unused_nodes(type=float, shape=\"1,%d,%d,%d\") "
             "remove_nodes(op=Identity, op=CheckNumerics, op=PlaceholderWithDefault) "
             "fold_batch_norms fold_old_batch_norms'",
             CONVERT_INPUT, CONVERT_OUTPUT, side, side, channels);
}
