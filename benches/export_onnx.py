"""A model folder as ONNX: the same weights that the service runs, for a comparison with ONNX Runtime.

    python benches/export_onnx.py models/zhiyin-encoder-small encoder.onnx

Needs `torch`, `onnx`, `numpy` and `safetensors` from PyPI. Reads `config.json`, `heads.toml` and `model.safetensors` of a
BERT-shaped folder (Zhiyin's own layout, or any `bert` checkpoint in Hugging Face layout such as MiniLM).

Inputs:  `ids` (batch, tokens) int64, `mask` (batch, tokens) int64, and `margins` (batch, dim) of the character n-gram bag
         where the model has one.
Outputs: `embedding` (batch, width), unit length, and `<head>` logits: (batch, labels) or (batch, tokens, labels).
"""

from __future__ import annotations

import argparse
import json
import math
import tomllib
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from safetensors import safe_open
from torch import Tensor, nn


def tensors(path: Path) -> dict[str, Tensor]:
    """All tensors as f32; int8 ones are left out (the n-gram table is no part of the graph)."""
    with safe_open(path, framework="pt") as file:
        found = {name: file.get_tensor(name) for name in file.keys()}
    named = {name: value.float() for name, value in found.items() if value.dtype.is_floating_point}
    # Checkpoints with a head carry a prefix.
    return {name.removeprefix("bert."): value for name, value in named.items()}


class Model(nn.Module):
    """The network of `src/inference` in PyTorch: post-norm BERT, pooling, embedding, heads."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        if self.config["model_type"] != "bert":
            raise SystemExit(f"{folder}: model_type {self.config['model_type']} is not exported, only bert")
        heads = folder / "heads.toml"
        self.heads = tomllib.loads(heads.read_text(encoding="utf-8"))["head"] if heads.is_file() else []
        self.own = self.config.get("pooling") == "zhiyin"
        self.names = {}
        for name, value in tensors(folder / "model.safetensors").items():
            place = name.replace(".", "_")
            self.names[name] = place
            self.register_parameter(place, nn.Parameter(value, requires_grad=True))

    def at(self, name: str) -> Tensor:
        return getattr(self, self.names[name])

    def linear(self, name: str, x: Tensor) -> Tensor:
        bias = f"{name}.bias"
        return F.linear(x, self.at(f"{name}.weight"), self.at(bias) if bias in self.names else None)

    def norm(self, name: str, x: Tensor, eps: float) -> Tensor:
        weight = self.at(f"{name}.weight")
        return F.layer_norm(x, tuple(weight.shape), weight, self.at(f"{name}.bias"), eps)

    def layer(self, number: int, x: Tensor, bias: Tensor) -> Tensor:
        at, eps, heads = f"encoder.layer.{number}", self.config["layer_norm_eps"], self.config["num_attention_heads"]
        batch, tokens, hidden = x.shape
        split = lambda name: self.linear(f"{at}.attention.self.{name}", x).view(batch, tokens, heads, hidden // heads).transpose(1, 2)
        scores = split("query") @ split("key").transpose(-1, -2) / math.sqrt(hidden // heads) + bias
        attended = (scores.softmax(-1) @ split("value")).transpose(1, 2).reshape(batch, tokens, hidden)
        x = self.norm(f"{at}.attention.output.LayerNorm", x + self.linear(f"{at}.attention.output.dense", attended), eps)
        wide = F.gelu(self.linear(f"{at}.intermediate.dense", x))
        return self.norm(f"{at}.output.LayerNorm", x + self.linear(f"{at}.output.dense", wide), eps)

    def states(self, ids: Tensor, mask: Tensor) -> Tensor:
        """Hidden states (batch, tokens, hidden)."""
        words = self.at("embeddings.word_embeddings.weight")[ids]
        places = self.at("embeddings.position_embeddings.weight")[torch.arange(ids.shape[1], device=ids.device)]
        x = words + places + self.at("embeddings.token_type_embeddings.weight")[0]
        x = self.norm("embeddings.LayerNorm", x, self.config["layer_norm_eps"])
        bias = (1.0 - mask[:, None, None, :].to(x.dtype)) * -1e9
        for number in range(self.config["num_hidden_layers"]):
            x = self.layer(number, x, bias)
        return x

    def sentence(self, states: Tensor, mask: Tensor) -> Tensor:
        """What sentence heads read, without the margins of the n-gram bag."""
        weights = mask[:, :, None].to(states.dtype)
        mean = (states * weights).sum(1) / weights.sum(1)
        if not self.own:
            return mean
        mixed = self.linear("pooler.first", states[:, 0]) + self.linear("pooler.mean", mean)
        return F.gelu(self.norm("pooler.norm", mixed, 1e-5))

    def forward(self, ids: Tensor, mask: Tensor, margins: Tensor | None = None) -> tuple[Tensor, ...]:
        states = self.states(ids, mask)
        sentence = self.sentence(states, mask)
        projected = self.linear("embedding", sentence) if self.config.get("embedding_size") else sentence
        outputs = [projected / projected.norm(dim=-1, keepdim=True).clamp_min(1e-12)]
        joined = sentence if margins is None else torch.cat([sentence, margins], -1)
        for head in self.heads:
            outputs.append(self.linear(f"heads.{head['name']}", states if head["kind"] == "token" else joined))
        return tuple(outputs)


def export(folder: Path, target: Path) -> Model:
    """Writes the ONNX file and returns the PyTorch model."""
    model = Model(folder).eval()
    ids, mask = torch.ones(2, 8, dtype=torch.int64), torch.ones(2, 8, dtype=torch.int64)
    inputs, names = [ids, mask], ["ids", "mask"]
    axes = {name: {0: "batch", 1: "tokens"} for name in names}
    if "ngrams" in model.config:
        inputs.append(torch.zeros(2, model.config["ngrams"]["dim"]))
        names.append("margins")
        axes["margins"] = {0: "batch"}
    outputs = ["embedding"] + [head["name"] for head in model.heads]
    for name, kind in zip(outputs, ["sentence"] + [head["kind"] for head in model.heads]):
        axes[name] = {0: "batch", 1: "tokens"} if kind == "token" else {0: "batch"}
    with torch.no_grad():
        torch.onnx.export(model, tuple(inputs), str(target), input_names=names, output_names=outputs, dynamic_axes=axes, opset_version=17, dynamo=False)
    return model


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="folder with config.json and model.safetensors")
    parser.add_argument("target", type=Path, help="ONNX file to write")
    chosen = parser.parse_args()
    model = export(chosen.folder, chosen.target)
    count = sum(int(np.prod(p.shape)) for p in model.parameters())
    print(f"{chosen.target}: {count:,} numbers, outputs embedding{''.join(', ' + head['name'] for head in model.heads)}")


if __name__ == "__main__":
    main()
