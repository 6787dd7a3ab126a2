"""From clips to training batches: telephone-line augmentation, non-speech clips, length buckets."""

import json
import random
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from model import FRAME_SAMPLES, Mel
from vocab import EMPTY, END, LANGUAGE_ID, NO_SPEECH, NO_TIMESTAMPS, START, TRANSCRIBE, CtcUnits, Tokeniser

RATE_HZ = 8000
BUCKET_SAMPLES = 5120  # 0.64 s = 32 encoder positions: few tensor shapes, or oneDNN keeps building kernels
MAX_SAMPLES = int(10.5 * RATE_HZ)
SPEECH_RMS = 2600.0
IGNORE = -1


@dataclass
class Clip:
    """A clip of the corpus with its targets. `samples` is int16 at 8 kHz, `tokens` Whisper ids, `ctc` CTC unit ids."""

    samples: np.ndarray
    text: str
    language: str
    speaker: str
    kind: str
    split: str
    source: str
    tokens: list[int]
    ctc: list[int]


@dataclass
class Batch:
    """`mel` [B, mels, frames]; `positions` encoder positions in use; `inputs`/`targets` decoder rows [B, T]
    (`IGNORE` = no loss); `ctc` and `ctc_lengths` flat CTC targets; `seconds` of speech in it."""

    mel: Tensor
    positions: Tensor
    inputs: Tensor
    targets: Tensor
    ctc: Tensor
    ctc_lengths: Tensor
    seconds: float


def load_corpus(prefix: Path, tokeniser: Tokeniser, ctc: CtcUnits) -> list[Clip]:
    """Reads PREFIX.npz and PREFIX.jsonl; clips longer than 10.5 s are left out."""
    data = np.load(prefix.with_suffix(".npz"))
    audio, offsets = data["audio"], data["offsets"]
    clips = []
    for index, line in enumerate(prefix.with_suffix(".jsonl").read_text("utf-8").splitlines()):
        row = json.loads(line)
        samples = audio[offsets[index] : offsets[index + 1]]
        if len(samples) <= MAX_SAMPLES and row["text"]:
            tokens, targets = tokeniser.encode(row["text"], row["language"]), ctc.encode(row["text"], row["language"])
            clips.append(Clip(samples, row["text"], row["language"], row["speaker"], row["kind"], row["split"], row["source"], tokens, targets))
    return clips


def mu_law_table() -> np.ndarray:
    """16-bit sample + 32768 -> the sample after 8-bit mu-law coding (255)."""
    linear = np.arange(-32768, 32768) / 32768
    coded = np.round(np.sign(linear) * np.log1p(255 * np.abs(linear)) / np.log(256) * 127) / 127
    return (np.sign(coded) * (256 ** np.abs(coded) - 1) / 255 * 32767).astype(np.float32)


class Line:
    """The telephone line: noise, babble, echo, gain, clipping, coding; and clips in which nobody speaks."""

    def __init__(self, speech: list[np.ndarray], rng: np.random.Generator) -> None:
        self.rng = rng
        self.mu_law = mu_law_table()
        length = RATE_HZ * 90
        white = rng.standard_normal(length).astype(np.float32)
        spectrum, bins = np.fft.rfft(white), np.arange(length // 2 + 1) + 20.0
        pink, brown = np.fft.irfft(spectrum / np.sqrt(bins)), np.fft.irfft(spectrum / bins)
        time = np.arange(length) / RATE_HZ
        hum = sum(np.sin(2 * np.pi * 50 * k * time + k) / k for k in (1, 2, 3, 5)) + 0.3 * pink / np.abs(pink).max()
        self.steady = [self._unit(x) for x in (white, pink, brown, hum)]
        self.bank = self.steady + [self._unit(self._babble(speech, n, length)) for n in (3, 6)]

    @staticmethod
    def _unit(samples: np.ndarray) -> np.ndarray:
        return (samples / (np.sqrt((samples**2).mean()) + 1e-9)).astype(np.float32)

    def _babble(self, speech: list[np.ndarray], talkers: int, length: int) -> np.ndarray:
        out = np.zeros(length, np.float32)
        for _ in range(talkers):
            position = 0
            while position < length:
                samples = speech[self.rng.integers(len(speech))]
                end = min(length, position + len(samples))
                out[position:end] += samples[: end - position]
                position = end
        return out

    def noise(self, length: int, bank: list[np.ndarray] | None = None) -> np.ndarray:
        """Unit-level noise of a random kind."""
        samples = (bank or self.bank)[self.rng.integers(len(bank or self.bank))]
        start = self.rng.integers(len(samples) - length)
        return samples[start : start + length]

    def transmit(self, samples: np.ndarray, noise_share: float, lowest_snr_db: float) -> np.ndarray:
        """A clip with random silence around it, sent over a random line; int16 in, float -1..1 out."""
        rng = self.rng
        lead, trail = int(rng.uniform(0.02, 0.4) * RATE_HZ), int(rng.uniform(0.05, 0.6) * RATE_HZ)
        out = np.zeros(lead + len(samples) + trail, np.float32)
        out[lead : lead + len(samples)] = samples
        if rng.random() < 0.2:  # a short echo: room or sidetone
            delay = int(rng.integers(40, 900))
            out[delay:] += out[:-delay] * rng.uniform(0.05, 0.3)
        if rng.random() < 0.3:  # a tilt of the spectrum: handset
            out[1:] -= rng.uniform(-0.45, 0.6) * out[:-1].copy()
        gain = 10 ** (rng.uniform(-16, 5) / 20)
        out *= gain
        if rng.random() < noise_share:
            out += self.noise(len(out)) * (SPEECH_RMS * gain * 10 ** (-rng.uniform(lowest_snr_db, 35) / 20))
        out = np.clip(out, -32000, 32000)
        if rng.random() < 0.5:
            out = self.mu_law[out.astype(np.int32) + 32768]
        return out / 32768

    def no_speech(self) -> np.ndarray:
        """0.5-6 s of digital silence, noise, a click, music, a ringing tone or keys; float -1..1."""
        rng = self.rng
        length = int(rng.uniform(0.5, 6) * RATE_HZ)
        kind = rng.random()
        if kind < 0.12:
            return np.zeros(length, np.float32)
        if kind < 0.34:
            return self.music(length)
        if kind < 0.5:
            return self.signal_tone(length)
        out = self.noise(length, self.steady) * 10 ** (rng.uniform(-75, -22) / 20)
        if kind > 0.85:
            start = int(rng.integers(0, length - 900))
            out = out.copy()
            out[start : start + 800] += (rng.standard_normal(800) * 0.05 * np.hanning(800)).astype(np.float32)
        return out.astype(np.float32)

    def music(self, length: int) -> np.ndarray:
        """Chords with decaying notes and sometimes a beat: hold music."""
        rng, out = self.rng, np.zeros(length, np.float32)
        beat = int(rng.uniform(0.15, 0.6) * RATE_HZ)
        scale = 220 * 2 ** (np.array([0, 2, 4, 5, 7, 9, 11, 12, 14, 16]) / 12) * rng.uniform(0.7, 1.6)
        for start in range(0, length, beat):
            span = min(length - start, beat * 2)
            t = np.arange(span) / RATE_HZ
            for _ in range(int(rng.integers(1, 4))):
                pitch, decay = rng.choice(scale), np.exp(-t * rng.uniform(0.5, 6))
                out[start : start + span] += sum(np.sin(2 * np.pi * pitch * k * t) / k**1.5 for k in range(1, 5)) * decay
            if rng.random() < 0.4:
                click = min(span, 500)
                out[start : start + click] += rng.standard_normal(click) * np.exp(-np.arange(click) / 120)
        return self._unit(out) * np.float32(10 ** (rng.uniform(-45, -14) / 20))

    def signal_tone(self, length: int) -> np.ndarray:
        """Ringing or busy tone (350-480 Hz, with cadence) or DTMF keys."""
        rng, t = self.rng, np.arange(length) / RATE_HZ
        if rng.random() < 0.5:
            first, second = rng.choice([350, 425, 440, 450]), rng.choice([0, 440, 480])
            on, off = rng.choice([0.35, 0.5, 1, 2]), rng.choice([0.35, 0.5, 2, 4])
            tone = (np.sin(2 * np.pi * first * t) + (np.sin(2 * np.pi * second * t) if second else 0)) * ((t + rng.uniform(0, 3)) % (on + off) < on)
        else:
            tone = np.zeros(length)
            for start in range(int(rng.integers(0, 2000)), length - 2000, int(rng.integers(1200, 4000))):
                low, high = rng.choice([697, 770, 852, 941]), rng.choice([1209, 1336, 1477])
                keys = t[: int(rng.integers(600, 1600))]
                tone[start : start + len(keys)] = np.sin(2 * np.pi * low * keys) + np.sin(2 * np.pi * high * keys)
        return (tone * 10 ** (rng.uniform(-40, -12) / 20) + self.noise(length, self.steady) * 10 ** (rng.uniform(-75, -45) / 20)).astype(np.float32)


class Batcher:
    """Makes batches of one length bucket each; about one batch in two holds a clip without speech."""

    def __init__(self, mel: Mel, rows: dict[int, int], line: Line, seconds: float, positions: int, noise_share: float, lowest_snr_db: float) -> None:
        self.mel, self.rows, self.line, self.seconds, self.positions = mel, rows, line, seconds, positions
        self.noise_share, self.lowest_snr_db = noise_share, lowest_snr_db

    def collate(self, clips: list[Clip | None], bucket_samples: int) -> Batch:
        """`None` stands for a clip without speech."""
        limit = min(bucket_samples, self.positions * FRAME_SAMPLES)
        waves, inputs, targets, ctc = np.zeros((len(clips), limit), np.float32), [], [], []
        positions = []
        for index, clip in enumerate(clips):
            wave = self.line.no_speech() if clip is None else self.line.transmit(clip.samples, self.noise_share, self.lowest_snr_db)
            waves[index, : min(limit, len(wave))] = wave[:limit]
            positions.append(min(limit // FRAME_SAMPLES, len(wave) // FRAME_SAMPLES + 1))
            if clip is None:
                prompt = [START, LANGUAGE_ID[random.choice(["en", "zh"])], TRANSCRIBE, NO_TIMESTAMPS]
                as_mark = random.random() < 0.7  # the no-speech mark, or the empty string and the end
                inputs.append(prompt if as_mark else [*prompt, EMPTY])
                targets.append([IGNORE] * 3 + ([NO_SPEECH] if as_mark else [EMPTY, END]))
                ctc.append([])
            else:
                language = LANGUAGE_ID[clip.language]
                inputs.append([START, language, TRANSCRIBE, NO_TIMESTAMPS, *clip.tokens])
                targets.append([language, IGNORE, IGNORE, *clip.tokens, END])
                ctc.append(clip.ctc)
        width = -(-max(map(len, inputs)) // 8) * 8
        input_rows = torch.full((len(clips), width), self.rows[END])
        target_rows = torch.full((len(clips), width), IGNORE)
        for index, (given, wanted) in enumerate(zip(inputs, targets)):
            input_rows[index, : len(given)] = torch.tensor([self.rows[i] for i in given])
            target_rows[index, : len(wanted)] = torch.tensor([i if i == IGNORE else self.rows[i] for i in wanted])
        seconds = sum(len(c.samples) for c in clips if c is not None) / RATE_HZ
        flat = torch.tensor([u for units in ctc for u in units])
        return Batch(self.mel(torch.from_numpy(waves)), torch.tensor(positions), input_rows, target_rows, flat, torch.tensor([len(u) for u in ctc]), seconds)

    def batches(self, clips: list[Clip], skip_read: float) -> Iterator[Batch]:
        """Endless batches. `skip_read`: share of read (non-service) sentences left out, for the last stage."""
        waiting: dict[int, list[Clip]] = {}
        while True:
            for clip in random.sample(clips, len(clips)):
                if clip.source == "read" and random.random() < skip_read:
                    continue
                bucket = -(-(len(clip.samples) + 4800) // BUCKET_SAMPLES)
                if random.random() < 0.2:
                    bucket += random.randint(1, 3)
                bucket = min(bucket, self.positions * FRAME_SAMPLES // BUCKET_SAMPLES)
                group = waiting.setdefault(bucket, [])
                group.append(clip)
                wanted = max(2, int(self.seconds * RATE_HZ / (bucket * BUCKET_SAMPLES)))
                extra = len(group) > 3
                if len(group) + extra >= wanted:
                    last = [None if random.random() < 0.6 else random.choice(group)] if extra else []
                    waiting[bucket] = []
                    yield self.collate([*group, *last], bucket * BUCKET_SAMPLES)
