"""Every number of the recipe, in one place. `--size small` runs on two CPU cores, `--size full` wants a GPU;
`--size trial` runs every stage for moments, to see that they follow one another: its model is worth nothing."""

from __future__ import annotations

import argparse
import os
import random
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch

# Version of the exported model, in its card and in every answer of the product.
MODEL_VERSION = "6"
REPOSITORY = Path(__file__).resolve().parents[4]


@dataclass(frozen=True)
class Shape:
    """Shape of the network. The same numbers stand in `config.json` of the exported model."""

    vocab_size: int = 10240
    hidden_size: int = 256
    num_hidden_layers: int = 4
    num_attention_heads: int = 4
    intermediate_size: int = 1024
    max_position_embeddings: int = 128
    type_vocab_size: int = 2
    layer_norm_eps: float = 1e-12
    # One int8 per label of a sentence head and bucket.
    ngram_buckets: int = 34560
    ngram_words: bool = True
    ngram_dim: int = 103
    ngram_max: int = 4
    embedding_size: int = 256

    def as_dict(self) -> dict:
        return asdict(self)


@dataclass(frozen=True)
class Budget:
    """How long each stage runs; a stage ends at its steps or its minutes, whichever comes first."""

    pretrain_steps: int
    pretrain_minutes: float
    pretrain_batch_tokens: int
    pretrain_rate: float
    adapt_minutes: float
    tune_steps: int
    tune_minutes: float
    tune_batch: int
    tune_rate: float


BUDGETS = {
    "small": Budget(9000, 22.0, 4096, 1e-3, 5.0, 3600, 30.0, 64, 6e-4),
    "trial": Budget(20, 0.5, 2048, 1e-3, 0.5, 20, 0.5, 64, 6e-4),
    "full": Budget(40000, 12.0, 32768, 1.5e-3, 2.0, 12000, 10.0, 128, 6e-4),
}


def arguments(description: str) -> argparse.ArgumentParser:
    """The options that every stage has."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--size", choices=sorted(BUDGETS), default="small")
    parser.add_argument("--public", type=Path, required=True, help="folder with the unpacked public sets")
    parser.add_argument("--work", type=Path, required=True, help="folder for checkpoints and logs")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 2)
    return parser


def seeded(seed: int, threads: int) -> torch.device:
    """Seeds every generator and returns the device: the GPU when there is one."""
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)
    torch.set_num_threads(threads)
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")
