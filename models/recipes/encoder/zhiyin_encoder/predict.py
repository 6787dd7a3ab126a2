"""Logits of texts in plain f32, as the product computes them, and quick scores for the training log."""

from __future__ import annotations

import random
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from sklearn.metrics import f1_score
from tokenizers import Tokenizer

from . import labels
from .bag import Bag
from .examples import Example, collate
from .model import Encoder
from .settings import Shape


# How much of a head's verdict comes from the sentence vector beside the n-gram margins, against what `refit` chose; chosen on dev
# (0.7 for intents and 0.9 for emotions in version 4). None after `refit --plain`, which has shares of its own.
SENTENCE_SHARE: dict[str, float] = {}


@dataclass
class Prediction:
    """Raw outputs of one text."""

    sentence: dict[str, np.ndarray]
    tokens: dict[str, np.ndarray]
    embedding: np.ndarray
    vector: np.ndarray
    places: list[tuple[int, int]]


def load(path: Path, shape: Shape) -> Encoder:
    """The tuned model without its auxiliary heads, the sentence vector's part of its heads scaled by `SENTENCE_SHARE`."""
    stored = torch.load(path, weights_only=True, map_location="cpu")
    model = Encoder(shape, {k: len(v) for k, v in labels.SENTENCE_HEADS.items()}, {k: len(v) for k, v in labels.TOKEN_HEADS.items()}, {})
    model.load_state_dict({k: v for k, v in stored["state"].items() if not k.startswith("auxiliary.")})
    with torch.no_grad():
        for name, share in SENTENCE_SHARE.items():
            model.sentence_heads[name].weight[:, : shape.hidden_size] *= share
    return model.eval()


@torch.no_grad()
def predict(model: Encoder, texts: list[str], tokenizer: Tokenizer, shape: Shape, device: torch.device, bag: Bag) -> list[Prediction]:
    """Predictions in the order of the texts."""
    was_training = model.training
    model.eval()
    order = sorted(range(len(texts)), key=lambda i: len(texts[i]))
    found: list[Prediction | None] = [None] * len(texts)
    for start in range(0, len(order), 64):
        chosen = order[start : start + 64]
        batch = collate([Example(texts[i]) for i in chosen], tokenizer, shape.max_position_embeddings, 0.0, random.Random(0))
        hidden, sentence = model(*batch.inputs(device))
        margins = torch.from_numpy(bag.margins([texts[i] for i in chosen], shape)).to(device)
        sentences = {name: model.head(name, sentence, margins).cpu().numpy() for name in model.sentence_heads}
        tokens = {name: head(hidden).cpu().numpy() for name, head in model.token_heads.items()}
        embedding = model.embed(sentence).cpu().numpy()
        for row, i in enumerate(chosen):
            encoding = tokenizer.encode(texts[i])
            keep = [t for t, s in enumerate(encoding.special_tokens_mask) if not s]
            found[i] = Prediction(
                {n: v[row] for n, v in sentences.items()},
                {n: v[row][keep] for n, v in tokens.items()},
                embedding[row],
                torch.cat([sentence[row], margins[row]]).cpu().numpy(),
                [encoding.offsets[t] for t in keep],
            )
    model.train(was_training)
    return found


def language_of(text: str) -> str:
    """zh when a Chinese character stands in the text."""
    return "zh" if any("\u4e00" <= c <= "\u9fff" for c in text) else "en"


def quick_scores(examples: list[Example], predictions: list[Prediction]) -> str:
    """Macro-F1 of main intent and emotion per language."""
    shown = []
    for language in ("zh", "en"):
        for head, names, truth_of in (("intent", labels.INTENTS, lambda e: e.intents and e.intents[0]), ("emotion", labels.EMOTIONS, lambda e: e.emotion)):
            pairs = [(truth_of(e), names[int(p.sentence[head].argmax())]) for e, p in zip(examples, predictions) if truth_of(e) and language_of(e.text) == language]
            if pairs:
                truth, guess = zip(*pairs)
                accuracy = np.mean([t == g for t, g in pairs])
                shown.append(f"{language} {head} f1 {f1_score(truth, guess, average='macro', zero_division=0):.3f} acc {accuracy:.3f}")
    return "; ".join(shown)
