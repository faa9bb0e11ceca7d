#include "trainer/export/bundle_readme.h"
#include "trainer/export/convert_command.h"
#include <string.h>

void bundle_convert_script(const struct bundle_readme *readme, struct text *script)
{
    text_add(
        script,
        "#!/bin/sh\n# Converts the network for the camera on a machine that has NCSDK 2.05.00.02.\n"
        "set -e\ncd \"$(dirname \"$0\")\"\n");
    if (readme->has_tensorflow) {
        convert_command_tensorflow("network.pb", CONVERT_GRAPH, script);
        text_add(script, "\n");
    }
    if (readme->has_caffe) {
        text_add(script, "%s", readme->has_tensorflow ? "# or by way of Caffe: " : "");
        convert_command_caffe("network", CONVERT_GRAPH, script);
        text_add(script, "\n");
    }
}

static const char *kind_of_picture(const struct folded *folded)
{
    return folded->channels == 1 ? "grey" : "colour";
}

static bool has_frames(const struct bundle_cfg *cfg)
{
    return cfg->sample_count > 0 && cfg->samples[0].expected;
}

/* Channel by channel, in the order the network takes them: "127.5" or "127.5, 120, 110". */
static void add_channels(const struct folded *folded, const double *values, struct text *text)
{
    for (int c = 0; c < folded->channels; c++)
        text_add(text, "%s%.9g", c ? ", " : "",
                 values[folded->is_bgr ? folded->channels - 1 - c : c]);
}

static void add_head(const struct bundle_readme *readme, struct text *text)
{
    const struct bundle_cfg *cfg = readme->cfg;
    const struct folded *folded = cfg->folded;
    text_add(
        text,
        "A NETWORK FOR A CAMERA: %s\n\n"
        "This folder holds a neural network that looks at one %s picture of %d x %d pixels and\n"
        "says which of %d classes it shows, and how sure it is. It was made by Glowworm for the\n"
        "device \"%s\". You need neither Glowworm nor a knowledge of it to use the folder.\n\n",
        cfg->target, kind_of_picture(folded), folded->side, folded->side, folded->classes,
        cfg->device->name);
    if (camera_device_has_latency(cfg->device))
        text_add(text,
                 "It takes about %.1f ms a picture there. That is predicted, not measured.\n\n",
                 cfg->latency_ms);
}

static void add_files(const struct bundle_readme *readme, struct text *text)
{
    const struct bundle_cfg *cfg = readme->cfg;
    text_add(text, "THE FILES\n\n");
    if (readme->has_tensorflow)
        text_add(text, "  network.pb           the network for TensorFlow's road to the camera\n");
    if (readme->has_caffe)
        text_add(text, "  network.prototxt     the same network for Caffe's road: its layers,\n"
                       "  network.caffemodel   and its weights\n");
    text_add(text, "  network.onnx         the same network for everything else\n");
    if (readme->has_tensorflow || readme->has_caffe)
        text_add(text, "  convert.sh           the converter's command line (Linux)\n");
    text_add(text,
             "  labels.txt           the classes' names, one a line, the first is class 0\n"
             "  camera.json          the camera's settings, for programs\n"
             "  samples/             %d pictures as the network takes them%s\n"
             "  samples.json         what the network must answer to each of them\n"
             "  bundle.json          all files with their hashes, and where they come from\n\n",
             cfg->sample_count, has_frames(cfg) ? ", and as raw frames" : "");
}

static void add_numbers(const struct bundle_readme *readme, struct text *text)
{
    const struct folded *folded = readme->cfg->folded;
    text_add(text,
             "THE NETWORK'S NUMBERS\n\n"
             "  width, height, channels   %d, %d, %d\n"
             "  pixel format              %s\n",
             folded->side, folded->side, folded->channels, readme->pixel_format);
    text_add(text, "  mean                      ");
    add_channels(folded, readme->cfg->dataset->mean, text);
    text_add(text, "\n  scale                     ");
    add_channels(folded, readme->cfg->dataset->deviation, text);
    text_add(text, "\n                            (each pixel becomes (pixel - mean) / scale%s)\n",
             folded->channels == 1 ? ""
             : folded->is_bgr      ? "; blue, green, red"
                                   : "; red, green, blue");
    if (readme->has_tensorflow)
        text_add(text, "  input and output node     %s, %s (TensorFlow)\n", CONVERT_INPUT,
                 CONVERT_OUTPUT);
    if (readme->has_caffe)
        text_add(text, "  input and output layer    data, probabilities (Caffe)\n");
    text_add(text, "  classes                   %d%s\n\n", folded->outputs,
             folded->outputs > folded->classes ? " outputs; the last of them, \"(unused ...)\" in "
                                                 "labels.txt, stand for no class"
                                               : "");
}

static void add_line(struct text *line, struct text *text)
{
    text_add(text, "     %s\n\n", text_get(line));
    text_fini(line);
    text_init(line);
}

static void add_commands(const struct bundle_readme *readme, struct text *text)
{
    const struct folded *folded = readme->cfg->folded;
    struct text line;
    text_init(&line);
    text_add(text,
             "  b) Or with Intel's NCSDK, version 2.05.00.02, on the Linux that it was made for.\n"
             "     It makes %s, which is what the camera loads:\n\n",
             CONVERT_GRAPH);
    if (readme->has_tensorflow) {
        convert_command_tensorflow("network.pb", CONVERT_GRAPH, &line);
        add_line(&line, text);
    }
    if (readme->has_caffe) {
        text_add(text, "%s", readme->has_tensorflow ? "     or, by way of Caffe:\n\n" : "");
        convert_command_caffe("network", CONVERT_GRAPH, &line);
        add_line(&line, text);
    }
    if (readme->has_tensorflow) {
        text_add(text,
                 "     Known: the maker's own scripts convert with these options, and send\n"
                 "     TensorFlow networks through TensorFlow 1.13's graph transform before:\n\n");
        convert_command_transform(folded->side, folded->channels, &line);
        add_line(&line, text);
        text_add(text,
                 "     Inferred: network.pb has nothing of what that takes away, so it may be\n"
                 "     left out. If the converter refuses network.pb, try optimised.pb.\n\n");
    }
    text_fini(&line);
}

static void add_conversion(const struct bundle_readme *readme, struct text *text)
{
    const struct folded *folded = readme->cfg->folded;
    if (!readme->has_tensorflow && !readme->has_caffe) {
        text_add(
            text,
            "1. NO CONVERTER\n\n"
            "This network is of a kind that the camera's converter does not take:\n"
            "bundle.json says why under \"refused\". What follows needs one that it takes.\n\n");
        return;
    }
    text_add(
        text,
        "1. CONVERT IT, ONCE\n\n"
        "  a) On Windows, with NeuroUtility, the maker's program for this camera: choose %s,\n"
        "     fill in the form with the network's file%s and the numbers above (width %d,\n"
        "     height %d, channels %d, mean, scale, names), and press \"Click to Convert\".\n\n",
        readme->has_tensorflow ? "TensorFlow" : "Caffe", readme->has_tensorflow ? "" : "s",
        folded->side, folded->side, folded->channels);
    add_commands(readme, text);
}

static void add_upload(struct text *text)
{
    text_add(
        text,
        "2. PUT IT ON THE CAMERA (Windows)\n\n"
        "  With NeuroUtility: choose DDR to try it (quick; gone when the camera loses power)\n"
        "  or Flash to keep it, and press \"Configure and Deploy\". It uploads the network and\n"
        "  sets the camera.\n\n"
        "  With SpinView, the maker's viewer: stop the stream, open the camera's file access,\n"
        "  choose InferenceNetwork, and upload %s. A network that is there already has\n"
        "  to be deleted first. Then set the features of step 3.\n\n",
        CONVERT_GRAPH);
}

/* The camera shrinks what it sees to the network's side by itself. */
static void add_region(const struct bundle_region *region, struct text *text)
{
    if (region->width > 0)
        text_add(text,
                 "  Width, Height                      %d, %d: the part of the picture that the\n"
                 "  OffsetX, OffsetY                   %d, %d  network was trained to see\n",
                 region->width, region->height, region->x, region->y);
}

static void add_settings(const struct bundle_readme *readme, struct text *text)
{
    const struct folded *folded = readme->cfg->folded;
    text_add(text,
             "3. SET THE CAMERA (SpinView, features)\n\n"
             "  InferenceNetworkTypeSelector       Classification\n"
             "  InferencePreprocessBppSelector     %s\n"
             "  InferencePreprocessChannelMean     ",
             readme->pixel_format);
    add_channels(folded, readme->cfg->dataset->mean, text);
    text_add(text, "%s\n  InferencePreprocessChannelScalar   ",
             folded->channels > 1 ? " (channel by channel)" : "");
    add_channels(folded, readme->cfg->dataset->deviation, text);
    text_add(text, "\n  InferenceEnable                    on\n");
    add_region(&readme->region, text);
    text_add(
        text,
        "\n  Look at the inference properties afterwards: the camera must say input width %d,\n"
        "  height %d, channels %d, and %d output classes. If not, it holds another network.\n\n",
        folded->side, folded->side, folded->channels, folded->outputs);
}

static void add_looking(struct text *text)
{
    text_add(
        text,
        "4. LOOK AT ITS ANSWERS\n\n"
        "  Turn on the chunks InferenceFrameId, InferenceResult and InferenceConfidence\n"
        "  (ChunkModeActive, ChunkSelector, ChunkEnable) while nothing streams. Names: click\n"
        "  the picture with the right button, \"Configure Inference Label\", choose labels.txt.\n"
        "  The network answers more slowly than the camera takes pictures: trigger FrameStart\n"
        "  by InferenceReady where each picture has to carry its own answer.\n\n");
}

/* A row for the features' names, one for their values; where the sensor's size is unknown there is
 * no region to go back to but the one that was found. */
static void add_afterwards(const struct bundle_region *region, struct text *text)
{
    text_add(text, "\n  Afterwards, while nothing streams:\n\n"
                   "  TestPattern                        Off\n"
                   "  TestPatternGeneratorSelector       Sensor\n");
    add_region(region, text);
    text_add(text, "\n  and turn on again which of the four features were on%s.\n",
             region->width > 0 ? "" : ", and Width, Height,\n  OffsetX and OffsetY as they were");
}

static void add_injection(int side, struct text *text)
{
    text_add(text,
             "  TestPatternGeneratorSelector       PipelineStart\n"
             "  TestPattern                        InjectedImage\n"
             "  InjectedWidth, InjectedHeight      %d, %d\n"
             "  Width, Height                      %d, %d: all of the frame, and nothing\n"
             "  OffsetX, OffsetY                   0, 0  beside it\n"
             "  DenoiseEnable, SharpeningEnable    off, off\n"
             "  GammaEnable                        off\n"
             "  BlackLevelClampingEnable           off\n\n",
             side, side, side, side);
}

static void add_frames(const struct bundle_readme *readme, struct text *text)
{
    const struct bundle_cfg *cfg = readme->cfg;
    int side = cfg->folded->side;
    text_add(
        text,
        "  samples/*.raw are the same pictures as raw frames, to be injected into the camera:\n"
        "  %d x %d words of 16 bits, low byte first, each an 8-bit value times 4%s. Upload one\n"
        "  as file InjectedImage, and set, while nothing streams (this takes the place of the\n"
        "  Width, Height and offsets of step 3):\n\n",
        side, side, cfg->folded->channels == 3 ? ", a Bayer mosaic RGGB" : "");
    add_injection(side, text);
    text_add(
        text,
        "  Class and confidence must be those of samples.json, \"expected\": \"fp16/fp32\" is\n"
        "  computed as the camera is believed to, \"fp32\" without its rounding.\n");
    if (cfg->folded->channels == 3)
        text_add(text,
                 "  (Expected behind a bilinear interpolation of the mosaic. What the camera does\n"
                 "  is not documented: confidences may differ a little.)\n");
    add_afterwards(&readme->region, text);
    text_add(text, "\n");
}

static void add_validation(const struct bundle_readme *readme, struct text *text)
{
    text_add(text, "5. CHECK IT\n\n");
    if (has_frames(readme->cfg))
        add_frames(readme, text);
    text_add(
        text,
        "  On a computer with Glowworm: \"glowworm check FOLDER\" runs these files in the\n"
        "  camera's arithmetic, and \"glowworm predict FOLDER PICTURE\" classifies a picture.\n"
        "  With the camera attached and " CONVERT_GRAPH " put into this folder,\n"
        "  \"glowworm validate FOLDER --camera ID\" does all of steps 2 to 5, compares every\n"
        "  answer, and puts the camera back as it was.\n\n"
        "WHAT IS KNOWN\n\n"
        "  The names of the camera's features, the steps and the converter's options are\n"
        "  those of the maker's documents and examples. Buttons and fields of NeuroUtility\n"
        "  were taken from descriptions of it; the order of colours, the time a picture\n"
        "  takes and what the camera rounds are inferred, not measured.\n");
}

static void add_with_windows_ends(const struct text *from, struct text *text)
{
    const char *at = text_get(from);
    for (size_t size; *at; at += size + 1) {
        size = strcspn(at, "\n");
        text_add_bytes(text, at, size);
        text_add(text, "\r\n");
    }
}

void bundle_readme_write(const struct bundle_readme *readme, struct text *text)
{
    struct text lines;
    text_init(&lines);
    add_head(readme, &lines);
    add_files(readme, &lines);
    add_numbers(readme, &lines);
    add_conversion(readme, &lines);
    add_upload(&lines);
    add_settings(readme, &lines);
    add_looking(&lines);
    add_validation(readme, &lines);
    add_with_windows_ends(&lines, text);
    text_fini(&lines);
}
