#!/usr/bin/env python3
"""Makes calls of two held-out speakers in one channel, with their truth, to measure the speaker room.

    python3 models/recipes/speaker/mixes.py SPEECH_FOLDER OUT_FOLDER
    ZHIYIN_MIXES=OUT_FOLDER cargo test --release --test it -- --ignored --nocapture what_mixes_of_real_speakers_say

40 calls of two speakers and 20 of one, of the speakers that projection.py leaves out: turns in alternation, 0.15 to 0.8 s
between them, equal loudness, through a telephone (8 kHz), noise at -60 dB.
"""
import json
import os
import random
import sys
import wave

import numpy as np

from projection import RATE, clips, held_out, telephone

MOST_TURNS = 7


def utterance(path):
    samples = telephone(path)
    loud = np.where(np.abs(samples) > 0.03 * np.abs(samples).max())[0]
    samples = samples[max(0, loud[0] - 800):loud[-1] + 800]
    return samples * (0.1 / max(1e-4, np.sqrt((samples ** 2).mean())))


def call(first, second, seed):
    rng = random.Random(seed)
    own = [rng.sample(paths, len(paths)) for paths in (first, second)]
    audio, at, turns = [np.zeros(RATE // 2)], RATE // 2, []
    for pair in list(zip(*own))[:MOST_TURNS]:
        for role, path in zip(("agent", "customer" if first is not second else "agent"), pair):
            said = utterance(path)
            gap = int(RATE * rng.uniform(0.15, 0.8))
            turns.append({"start_ms": at * 1000 // RATE, "end_ms": (at + len(said)) * 1000 // RATE, "role": role})
            audio += [said, np.zeros(gap)]
            at += len(said) + gap
    samples = np.concatenate(audio)
    return np.clip(samples + np.random.default_rng(seed).normal(0, 1e-3, len(samples)), -1, 1), turns


def main(folder, out):
    os.makedirs(out, exist_ok=True)
    all_clips = list(clips(folder))
    left_out = held_out({(name, speaker) for name, speaker, _ in all_clips})
    paths = {}
    for name, speaker, path in all_clips:
        if (name, speaker) in left_out and name.startswith("speechocean"):
            paths.setdefault(speaker, []).append(path)
    speakers = sorted(paths)
    rng = random.Random(5)
    pairs = [rng.sample(speakers, 2) for _ in range(40)] + [[s, s] for s in speakers[:20]]
    for number, (first, second) in enumerate(pairs):
        samples, turns = call(paths[first], paths[second], number)
        with wave.open(os.path.join(out, f"{number:02}.wav"), "wb") as file:
            file.setnchannels(1)
            file.setsampwidth(2)
            file.setframerate(RATE)
            file.writeframes((samples * 32767).astype("<i2").tobytes())
        with open(os.path.join(out, f"{number:02}.json"), "w", encoding="utf-8") as file:
            json.dump({"turns": turns}, file)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
