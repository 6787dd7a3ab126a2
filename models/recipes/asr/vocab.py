"""Whisper's multilingual vocabulary, its tokeniser cut down to our needs, and the units of the CTC head.

Special ids are those of the 51,865-token multilingual models. Files: `multilingual.tiktoken` and `mel_filters.npz`
from the source package of `openai-whisper` (`whisper/assets/`).
"""

import base64
import re
from pathlib import Path

import numpy as np
from pypinyin import Style, lazy_pinyin

N_VOCAB = 51865
EMPTY = 50256  # the empty string: "nothing was said" as text
END, START, TRANSCRIBE, PREVIOUS, NO_SPEECH, NO_TIMESTAMPS = 50257, 50258, 50359, 50361, 50362, 50363
LANGUAGE_ID = {"en": 50259, "zh": 50260}
EN_MERGE_LIMIT = 2500  # English words use only the first merges, so that rare words fall into known pieces


def load_vocabulary(path: Path) -> list[bytes]:
    """Bytes of tokens 0 .. 50256 in id order (the last one is empty)."""
    tokens: list[bytes] = [b""] * (EMPTY + 1)
    for line in path.read_bytes().splitlines():
        if line.strip():
            encoded, rank = line.split()
            # One entry is the bare "=" of the empty string.
            tokens[int(rank)] = b"" if encoded == b"=" else base64.b64decode(encoded)
    return tokens


def load_mel_filters(path: Path) -> np.ndarray:
    """Whisper's 80 mel filters over 201 FFT bins at 16 kHz, shape [80, 201]."""
    return np.load(path)["mel_80"].astype(np.float32)


class Tokeniser:
    """English: byte pairs with the first `EN_MERGE_LIMIT` merges. Mandarin: one character at a time."""

    def __init__(self, tokens: list[bytes]) -> None:
        self.tokens = tokens
        self.ids = {token: index for index, token in enumerate(tokens) if token}
        self._cache: dict[tuple[bytes, int], list[int]] = {}

    def _merge(self, data: bytes, limit: int) -> list[int]:
        key = (data, limit)
        if key not in self._cache:
            parts = [data[i : i + 1] for i in range(len(data))]
            while len(parts) > 1:
                rank, place = min((self.ids.get(parts[i] + parts[i + 1], N_VOCAB), i) for i in range(len(parts) - 1))
                if rank >= limit:
                    break
                parts[place : place + 2] = [parts[place] + parts[place + 1]]
            self._cache[key] = [self.ids[part] for part in parts]
        return self._cache[key]

    def encode(self, text: str, language: str) -> list[int]:
        if language == "en":
            return [i for word in text.split() for i in self._merge(f" {word}".encode(), EN_MERGE_LIMIT)]
        return [i for character in text for i in self._merge(character.encode(), N_VOCAB)]

    def decode(self, ids: list[int]) -> str:
        return b"".join(self.tokens[i] for i in ids if i < EMPTY).decode("utf-8", "ignore").strip()

    def common_ids(self) -> set[int]:
        """Letters and the 3,755 characters of GB 2312 level one: always in the sub-vocabulary."""
        ids = {self.ids[bytes([c])] for c in range(97, 123)} | {self.ids[b" " + bytes([c])] for c in range(97, 123)}
        for row in range(0xB0, 0xD8):
            for cell in range(0xA1, 0xFF):
                try:
                    ids |= set(self.encode(bytes([row, cell]).decode("gb2312"), "zh"))
                except UnicodeDecodeError:
                    continue
        return ids


class CtcUnits:
    """CTC targets: English letters; Mandarin initials and toned finals. Id 0 is the blank."""

    INITIAL = re.compile("(zh|ch|sh|[bpmfdtnlgkhjqxrzcsyw]?)(.*)")

    def __init__(self, units: dict[str, int] | None = None) -> None:
        self.units = dict(units or {})
        self.frozen = units is not None

    def encode(self, text: str, language: str) -> list[int]:
        if language == "en":
            names = [c for c in text if c != " "]
        else:
            names = []
            for syllable in lazy_pinyin(text, style=Style.TONE3, neutral_tone_with_five=True):
                match = self.INITIAL.match(syllable)
                names += ["_" + part for part in (match.groups() if match else ()) if part]
        if not self.frozen:
            for name in names:
                self.units.setdefault(name, len(self.units) + 1)
        return [self.units[name] for name in names if name in self.units]
