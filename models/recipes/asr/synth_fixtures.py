"""Makes the short recordings in `tests/fixtures/audio`: two spoken sentences in several encodings, and sounds without speech.

Usage: synth_fixtures.py --out DIR   (needs espeak-ng, flite, sox and opusenc). `fixtures.json` says what each file holds.
"""

import argparse
import json
import random
import subprocess
import wave
from pathlib import Path

import numpy as np

import voices as V
from batches import Line

SENTENCES = {
    "en": ("can i have your account number and your name", V.Voice("flite", "rms")),
    "zh": ("请问有什么可以帮您", V.Voice("espeak", "cmn-latn-pinyin+m3", rate=150)),
}
SOUND_SECONDS = 3


def write_wav(path: Path, samples: np.ndarray) -> None:
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(V.RATE_HZ)
        file.writeframes(np.clip(samples, -32768, 32767).astype("<i2").tobytes())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    out = parser.parse_args().out
    out.mkdir(parents=True, exist_ok=True)
    facts = []

    def note(name: str, holds: str, samples: np.ndarray, **more: str) -> None:
        facts.append({"file": name, "holds": holds, "rate_hz": V.RATE_HZ, "channels": 1, "duration_ms": len(samples) * 1000 // V.RATE_HZ, **more})

    for language, (text, voice) in SENTENCES.items():
        speech = V.line_shape(V.speak(text, voice), random.Random(1), always=True)
        samples = np.concatenate([np.zeros(2400), speech, np.zeros(4000)])
        base = out / f"speech-{language}"
        write_wav(base.with_suffix(".wav"), samples)
        subprocess.run(["opusenc", "--quiet", "--bitrate", "16", "--discard-comments", "--serial", "1", str(base.with_suffix(".wav")), str(base.with_suffix(".opus"))], check=True)
        subprocess.run(["sox", str(base.with_suffix(".wav")), "-e", "mu-law", f"{base}-mulaw.wav"], check=True)
        subprocess.run(["sox", str(base.with_suffix(".wav")), "-e", "a-law", f"{base}-alaw.wav"], check=True)
        for name in (f"speech-{language}.wav", f"speech-{language}.opus", f"speech-{language}-mulaw.wav", f"speech-{language}-alaw.wav"):
            note(name, "speech", samples, text=text, language=language)
    line = Line([np.zeros(8000, np.float32)], np.random.default_rng(7))
    length = SOUND_SECONDS * V.RATE_HZ
    sounds = {"silence": np.zeros(length), "noise": line.noise(length, line.steady) * 0.01, "music": line.music(length), "tone": line.signal_tone(length)}
    for name, samples in sounds.items():
        write_wav(out / f"{name}.wav", samples * 32767)
        note(f"{name}.wav", name, samples)
    (out / "fixtures.json").write_text(json.dumps(facts, ensure_ascii=False, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main()
