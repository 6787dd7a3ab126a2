#!/usr/bin/env python3
"""Compile the written conversations of src/ into zh.jsonl and en.jsonl.

    python3 datasets/conversations/build.py [--check]

Every source file is one conversation (the format is in README.md). The output is one JSON object a line:
the conversation as the quality rules define it, with the judgements apart under "labels". Times are
computed from the length of the text and the written silences, so the result is the same on every machine.
With --check nothing is written; the exit status says whether the sources are sound and the output is current.
"""

import json
import re
import sys
import tomllib
import zlib
from collections import Counter
from pathlib import Path

HERE = Path(__file__).resolve().parent
TAXONOMY = HERE.parents[1] / "pipelines" / "taxonomy"
QUESTIONS = [
    "greeting", "identity", "forbidden", "silence", "interrupt", "soothed",
    "promise", "closing", "password", "overpromise", "apology", "solution",
]
HEADER = [
    "situation", "split", "domain", "channel", "queue", "agent", "started", "direction", "hangup",
    "satisfaction", "yes", "no", "na",
]
CLOSED = {
    "split": {"train", "test"},
    "channel": {"voice", "chat"},
    "direction": {"inbound", "outbound"},
    "hangup": {"agent", "customer", "system"},
    "satisfaction": {"1", "2", "3", "4", "5"},
}
ROLES = {"a": "agent", "c": "customer"}
SILENCE_MS = 10_000
OVERLAP_MS = 2_000
PAUSE = re.compile(r"^<(hold )?([+-]?\d+(?:\.\d+)?)>")


class SourceError(Exception):
    """A source file that does not follow the format; the message says where and what."""


def load_taxonomy():
    """The closed label lists: {"intents": {...}, "acts": {...}, "emotion": {...}, "conduct": {...}}."""
    def read(name):
        return tomllib.loads((TAXONOMY / f"{name}.toml").read_text(encoding="utf-8"))

    lists = {plural: {label["id"] for label in read(name)["labels"]}
             for plural, name in (("acts", "act"), ("emotion", "emotion"), ("conduct", "conduct"))}
    lists["intents"] = {i["id"] for group in read("intent")["group"] for i in group["intents"]}
    return lists


def parse(path, taxonomy):
    """Read one source file into (header, rows)."""
    header, rows = {}, []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        where = f"{path.name}:{number}"
        if not line.strip() or line.startswith("#"):
            continue
        if "|" in line:
            rows.append(parse_row(line, where, taxonomy))
            continue
        key, colon, value = line.partition(":")
        if not colon or key not in HEADER:
            raise SourceError(f"{where}: neither a turn (six fields joined by |) nor one of {', '.join(HEADER)}")
        header[key] = value.strip()
    missing = [key for key in HEADER if key not in header]
    if missing:
        raise SourceError(f"{path.name}: header lacks {', '.join(missing)}")
    for key, allowed in CLOSED.items():
        if header[key] not in allowed:
            raise SourceError(f"{path.name}: {key} is {header[key]!r}, allowed: {', '.join(sorted(allowed))}")
    if not 10 <= len(rows) <= 26:
        raise SourceError(f"{path.name}: {len(rows)} turns, a conversation has 10 to 26")
    return header, rows


def parse_row(line, where, taxonomy):
    """One turn line: role|intents|acts|emotion|conduct|text, the text may open with a pause mark."""
    fields = line.split("|", 5)
    if len(fields) != 6 or fields[0] not in ROLES:
        raise SourceError(f"{where}: a turn is role|intents|acts|emotion|conduct|text with role a or c")
    row = {"role": fields[0], "where": where}
    for name, value in zip(("intents", "acts", "emotion", "conduct"), fields[1:5]):
        ids = [part for part in value.split(",") if part]
        for label in ids:
            if label not in taxonomy[name]:
                raise SourceError(f"{where}: {label!r} is not in the taxonomy's {name}")
        row[name] = ids
    if not row["acts"] or len(row["emotion"]) != 1 or (fields[0] == "c") != bool(row["intents"]):
        raise SourceError(f"{where}: needs an act, one emotion, and intents for the customer only")
    row["emotion"] = row["emotion"][0]
    mark = PAUSE.match(fields[5])
    row["gap_ms"] = round(float(mark[2]) * 1000) if mark else None
    row["hold"] = bool(mark and mark[1])
    row["text"] = fields[5][mark.end():] if mark else fields[5]
    if not row["text"].strip():
        raise SourceError(f"{where}: a turn without text")
    return row


def spoken_ms(text, language):
    """How long the text takes to say: about 4.5 characters (zh) or 2.6 words (en) a second."""
    if language == "zh":
        units = len(re.findall(r"[\u4e00-\u9fff]|\d|[A-Za-z]+", text))
        return 300 + 220 * units
    return 350 + 380 * len(text.split())


def place(rows, language, channel, seed):
    """Give every row start_ms and end_ms; return the list of hold intervals."""
    cursor, holds, previous = 600 if channel == "voice" else 0, [], -1
    for number, row in enumerate(rows):
        jitter = zlib.crc32(f"{seed}:{number}".encode())
        if channel == "chat":
            if row["gap_ms"] is not None and row["gap_ms"] < 0:
                raise SourceError(f"{row['where']}: chat turns do not overlap")
            typing = 60 * len(row["text"]) if language == "zh" else 35 * len(row["text"])
            start = cursor + (row["gap_ms"] or (3000 + jitter % 22000 + typing if number else 0))
            end = start
        else:
            start = cursor + (row["gap_ms"] if row["gap_ms"] is not None else 250 + jitter % 95 * 10)
            end = start + spoken_ms(row["text"], language)
            if row["hold"]:
                holds.append([cursor, start])
        if start < previous:
            raise SourceError(f"{row['where']}: overlaps further back than the turn before it starts")
        row["start_ms"], row["end_ms"], previous = start, end, start
        cursor = max(cursor, end)
    return holds


def answers(header, name):
    """The scorecard: every question exactly once under yes, no or na."""
    card = {}
    for value in ("yes", "no", "na"):
        for question in header[value].split():
            if question not in QUESTIONS or question in card:
                raise SourceError(f"{name}: {question!r} is no question or answered twice")
            card[question] = value
    missing = [q for q in QUESTIONS if q not in card]
    if missing:
        raise SourceError(f"{name}: no answer for {', '.join(missing)}")
    return {f"q_{q}": card[q] for q in QUESTIONS}


def contradictions(rows, channel, card):
    """Answers that the turns themselves refute, as messages."""
    agent = [r for r in rows if r["role"] == "a"]
    angry = any(r["role"] == "c" and r["emotion"] == "angry" for r in rows)
    promised = any("promise" in r["conduct"] for r in agent)
    if channel == "chat":
        yield from (f"q_{q} is na in a chat" for q in ("silence", "interrupt") if card[f"q_{q}"] != "na")
    else:
        for question, seen in (("silence", unannounced_silence(rows)), ("interrupt", interrupted(rows))):
            if card[f"q_{question}"] != ("yes" if seen else "no"):
                yield f"q_{question} says {card[f'q_{question}']}, the times say otherwise"
    if (card["q_soothed"] == "na") == angry:
        yield "q_soothed is na exactly when no customer turn is angry"
    if (card["q_promise"] == "na") == promised:
        yield "q_promise is na exactly when no agent turn promises"
    needs = (
        ("greeting", any("greet" in r["acts"] for r in agent[:3])),
        ("closing", any("close" in r["acts"] for r in agent)),
        ("apology", any("apology" in r["conduct"] for r in agent)),
    )
    yield from (f"q_{q} is yes, but no agent turn is labelled so"
                for q, seen in needs if card[f"q_{q}"] == "yes" and not seen)


def unannounced_silence(rows):
    """Whether more than 10 s pass in silence that the last agent turn did not ask for."""
    end, asked = 0, False
    for row in rows:
        if row["start_ms"] - end > SILENCE_MS and not asked:
            return True
        end = max(end, row["end_ms"])
        if row["role"] == "a":
            asked = "hold" in row["acts"]
    return False


def interrupted(rows):
    """Whether the agent starts at least 2 s before the customer has ended."""
    return any(later["role"] == "a" and earlier["role"] == "c"
               and earlier["end_ms"] - later["start_ms"] >= OVERLAP_MS
               for earlier, later in zip(rows, rows[1:]))


def compile_one(path, taxonomy):
    """One source file to its JSON object."""
    name, language = path.stem, path.stem.split("-")[0]
    header, rows = parse(path, taxonomy)
    holds = place(rows, language, header["channel"], name)
    card = answers(header, path.name)
    wrong = list(contradictions(rows, header["channel"], card))
    if wrong:
        raise SourceError(f"{path.name}: " + "; ".join(wrong))
    voice = header["channel"] == "voice"
    last_ms = max(r["end_ms"] for r in rows)
    return {
        "id": name, "channel": header["channel"], "language": language, "direction": header["direction"],
        "queue": header["queue"], "agent_id": header["agent"], "started_at": header["started"],
        **({"audio": "stereo"} if voice else {}),
        "duration_ms": last_ms + (800 if voice else 5000), "hangup_by": header["hangup"], "hold": holds,
        "metadata": {"domain": header["domain"]},
        "turns": [{"id": str(n), "role": ROLES[r["role"]], "text": r["text"],
                   "start_ms": r["start_ms"], "end_ms": r["end_ms"]} for n, r in enumerate(rows)],
        "labels": {
            "split": header["split"], "situation": header["situation"],
            "satisfaction": int(header["satisfaction"]), "scorecard": card,
            "turns": [{k: r[k] for k in ("intents", "acts", "emotion", "conduct")} for r in rows],
        },
    }


def summary(language, conversations):
    """Counts that show the balance, as printable lines."""
    splits = Counter(c["labels"]["split"] for c in conversations)
    channels = Counter(c["channel"] for c in conversations)
    turns = sum(len(c["turns"]) for c in conversations)
    yield f"{language}: {len(conversations)} conversations, {turns} turns, {dict(splits)}, {dict(channels)}"
    for question in QUESTIONS:
        counts = Counter(c["labels"]["scorecard"][f"q_{question}"] for c in conversations)
        yield f"  q_{question:<12} yes {counts['yes']:>3}  no {counts['no']:>3}  na {counts['na']:>3}"


def main():
    check, taxonomy, sound = "--check" in sys.argv[1:], load_taxonomy(), True
    split_of = {}
    for language in ("zh", "en"):
        conversations = []
        for path in sorted((HERE / "src").glob(f"{language}-*.txt")):
            try:
                conversation = compile_one(path, taxonomy)
                labels = conversation["labels"]
                situation = labels["situation"]
                if split_of.setdefault(situation, labels["split"]) != labels["split"]:
                    raise SourceError(f"{path.name}: situation {situation} is in both splits")
                conversations.append(conversation)
            except SourceError as error:
                print(f"error: {error}", file=sys.stderr)
                sound = False
        text = "".join(json.dumps(c, ensure_ascii=False) + "\n" for c in conversations)
        target = HERE / f"{language}.jsonl"
        if not check and sound:
            target.write_text(text, encoding="utf-8")
        elif check and (not target.exists() or target.read_text(encoding="utf-8") != text):
            print(f"error: {target.name} is not what the sources give; run build.py", file=sys.stderr)
            sound = False
        print("\n".join(summary(language, conversations)))
    return 0 if sound else 1


if __name__ == "__main__":
    sys.exit(main())
