#!/usr/bin/env python3
"""The peer of bench_step and bench_train: training steps of the same networks in PyTorch. One SUBNET alone: forward, loss,
backward, SGD. With --elastic a step of progressive shrinking's last phases: the frozen full network's forward, then each
SUBNET sliced out of the full network's parameters, with soft cross entropy beside the labels', and one SGD update of
every parameter.

Builds the network from what `glowworm space show` prints, and refuses to run unless its parameters are as many as
`glowworm space cost` says. Compiles and warms up, prints a JSON line of what it is; then answers every line of standard
input, a number of seconds, with a JSON line: images/s by the median step. Compiling is never part of what is timed.

usage: torch_step.py BUILD_FOLDER SPACE_FILE --resolution 32 --batch 128 [--layout nhwc|nchw] [--precision fp32|bf16]
           [--compile] [--elastic] [--device cpu|cuda] [--threads 2] SUBNET...
"""
import argparse
import contextlib
import json
import statistics
import sys
import time

import torch
from torch.nn import functional as F

from layer_shapes import check_parameters, glowworm, shapes
from torch_nets import ElasticNet, parameter_count, static_net

DECAY, SMOOTHING = 3e-5, 0.1


def optimiser_of(net):
    decayed = [p for p in net.parameters() if p.dim() > 1]
    others = [p for p in net.parameters() if p.dim() <= 1]
    groups = [{"params": decayed, "weight_decay": DECAY}, {"params": others, "weight_decay": 0.0}]
    settings = {"lr": 1e-4, "momentum": 0.9, "nesterov": True}
    try:
        return torch.optim.SGD(groups, fused=True, **settings)  # one pass over all parameters
    except (TypeError, RuntimeError):  # before 2.4
        return torch.optim.SGD(groups, **settings)


def autocast(args):
    return torch.autocast(args.device, dtype=torch.bfloat16) if args.precision == "bf16" else contextlib.nullcontext()


def compiled(function, args):
    return torch.compile(function, dynamic=False) if args.compile else function


def static_step(args, space, images, labels):
    net = static_net(shapes(space, args.subnets[0]))
    check_parameters(args.build, args.space, args.subnets[0], parameter_count(net))
    net = net.to(args.device, memory_format=args.memory_format)
    optimiser = optimiser_of(net)

    def loss_of(batch):
        return F.cross_entropy(net(batch), labels, label_smoothing=SMOOTHING)

    forward = compiled(loss_of, args)

    def step():
        optimiser.zero_grad(set_to_none=True)
        with autocast(args):
            loss = forward(images)
        loss.backward()
        optimiser.step()

    return net, step


def biggest_of(space):
    return f"k={max(space['kernels'])} e={max(space['expansions'])} d={max(space['depths'])}"


def elastic_step(args, space, images, labels):
    biggest = biggest_of(space)
    full = shapes(space, biggest)
    net, teacher = ElasticNet(full), static_net(full)
    for counted in (net, teacher):
        check_parameters(args.build, args.space, biggest, parameter_count(counted))
    net, teacher = (module.to(args.device, memory_format=args.memory_format) for module in (net, teacher))
    optimiser = optimiser_of(net)

    def student(blocks):
        def loss_of(batch, soft):
            logits = net(batch, blocks)
            distil = torch.mean(torch.sum(-soft * F.log_softmax(logits, 1), 1))
            return F.cross_entropy(logits, labels, label_smoothing=SMOOTHING) + distil
        return compiled(loss_of, args)

    students = [student(shapes(space, subnet).blocks) for subnet in args.subnets]
    teach = compiled(lambda batch: F.softmax(teacher(batch), 1), args)

    def step():
        optimiser.zero_grad(set_to_none=False)  # momentum and decay act on weights that no sub-network has touched
        with torch.no_grad(), autocast(args):
            soft = teach(images)
        for forward in students:
            with autocast(args):
                loss = forward(images, soft)
            loss.backward()
        optimiser.step()

    return net, step


def finish(device):
    if device == "cuda":
        torch.cuda.synchronize()


def images_per_second(step, batch, device, seconds):
    times, started = [], time.perf_counter()
    while time.perf_counter() - started < seconds or len(times) < 3:
        before = time.perf_counter()
        step()
        finish(device)
        times.append(time.perf_counter() - before)
    return {"images_per_second": round(batch / statistics.median(times), 2), "steps": len(times)}


def read_arguments():
    parser = argparse.ArgumentParser()
    parser.add_argument("build")
    parser.add_argument("space")
    parser.add_argument("--resolution", type=int, required=True)
    parser.add_argument("--batch", type=int, required=True)
    parser.add_argument("--layout", choices=["nhwc", "nchw"], default="nhwc")
    parser.add_argument("--precision", choices=["fp32", "bf16"], default="fp32")
    parser.add_argument("--compile", action="store_true")
    parser.add_argument("--elastic", action="store_true")
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("subnets", nargs="+")
    args = parser.parse_args()
    if not args.elastic and len(args.subnets) > 1:
        parser.error("several sub-networks need --elastic")
    if args.compile and not hasattr(torch, "compile"):
        parser.error(f"torch {torch.__version__} has no compiler")
    args.memory_format = torch.channels_last if args.layout == "nhwc" else torch.contiguous_format
    return args


def main():
    args = read_arguments()
    torch.manual_seed(0)
    torch.set_num_threads(args.threads)
    if args.compile:
        from torch._dynamo import config
        config.recompile_limit = 64  # every sub-network has code of its own
    space = glowworm(args.build, "space", "show", args.space)
    images = torch.randn(args.batch, space["channels"], args.resolution, args.resolution)
    images = images.to(args.device).contiguous(memory_format=args.memory_format)
    labels = torch.randint(0, space["classes"], (args.batch,)).to(args.device)
    net, step = (elastic_step if args.elastic else static_step)(args, space, images, labels)
    started = time.perf_counter()
    for _ in range(2):
        step()
    finish(args.device)
    print(json.dumps({"torch": torch.__version__, "parameters": parameter_count(net),
                      "warm_up_seconds": round(time.perf_counter() - started, 1)}), flush=True)
    for line in sys.stdin:
        print(json.dumps(images_per_second(step, args.batch, args.device, float(line))), flush=True)


if __name__ == "__main__":
    main()
