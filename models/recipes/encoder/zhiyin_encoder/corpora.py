"""Readers of the public text sets. Training splits only; `test` files are read by the evaluation alone.

Each set's labels are translated by `mapping.toml`, which a person can read and correct.
"""

from __future__ import annotations

import csv
import json
import random
import tomllib
import zipfile
from dataclasses import dataclass, field
from pathlib import Path

MAPPING = tomllib.loads((Path(__file__).resolve().parents[1] / "mapping.toml").read_text(encoding="utf-8"))
MULTIDOGO_DOMAINS = ("airline", "fastfood", "finance", "insurance", "media", "software")
# Rows of MultiDoGO that are answers or small talk: labels that say little about the words.
MULTIDOGO_SKIP = {"", "intent"}


@dataclass
class Row:
    """One labelled text of a public set."""

    text: str
    label: str = ""
    emotion: str = ""
    acts: list[str] = field(default_factory=list)
    conduct: dict[str, bool] = field(default_factory=dict)
    entities: list[tuple[int, int, str]] = field(default_factory=list)
    intent: str = ""


def clinc150(root: Path, split: str = "train") -> list[Row]:
    """CLINC150: in-scope rows of a split with their label, mapped to an intent where one fits."""
    data = json.loads((root / "clinc150/data_full.json").read_text(encoding="utf-8"))
    mapping = MAPPING["clinc150"]
    rows = [Row(text, label=label, intent=mapping.get(label, "")) for text, label in data[split]]
    if split == "train":
        rows += [Row(text, label="oos", intent="out_of_scope") for text, _ in data["oos_train"]]
    return rows


def banking77(root: Path, split: str = "train") -> list[Row]:
    """BANKING77, mapped to an intent where one fits."""
    mapping = MAPPING["banking77"]
    with (root / f"banking77/{split}.csv").open(encoding="utf-8", newline="") as file:
        return [Row(r["text"].strip(), label=r["category"], intent=mapping.get(r["category"], "")) for r in csv.DictReader(file)]


def multidogo(root: Path, split: str = "train") -> list[Row]:
    """Customer turns of MultiDoGO (the files are tab separated without quoting)."""
    mapping = MAPPING["multidogo"]
    rows = []
    for domain in MULTIDOGO_DOMAINS:
        for line in (root / f"multidogo/{domain}/{split}.tsv").read_text(encoding="utf-8").splitlines()[1:]:
            cells = line.split("\t")
            if len(cells) < 6 or not cells[3].strip():
                continue
            label = cells[5].strip().lower()
            if label in MULTIDOGO_SKIP or '"' in label or " " in label or "<div>" in label:
                label = ""
            rows.append(Row(cells[3].strip(), label=f"{domain}:{label}" if label else "", intent=mapping.get(label, "")))
    return rows


def goemotions(root: Path, split: str = "train") -> list[Row]:
    """GoEmotions rows whose labels all map to one emotion of the product."""
    names = (root / "goemotions/labels.txt").read_text(encoding="utf-8").split()
    mapping = MAPPING["goemotions"]
    rows = []
    for line in (root / f"goemotions/{split}.tsv").read_text(encoding="utf-8").splitlines():
        text, ids, _ = line.split("\t")
        mapped = {mapping.get(names[int(i)], "") for i in ids.split(",")}
        rows.append(Row(text, emotion=mapped.pop() if len(mapped) == 1 else ""))
    return rows


def cped(root: Path) -> list[Row]:
    """CPED: emotion and dialogue act of television talk."""
    emotions, acts = MAPPING["cped_emotion"], MAPPING["cped_act"]
    with (root / "cped/train.csv").open(encoding="utf-8-sig", newline="") as file:
        return [
            Row(r["Utterance"].strip(), emotion=emotions.get(r["Emotion"], ""), acts=[a for a in [acts.get(r["DA"], "")] if a])
            for r in csv.DictReader(file)
            if r["Utterance"].strip()
        ]


def tydip(root: Path) -> list[Row]:
    """TyDiP: politeness, as a clear yes or no at the ends of the scale."""
    high, low = MAPPING["tydip"]["polite_from"], MAPPING["tydip"]["impolite_to"]
    rows = []
    with (root / "tydip/en_train.csv").open(encoding="utf-8", newline="") as file:
        for r in csv.DictReader(file):
            score = float(r["score"])
            conduct = {}
            if score >= high:
                conduct = {"polite": True, "impolite": False}
            elif score <= low:
                conduct = {"polite": False, "impolite": True}
            rows.append(Row(r["sentence"].strip(), conduct=conduct))
    return rows


def presidio(root: Path) -> list[Row]:
    """Sentences with personal data; spans are code points. Kinds without a counterpart make the row unusable."""
    mapping = MAPPING["presidio"]
    rows = []
    for item in json.loads((root / "presidio/synth_dataset_v2.json").read_text(encoding="utf-8")):
        spans = [(s["start_position"], s["end_position"], mapping.get(s["entity_type"], "")) for s in item["spans"]]
        if all(kind for _, _, kind in spans):
            rows.append(Row(item["full_text"], entities=[s for s in spans if s[2] != "none"]))
    return rows


def crosswoz(root: Path) -> list[str]:
    """Turns of the CrossWOZ validation file (the archive has no training file; its test file stays unread)."""
    with zipfile.ZipFile(root / "crosswoz/val.json.zip") as archive:
        dialogues = json.loads(archive.read("val.json"))
    return [m["content"].strip() for d in dialogues.values() for m in d["messages"] if m["content"].strip()]


def laws(root: Path) -> list[str]:
    """Paragraphs of the laws, for language modelling only."""
    lines = (line.strip() for line in (root / "zh_laws.txt").open(encoding="utf-8"))
    return [line for line in lines if len(line) >= 8]


def language_model_texts(root: Path) -> dict[str, list[str]]:
    """Text for masked language modelling, by kind; training splits only."""
    english = [r.text for reader in (clinc150, banking77, multidogo, goemotions, tydip, presidio) for r in reader(root)]
    chinese = [r.text for r in cped(root)] + crosswoz(root)
    return {"english": english, "chinese": chinese, "laws": laws(root)}


def refuse_test_text(train: list[str], test: list[str], origin: str) -> list[str]:
    """Training texts without those that also stand in a test split.

    A public set may hold the same short sentence in both splits; such rows leave the training side.
    """
    held_out = {canonical(t) for t in test}
    kept = [t for t in train if canonical(t) not in held_out]
    if len(kept) < 0.5 * len(train):
        raise SystemExit(f"{origin}: {len(train) - len(kept)} of {len(train)} training texts stand in a test split; wrong file?")
    return kept


def canonical(text: str) -> str:
    """Letters and digits alone: the form in which two texts count as the same."""
    return "".join(c for c in text.lower() if c.isalnum())


def shuffled(items: list, seed: int) -> list:
    """A shuffled copy."""
    copy = list(items)
    random.Random(seed).shuffle(copy)
    return copy
