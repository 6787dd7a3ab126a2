"""Synthesiser voices and the step from a sentence to 8 kHz samples.

Three engines: eSpeak NG (formants, many variants), Flite (recorded voices), Festival (diphones, HTS).
`speak` returns raw 8 kHz samples, `another_person` makes another speaker of them, `line_shape` puts them into a telephone
band at a set level.
Held-out voices are listed here and never drawn by `training_voice`.
"""

import os
import random
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyworld
from scipy.ndimage import gaussian_filter1d
from scipy.signal import butter, resample, sosfiltfilt

RATE_HZ = 8000
SPEECH_RMS = 2600.0
# eSpeak variants that sound distinct; whisper, Demonic, robosoft*, Tweaky, UniRobot, croak and Storm are left out.
ESPEAK_VARIANTS = (
    "Alex Alicia Andrea Andy Annie Denis Diogo Gene Henrique Hugo Jacky Lee Marco Mario Michael Mike Nguyen adam anika "
    "antonio aunty belinda benjamin boris caleb david ed edward f1 f2 f3 f4 f5 grandma grandpa gustave iven iven2 john "
    "kaukovalta klatt klatt2 linda m1 m2 m3 m4 m5 m6 m7 m8 max michel miguel norbert pablo paul pedro quincy rob robert "
    "sandro shelby steph steph2 travis victor zac"
).split()
HELD_OUT_VARIANTS = ["marcelo", "steph3", "iven3", "edward2"]
ESPEAK_ACCENTS = {
    "en": ["en-us"] * 3 + ["en-gb"] * 2 + ["en-gb-x-rp", "en-gb-scotland", "en-029", "en-gb-x-gbclan"],
    "zh": ["cmn-latn-pinyin"],  # plain `cmn` of 1.51 reads pinyin as English
}
FLITE_VOICES = ["awb", "rms", "kal16"]
HELD_OUT_FLITE = "slt"
FESTIVAL_VOICES = ["voice_kal_diphone", "voice_ked_diphone"]
HELD_OUT_FESTIVAL = "voice_cmu_us_slt_arctic_hts"


@dataclass(frozen=True)
class Voice:
    """`engine`: espeak, flite or festival; `name`: its voice; rate in words a minute (espeak), pitch 0-99 (espeak),
    `stretch`: duration factor (flite), `speed`: resampling factor applied afterwards (moves pitch and tempo),
    `reshaped`: the sound goes through `another_person`."""

    engine: str
    name: str
    rate: int = 160
    pitch: int = 50
    stretch: float = 1.0
    speed: float = 1.0
    reshaped: bool = False


def training_voice(language: str, rng: random.Random) -> Voice:
    """A random eSpeak voice of the training set with random rate, pitch and speed."""
    name = f"{rng.choice(ESPEAK_ACCENTS[language])}+{rng.choice(ESPEAK_VARIANTS)}"
    return espeak_voice(name, rng)


def espeak_voice(name: str, rng: random.Random) -> Voice:
    return Voice("espeak", name, rng.randint(125, 200), rng.randint(25, 75), 1.0, rng.uniform(0.9, 1.12))


def flite_voice(name: str, rng: random.Random) -> Voice:
    return Voice("flite", name, stretch=round(rng.uniform(0.85, 1.15), 2), speed=rng.uniform(0.88, 1.14))


def raised_flite_voice(name: str, rng: random.Random) -> Voice:
    """A man's recorded voice with pitch and resonances of a woman's (15 to 30 % higher) at its own tempo."""
    speed = rng.uniform(1.12, 1.32)
    return Voice("flite", name, stretch=round(speed * rng.uniform(0.85, 1.1), 2), speed=speed)


def parse_wav(data: bytes) -> tuple[np.ndarray, int]:
    """16-bit mono WAV bytes -> samples, rate. Tolerates the open-ended sizes that a pipe writer leaves."""
    start = data.find(b"data")
    if start < 0:
        raise ValueError(f"no data chunk in {len(data)} bytes of WAV")
    body = data[start + 8 :]
    return np.frombuffer(body[: len(body) // 2 * 2], np.int16), int.from_bytes(data[24:28], "little")


def to_8k(samples: np.ndarray, rate_hz: int, speed: float = 1.0) -> np.ndarray:
    """Resamples to 8 kHz; `speed` > 1 plays faster. Padded to a multiple of 256 so that the FFT factors well."""
    padded_length = -(-len(samples) // 256) * 256
    padded = np.zeros(padded_length, np.float32)
    padded[: len(samples)] = samples
    factor = RATE_HZ / rate_hz / speed
    return resample(padded, max(16, round(padded_length * factor)))[: round(len(samples) * factor)].astype(np.float32)


def speak(say: str, voice: Voice) -> np.ndarray:
    """One sentence as 8 kHz float samples (16-bit scale); raises where the engine gives no sound."""
    environment = dict(os.environ, OMP_NUM_THREADS="1")
    if voice.engine == "espeak":
        command = ["espeak-ng", "-v", voice.name, "-s", str(voice.rate), "-p", str(voice.pitch), "--stdout", say]
        output = subprocess.run(command, capture_output=True, env=environment, check=True).stdout
    elif voice.engine == "flite":
        with tempfile.NamedTemporaryFile(suffix=".wav") as file:
            command = ["flite", "-voice", voice.name, "--setf", f"duration_stretch={voice.stretch}", "-t", say, "-o", file.name]
            subprocess.run(command, capture_output=True, env=environment, check=True)
            output = Path(file.name).read_bytes()
    else:
        return festival_batch([say], voice)[0]
    samples, rate_hz = parse_wav(output)
    return to_8k(samples, rate_hz, voice.speed)


def festival_batch(says: list[str], voice: Voice) -> list[np.ndarray]:
    """Many sentences in one Festival process (its start takes longer than a sentence). A sentence it fails on is empty."""
    with tempfile.TemporaryDirectory() as folder:
        lines = [f"({voice.name})"]
        lines += [f'(utt.save.wave (utt.synth (Utterance Text "{say}")) "{folder}/{i}.wav")' for i, say in enumerate(says)]
        script = Path(folder, "batch.scm")
        script.write_text("\n".join(lines))
        subprocess.run(["festival", "-b", str(script)], capture_output=True, check=False)
        out = []
        for i in range(len(says)):
            path = Path(folder, f"{i}.wav")
            out.append(to_8k(*parse_wav(path.read_bytes()), voice.speed) if path.exists() else np.zeros(0, np.float32))
        return out


def another_person(samples: np.ndarray, rng: random.Random) -> np.ndarray:
    """8 kHz speech taken apart by the WORLD vocoder (Morise et al. 2016) into pitch, spectral envelope and breath, and put
    together as somebody else: pitch 80 to 250 Hz and its liveliness, formants 0.87 to 1.28 times as high, tempo, and often the
    blurred envelope and buzz of a statistical synthesiser. Sound without pitch, and clips too short to analyse, stay as they are."""
    sound = samples.astype(np.float64)
    period_ms = 8.0
    if len(sound) < RATE_HZ // 4:
        return samples
    pitch, times = pyworld.dio(sound, RATE_HZ, f0_floor=60, f0_ceil=420, frame_period=period_ms)
    pitch = pyworld.stonemask(sound, pitch, times, RATE_HZ)
    voiced = pitch > 0
    if voiced.mean() < 0.15:
        return samples
    envelope = pyworld.cheaptrick(sound, pitch, times, RATE_HZ)
    bins = np.arange(envelope.shape[1])
    mean_hz = np.exp(np.log(pitch[voiced]).mean())
    wanted_hz = np.exp(rng.uniform(np.log(80), np.log(250)))
    pitch[voiced] = wanted_hz * (pitch[voiced] / mean_hz) ** rng.uniform(0.4, 1.5)
    if rng.random() < 0.4:
        breath = pyworld.d4c(sound, np.where(voiced, mean_hz, 0), times, RATE_HZ)
    else:  # noise grows with frequency, as statistical synthesisers model it
        knee, slope = rng.uniform(1500, 4500), rng.uniform(300, 900)
        rising = np.clip(1 / (1 + np.exp(-(bins * RATE_HZ / 2 / bins[-1] - knee) / slope)), 0.001, 0.95)
        breath = np.where(voiced[:, None], rising[None, :], 0.999)
    log_envelope = np.log(envelope + 1e-9)
    formants = float(np.clip((wanted_hz / mean_hz) ** 0.25 * rng.uniform(0.93, 1.08), 0.87, 1.28))
    source = np.clip(bins / formants, 0, bins[-1])
    low = np.floor(source).astype(int)
    high, share = np.minimum(low + 1, bins[-1]), source - low
    log_envelope = log_envelope[:, low] * (1 - share) + log_envelope[:, high] * share
    if rng.random() < 0.6:  # few cepstral coefficients: an envelope without fine structure
        cepstrum = np.fft.irfft(log_envelope, axis=1)
        kept = rng.randint(16, 32)
        cepstrum[:, kept:-kept] = 0
        log_envelope = np.fft.rfft(cepstrum, axis=1).real
    if rng.random() < 0.6:  # averaged movement
        log_envelope = gaussian_filter1d(log_envelope, rng.uniform(0.5, 3.0), axis=0)
    tempo = rng.uniform(0.85, 1.2)
    frames = np.clip((np.arange(int(len(pitch) / tempo)) * tempo).round().astype(int), 0, len(pitch) - 1)
    shaped = [np.ascontiguousarray(x[frames], np.float64) for x in (pitch, np.exp(log_envelope), np.clip(breath, 0.001, 0.999))]
    return pyworld.synthesize(*shaped, RATE_HZ, period_ms).astype(np.float32)


def line_shape(samples: np.ndarray, rng: random.Random, always: bool = False) -> np.ndarray:
    """Telephone band (random edges; `always`: 300-3400 Hz exactly), silent ends cut, level set -> int16."""
    samples = samples - samples.mean()
    if always or rng.random() < 0.85:
        edges = [300, 3400] if always else [rng.uniform(80, 350), rng.uniform(3100, 3850)]
        samples = sosfiltfilt(butter(2, edges, "bandpass", fs=RATE_HZ, output="sos"), samples)
    loud = np.where(np.abs(samples) > np.abs(samples).max() * 0.01)[0]
    if len(loud):
        samples = samples[max(0, loud[0] - 400) : loud[-1] + 800]
    samples = samples * (SPEECH_RMS / (np.sqrt((samples**2).mean()) + 1e-6))
    peak = np.abs(samples).max()
    return (samples * min(1.0, 32000 / (peak + 1e-6))).astype(np.int16)
