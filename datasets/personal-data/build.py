#!/usr/bin/env python3
"""Fill the hand-written skeletons of zh.skeletons.txt and en.skeletons.txt with generated values -> zh.jsonl, en.jsonl.

    python3 datasets/personal-data/build.py [--check]

A skeleton is one line under a heading `## situation split`; turns are parted by `|`, a turn begins with `a:` if the
agent speaks. `{slot}` is filled by a value from `values.py`, valid where the kind has a checksum. Skeletons with
personal data are filled three times, others twice. Every choice is seeded by the skeleton's place, so the result is
the same on every machine. With --check nothing is written; the exit status says whether the files are current.
"""

import json
import random
import re
import sys
from collections import Counter
from pathlib import Path

import values

HERE = Path(__file__).resolve().parent
SLOT = re.compile(r"\{([a-z0-9_]+)\}")
LEAST = {"skeletons": 350, "rows": 600, "test": 300}


def skeletons(language):
    situation = split = None
    for number, line in enumerate((HERE / f"{language}.skeletons.txt").read_text(encoding="utf-8").splitlines(), 1):
        if line.startswith("## "):
            _, situation, split = line.split()
        elif line.strip():
            yield number, situation, split, line


def fill(language, situation, split, number, line, copy):
    """One row: turns with role, text and spans in code points."""
    rng = random.Random(f"{language} {situation} {number} {copy}")
    source = values.Values(language, split, rng)
    turns = []
    for part in line.split("|"):
        role = "agent" if part.startswith("a:") else "customer"
        part = re.sub(r"^[ac]:", "", part)
        text, spans, at = "", [], 0
        for slot in SLOT.finditer(part):
            text += part[at:slot.start()]
            kind, value = source.value(slot.group(1))
            if kind:
                spans.append({"kind": kind, "start": len(text), "end": len(text) + len(value)})
            text += value
            at = slot.end()
        text += part[at:]
        turns.append({"role": role, "text": text, "spans": spans})
    return {"id": f"{language}-{situation}-{number:03}-{copy}", "split": split, "situation": situation, "turns": turns}


def rows(language):
    for number, situation, split, line in skeletons(language):
        personal = any(values.kind_of(slot) for slot in SLOT.findall(line))
        for copy in range(3 if personal else 2):
            if copy and not SLOT.search(line):
                continue
            yield fill(language, situation, split, number, line, copy)


def main():
    current = True
    for language in ("zh", "en"):
        made = list(rows(language))
        lines = [line for _, _, _, line in skeletons(language)]
        assert len(set(lines)) == len(lines) >= LEAST["skeletons"], f"{language}: {len(set(lines))} distinct skeletons"
        assert len(made) >= LEAST["rows"] and sum(row["split"] == "test" for row in made) >= LEAST["test"]
        text = "".join(json.dumps(row, ensure_ascii=False, separators=(",", ":")) + "\n" for row in made)
        path = HERE / f"{language}.jsonl"
        if "--check" in sys.argv:
            current &= path.exists() and path.read_text(encoding="utf-8") == text
        else:
            path.write_text(text, encoding="utf-8")
        for split in ("dev", "test"):
            part = [row for row in made if row["split"] == split]
            without = sum(not any(turn["spans"] for turn in row["turns"]) for row in part)
            kinds = Counter(span["kind"] for row in part for turn in row["turns"] for span in turn["spans"])
            print(f"{language} {split}: {len(part)} rows, {without / len(part):.0%} without personal data; {dict(sorted(kinds.items()))}")
        print(f"{language}: {len(lines)} skeletons")
    if not current:
        sys.exit("datasets/personal-data: the files are not what build.py makes; run it")


if __name__ == "__main__":
    main()
