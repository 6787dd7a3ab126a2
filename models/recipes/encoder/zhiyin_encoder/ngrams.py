"""The hashed character n-gram bag. `src/inference/ngrams.rs` computes the same buckets; `parity.json` checks it.

A text is lower-cased after NFKC, digits become `0`, everything that is no letter or digit becomes one space,
and one space stands at both ends. N-grams of 1 to `ngram_max` code points are hashed to buckets.
"""

from __future__ import annotations

import unicodedata

import numpy as np

MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)
MAX_CHARACTERS = 512
# CJK Extension A begins here; what lies above is Chinese, Korean or rare enough.
FIRST_CHINESE = 0x3400
# Seed of words and pairs of words; n-grams take their length.
WORD_SEED = 64


def bag_form(text: str) -> str:
    """The form of the text whose n-grams are counted."""
    # Compatibility forms may grow a text; the cut before bounds the work, the cut after bounds the bag.
    characters = []
    for c in unicodedata.normalize("NFKC", text[:MAX_CHARACTERS]).lower():
        if "0" <= c <= "9":
            characters.append("0")
        elif c.isalnum():
            characters.append(c)
        elif characters and characters[-1] != " ":
            characters.append(" ")
    return f" {''.join(characters).strip()} "[:MAX_CHARACTERS]


def hashed(points: np.ndarray, starts: np.ndarray, length: int, seed: int) -> np.ndarray:
    """Upper 32 bits of the hash of the `length` code points from each start."""
    value = np.full(len(starts), seed, dtype=np.uint64) * MULTIPLIER
    for offset in range(length):
        value = (value ^ points[starts + offset]) * MULTIPLIER
        value ^= value >> np.uint64(29)
    return (value * MULTIPLIER) >> np.uint64(32)


def buckets(text: str, ngram_max: int, bucket_count: int, words: bool) -> np.ndarray:
    """Bucket numbers of all n-grams, int64; empty for a text without letters and digits.

    A single character counts only when it is Chinese, the longest n-grams only when they hold no Chinese: a
    Chinese character says as much as three or four letters. With `words`, words without Chinese of two and more
    characters count too, and pairs of words that follow each other.
    """
    form = bag_form(text)
    if not form.strip():
        return np.zeros(0, dtype=np.int64)
    points = np.frombuffer(form.encode("utf-32-le"), dtype=np.uint32).astype(np.uint64)
    chinese = points >= FIRST_CHINESE
    found = []
    with np.errstate(over="ignore"):
        for n in range(1, ngram_max + 1):
            starts = np.arange(len(points) - n + 1)
            if not len(starts):
                break
            any_chinese = np.zeros(len(starts), dtype=bool)
            for offset in range(n):
                any_chinese |= chinese[starts + offset]
            keep = any_chinese if n == 1 else ~any_chinese if n == ngram_max else np.ones(len(starts), dtype=bool)
            found.append(hashed(points, starts[keep], n, n))
        if words:
            found += [hashed(points, np.array([start]), end - start, WORD_SEED) for start, end in word_spans(form, chinese)]
    # The upper halves scaled to the number of buckets (Lemire, "Fast random integer generation").
    return (np.concatenate(found) * np.uint64(bucket_count) >> np.uint64(32)).astype(np.int64)


def word_spans(form: str, chinese: np.ndarray) -> list[tuple[int, int]]:
    """Words of two and more characters, then pairs of words in a row; a word with Chinese in it is none."""
    places, start = [], 1
    for end in [i for i, c in enumerate(form) if c == " " and i] + ([len(form)] if form[-1] != " " else []):
        places.append(None if chinese[start:end].any() or start == end else (start, end))
        start = end + 1
    single = [place for place in places if place and place[1] - place[0] >= 2]
    return single + [(a[0], b[1]) for a, b in zip(places, places[1:]) if a and b]
