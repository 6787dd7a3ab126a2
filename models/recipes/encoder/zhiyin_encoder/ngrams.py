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


def buckets(text: str, ngram_max: int, bucket_count: int) -> np.ndarray:
    """Bucket numbers of all n-grams, int64; empty for a text without letters and digits.

    A single character counts only when it is Chinese, the longest n-grams only when they hold no Chinese: a
    Chinese character says as much as three or four letters.
    """
    form = bag_form(text)
    if not form.strip():
        return np.zeros(0, dtype=np.int64)
    points = np.frombuffer(form.encode("utf-32-le"), dtype=np.uint32).astype(np.uint64)
    chinese = points >= FIRST_CHINESE
    found = []
    with np.errstate(over="ignore"):
        for n in range(1, ngram_max + 1):
            count = len(points) - n + 1
            if count <= 0:
                break
            value = np.full(count, n, dtype=np.uint64) * MULTIPLIER
            any_chinese = np.zeros(count, dtype=bool)
            for offset in range(n):
                value = (value ^ points[offset : offset + count]) * MULTIPLIER
                value ^= value >> np.uint64(29)
                any_chinese |= chinese[offset : offset + count]
            keep = any_chinese if n == 1 else ~any_chinese if n == ngram_max else slice(None)
            # The upper half of the product, scaled to the number of buckets (Lemire, "Fast random integer generation").
            found.append((((value * MULTIPLIER) >> np.uint64(32)) * np.uint64(bucket_count) >> np.uint64(32))[keep])
    return np.concatenate(found).astype(np.int64)
