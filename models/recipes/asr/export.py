"""Checkpoint -> whisper.cpp model file, f16 or q5_0 / q5_1, and its packed form for the repository.

The quantiser is written here: blocks of 32 weights with 5-bit values, as ggml stores them (`block_q5_0`: f16 scale,
32 high bits, 16 bytes of low nibbles; `block_q5_1`: f16 scale and minimum first). Usage:
export.py CHECKPOINT --tiktoken F --mel F --type q5_0 --out model.ggml --packed model.ggml.zst
"""

import argparse
import hashlib
import struct
import subprocess
from pathlib import Path

import numpy as np
import torch

from vocab import N_VOCAB, load_mel_filters, load_vocabulary

MAGIC = 0x67676D6C
N_MELS = 80
BLOCK = 32
FILE_TYPE = {"f16": 1, "q5_0": 8, "q5_1": 9}
TENSOR_TYPE = {"f32": 0, "f16": 1, "q5_0": 6, "q5_1": 7}
QUANTISATION_VERSION_FACTOR = 1000  # ggml adds 1000 x 2 (its quantisation version) to the file type


def pack_5_bit(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Integers 0-31 [blocks, 32] -> (high bits [blocks, 4], low nibbles [blocks, 16]); nibble i holds weights i and i + 16."""
    low, high = values & 15, (values >> 4).astype(np.uint32)
    bits = (high << np.arange(BLOCK, dtype=np.uint32)).sum(1, dtype=np.uint32)
    return bits.astype("<u4").view(np.uint8).reshape(-1, 4), (low[:, :16] | (low[:, 16:] << 4)).astype(np.uint8)


def best_scale(blocks: np.ndarray, scale: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Scales near the given ones with the least squared error of each block, as f16, and the values 0-31 under them. ggml itself
    takes the scale at which the largest weight is exact."""
    least = np.full(len(blocks), np.inf, np.float32)
    stored, values = np.zeros(len(blocks), "<f2"), np.zeros(blocks.shape, np.uint8)
    for factor in np.linspace(0.8, 1.1, 16):
        tried = (scale * factor).astype("<f2")
        wide = tried.astype(np.float32)[:, None]
        inverse = np.divide(1, wide, out=np.zeros_like(wide), where=wide != 0)
        guess = np.clip(blocks * inverse + 16.5, 0, 31).astype(np.uint8)
        error = (((guess.astype(np.float32) - 16) * wide - blocks) ** 2).sum(1)
        better = error < least
        least, stored, values = np.where(better, error, least), np.where(better, tried, stored), np.where(better[:, None], guess, values)
    return stored.astype("<f2"), values


def quantise(weights: np.ndarray, kind: str) -> tuple[bytes, np.ndarray]:
    """f32 weights (last axis a multiple of 32) -> (ggml blocks, the weights that a reader gets back)."""
    blocks = np.ascontiguousarray(weights, np.float32).reshape(-1, BLOCK)
    if kind == "q5_0":
        extreme = blocks[np.arange(len(blocks)), np.abs(blocks).argmax(1)]
        stored, values = best_scale(blocks, extreme / -16)
        restored = (values.astype(np.float32) - 16) * stored.astype(np.float32)[:, None]
        head = stored.view(np.uint8).reshape(-1, 2)
    else:
        minimum, maximum = blocks.min(1), blocks.max(1)
        scale = (maximum - minimum) / 31
        inverse = np.divide(1, scale, out=np.zeros_like(scale), where=scale != 0)
        values = np.clip((blocks - minimum[:, None]) * inverse[:, None] + 0.5, 0, 31).astype(np.uint8)
        pair = np.stack([scale, minimum], 1).astype("<f2")
        restored = values.astype(np.float32) * pair[:, :1].astype(np.float32) + pair[:, 1:].astype(np.float32)
        head = pair.view(np.uint8).reshape(-1, 4)
    high, low = pack_5_bit(values)
    return np.concatenate([head, high, low], 1).tobytes(), restored.reshape(weights.shape)


def whisper_tensors(checkpoint: dict) -> dict[str, np.ndarray]:
    """Weights under Whisper's names and shapes: the CTC head dropped, unused mel bins and vocabulary rows filled in."""
    config = checkpoint["config"]
    tensors = {name: value.float().numpy() for name, value in checkpoint["weights"].items() if not name.startswith("ctc.")}
    first = tensors["encoder.conv1.weight"]
    padding = np.zeros((first.shape[0], N_MELS - first.shape[1], first.shape[2]), np.float32)
    tensors["encoder.conv1.weight"] = np.concatenate([first, padding], 1)
    embedding = tensors["decoder.token_embedding.weight"]
    full = np.repeat(embedding[-1:], N_VOCAB, 0)
    full[np.array(config["sub_vocabulary"])] = embedding[:-1]
    tensors["decoder.token_embedding.weight"] = full
    for name in ("encoder.conv1.bias", "encoder.conv2.bias"):
        tensors[name] = tensors[name].reshape(-1, 1)
    expected = 7 + 15 * config["encoder_layers"] + 4 + 24 * config["decoder_layers"]
    if len(tensors) != expected:
        raise ValueError(f"{len(tensors)} tensors, whisper.cpp expects {expected}")
    return tensors


def stored_type(name: str, tensor: np.ndarray, kind: str) -> str:
    """Vectors and positions stay f32, convolutions f16, matrices take `kind`."""
    if tensor.ndim < 2 or name.endswith(("positional_embedding", "bias")):
        return "f32"
    return "f16" if tensor.ndim == 3 else kind


def write_model(checkpoint: dict, kind: str, filters: np.ndarray, tokens: list[bytes], path: Path) -> float:
    """Writes the ggml file; returns the largest relative RMS error that quantisation made in a tensor."""
    config, worst = checkpoint["config"], 0.0
    file_type = FILE_TYPE[kind] + (2 * QUANTISATION_VERSION_FACTOR if kind != "f16" else 0)
    header = [MAGIC, N_VOCAB, config["audio_context"], config["width"], config["heads"], config["encoder_layers"]]
    header += [config["text_context"], config["width"], config["heads"], config["decoder_layers"], N_MELS, file_type]
    with path.open("wb") as file:
        file.write(struct.pack("<12i", *header))
        file.write(struct.pack("<2i", *filters.shape) + filters.astype("<f4").tobytes())
        file.write(struct.pack("<i", len(tokens)) + b"".join(struct.pack("<I", len(t)) + t for t in tokens))
        for name, tensor in whisper_tensors(checkpoint).items():
            type_name = stored_type(name, tensor, kind)
            if type_name in ("q5_0", "q5_1"):
                data, restored = quantise(tensor, type_name)
                worst = max(worst, float(np.sqrt(((restored - tensor) ** 2).mean() / (tensor**2).mean())))
            else:
                data = np.ascontiguousarray(tensor, "<f2" if type_name == "f16" else "<f4").tobytes()
            file.write(struct.pack("<3i", tensor.ndim, len(name), TENSOR_TYPE[type_name]))
            file.write(struct.pack(f"<{tensor.ndim}i", *tensor.shape[::-1]) + name.encode() + data)
    return worst


def describe(path: Path) -> str:
    return f"{path.name}: {path.stat().st_size} bytes, sha256 {hashlib.sha256(path.read_bytes()).hexdigest()}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("checkpoint", type=Path)
    for name in ("tiktoken", "mel", "out"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    parser.add_argument("--type", choices=sorted(FILE_TYPE), default="q5_0")
    parser.add_argument("--packed", type=Path, help="also write a zstd copy (needs the zstd command)")
    args = parser.parse_args()
    checkpoint = torch.load(args.checkpoint, weights_only=True)
    worst = write_model(checkpoint, args.type, load_mel_filters(args.mel), load_vocabulary(args.tiktoken), args.out)
    print(f"{checkpoint['steps']} steps; worst relative quantisation error {worst:.4f}")
    print(describe(args.out))
    if args.packed:
        subprocess.run(["zstd", "-q", "-f", "-19", str(args.out), "-o", str(args.packed)], check=True)
        print(describe(args.packed))


if __name__ == "__main__":
    main()
