"""Weights by the golden formula under the reference's names, and .safetensors files without the package of that name:
what the tests of import and export share."""
import json
import math
import pathlib
import struct

import numpy as np


def unit(name, seed, count):
    """The formula's u in [-1, 1): SplitMix64 seeded by FNV-1a of the name."""
    state = 0xCBF29CE484222325
    for byte in name.encode():
        state = (state ^ byte) * 0x100000001B3 % 2**64
    with np.errstate(over="ignore"):
        z = np.uint64(state ^ seed) + np.arange(1, count + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        z = z ^ (z >> np.uint64(31))
    return (z >> np.uint64(11)).astype(np.float64) / 2.0**53 * 2 - 1


def values_of(name, shape, seed):
    u = unit(name, seed, math.prod(shape)).reshape(shape)
    is_norm = ".bn." in name
    if name.endswith("_matrix"):
        return np.eye(shape[0]) + 0.05 * u
    if name.endswith("running_var"):
        return 1 + 0.2 * u
    if is_norm and name.endswith(".weight"):
        return 1 + 0.1 * u
    if len(shape) == 1:
        return 0.1 * u
    fan_in = math.prod(shape[1:])
    return math.sqrt((6 if len(shape) == 4 else 3) / fan_in) * u


def write_safetensors(path, tensors):
    header, blobs, at = {"__metadata__": {"format": "pt"}}, [], 0
    for name, array in tensors.items():
        data = array.tobytes()
        kind = {"float32": "F32", "int64": "I64"}[str(array.dtype)]
        header[name] = {"dtype": kind, "shape": list(array.shape), "data_offsets": [at, at + len(data)]}
        blobs.append(data)
        at += len(data)
    text = json.dumps(header).encode()
    pathlib.Path(path).write_bytes(struct.pack("<Q", len(text)) + text + b"".join(blobs))


def read_safetensors(path):
    """{name: array}, metadata. Of fp32 files only."""
    data = pathlib.Path(path).read_bytes()
    size = struct.unpack("<Q", data[:8])[0]
    header, values = json.loads(data[8:8 + size]), data[8 + size:]
    metadata, tensors, end = header.pop("__metadata__", {}), {}, 0
    for name, entry in header.items():
        assert entry["dtype"] == "F32" and entry["data_offsets"][0] == end, (name, entry, end)
        begin, end = entry["data_offsets"]
        tensors[name] = np.frombuffer(values[begin:end], dtype="<f4").reshape(entry["shape"])
    assert end == len(values)
    return tensors, metadata
