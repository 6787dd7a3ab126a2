"""Temperature of every head and decision thresholds, from the dev split (Guo et al. 2017)."""

from __future__ import annotations

import numpy as np

from . import labels
from .examples import Example, entity_tags
from .predict import Prediction

TEMPERATURES = np.geomspace(0.3, 8.0, 61)
# A label with fewer positives on dev keeps this threshold.
DEFAULT_THRESHOLD, LEAST_POSITIVES = 0.25, 3


def softmax(logits: np.ndarray, temperature: float) -> np.ndarray:
    scaled = logits / temperature
    e = np.exp(scaled - scaled.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def sigmoid(logits: np.ndarray, temperature: float) -> np.ndarray:
    return 1 / (1 + np.exp(-np.clip(logits / temperature, -40, 40)))


def fit_softmax(logits: np.ndarray, truth: np.ndarray) -> float:
    """The temperature of least negative log-likelihood."""
    def loss(t: float) -> float:
        return -np.log(softmax(logits, t)[np.arange(len(truth)), truth] + 1e-9).mean()

    return float(min(TEMPERATURES, key=loss))


def fit_sigmoid(logits: np.ndarray, truth: np.ndarray) -> float:
    def loss(t: float) -> float:
        p = sigmoid(logits, t)
        return -(truth * np.log(p + 1e-9) + (1 - truth) * np.log(1 - p + 1e-9)).mean()

    return float(min(TEMPERATURES, key=loss))


def best_threshold(probabilities: np.ndarray, truth: np.ndarray) -> float:
    """The threshold of best F1, drawn to the default where few positives are at hand."""
    positives = truth.sum()
    if positives < LEAST_POSITIVES:
        return DEFAULT_THRESHOLD
    grid = np.arange(0.06, 0.81, 0.02)

    def f1(t: float) -> float:
        chosen = probabilities >= t
        hit = (chosen & (truth > 0)).sum()
        return 2 * hit / max(1, chosen.sum() + positives)

    scores = np.array([f1(t) for t in grid])
    near_best = grid[scores >= scores.max() - 0.01]
    # The middle of all thresholds that are about as good, drawn to the default by a few imagined examples.
    return float((near_best.mean() * positives + DEFAULT_THRESHOLD * 3) / (positives + 3))


def second_intent_threshold(probabilities: np.ndarray, examples: list[Example]) -> float:
    """From which probability a further intent is selected: best micro-F1 of the sets."""
    def f1(t: float) -> float:
        hit = chosen_count = truth_count = 0
        for p, e in zip(probabilities, examples):
            chosen = {labels.INTENTS[int(i)] for i in np.flatnonzero(p >= t)} | {labels.INTENTS[int(p.argmax())]}
            hit += len(chosen & set(e.intents))
            chosen_count += len(chosen)
            truth_count += len(e.intents)
        return 2 * hit / (chosen_count + truth_count)

    return float(max(np.arange(0.12, 0.5, 0.01), key=f1))


def calibrate(examples: list[Example], predictions: list[Prediction]) -> dict[str, dict]:
    """`{head: {temperature, thresholds}}`."""
    found: dict[str, dict] = {}
    both = list(zip(examples, predictions))
    rows = [(e, p) for e, p in both if e.intents]
    logits = np.stack([p.sentence["intent"] for _, p in rows])
    t = fit_softmax(logits, np.array([labels.INTENTS.index(e.intents[0]) for e, _ in rows]))
    second = second_intent_threshold(softmax(logits, t), [e for e, _ in rows])
    found["intent"] = {"temperature": t, "thresholds": [second] * len(labels.INTENTS)}
    rows = [(e, p) for e, p in both if e.emotion]
    logits = np.stack([p.sentence["emotion"] for _, p in rows])
    t = fit_softmax(logits, np.array([labels.EMOTIONS.index(e.emotion) for e, _ in rows]))
    # One emotion per utterance: no further one is selected.
    found["emotion"] = {"temperature": t, "thresholds": [1.0] * len(labels.EMOTIONS)}
    for head, names, holds in (("act", labels.ACTS, lambda e, n: n in e.acts), ("conduct", labels.CONDUCT, lambda e, n: e.conduct.get(n, False))):
        logits = np.stack([p.sentence[head] for _, p in both])
        truth = np.array([[float(holds(e, n)) for n in names] for e, _ in both])
        t = fit_sigmoid(logits, truth)
        p = sigmoid(logits, t)
        found[head] = {"temperature": t, "thresholds": [best_threshold(p[:, i], truth[:, i]) for i in range(len(names))]}
    rows = [(e, p) for e, p in both if e.entities is not None and p.places]
    logits = np.concatenate([p.tokens["entity"] for _, p in rows])
    truth = np.concatenate([entity_tags(e.entities, p.places, [0] * len(p.places)) for e, p in rows])
    found["entity"] = {"temperature": fit_softmax(logits, truth), "thresholds": []}
    found["punctuation"] = {"temperature": 1.0, "thresholds": []}
    return found
