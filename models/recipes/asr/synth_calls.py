"""Speaks dialogue files into two-channel telephone calls (left: customer, right: agent) with exact reference times.

Input: {"id", "language", "title", "turns": [{"role", "text", "gap_ms"}], "voices": {"agent": "flite:rms", …}} where
`voices` is optional and a negative `gap_ms` lets a turn start before the turn before it has ended.
Output: OUT/<id>.opus (8 kHz source, 300-3400 Hz, 16 kbit/s a channel) and OUT/<id>.json.
Usage: synth_calls.py --dialogues DIR --out DIR   (needs espeak-ng, flite and opusenc)
"""

import argparse
import json
import random
import subprocess
import tempfile
import wave
from pathlib import Path

import numpy as np

import voices as V
from sentences import load_dialogues, sentence

CHANNEL = {"customer": 0, "agent": 1}
TAIL_MS = 600
LINE_NOISE_RMS = 6.0  # about -75 dB of full scale: a line is never digitally silent
# Pairs of training voices (agent, customer) for dialogues that name none, taken in turn per language.
DEFAULT_VOICES = {
    "en": [("flite:rms", "espeak:en-gb+f2"), ("flite:awb", "flite:rms"), ("espeak:en-us+m3", "flite:rms")],
    "zh": [("espeak:cmn-latn-pinyin+m3", "espeak:cmn-latn-pinyin+f2"), ("espeak:cmn-latn-pinyin+f4", "espeak:cmn-latn-pinyin+m1"),
           ("espeak:cmn-latn-pinyin+f2", "espeak:cmn-latn-pinyin+m7")],
}


def voice_named(name: str) -> V.Voice:
    """`engine:voice` -> a voice at a calm speaking rate."""
    engine, _, rest = name.partition(":")
    if engine not in ("espeak", "flite") or not rest:
        raise ValueError(f"voice {name!r}: write espeak:<voice> or flite:<voice>")
    return V.Voice(engine, rest, rate=150, pitch=50)


def noise_floor(length: int, rng: np.random.Generator) -> np.ndarray:
    samples = rng.standard_normal(length)
    samples[1:] = (samples[1:] + samples[:-1]) / 2
    return samples * LINE_NOISE_RMS


def render_call(dialogue: dict, names: tuple[str, str], seed: int) -> tuple[np.ndarray, list[dict]]:
    """(samples [2, n] int16 at 8 kHz, turns with `start_ms`, `end_ms`, `channel`, `voice`)."""
    rng = random.Random(seed)
    chosen = dict(zip(("agent", "customer"), names)) | dialogue.get("voices", {})
    placed, turns, cursor = [], [], 0
    for number, turn in enumerate(dialogue["turns"], 1):
        if turn["role"] not in CHANNEL:
            raise ValueError(f"{dialogue['id']}, turn {number}: role {turn['role']!r}, expected customer or agent")
        item = sentence(turn["text"], dialogue["language"], "dialogue", random.Random(1))
        if item is None:
            raise ValueError(f"{dialogue['id']}, turn {number}: cannot be spoken: {turn['text']!r}")
        verbalised = dialogue["language"] == "zh" or any(c.isdigit() for c in turn["text"])
        say = item.say if verbalised else turn["text"]
        samples = V.line_shape(V.speak(say, voice_named(chosen[turn["role"]])), rng, always=True)
        start = max(0, cursor + int(turn.get("gap_ms", 400)) * V.RATE_HZ // 1000)
        placed.append((CHANNEL[turn["role"]], start, samples))
        cursor = start + len(samples)
        times = {"start_ms": start * 1000 // V.RATE_HZ, "end_ms": cursor * 1000 // V.RATE_HZ}
        turns.append({"role": turn["role"], "channel": CHANNEL[turn["role"]], **times, "text": turn["text"], "voice": chosen[turn["role"]]})
    length = max(start + len(x) for _, start, x in placed) + TAIL_MS * V.RATE_HZ // 1000
    noise = np.random.default_rng(seed)
    channels = np.stack([noise_floor(length, noise) for _ in CHANNEL])
    for channel, start, samples in placed:
        channels[channel, start : start + len(samples)] += samples
    return np.clip(channels, -32768, 32767).astype(np.int16), turns


def write_opus(path: Path, channels: np.ndarray) -> None:
    """Ogg/Opus with independent channels at 16 kbit/s each; the stream's serial number is fixed, so that runs agree."""
    with tempfile.NamedTemporaryFile(suffix=".wav") as file:
        with wave.open(file.name, "wb") as out:
            out.setnchannels(2)
            out.setsampwidth(2)
            out.setframerate(V.RATE_HZ)
            out.writeframes(np.ascontiguousarray(channels.T).astype("<i2").tobytes())
        command = ["opusenc", "--quiet", "--bitrate", "32", "--no-phase-inv", "--discard-comments", "--serial", "1", file.name, str(path)]
        subprocess.run(command, check=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--dialogues", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    used = dict.fromkeys(DEFAULT_VOICES, 0)
    for dialogue in load_dialogues(args.dialogues):
        language = dialogue["language"]
        pairs = DEFAULT_VOICES[language]
        channels, turns = render_call(dialogue, pairs[used[language] % len(pairs)], args.seed + sum(used.values()))
        used[language] += 1
        path = args.out / f"{dialogue['id']}.opus"
        write_opus(path, channels)
        duration_ms = channels.shape[1] * 1000 // V.RATE_HZ
        reference = {"id": dialogue["id"], "language": language, "title": dialogue["title"], "queue": dialogue.get("queue", ""),
                     "audio": path.name, "duration_ms": duration_ms, "channels": CHANNEL, "turns": turns}
        path.with_suffix(".json").write_text(json.dumps(reference, ensure_ascii=False, indent=1) + "\n", "utf-8")
        print(f"{path.name}: {duration_ms / 1000:.1f} s, {len(turns)} turns, {path.stat().st_size} bytes")


if __name__ == "__main__":
    main()
