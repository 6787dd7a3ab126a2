#!/usr/bin/env python3
"""Learns which words speak for an agent and which for a customer; writes src/speaker/cues.json.

    pip install numpy
    python3 models/recipes/speaker/cues.py

From the training parts of datasets/service-zh and service-en: the 700 groups of 1 to 4 characters (English: 1 to 3 words) that
tell the roles apart best by log odds over their error, then logistic regression over their presence with both roles weighed
alike and an L1 penalty that leaves 250 to 300 a language. The penalty was chosen on the dev parts; datasets/conversations
(other texts) is only measured: the share of conversations in which the sums of the weights name the roles rightly.
"""
import collections
import json
import math
import os
import re

import numpy as np

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../..")
CANDIDATES, LEAST_COUNT, PENALTY, STEPS = 700, 12, 6e-4, 600


def groups(text, language):
    text = text.lower()
    if language == "zh":
        runs = re.findall(r"[\u4e00-\u9fff]+", text)
        return {run[i:i + n] for run in runs for n in (1, 2, 3, 4) for i in range(len(run) - n + 1)}
    words = re.findall(r"[a-z']+", text)
    return {" ".join(words[i:i + n]) for n in (1, 2, 3) for i in range(len(words) - n + 1)}


def rows(path):
    with open(os.path.join(ROOT, "datasets", path), encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def learn(language):
    train = [(groups(r["text"], language), r["role"] == "agent") for r in rows(f"service-{language}/train.jsonl") if r["role"] in ("agent", "customer")]
    counts = {True: collections.Counter(), False: collections.Counter()}
    total = collections.Counter(agent for _, agent in train)
    for present, agent in train:
        counts[agent].update(present)
    ranked = []
    for group in set(counts[True]) | set(counts[False]):
        a, c = counts[True][group], counts[False][group]
        if a + c >= LEAST_COUNT:
            pa, pc = (a + 0.5) / (total[True] + 1), (c + 0.5) / (total[False] + 1)
            odds = math.log(pa / (1 - pa)) - math.log(pc / (1 - pc))
            ranked.append((abs(odds) / math.sqrt(1 / (a + 0.5) + 1 / (c + 0.5)), group))
    names = [group for _, group in sorted(ranked, reverse=True)[:CANDIDATES]]
    place = {group: i for i, group in enumerate(names)}
    x = np.zeros((len(train), len(names) + 1), np.float32)
    x[:, -1] = 1
    for k, (present, _) in enumerate(train):
        x[k, [place[g] for g in present if g in place]] = 1
    y = np.array([agent for _, agent in train], float)
    weight = np.where(y == 1, 0.5 / y.mean(), 0.5 / (1 - y.mean()))
    w = np.zeros(x.shape[1])
    for _ in range(STEPS):
        p = 1 / (1 + np.exp(-(x @ w)))
        w -= x.T @ ((p - y) * weight) / len(y) + 1e-4 * np.r_[w[:-1], 0]
        w[:-1] = np.sign(w[:-1]) * np.maximum(0, np.abs(w[:-1]) - PENALTY)
    kept = {name: round(float(value), 2) for name, value in zip(names, w) if abs(value) > 0.05}
    return {"bias": round(float(w[-1]), 2), "cues": dict(sorted(kept.items(), key=lambda item: (-item[1], item[0])))}


def main():
    table = {}
    for language in ("zh", "en"):
        learnt = learn(language)
        table[language] = learnt
        score = lambda text: learnt["bias"] + sum(learnt["cues"].get(g, 0) for g in groups(text, language))
        dev = [r for r in rows(f"service-{language}/dev.jsonl") if r["role"] in ("agent", "customer")]
        right = sum((score(r["text"]) > 0) == (r["role"] == "agent") for r in dev)
        named = [sum(score(t["text"]) * (1 if t["role"] == "agent" else -1) for t in c["turns"]) > 0 for c in rows(f"conversations/{language}.jsonl")]
        print(f"{language}: {len(learnt['cues'])} cues, dev {right}/{len(dev)} sentences, {sum(named)}/{len(named)} conversations")
    with open(os.path.join(ROOT, "src/speaker/cues.json"), "w", encoding="utf-8") as file:
        json.dump(table, file, ensure_ascii=False, indent=0)
        file.write("\n")


if __name__ == "__main__":
    main()
