"""Checks the groups of questions in questions/*.txt, from which the encoder's retrieval vectors are trained.

A group stands under a heading `## slug`: a title (`t|`) and an answer (`a|`) in each language, and questions (`q|`) that the answer
settles. No text may stand twice, and none may be, or nearly be, a question with which retrieval is measured: those of faq/ and the last
question of every article.
"""

import json
import re
from collections import Counter, defaultdict
from pathlib import Path

HERE = Path(__file__).resolve().parent
HEADING = re.compile(r"^## ([a-z0-9-]+)$")
LEAST_QUESTIONS = 3
# Texts whose character trigrams overlap this much (Jaccard) are nearly the same.
NEAR = 0.8


def canonical(text):
    return "".join(c for c in text.lower() if c.isalnum())


def trigrams(text):
    text = canonical(text)
    return {text[i : i + 3] for i in range(len(text) - 2)}


def is_chinese(text):
    return any("\u4e00" <= c <= "\u9fff" for c in text)


def measured_questions():
    """The questions that no group may hold."""
    found = []
    for path in sorted((HERE / "faq").glob("*/queries.jsonl")) + [HERE / "faq/crosslingual.jsonl"]:
        for line in path.open(encoding="utf-8"):
            row = json.loads(line)
            found.append(row.get("text") or row["query"])
    for path in sorted((HERE.parent / "pipelines/knowledge").glob("*/*.md")):
        listed = re.search(r"(?ms)^questions = \[(.*?)^\]", path.read_text(encoding="utf-8"))
        asked = re.findall(r'"((?:[^"\\]|\\.)*)"', listed.group(1)) if listed else []
        found += asked[-1:]
    return found


def read(problems):
    """All groups as {slug: [(kind, text, place)]}; what cannot be read is added to `problems`."""
    groups, slug = {}, None
    for path in sorted((HERE / "questions").glob("*.txt")):
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            place, heading = f"questions/{path.name}:{number}", HEADING.match(line)
            if heading:
                slug = heading.group(1)
                if slug in groups:
                    problems.append(f"{place}: the group {slug} stands twice")
                groups[slug] = []
            elif line[:2] in ("t|", "a|", "q|") and slug and "|" not in line[2:] and line[2:].strip():
                groups[slug].append((line[0], line[2:].strip(), place))
            elif line.strip():
                problems.append(f"{place}: expected `## slug`, or t, a or q, one bar and a text")
    return groups


def check():
    """(number of groups, number of texts, problems)."""
    problems = []
    groups = read(problems)
    seen, forbidden, by_trigram = {}, [trigrams(q) for q in measured_questions()], defaultdict(list)
    for n, grams in enumerate(forbidden):
        for gram in grams:
            by_trigram[gram].append(n)
    for slug, texts in groups.items():
        count = Counter((kind, is_chinese(text)) for kind, text, _ in texts)
        for chinese, language in ((True, "Chinese"), (False, "English")):
            if count["t", chinese] != 1 or count["a", chinese] != 1 or count["q", chinese] < LEAST_QUESTIONS:
                problems.append(f"questions: {slug} needs one title, one answer and {LEAST_QUESTIONS} questions in {language}")
        for _, text, place in texts:
            key, own = canonical(text), trigrams(text)
            if key in seen:
                problems.append(f"{place}: the same text as {seen[key]}")
            seen[key] = place
            common = Counter(n for gram in own for n in by_trigram[gram])
            if any(shared >= NEAR * len(own | forbidden[n]) for n, shared in common.items() if shared):
                problems.append(f"{place}: nearly a question with which retrieval is measured")
    return len(groups), sum(map(len, groups.values())), problems
