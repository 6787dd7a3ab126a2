"""Scores a model file through whisper.cpp, each test set by itself. WER for English, CER for Mandarin.

Usage: evaluate.py --transcribe ./transcribe --model model.ggml --data TEST_PREFIX [--clips 100] [--noise-db 15]
With --non-speech: minutes of silence, noise, music and tones in 8 s pieces; prints invented words per 10 minutes.
With --calls DIR: the rendered sample calls, every turn cut by its reference times.
"""

import argparse
import json
import random
import subprocess
import tempfile
import time
import wave
from pathlib import Path

import numpy as np
import soundfile
from scipy.signal import resample_poly

from batches import Line
from model import edit_distance, units
from sentences import sentence

RATE_HZ = 8000


def write_wav(path: Path, samples: np.ndarray) -> None:
    """8 kHz float samples (16-bit scale) -> 16 kHz mono WAV with 0.1 s before and 0.3 s after."""
    padded = np.concatenate([np.zeros(800), samples, np.zeros(2400)])
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(16000)
        file.writeframes(np.clip(resample_poly(padded, 2, 1), -32768, 32767).astype("<i2").tobytes())


def transcribe(args: argparse.Namespace, language: str, clips: list[np.ndarray]) -> tuple[list[str], float]:
    """(texts, seconds of work per second of audio, the model's load time included)."""
    with tempfile.TemporaryDirectory() as folder:
        paths = [Path(folder, f"{i:04d}.wav") for i in range(len(clips))]
        for path, samples in zip(paths, clips):
            write_wav(path, samples)
        started = time.time()
        command = [str(args.transcribe), str(args.model), language, str(args.threads)]
        done = subprocess.run(command, input="\n".join(map(str, paths)) + "\n", capture_output=True, text=True, errors="ignore", check=True)
        took = time.time() - started
    texts = [line.strip() for line in done.stdout.split("\n")[: len(clips)]]
    return texts, took / (sum(len(c) for c in clips) / RATE_HZ + 0.4 * len(clips))


def record(args: argparse.Namespace, figure: str, value: float, unit: str, on: str) -> None:
    """Appends a figure to the file of --record, from which `write_card.py` makes the card."""
    if args.record:
        with args.record.open("a", encoding="utf-8") as file:
            file.write(json.dumps({"figure": figure, "value": round(value, 4), "unit": unit, "on": on}, ensure_ascii=False) + "\n")


def report(args: argparse.Namespace, name: str, language: str, references: list[str], texts: list[str], speed: float) -> None:
    pairs = [(units(r, language), units(t, language)) for r, t in zip(references, texts)]
    wrong, total = sum(edit_distance(r, t) for r, t in pairs), sum(len(r) for r, _ in pairs)
    exact = sum(r == t for r, t in pairs) / len(pairs)
    measure = "WER" if language == "en" else "CER"
    print(f"{name:<20} {language} {len(pairs):4d} clips  {measure} {100 * wrong / total:5.1f} %  whole {100 * exact:3.0f} %  real-time factor {speed:.3f}", flush=True)
    suffix = "" if args.noise_db is None else f"_noise_{args.noise_db:.0f}_db"
    figure = f"{measure.lower()}_{language}_{name.removeprefix('test-').replace('-', '_')}{suffix}"
    record(args, figure, wrong / total, "ratio", f"{len(pairs)} clips, {total} {'words' if language == 'en' else 'characters'}")
    for reference, text in list(zip(references, texts))[: args.show]:
        print(f"      {reference}\n   -> {text}")


def add_noise(samples: np.ndarray, snr_db: float, rng: np.random.Generator) -> np.ndarray:
    """White and pink noise at the given ratio to the clip's level."""
    white = rng.standard_normal(len(samples))
    spectrum = np.fft.rfft(rng.standard_normal(len(samples)))
    pink = np.fft.irfft(spectrum / np.sqrt(np.arange(len(spectrum)) + 20.0), len(samples))
    noise = white / white.std() + pink / pink.std()
    return samples + noise / noise.std() * np.sqrt((samples.astype(np.float64) ** 2).mean()) * 10 ** (-snr_db / 20)


def corpus_sets(args: argparse.Namespace) -> None:
    data = np.load(args.data.with_suffix(".npz"))
    audio, offsets = data["audio"], data["offsets"]
    sets: dict[tuple[str, str], list[tuple[str, np.ndarray]]] = {}
    for index, line in enumerate(args.data.with_suffix(".jsonl").read_text("utf-8").splitlines()):
        row = json.loads(line)
        if row["split"].startswith("test") and offsets[index + 1] - offsets[index] < 10 * RATE_HZ:
            sets.setdefault((row["split"], row["language"]), []).append((row["text"], audio[offsets[index] : offsets[index + 1]]))
    rng = np.random.default_rng(0)
    for (split, language), items in sorted(sets.items()):
        if args.sets and split not in args.sets.split(","):
            continue
        items = items[: args.clips]
        clips = [x if args.noise_db is None else add_noise(x, args.noise_db, rng) for _, x in items]
        texts, speed = transcribe(args, language, clips)
        report(args, split, language, [t for t, _ in items], texts, speed)


def non_speech(args: argparse.Namespace) -> None:
    """Sounds made with a seed that training did not use; hold music with another instrument sound would be harder."""
    line = Line([np.zeros(8000, np.float32)], np.random.default_rng(20_000))
    rng, length = line.rng, 8 * RATE_HZ
    kinds = {
        "digital silence": lambda: np.zeros(length),
        "quiet noise": lambda: line.noise(length, line.steady) * 10 ** (rng.uniform(-70, -50) / 20),
        "loud noise": lambda: line.noise(length, line.steady) * 10 ** (rng.uniform(-40, -25) / 20),
        "music": lambda: line.music(length),
        "tones and keys": lambda: line.signal_tone(length),
    }
    for name, make in kinds.items():
        clips = [np.asarray(make()) * 32767 for _ in range(min(30, args.clips))]
        texts = [t for language in ("en", "zh") for t in transcribe(args, language, clips)[0]]
        words = sum(len(units(t, "en" if t.isascii() else "zh")) for t in texts)
        record(args, f"invented_words_{name.replace(' ', '_')}", words * 600 / (len(texts) * 8), "words per 10 min", f"{len(texts) * 8} s in 8 s pieces")
        print(f"{name:<20} {words * 600 / (len(texts) * 8):7.1f} invented words per 10 minutes of {len(texts) * 8} s; e.g. {[t for t in texts if t][:2]}", flush=True)


def sample_calls(args: argparse.Namespace) -> None:
    """The sample calls: the turn's channel between its reference times."""
    for path in sorted(args.calls.glob("*.json")):
        call = json.loads(path.read_text("utf-8"))
        audio, rate_hz = soundfile.read(path.with_suffix(".opus"), dtype="int16")
        references, clips = [], []
        for turn in call["turns"]:
            start, end = (int(turn[k] * rate_hz / 1000) for k in ("start_ms", "end_ms"))
            channel = audio[start:end, turn["channel"]].astype(np.float64)
            clips.append(resample_poly(channel, RATE_HZ, rate_hz))
            item = sentence(turn["text"], call["language"], "", random.Random(0))
            references.append(item.text if item else turn["text"])
        texts, speed = transcribe(args, call["language"], clips)
        report(args, "call-" + path.stem, call["language"], references, texts, speed)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--transcribe", type=Path, required=True, help="the program built from transcribe.cpp")
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--data", type=Path, help="corpus prefix with test clips")
    parser.add_argument("--calls", type=Path, help="folder of rendered sample calls")
    parser.add_argument("--non-speech", action="store_true")
    parser.add_argument("--clips", type=int, default=100)
    parser.add_argument("--noise-db", type=float)
    parser.add_argument("--sets", default="", help="only these sets, comma separated")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--show", type=int, default=0)
    parser.add_argument("--record", type=Path, help="append every figure to this JSON-lines file")
    args = parser.parse_args()
    args.transcribe = args.transcribe.resolve()
    if args.data:
        corpus_sets(args)
    if args.calls:
        sample_calls(args)
    if args.non_speech:
        non_speech(args)


if __name__ == "__main__":
    main()
