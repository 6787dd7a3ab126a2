#!/usr/bin/env python3
"""Learns the projection of the speaker room from public speech and writes src/speaker/projection.json.

    pip install numpy scipy soundfile
    python3 models/recipes/speaker/projection.py SPEECH_FOLDER

SPEECH_FOLDER holds the unpacked archives speechocean762-train, alphanumeric and aishell-sample (Opus files and a
manifest.jsonl with `audio` and `speaker`). 30 + 15 + 1 speakers are left out of the training; they are the ones of
measure.py. A clip is taken through a telephone (8 kHz), its spectrum becomes 20 cepstral coefficients a frame, a stretch of
2 s becomes their means and log standard deviations (38 numbers), and linear discriminant analysis with the within-speaker
scatter (ridge 0.05 of its mean) keeps the 20 directions that tell speakers apart best, each of unit scatter within a speaker.
src/speaker/features.rs computes the same numbers; its test compares them with `parity()` below.
"""
import json
import os
import random
import sys

import numpy as np

RATE, FFT, WINDOW, HOP = 16_000, 512, 400, 160
MELS, CEPSTRA, DIMENSIONS = 26, 20, 20
LOW_HZ, HIGH_HZ = 150.0, 3_700.0
ACTIVE_RANGE_DB = 30.0
STRETCH, LEAST = 200, 60
RIDGE = 0.05
SETS = {"speechocean762-train": (14, 30), "alphanumeric": (3, 15), "aishell-sample": (60, 1)}


def filters():
    mel = lambda hz: 1127 * np.log(1 + hz / 700)
    hz = lambda m: 700 * (np.exp(m / 1127) - 1)
    edges = hz(np.linspace(mel(LOW_HZ), mel(HIGH_HZ), MELS + 2))
    lines = np.arange(FFT // 2 + 1) * RATE / FFT
    rise = lambda i: (lines - edges[i]) / (edges[i + 1] - edges[i])
    fall = lambda i: (edges[i + 2] - lines) / (edges[i + 2] - edges[i + 1])
    return np.array([np.maximum(0, np.minimum(rise(i), fall(i))) for i in range(MELS)])


FILTERS = filters()
COSINES = np.sqrt(2 / MELS) * np.array([[np.cos(np.pi * k * (n + 0.5) / MELS) for n in range(MELS)] for k in range(CEPSTRA)])


def cepstra(x):
    """Cepstral coefficients of the active frames of 16 kHz samples."""
    x = np.asarray(x, float)
    n = (len(x) - WINDOW) // HOP + 1
    if n < 1:
        return np.zeros((0, CEPSTRA))
    index = np.arange(WINDOW)[None] + HOP * np.arange(n)[:, None]
    emphasised = np.append(x[0], x[1:] - 0.97 * x[:-1])
    power = np.abs(np.fft.rfft(emphasised[index] * np.hamming(WINDOW), FFT)) ** 2
    level = 10 * np.log10((x[index] ** 2).mean(1) + 1e-10)
    return (np.log(power @ FILTERS.T + 1e-10) @ COSINES.T)[level > level.max() - ACTIVE_RANGE_DB]


def statistics(frames):
    return np.concatenate([frames.mean(0)[1:], np.log(frames.std(0)[1:] + 1e-3)])


def discriminants(rows, speakers):
    mean = rows.mean(0)
    rows = rows - mean
    within = np.zeros((rows.shape[1],) * 2)
    between = within.copy()
    for speaker in np.unique(speakers):
        own = rows[speakers == speaker]
        centre = own.mean(0)
        within += (own - centre).T @ (own - centre)
        between += len(own) * np.outer(centre, centre)
    within /= len(rows)
    between /= len(rows)
    within += RIDGE * np.eye(len(within)) * np.trace(within) / len(within)
    root = np.linalg.cholesky(np.linalg.inv(within))
    _, vectors = np.linalg.eigh(root.T @ between @ root)
    return mean, root @ vectors[:, ::-1][:, :DIMENSIONS]


def clips(folder):
    """(set, speaker, path) of the clips that are used."""
    for name, (most, _) in SETS.items():
        counts = {}
        manifest = next(os.path.join(r, f) for r, _, fs in os.walk(os.path.join(folder, name)) for f in fs if f == "manifest.jsonl")
        for line in open(manifest, encoding="utf-8"):
            row = json.loads(line)
            counts[row["speaker"]] = counts.get(row["speaker"], 0) + 1
            if counts[row["speaker"]] <= most:
                yield name, row["speaker"], os.path.join(os.path.dirname(manifest), row["audio"])


def held_out(speakers):
    random.seed(1)
    chosen = set()
    for name, (_, n) in SETS.items():
        own = sorted(s for s in speakers if s[0] == name)
        if n > 1:
            random.shuffle(own)
            chosen.update(own[:n])
        else:
            chosen.update(own[1:])
    return chosen


def telephone(path):
    import soundfile
    from scipy.signal import resample_poly

    samples, rate = soundfile.read(path, dtype="float32")
    assert rate == RATE, path
    return resample_poly(resample_poly(samples, 1, 2), 2, 1)


def parity():
    """Statistics of a chirp with overtones, for the test of the features."""
    t = np.arange(RATE) / RATE
    x = sum(0.2 / k * np.sin(2 * np.pi * k * (120 * t + 40 * t * t)) for k in range(1, 20)) * (0.55 + 0.45 * np.sin(2 * np.pi * 3 * t))
    return statistics(cepstra(x.astype(np.float32)))


def main(folder):
    all_clips = list(clips(folder))
    left_out = held_out({(name, speaker) for name, speaker, _ in all_clips})
    rows, speakers = [], []
    for name, speaker, path in all_clips:
        if (name, speaker) in left_out:
            continue
        frames = cepstra(telephone(path))
        for start in range(0, max(1, len(frames) - 80), STRETCH):
            part = frames[start:start + STRETCH]
            if len(part) >= LEAST:
                rows.append(statistics(part))
                speakers.append(f"{name}/{speaker}")
    mean, directions = discriminants(np.array(rows), np.array(speakers))
    here = os.path.dirname(os.path.abspath(__file__))
    target = os.path.join(here, "../../../src/speaker/projection.json")
    with open(target, "w", encoding="utf-8") as file:
        numbers = lambda values: "[" + ",".join(f"{v:.5g}" for v in values) + "]"
        rows_text = ",\n".join(numbers(row) for row in directions.T)
        file.write(f'{{"mean":{numbers(mean)},\n"directions":[\n{rows_text}\n]}}\n')
    print(f"{len(rows)} stretches of {len(set(speakers))} speakers; parity {[round(float(v), 4) for v in parity()[[0, 1, 2, 18, 19, 37]]]}")


if __name__ == "__main__":
    main(sys.argv[1])
