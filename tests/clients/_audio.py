"""Recordings of the test and how like two texts are."""

import difflib
import os
import re
import wave
from pathlib import Path

FOLDER = Path(os.environ["AUDIO"])
BASE_URL = os.environ["BASE_URL"]
TOKEN = os.environ["TOKEN"]
WS_URL = BASE_URL.replace("http", "ws", 1)


def pcm(name: str) -> tuple[bytes, int, int]:
    """16-bit samples, rate in hertz, channels."""
    with wave.open(str(FOLDER / f"{name}.wav")) as file:
        return file.readframes(file.getnframes()), file.getframerate(), file.getnchannels()


def said(name: str, role: str = "customer") -> str:
    return (FOLDER / f"{name}-{role}.txt").read_text("utf-8")


def units(text: str) -> list[str]:
    return re.findall(r"[a-z0-9']+|[\u4e00-\u9fff]", text.lower())


def likeness(heard: str, reference: str) -> float:
    """1 for equal texts, 0 for texts without a unit in common. Digits and numerals differ, so 1 is not reached."""
    return difflib.SequenceMatcher(None, units(heard), units(reference), autojunk=False).ratio()


_TO_MULAW = None


def mulaw(samples: bytes) -> bytes:
    """16-bit samples to G.711 mu-law (ITU-T G.711)."""
    global _TO_MULAW
    if _TO_MULAW is None:
        table = bytearray(65536)
        for value in range(-32768, 32768):
            magnitude = min(abs(value), 32635) + 132
            exponent = magnitude.bit_length() - 8
            mantissa = (magnitude >> (exponent + 3)) & 15
            table[value & 0xFFFF] = ~((0x80 if value < 0 else 0) | exponent << 4 | mantissa) & 0xFF
        _TO_MULAW = bytes(table)
    return bytes(_TO_MULAW[samples[i] | samples[i + 1] << 8] for i in range(0, len(samples) - 1, 2))
