#!/usr/bin/env python3
"""Compile the written service utterances of service-*/src/*.txt into train.jsonl, dev.jsonl and test.jsonl.

    python3 datasets/build.py [--check | --copies FOLDER]

One line of a source is one utterance: `role|intents|acts|emotion|conduct|text`, under a situation heading
`## slug split`. Entities are written as `[text](type)` or as a slot `{type}`, which is filled from lists
(`slots.py`). Training utterances are multiplied by other fillings and by light noise (`noise.py`); dev and test
utterances stand there as written, with one filling each. The result is the same on every machine: every choice is
seeded by the utterance's id. With --check nothing is written; the exit status says whether the sources are sound
and the files current. With --copies the files are written into another folder, where training utterances are repeated
with other fillings and noise until a language has 10,500 customer and 3,200 agent rows: training may want more of them
than is worth keeping.
"""

import json
import random
import re
import sys
import tomllib
from collections import Counter
from pathlib import Path

import noise
import questions
import slots

HERE = Path(__file__).resolve().parent
TAXONOMY = HERE.parent / "pipelines" / "taxonomy"
LANGUAGES = ("zh", "en")
SPLITS = ("train", "dev", "test")
ROLES = {"c": "customer", "a": "agent"}
# `## situation split`, or `## situation train weak`: only the intents of a weak situation were labelled by hand, the
# rest by rule, and training leaves the rest out.
HEADING = re.compile(r"^##\s+(\S+)\s+(\S+)(?:\s+(weak))?\s*$")
MARK = re.compile(r"\[([^\[\]]+)\]\(([a-z_]+)\)|\{([a-z_]+)\}")
# Rows that a language's training split needs at least, dev and test included.
LEAST_ROWS = {"customer": 6000, "agent": 2000}
COPIED_ROWS = {"customer": 10500, "agent": 3200}


class SourceError(Exception):
    """A line that does not follow the format; the message says where and what."""


def taxonomy():
    """The closed lists of labels."""
    def read(name):
        return tomllib.loads((TAXONOMY / f"{name}.toml").read_text(encoding="utf-8"))

    entity = read("entity")
    return {
        "intents": {i["id"] for group in read("intent")["group"] for i in group["intents"]},
        "acts": {label["id"] for label in read("act")["labels"]},
        "emotion": {label["id"] for label in read("emotion")["labels"]},
        "conduct": {label["id"] for label in read("conduct")["labels"]},
        "entities": {label["id"] for label in entity["labels"] + entity["personal"]},
    }


def parts(text):
    """The text as a row of (words, entity type or None, is a slot)."""
    found, at = [], 0
    for match in MARK.finditer(text):
        if match.start() > at:
            found.append((text[at:match.start()], None, False))
        if match.group(3):
            found.append((match.group(3), match.group(3), True))
        else:
            found.append((match.group(1), match.group(2), False))
        at = match.end()
    if at < len(text):
        found.append((text[at:], None, False))
    return found


def known(names, allowed, what, where):
    """The comma-separated names, each from the closed list."""
    listed = [name.strip() for name in names.split(",") if name.strip()]
    for name in listed:
        if name not in allowed:
            raise SourceError(f"{where}: unknown {what} `{name}`")
    if len(set(listed)) != len(listed):
        raise SourceError(f"{where}: {what} named twice")
    return listed


def parse_line(line, lists, where):
    """One utterance as a dict without its place."""
    fields = line.split("|", 5)
    if len(fields) != 6:
        raise SourceError(f"{where}: 6 fields parted by `|` wanted, found {len(fields)}")
    role, intents, acts, emotion, conduct, text = (field.strip() for field in fields)
    if role not in ROLES:
        raise SourceError(f"{where}: role is `{role}`, it must be c or a")
    if emotion not in lists["emotion"]:
        raise SourceError(f"{where}: unknown emotion `{emotion}`")
    utterance = {
        "role": ROLES[role],
        "intents": known(intents, lists["intents"], "intent", where),
        "acts": known(acts, lists["acts"], "act", where),
        "emotion": emotion,
        "conduct": known(conduct, lists["conduct"], "conduct", where),
        "parts": parts(text),
    }
    if not text or not utterance["acts"]:
        raise SourceError(f"{where}: a text and an act are needed")
    if (role == "c") != bool(utterance["intents"]):
        raise SourceError(f"{where}: a customer has an intent, an agent has none")
    for words, kind, is_slot in utterance["parts"]:
        if kind and kind not in lists["entities"]:
            raise SourceError(f"{where}: unknown entity type `{kind}`")
        if is_slot and kind not in slots.KINDS:
            raise SourceError(f"{where}: slot `{kind}` has no fillings")
        if kind is None and re.search(r"[{}]|\]\(", words):
            raise SourceError(f"{where}: a mark is not closed")
    return utterance


def read_sources(language, lists):
    """All utterances of a language with situation, split and id; problems are collected."""
    utterances, problems, situations = [], [], {}
    for path in sorted((HERE / f"service-{language}" / "src").glob("*.txt")):
        situation = split = weak = None
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            where = f"service-{language}/src/{path.name}:{number}"
            line = line.strip()
            heading = HEADING.match(line)
            if heading:
                situation, split, weak = heading.groups()
                if weak and split != "train":
                    problems.append(f"{where}: only training situations may be weak")
                if split not in SPLITS:
                    problems.append(f"{where}: split is `{split}`, it must be train, dev or test")
                if situations.setdefault(situation, (split, path.name)) != (split, path.name):
                    problems.append(f"{where}: situation `{situation}` stands in another split or file as well")
                continue
            if not line or line.startswith("#"):
                continue
            try:
                if situation is None:
                    raise SourceError(f"{where}: no `## situation split` above this line")
                utterance = parse_line(line, lists, where)
            except SourceError as error:
                problems.append(str(error))
                continue
            utterance |= {"situation": situation, "split": split, "where": where, "weak": bool(weak)}
            utterances.append(utterance)
    counts = Counter()
    for utterance in utterances:
        counts[utterance["situation"]] += 1
        utterance["id"] = f"{language}-{utterance['situation'].removeprefix(language + '-')}-{counts[utterance['situation']]:02d}"
    return utterances, problems


def skeleton(utterance):
    """The text with entities masked."""
    return "".join(f"{{{kind}}}" if kind else words for words, kind, _ in utterance["parts"])


def canonical(text):
    """The form in which two texts are the same: letters and digits alone."""
    return "".join(c for c in text.lower() if c.isalnum())


def fill(utterance, language, seed, with_noise):
    """The utterance as a row: slots filled, perhaps noise added, entities as spans in code points."""
    rng = random.Random(seed)
    filled = []
    for index, (words, kind, is_slot) in enumerate(utterance["parts"]):
        following = utterance["parts"][index + 1][0] if index + 1 < len(utterance["parts"]) else ""
        filled.append((slots.fill(kind, language, following, rng) if is_slot else words, kind))
    if with_noise:
        filled = noise.add(filled, language, rng)
    text, entities = "", []
    for words, kind in filled:
        if kind:
            entities.append({"type": kind, "start": len(text), "end": len(text) + len(words), "text": words})
        text += words
    return {
        "id": utterance["id"],
        "situation": utterance["situation"],
        "role": utterance["role"],
        "text": text,
        "intents": utterance["intents"],
        "acts": utterance["acts"],
        "emotion": utterance["emotion"],
        "conduct": utterance["conduct"],
        "entities": entities,
        "skeleton": skeleton(utterance),
    } | ({"weak": True} if utterance["weak"] else {})


def compile_language(language, utterances, least_rows):
    """Rows by split. A training text that stands in dev or test, as another filling or copy, is left out."""
    rows = {split: [] for split in SPLITS}
    held_out = {canonical(skeleton(u)) for u in utterances if u["split"] != "train"}
    texts = set()
    for utterance in utterances:
        split = utterance["split"]
        if split == "train" and canonical(skeleton(utterance)) in held_out:
            continue
        row = fill(utterance, language, utterance["id"], False)
        if (split, row["text"]) in texts:
            continue
        texts.add((split, row["text"]))
        rows[split].append(row)
    train = [u for u in utterances if u["split"] == "train" and canonical(skeleton(u)) not in held_out]
    forbidden = {canonical(r["text"]) for split in ("dev", "test") for r in rows[split]}
    for role, least in least_rows.items():
        have = sum(r["role"] == role for split in SPLITS for r in rows[split])
        own = [u for u in train if u["role"] == role]
        copy = 1
        # Copies go round by round over all utterances, so that none weighs more than one copy above another.
        while own and have < least and copy <= 8:
            for utterance in own:
                row = fill(utterance, language, f"{utterance['id']}+{copy}", True)
                if ("train", row["text"]) in texts or canonical(row["text"]) in forbidden:
                    continue
                texts.add(("train", row["text"]))
                rows["train"].append(row | {"id": f"{utterance['id']}+{copy}"})
                have += 1
            copy += 1
    return rows


def line_of(row, short):
    """A row as it is written. The many training rows are `short`: no skeleton where it is the text, no spaces."""
    if not short:
        return json.dumps(row, ensure_ascii=False) + "\n"
    kept = {key: value for key, value in row.items() if key != "skeleton" or value != row["text"]}
    return json.dumps(kept, ensure_ascii=False, separators=(",", ":")) + "\n"


def report(language, rows):
    """Counts to standard error."""
    for role in ("customer", "agent"):
        counts = {s: sum(r["role"] == role for r in rows[s]) for s in SPLITS}
        skeletons = {canonical(r["skeleton"]) for s in SPLITS for r in rows[s] if r["role"] == role}
        print(f"{language} {role}: {counts} rows, {len(skeletons)} distinct skeletons", file=sys.stderr)
    per_intent = Counter(r["intents"][0] for r in rows["test"] if r["intents"])
    few = sorted(i for i in taxonomy()["intents"] if per_intent[i] < 6)
    if few:
        print(f"{language}: fewer than 6 test rows of: {', '.join(few)}", file=sys.stderr)


def main():
    arguments = sys.argv[1:]
    check = arguments == ["--check"]
    copies = Path(arguments[1]) if len(arguments) == 2 and arguments[0] == "--copies" else None
    if arguments and not check and not copies:
        print(__doc__.split("\n\n")[1], file=sys.stderr)
        return 2
    lists, sound = taxonomy(), True
    for language in LANGUAGES:
        utterances, problems = read_sources(language, lists)
        for problem in problems:
            print(problem, file=sys.stderr)
        sound &= not problems
        rows = compile_language(language, utterances, COPIED_ROWS if copies else LEAST_ROWS)
        report(language, rows)
        for split in SPLITS:
            path = (copies or HERE) / f"service-{language}" / f"{split}.jsonl"
            path.parent.mkdir(parents=True, exist_ok=True)
            content = "".join(line_of(r, split == "train") for r in rows[split])
            if check:
                if not path.exists() or path.read_text(encoding="utf-8") != content:
                    print(f"{path.name} of {language} is not current: run datasets/build.py", file=sys.stderr)
                    sound = False
            else:
                path.write_text(content, encoding="utf-8")
    groups, texts, problems = questions.check()
    print(f"questions: {groups} groups, {texts} texts")
    for problem in problems:
        print(problem, file=sys.stderr)
    return 0 if sound and not problems else 1


if __name__ == "__main__":
    sys.exit(main())
