"""The closed label lists of the product, as the heads use them."""

from __future__ import annotations

import tomllib

from .settings import REPOSITORY

TAXONOMY = REPOSITORY / "pipelines/taxonomy"


def _read(name: str) -> dict:
    return tomllib.loads((TAXONOMY / f"{name}.toml").read_text(encoding="utf-8"))


INTENTS = [intent["id"] for group in _read("intent")["group"] for intent in group["intents"]]
ACTS = [label["id"] for label in _read("act")["labels"]]
EMOTIONS = [label["id"] for label in _read("emotion")["labels"]]
CONDUCT = [label["id"] for label in _read("conduct")["labels"]]
# A customer's name and any other person are told apart by the conversation, not by the words: one tag for both.
ENTITY_ALIAS = {"name": "person"}


def _entity_kinds() -> list[str]:
    file = _read("entity")
    kinds = [label["id"] for label in file["labels"] + file["personal"]]
    return [kind for kind in dict.fromkeys(kinds) if kind not in ENTITY_ALIAS]


ENTITY_TAGS = ["O"] + [f"{mark}-{kind}" for kind in _entity_kinds() for mark in "BI"]
PUNCTUATION = ["none", "comma", "stop", "question"]
MARKS = {"，": 1, ",": 1, "、": 1, "；": 1, ";": 1, "：": 1, ":": 1, "。": 2, ".": 2, "！": 2, "!": 2, "…": 2, "？": 3, "?": 3}

SENTENCE_HEADS = {"intent": INTENTS, "act": ACTS, "emotion": EMOTIONS, "conduct": CONDUCT}
TOKEN_HEADS = {"entity": ENTITY_TAGS, "punctuation": PUNCTUATION}
KINDS = {"intent": "softmax", "act": "sigmoid", "emotion": "softmax", "conduct": "sigmoid", "entity": "token", "punctuation": "token"}


def intent_descriptions() -> list[tuple[str, str]]:
    """(intent, its name in Chinese and in English): the taxonomy's own words for each intent."""
    rows = []
    for group in _read("intent")["group"]:
        for intent in group["intents"]:
            rows += [(intent["id"], intent["zh"]), (intent["id"], intent["en"])]
    return rows
