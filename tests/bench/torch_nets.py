"""Sub-networks of a search space in PyTorch, as fast as PyTorch does them: static ones, and the elastic full network that
the reference implementation activates by slicing prefixes out of its parameters. Batch norm takes the batch's statistics
and keeps none, as a training step here and there needs no more."""
import torch
from torch import nn
from torch.nn import functional as F

ACTS = {"none": lambda x: x, "relu": lambda x: F.relu(x, inplace=True), "relu6": lambda x: F.relu6(x, inplace=True),
        "hswish": lambda x: F.hardswish(x, inplace=True)}


def conv(c_in, c_out, kernel=1, stride=1, groups=1, bias=False):
    return nn.Conv2d(c_in, c_out, kernel, stride, kernel // 2, groups=groups, bias=bias)


class Gate(nn.Module):
    """Squeeze-excite."""

    def __init__(self, channels, hidden):
        super().__init__()
        self.reduce = conv(channels, hidden, bias=True)
        self.expand = conv(hidden, channels, bias=True)

    def forward(self, x):
        return x * F.hardsigmoid(self.expand(F.relu(self.reduce(x.mean((2, 3), keepdim=True)))))


class Act(nn.Module):
    def __init__(self, name):
        super().__init__()
        self.name = name

    def forward(self, x):
        return ACTS[self.name](x)


def norm(channels, eps):
    return nn.BatchNorm2d(channels, eps=eps, track_running_stats=False)


class Static(nn.Module):
    """One block, with parameters of its own size alone."""

    def __init__(self, block, eps):
        super().__init__()
        layers = []
        if block.has_expand:
            layers += [conv(block.c_in, block.middle), norm(block.middle, eps), Act(block.act)]
        layers += [conv(block.middle, block.middle, block.kernel, block.stride, block.middle), norm(block.middle, eps),
                   Act(block.act)]
        if block.hidden:
            layers.append(Gate(block.middle, block.hidden))
        layers += [conv(block.middle, block.c_out), norm(block.c_out, eps)]
        self.body = nn.Sequential(*layers)
        self.has_shortcut = block.has_shortcut

    def forward(self, x):
        return x + self.body(x) if self.has_shortcut else self.body(x)


def frame(shapes):
    """What stands in front of the blocks and behind them: the same in every sub-network."""
    (stem, stride), eps = shapes.stem, shapes.norm_eps
    front = nn.Sequential(conv(stem.c_in, stem.c_out, 3, stride), norm(stem.c_out, eps), Act(stem.act))
    behind = []
    if shapes.expand:
        behind += [conv(shapes.expand.c_in, shapes.expand.c_out), norm(shapes.expand.c_out, eps), Act(shapes.expand.act)]
    behind.append(nn.AdaptiveAvgPool2d(1))
    if shapes.mix:
        behind += [conv(shapes.mix.c_in, shapes.mix.c_out), Act(shapes.mix.act)]
    return front, nn.Sequential(*behind, nn.Flatten(), nn.Linear(shapes.features, shapes.classes))


def static_net(shapes):
    front, behind = frame(shapes)
    return nn.Sequential(front, *(Static(block, shapes.norm_eps) for block in shapes.blocks), behind)


class Elastic(nn.Module):
    """One block of the full network; forward() computes a sub-network's block out of prefixes of it (OFA, ICLR 2020,
    sec. 3.2 and 3.3; dynamic_op.py of the reference)."""

    def __init__(self, full, eps):
        super().__init__()
        self.eps = eps
        self.expand = conv(full.c_in, full.middle) if full.has_expand else None
        self.expand_norm = norm(full.middle, eps) if full.has_expand else None
        self.depthwise = conv(full.middle, full.middle, full.kernel, full.stride, full.middle)
        self.depthwise_norm = norm(full.middle, eps)
        self.gate = Gate(full.middle, full.hidden) if full.hidden else None
        self.project = conv(full.middle, full.c_out)
        self.project_norm = norm(full.c_out, eps)
        self.matrices = nn.ParameterDict()
        for side in range(full.kernel - 2, 2, -2):  # 7 to 5, 5 to 3
            self.matrices[f"to_{side}"] = nn.Parameter(torch.eye(side * side))

    def kernel(self, channels, side):
        """The centre of the stored kernel, through a matrix for every step down."""
        weight, current = self.depthwise.weight[:channels], self.depthwise.kernel_size[0]
        while current > side:
            current -= 2
            centre = weight[:, :, 1:-1, 1:-1].contiguous().view(channels, -1)
            weight = F.linear(centre, self.matrices[f"to_{current}"]).view(channels, 1, current, current)
        return weight

    def norm(self, layer, x):
        channels = x.shape[1]
        return F.batch_norm(x, None, None, layer.weight[:channels], layer.bias[:channels], True, 0.0, self.eps)

    def squeeze_excite(self, x, hidden):
        channels, gate = x.shape[1], self.gate
        pooled = x.mean((2, 3), keepdim=True)
        pooled = F.relu(F.conv2d(pooled, gate.reduce.weight[:hidden, :channels], gate.reduce.bias[:hidden]))
        pooled = F.conv2d(pooled, gate.expand.weight[:channels, :hidden], gate.expand.bias[:channels])
        return x * F.hardsigmoid(pooled)

    def forward(self, x, block):
        act, y = ACTS[block.act], x
        if self.expand is not None:
            y = act(self.norm(self.expand_norm, F.conv2d(y, self.expand.weight[:block.middle])))
        y = F.conv2d(y, self.kernel(block.middle, block.kernel), None, block.stride, block.kernel // 2, 1, block.middle)
        y = act(self.norm(self.depthwise_norm, y))
        if self.gate is not None:
            y = self.squeeze_excite(y, block.hidden)
        y = self.norm(self.project_norm, F.conv2d(y, self.project.weight[:, :block.middle]))
        return x + y if block.has_shortcut else y


class ElasticNet(nn.Module):
    def __init__(self, full):
        super().__init__()
        self.front, self.behind = frame(full)
        self.blocks = nn.ModuleDict({block.name: Elastic(block, full.norm_eps) for block in full.blocks})

    def forward(self, images, blocks):
        x = self.front(images)
        for block in blocks:
            x = self.blocks[block.name](x, block)
        return self.behind(x)


def parameter_count(net):
    """Without kernel matrices, as Glowworm counts."""
    return sum(p.numel() for name, p in net.named_parameters() if ".matrices." not in name)
