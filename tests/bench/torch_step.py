#!/usr/bin/python3
"""The peer of tests/bench/step: one training step (forward, backward, SGD) of a static sub-network of the
MobileNetV3 search space in PyTorch, as fast as PyTorch does it. Prints one JSON line.

usage: torch_step.py --net biggest|smallest --resolution 32 --batch 128 --layout nhwc|nchw [--threads 2] [--seconds 10]
"""
import argparse
import json
import time

import torch
from torch import nn

WIDTHS = [24, 40, 80, 112, 160]
STRIDES = [2, 2, 2, 1, 2]
USES_SE = [False, True, False, True, True]
USES_HSWISH = [False, False, True, True, True]


def multiple_of_8(value):
    rounded = max(8, int(value + 4) // 8 * 8)
    return rounded + 8 if rounded < 0.9 * value else rounded


def activation(is_hswish):
    return nn.Hardswish(inplace=True) if is_hswish else nn.ReLU(inplace=True)


class Gate(nn.Module):
    """Squeeze-excite."""

    def __init__(self, channels):
        super().__init__()
        hidden = multiple_of_8(channels // 4)
        self.reduce = nn.Conv2d(channels, hidden, 1)
        self.expand = nn.Conv2d(hidden, channels, 1)

    def forward(self, x):
        pooled = x.mean((2, 3), keepdim=True)
        return x * nn.functional.hardsigmoid(self.expand(nn.functional.relu(self.reduce(pooled))))


class Block(nn.Module):
    def __init__(self, c_in, c_out, kernel, expansion, stride, has_se, is_hswish):
        super().__init__()
        middle = multiple_of_8(round(c_in * expansion))
        layers = [nn.Conv2d(c_in, middle, 1, bias=False), nn.BatchNorm2d(middle), activation(is_hswish),
                  nn.Conv2d(middle, middle, kernel, stride, kernel // 2, groups=middle, bias=False),
                  nn.BatchNorm2d(middle), activation(is_hswish)]
        if has_se:
            layers.append(Gate(middle))
        layers += [nn.Conv2d(middle, c_out, 1, bias=False), nn.BatchNorm2d(c_out)]
        self.body = nn.Sequential(*layers)
        self.has_shortcut = stride == 1 and c_in == c_out

    def forward(self, x):
        return x + self.body(x) if self.has_shortcut else self.body(x)


class First(nn.Module):
    """The block without expansion behind the stem."""

    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(16, 16, 3, 1, 1, groups=16, bias=False), nn.BatchNorm2d(16),
                                  nn.ReLU(inplace=True), nn.Conv2d(16, 16, 1, bias=False), nn.BatchNorm2d(16))

    def forward(self, x):
        return x + self.body(x)


def build(kernel, expansion, depth, classes=1000):
    layers = [nn.Conv2d(3, 16, 3, 2, 1, bias=False), nn.BatchNorm2d(16), nn.Hardswish(inplace=True), First()]
    c_in = 16
    for width, stride, has_se, is_hswish in zip(WIDTHS, STRIDES, USES_SE, USES_HSWISH):
        for index in range(depth):
            layers.append(Block(c_in, width, kernel, expansion, stride if index == 0 else 1, has_se, is_hswish))
            c_in = width
    layers += [nn.Conv2d(c_in, 960, 1, bias=False), nn.BatchNorm2d(960), nn.Hardswish(inplace=True),
               nn.AdaptiveAvgPool2d(1), nn.Conv2d(960, 1280, 1, bias=False), nn.Hardswish(inplace=True), nn.Flatten(),
               nn.Dropout(0.1), nn.Linear(1280, classes)]
    return nn.Sequential(*layers)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--net", choices=["biggest", "smallest"], required=True)
    parser.add_argument("--resolution", type=int, required=True)
    parser.add_argument("--batch", type=int, required=True)
    parser.add_argument("--layout", choices=["nhwc", "nchw"], required=True)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=10)
    args = parser.parse_args()

    torch.manual_seed(0)
    torch.set_num_threads(args.threads)
    net = build(7, 6, 4) if args.net == "biggest" else build(3, 3, 2)
    images = torch.randn(args.batch, 3, args.resolution, args.resolution)
    if args.layout == "nhwc":
        net = net.to(memory_format=torch.channels_last)
        images = images.contiguous(memory_format=torch.channels_last)
    labels = torch.randint(0, 1000, (args.batch,))
    decayed = [p for p in net.parameters() if p.dim() > 1]
    others = [p for p in net.parameters() if p.dim() <= 1]
    optimiser = torch.optim.SGD([{"params": decayed, "weight_decay": 3e-5}, {"params": others, "weight_decay": 0.0}],
                                lr=0.1, momentum=0.9, nesterov=True)
    criterion = nn.CrossEntropyLoss(label_smoothing=0.1)

    def step():
        optimiser.zero_grad(set_to_none=False)
        criterion(net(images), labels).backward()
        optimiser.step()

    for _ in range(2):
        step()
    times = []
    started = time.perf_counter()
    while time.perf_counter() - started < args.seconds or len(times) < 3:
        before = time.perf_counter()
        step()
        times.append(time.perf_counter() - before)
    times.sort()
    print(json.dumps({"net": args.net, "resolution": args.resolution, "batch": args.batch, "layout": args.layout,
                      "threads": args.threads, "steps": len(times), "torch": torch.__version__,
                      "images_per_s": round(args.batch / times[len(times) // 2], 2)}))


if __name__ == "__main__":
    main()
