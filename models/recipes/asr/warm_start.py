"""Starts a new model from an earlier model file of this recipe (ggml, f16 or q5_0), so that training goes on from there.

Everything of equal shape is taken over. Decoder layers that the earlier model lacks start as the identity. The CTC head
is not in the file and starts afresh. Tokens that the earlier model had no row for get its "unused" row.
"""

import struct
from pathlib import Path

import numpy as np
import torch

from export import BLOCK, MAGIC, TENSOR_TYPE
from model import Config, Recogniser

TYPE_NAME = {number: name for name, number in TENSOR_TYPE.items()}


def dequantise_q5_0(data: bytes, count: int) -> np.ndarray:
    """ggml `block_q5_0` -> f32 weights."""
    blocks = np.frombuffer(data, np.uint8).reshape(count // BLOCK, 22)
    scale = blocks[:, :2].copy().view("<f2").astype(np.float32)
    high = blocks[:, 2:6].copy().view("<u4")
    low = np.concatenate([blocks[:, 6:] & 15, blocks[:, 6:] >> 4], 1)
    bits = (high >> np.arange(BLOCK, dtype=np.uint32)) & 1
    return ((low + (bits << 4)).astype(np.float32) - 16).reshape(-1, BLOCK) * scale


def read_tensors(path: Path) -> dict[str, np.ndarray]:
    """All tensors of a whisper.cpp model file as f32 arrays in PyTorch's order of axes."""
    data = path.read_bytes()
    if struct.unpack_from("<i", data)[0] != MAGIC:
        raise ValueError(f"{path} is not a ggml model file (unpack it first if it is compressed)")
    mels, bins = struct.unpack_from("<2i", data, 48)
    position = 56 + 4 * mels * bins
    (tokens,) = struct.unpack_from("<i", data, position)
    position += 4
    for _ in range(tokens):
        position += 4 + struct.unpack_from("<I", data, position)[0]
    tensors = {}
    while position < len(data):
        axes, name_length, type_number = struct.unpack_from("<3i", data, position)
        shape = struct.unpack_from(f"<{axes}i", data, position + 12)[::-1]
        position += 12 + 4 * axes
        name = data[position : position + name_length].decode()
        position += name_length
        count, kind = int(np.prod(shape)), TYPE_NAME[type_number]
        size = {"f32": 4 * count, "f16": 2 * count, "q5_0": count // BLOCK * 22}[kind]
        body = data[position : position + size]
        position += size
        values = dequantise_q5_0(body, count) if kind == "q5_0" else np.frombuffer(body, "<f4" if kind == "f32" else "<f2")
        tensors[name] = values.astype(np.float32).reshape(shape)
    return tensors


@torch.no_grad()
def warm_start(model: Recogniser, path: Path) -> list[str]:
    """Fills `model` in place; returns the names of the parameters that keep their fresh start."""
    earlier, fresh = read_tensors(path), []
    for name, parameter in model.named_parameters():
        if name == "decoder.token_embedding.weight":
            table = torch.from_numpy(earlier[name])
            used = torch.tensor(model.config.sub_vocabulary)
            unused = next(i for i in range(50000, 0, -1) if i not in set(model.config.sub_vocabulary))
            parameter[:-1], parameter[-1] = table[used], table[unused]
            continue
        values = earlier.get(name)
        if values is None:
            fresh.append(name)
            if name.startswith("decoder.blocks") and (".out." in name or ".mlp.2." in name):
                parameter.zero_()  # a new layer adds nothing at first
            continue
        values = torch.from_numpy(values)
        if name == "encoder.conv1.weight":
            values = values[:, : parameter.shape[1]]
        parameter.copy_(values.reshape(parameter.shape))
    return fresh


@torch.no_grad()
def go_on(model: Recogniser, path: Path) -> list[str]:
    """Fills `model` in place from a checkpoint whose corpus may have had other tokens or CTC units; returns the
    parameters of which some rows keep their fresh start."""
    saved = torch.load(path, weights_only=True)
    earlier, config, fresh = saved["weights"], Config(**saved["config"]), []
    row_of = {token: row for row, token in enumerate(config.sub_vocabulary)}
    tokens = [row_of.get(token, -1) for token in model.config.sub_vocabulary] + [-1]
    units = [0] + [config.ctc_units.get(name, -1) for name in model.config.ctc_units]
    for name, parameter in model.named_parameters():
        if name == "decoder.token_embedding.weight":
            parameter.copy_(earlier[name][torch.tensor(tokens)])
        elif name.startswith("ctc."):
            known = torch.tensor(units) >= 0
            parameter[known] = earlier[name][torch.tensor(units)[known]]
            fresh += [] if known.all() else [name]
        else:
            parameter.copy_(earlier[name])
    return fresh
