"""Turns an exported model back into a checkpoint, so that training goes on from a shipped version.

    python -m zhiyin_encoder.restore --public PUBLIC --work WORK --model ../../zhiyin-encoder-small

Writes `tokenizer.json`, `tuned.pt` (for `finetune --resume`) and `adapted.pt` (its trunk alone) into the work folder.
Weights are what was shipped: f16. Heads of public sets are not shipped and start afresh.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import torch
from safetensors.torch import load_file

from .predict import SENTENCE_SHARE
from .settings import Shape, arguments

LAYER_NAMES = {
    "attention_output": "attention.output.dense", "attention_norm": "attention.output.LayerNorm", "intermediate": "intermediate.dense",
    "output": "output.dense", "output_norm": "output.LayerNorm",
}
EMBEDDING_NAMES = {
    "trunk.words.weight": "word_embeddings.weight", "trunk.positions.weight": "position_embeddings.weight",
    "trunk.types.weight": "token_type_embeddings.weight", "trunk.norm.weight": "LayerNorm.weight", "trunk.norm.bias": "LayerNorm.bias",
}
POOLER_NAMES = {"pool_first": "pooler.first", "pool_mean": "pooler.mean", "pool_norm": "pooler.norm", "embedding": "embedding"}


def state(tensors: dict[str, torch.Tensor], shape: Shape) -> dict[str, torch.Tensor]:
    """The exported tensors under the names of `model.Encoder`; the inverse of `export.tensors` without the n-gram table."""
    found = {own: tensors[f"embeddings.{theirs}"] for own, theirs in EMBEDDING_NAMES.items()}
    for i in range(shape.num_hidden_layers):
        for part in ("weight", "bias"):
            chunks = [tensors[f"encoder.layer.{i}.attention.self.{name}.{part}"] for name in ("query", "key", "value")]
            found[f"trunk.layers.{i}.qkv.{part}"] = torch.cat(chunks)
            for own, theirs in LAYER_NAMES.items():
                found[f"trunk.layers.{i}.{own}.{part}"] = tensors[f"encoder.layer.{i}.{theirs}.{part}"]
    for own, theirs in POOLER_NAMES.items():
        found |= {f"{own}.{part}": tensors[f"{theirs}.{part}"] for part in ("weight", "bias") if f"{theirs}.{part}" in tensors}
    for name, tensor in tensors.items():
        if name.startswith("heads."):
            head = name.split(".")[1]
            group = "token_heads" if head in ("entity", "punctuation") else "sentence_heads"
            found[f"{group}.{name.removeprefix('heads.')}"] = tensor
    found = {name: tensor.float() for name, tensor in found.items()}
    for head, share in SENTENCE_SHARE.items():  # the export scaled these columns (`predict.load`)
        found[f"sentence_heads.{head}.weight"][:, : shape.hidden_size] /= share
    return found


def main() -> None:
    parser = arguments(__doc__.splitlines()[0])
    parser.add_argument("--model", type=Path, required=True, help="folder of the exported model")
    options = parser.parse_args()
    options.work.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(options.model / "tokenizer.json", options.work / "tokenizer.json")
    restored = state(load_file(str(options.model / "model.safetensors")), Shape())
    torch.save({"state": restored}, options.work / "tuned.pt")
    torch.save({name: tensor for name, tensor in restored.items() if name.startswith("trunk.")}, options.work / "adapted.pt")
    print(f"{len(restored)} tensors, {sum(t.numel() for t in restored.values()) / 1e6:.1f} M numbers")


if __name__ == "__main__":
    main()
