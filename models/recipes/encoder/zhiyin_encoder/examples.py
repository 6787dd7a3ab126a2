"""Training examples: what of a text is labelled, and batches of them as tensors."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from tokenizers import Tokenizer

from . import corpora, labels, own

TRAIN_TOKENS = 64
IGNORE = -100


@dataclass
class Example:
    """A text with the labels that it has; `None` masks a head's loss."""

    text: str
    intents: list[str] | None = None
    acts: list[str] | None = None
    emotion: str | None = None
    conduct: dict[str, bool] | None = None
    entities: list[tuple[int, int, str]] | None = None
    marks: list[tuple[int, int]] | None = None
    auxiliary: tuple[str, int] | None = None
    # Texts of one kind and one key are positives of each other in the contrastive loss.
    pair: tuple[str, str] | None = None
    weight: float = 1.0
    origin: str = ""
    # Margins of the n-gram bag (bag.py), cross-fitted for training rows.
    margins: np.ndarray | None = None


def from_own(row: dict) -> Example:
    """An example of a row of the service sets or of a conversation."""
    entities = row.get("entities")
    spans = None if entities is None else [(e["start"], e["end"], labels.ENTITY_ALIAS.get(e["type"], e["type"])) for e in entities]
    intents = row["intents"] or None
    pair, origin = ("own", intents[0]) if intents else None, row["id"].split("+")[0]
    if row.get("weak"):
        # Only its intents were labelled by hand (datasets/build.py).
        return Example(row["text"], intents=intents, pair=pair, origin=origin)
    return Example(
        row["text"],
        intents=intents,
        acts=row["acts"],
        emotion=row["emotion"],
        conduct={name: name in row["conduct"] for name in labels.CONDUCT},
        entities=spans,
        pair=pair,
        origin=origin,
    )


def held_out(public: Path) -> set[str]:
    """Canonical texts that no training may see: own test rows and conversations, and the public test sets."""
    readers = (corpora.clinc150, corpora.banking77, corpora.goemotions, corpora.multidogo)
    texts = own.held_out_texts() + [row.text for read in readers for row in read(public, "test")]
    return {corpora.canonical(text) for text in texts}


def own_examples(split: str) -> list[Example]:
    """Own rows of a split, both languages; conversations join the training split."""
    rows = [r for language in own.LANGUAGES for r in own.rows(language, split)]
    if split == "train":
        rows += own.conversation_rows("train")
    return [from_own(r) for r in rows]


def description_examples() -> list[Example]:
    """The names of the intents, as the shortest utterances of them."""
    return [Example(text, intents=[intent], pair=("own", intent), origin=f"name-{intent}") for intent, text in labels.intent_descriptions()]


def article_examples() -> list[Example]:
    """Questions, title and beginning of each knowledge article: positives of one another.

    The last question of each article stays out; the evaluation asks it.
    """
    found = []
    for number, (title, questions, body) in enumerate(own.articles()):
        for text in [title, body[:120], *questions[:-1]]:
            found.append(Example(text, pair=("article", str(number))))
    return found


class Auxiliary:
    """Label sets of public sets that have a head of their own during training."""

    def __init__(self) -> None:
        self.heads: dict[str, dict[str, int]] = {}

    def example(self, name: str, row: corpora.Row) -> Example | None:
        """The example of a row; `None` when the row says nothing."""
        auxiliary = None
        if row.label:
            table = self.heads.setdefault(name, {})
            auxiliary = (name, table.setdefault(row.label, len(table)))
        example = Example(
            row.text,
            intents=[row.intent] if row.intent else None,
            acts=row.acts or None,
            emotion=row.emotion or None,
            conduct=row.conduct or None,
            entities=row.entities or None,
            auxiliary=auxiliary,
            pair=(name, row.label) if row.label else None,
            weight=0.4,
        )
        labelled = (example.intents, example.acts, example.emotion, example.conduct, example.entities, example.auxiliary)
        return example if any(part is not None for part in labelled) else None


def public_examples(root: Path, held_out: set[str]) -> tuple[dict[str, list[Example]], Auxiliary]:
    """Examples of each public set (training splits, without texts of any test split)."""
    auxiliary, found = Auxiliary(), {}
    readers = {
        "clinc150": corpora.clinc150, "banking77": corpora.banking77, "multidogo": corpora.multidogo, "goemotions": corpora.goemotions,
        "cped": corpora.cped, "tydip": corpora.tydip, "presidio": corpora.presidio,
    }
    for name, read in readers.items():
        examples = [auxiliary.example(name, row) for row in read(root) if corpora.canonical(row.text) not in held_out]
        found[name] = [e for e in examples if e]
    return found, auxiliary


def without_marks(text: str) -> Example | None:
    """The text without its punctuation, as recognition gives it, and where each mark stood.

    Marks inside numbers and addresses stay (`3.5`, `a.b@c`). `None` for a text without marks.
    """
    kept, marks, at = [], [], 0
    for i, c in enumerate(text):
        kind = labels.MARKS.get(c, 0)
        inner = 0 < i < len(text) - 1 and text[i - 1].isascii() and text[i - 1].isalnum() and text[i + 1].isascii() and text[i + 1].isalnum()
        if kind and not inner:
            if marks and marks[-1][0] == at:
                marks[-1] = (at, max(kind, marks[-1][1]))
            elif at:
                marks.append((at, kind))
            continue
        if c in "“”\"'‘’（）()【】《》" and not inner:
            continue
        kept.append(c)
        at += 1
    text = "".join(kept)
    return Example(text, marks=marks, weight=1.0) if marks and len(text) >= 4 else None


def punctuation_examples(texts: list[str]) -> list[Example]:
    """Examples of the punctuation head."""
    return [e for e in (without_marks(t) for t in texts) if e]


@dataclass
class Batch:
    """Tensors of some examples, sorted by nothing: rows are as given."""

    examples: list[Example]
    ids: torch.Tensor
    mask: torch.Tensor
    entity: torch.Tensor | None = field(default=None)
    punctuation: torch.Tensor | None = field(default=None)

    def inputs(self, device: torch.device) -> list[torch.Tensor]:
        return [t.to(device) for t in (self.ids, self.mask)]


def collate(examples: list[Example], tokenizer: Tokenizer, limit: int, word_drop: float, rng: random.Random) -> Batch:
    """Pads to a multiple of 8. `word_drop` of the tokens become [MASK]."""
    # The cut keeps the closing [SEP], as `src/inference/tokenizer.rs` does.
    tokenizer.enable_truncation(limit)
    rows = [(e.ids, e.offsets, e.special_tokens_mask) for e in tokenizer.encode_batch([e.text for e in examples])]
    width = -(-max(len(ids) for ids, _, _ in rows) // 8) * 8
    mask_id = tokenizer.token_to_id("[MASK]")
    ids = np.zeros((len(rows), width), dtype=np.int64)
    mask = np.zeros((len(rows), width), dtype=np.int64)
    entity = np.full((len(rows), width), IGNORE, dtype=np.int64)
    punctuation = np.full((len(rows), width), IGNORE, dtype=np.int64)
    for i, (example, (row, places, special)) in enumerate(zip(examples, rows)):
        kept = [mask_id if word_drop and not s and rng.random() < word_drop else t for t, s in zip(row, special)]
        ids[i, : len(row)], mask[i, : len(row)] = kept, 1
        if example.entities is not None:
            entity[i, : len(row)] = entity_tags(example.entities, places, special)
        if example.marks is not None:
            punctuation[i, : len(row)] = mark_tags(example.marks, places, special)
    return Batch(
        examples,
        torch.from_numpy(ids),
        torch.from_numpy(mask),
        torch.from_numpy(entity),
        torch.from_numpy(punctuation),
    )


def entity_tags(spans: list[tuple[int, int, str]], places: list[tuple[int, int]], special: list[int]) -> list[int]:
    """BIO tag of each token; special tokens are ignored."""
    tags = []
    for (start, end), s in zip(places, special):
        tag = "O"
        for first, last, kind in spans:
            if start < last and end > first:
                tag = f"{'B' if start <= first else 'I'}-{kind}"
                break
        tags.append(IGNORE if s else labels.ENTITY_TAGS.index(tag))
    return tags


def mark_tags(marks: list[tuple[int, int]], places: list[tuple[int, int]], special: list[int]) -> list[int]:
    """Class of the mark behind each token; only the token that ends where the mark stood carries it."""
    by_end = dict(marks)
    tags = [IGNORE if s else by_end.get(end, 0) for (_, end), s in zip(places, special)]
    # White space may stand between a token and its mark.
    ends = [end for (_, end), s in zip(places, special) if not s]
    for at, kind in marks:
        if at not in ends:
            before = [i for i, ((_, end), s) in enumerate(zip(places, special)) if not s and end <= at]
            if before:
                tags[before[-1]] = kind
    return tags
