"""The layers of a sub-network, worked out of what `glowworm space show --json` prints, for peers that build it in a
framework of their own. Knows no framework itself."""
import json
import subprocess
from collections import namedtuple

# One block: 1x1 to `middle` channels (has_expand), depthwise of side `kernel`, squeeze-excite of `hidden` channels (0:
# none), 1x1 to c_out.
Block = namedtuple("Block", "name c_in middle c_out kernel stride act hidden has_expand has_shortcut")
Shapes = namedtuple("Shapes", "channels stem blocks expand mix features classes norm_eps")
Dense = namedtuple("Dense", "c_in c_out act")  # stem, expand and mix


def glowworm(build, *words):
    command = [f"{build}/bin/glowworm", *words, "--json"]
    return json.loads(subprocess.run(command, stdout=subprocess.PIPE, check=True, text=True).stdout)


def multiple_of(divisor, channels):
    """As the reference rounds widths: never below 0.9 of them."""
    rounded = max(divisor, int(channels + divisor / 2) // divisor * divisor)
    return rounded + divisor if rounded < 0.9 * channels else rounded


def spread(text, count):
    values = [int(value) for value in text.split(",")]
    values = values * count if len(values) == 1 else values
    if len(values) != count:
        raise ValueError(f"{len(values)} values in {text}, expected 1 or {count}")
    return values


def genes(space, text):
    """Kernel and expansion of each block of the full network, depth of each stage, of "r=32 k=7 e=6,4,... d=4"."""
    said = dict(word.split("=") for word in text.split())
    blocks = sum(max(stage["depths"]) for stage in space["stages"])
    open_stages = [stage for stage in space["stages"] if len(stage["depths"]) > 1]
    chosen = iter(spread(said["d"], len(open_stages)))
    depths = [next(chosen) if len(stage["depths"]) > 1 else stage["depths"][0] for stage in space["stages"]]
    return spread(said["k"], blocks), spread(said["e"], blocks), depths


def first_block(space):
    stem, first = space["stem"]["width"], space["first"]
    return Block("first", stem, stem, first["width"], 3, first["stride"], first["act"], 0, False, first["shortcut"])


def stage_blocks(space, subnet):
    kernels, expansions, depths = genes(space, subnet)
    c_in, index = space["first"]["width"], 0
    for stage_index, (stage, depth) in enumerate(zip(space["stages"], depths)):
        for i in range(max(stage["depths"])):
            stride = stage["stride"] if i == 0 else 1
            middle = multiple_of(space["divisor"], c_in * expansions[index])
            hidden = multiple_of(space["divisor"], middle // 4) if stage["se"] else 0
            if i < depth:
                yield Block(f"stage{stage_index}_{i}", c_in, middle, stage["width"], kernels[index], stride,
                            stage["act"], hidden, True, stride == 1 and c_in == stage["width"])
            c_in, index = stage["width"], index + 1


def shapes(space, subnet):
    if space["padding"] != "symmetric":
        raise ValueError(f"space {space['space']} pads as TensorFlow does: not built here")
    blocks = [first_block(space), *stage_blocks(space, subnet)]
    head, features = space["head"], blocks[-1].c_out
    expand = mix = None
    if head["expand"]:
        expand, features = Dense(features, head["expand"], head["expand_act"]), head["expand"]
    if head["mix"]:
        mix, features = Dense(features, head["mix"], head["mix_act"]), head["mix"]
    stem = (Dense(space["channels"], space["stem"]["width"], space["stem"]["act"]), space["stem"]["stride"])
    return Shapes(space["channels"], stem, blocks, expand, mix, features, space["classes"], space["norm_eps"])


def block_parameters(block):
    norm = 2
    expand = (block.c_in + norm) * block.middle if block.has_expand else 0
    gate = 2 * block.middle * block.hidden + block.middle + block.hidden if block.hidden else 0
    return expand + (block.kernel ** 2 + norm) * block.middle + gate + (block.middle + norm) * block.c_out


def parameters(net):
    """As `glowworm space cost` counts them: no kernel matrices, no running statistics."""
    stem = net.stem[0]
    count = (9 * stem.c_in + 2) * stem.c_out + sum(block_parameters(block) for block in net.blocks)
    count += (net.expand.c_in + 2) * net.expand.c_out if net.expand else 0
    count += net.mix.c_in * net.mix.c_out if net.mix else 0
    return count + (net.features + 1) * net.classes


def check_parameters(build, space_file, subnet, count):
    """Refuses a network that is not Glowworm's."""
    expected = glowworm(build, "space", "cost", space_file, "--subnet", subnet)[0]["params"]
    if count != expected:
        raise ValueError(f"{subnet}: {count} parameters here, {expected} by glowworm space cost {space_file}")
