"""The project's own data: service utterances, whole conversations and knowledge articles."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

from .settings import REPOSITORY

DATASETS = REPOSITORY / "datasets"
# Service rows with more copies of the training utterances (`datasets/build.py --copies FOLDER`), if this is set.
SERVICE = Path(os.environ.get("ZHIYIN_SERVICE_ROWS", DATASETS))
KNOWLEDGE = REPOSITORY / "pipelines/knowledge"
# Pieces of knowledge, each with a title and an answer in both languages and questions that ask for it (`datasets/questions`).
QUESTIONS = DATASETS / "questions"
LANGUAGES = ("zh", "en")


def rows(language: str, split: str) -> list[dict]:
    """Rows of `datasets/service-<language>/<split>.jsonl`; none when the set is not built yet."""
    path = SERVICE / f"service-{language}/{split}.jsonl"
    return json_lines(path) if path.exists() else []


def json_lines(path: Path) -> list[dict]:
    """The objects of a JSON Lines file."""
    return [json.loads(line) for line in path.open(encoding="utf-8")]


def held_out_texts() -> list[str]:
    """Texts that no training may see: test rows of the service sets and of the conversations."""
    texts = [r["text"] for language in LANGUAGES for r in rows(language, "test")]
    for conversation, split in conversations():
        if split == "test":
            texts += [t["text"] for t in conversation["turns"]]
    return texts


def conversations() -> list[tuple[dict, str]]:
    """Whole conversations with the split they belong to."""
    found = []
    for path in sorted((DATASETS / "conversations").glob("*.jsonl")):
        found += [(conversation, conversation["labels"]["split"]) for conversation in json_lines(path)]
    return found


def conversation_rows(split: str) -> list[dict]:
    """Turns of the conversations of a split, in the form of the service rows (their entities are not labelled)."""
    found = []
    for conversation, own_split in conversations():
        if own_split != split:
            continue
        for turn, labels in zip(conversation["turns"], conversation["labels"]["turns"], strict=True):
            identity = {"id": f"{conversation['id']}-{turn['id']}", "role": turn["role"], "text": turn["text"], "entities": None}
            found.append(identity | labels)
    return found


def articles() -> list[tuple[str, list[str], str]]:
    """Knowledge articles as (title, questions of the front matter, body)."""
    found = []
    for path in sorted(KNOWLEDGE.glob("**/*.md")):
        text = path.read_text(encoding="utf-8")
        match = re.match(r"(?s)\A(---|\+\+\+)\n(.*?)\n\1\n(.*)\Z", text)
        if not match:
            continue
        front, body = match.group(2), match.group(3).strip()
        title = re.search(r'(?m)^title\s*[:=]\s*"?(.*?)"?\s*$', front)
        found.append((title.group(1) if title else path.stem, front_matter_list(front, "questions"), body))
    return found


def front_matter_list(front: str, key: str) -> list[str]:
    """A list of the front matter, written as `key = ["a", "b"]`, `key: ["a", "b"]` or one `- a` per line."""
    inline = re.search(rf"(?ms)^{key}\s*[:=]\s*\[(.*?)\]", front)
    if inline:
        return [m.group(1) for m in re.finditer(r'"((?:[^"\\]|\\.)*)"', inline.group(1))]
    block = re.search(rf"(?m)^{key}\s*:\s*\n((?:\s*-\s.*\n?)+)", front)
    return [line.strip()[1:].strip().strip("\"'") for line in block.group(1).splitlines() if line.strip()] if block else []


def question_groups() -> list[list[tuple[str, str]]]:
    """Texts of each group as (kind, text), kind `t` (title), `a` (answer) or `q` (question); near groups stand together."""
    found: list[list[tuple[str, str]]] = []
    for path in sorted(QUESTIONS.glob("*.txt")):
        for line in path.read_text(encoding="utf-8").splitlines():
            if line.startswith("## "):
                found.append([])
            elif line[1:2] == "|":
                found[-1].append((line[0], line[2:].strip()))
    return found


def faq_texts() -> list[str]:
    """Questions that retrieval is measured with: those of `datasets/faq` and the last one of every article."""
    paths = sorted((DATASETS / "faq").glob("*/queries.jsonl"))
    found = [q["text"] for path in paths for q in json_lines(path)] + [q["query"] for q in json_lines(DATASETS / "faq/crosslingual.jsonl")]
    return found + [questions[-1] for _, questions, _ in articles() if questions]


def language_model_texts() -> list[str]:
    """All own training text: utterances, training conversations, articles."""
    texts = [r["text"] for language in LANGUAGES for r in rows(language, "train")]
    texts += [t["text"] for c, split in conversations() if split != "test" for t in c["turns"]]
    for title, questions, body in articles():
        texts += [title, *questions[:-1], *[p for p in body.split("\n") if p.strip()]]
    return texts
