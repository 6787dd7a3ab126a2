"""Makes the corpus: 8 kHz int16 clips in PREFIX.npz (`audio`, `offsets`) and one JSON line per clip in PREFIX.jsonl.

Flow: sentences -> jobs (sentence + voice + split) -> worker processes -> one concatenated array.
Usage: synth.py --real DIR --texts texts --dialogues DIR --service-en DIR --service-zh DIR --part train --out PREFIX
DIR of --real holds the unpacked public speech sets, one folder each.
"""

import argparse
import json
import random
import re
import subprocess
import time
from collections import defaultdict
from dataclasses import dataclass, field, replace
from multiprocessing import Pool
from pathlib import Path

import numpy as np
import soundfile
from pypinyin import Style, lazy_pinyin

import voices as V
from sentences import Sentence, TextSource, load_dialogues, sentence, split_long, verbalise_en

FSDD_HELD_OUT = "theo"
MAX_SAMPLES = int(10.5 * V.RATE_HZ)


@dataclass
class Job:
    """One clip to make. `kind`: engine or source of the samples; `paths`: recordings to join (real sets);
    `syllables`: pinyin of a concatenated clip; `batch`: the sentences of one Festival process."""

    kind: str
    split: str
    sentence: Sentence
    speaker: str
    voice: V.Voice | None = None
    paths: list[str] = field(default_factory=list)
    syllables: list[str] = field(default_factory=list)
    batch: list[Sentence] = field(default_factory=list)
    seed: int = 0


SYLLABLES: dict[str, np.ndarray] = {}


def read_audio(path: str) -> np.ndarray:
    samples, rate_hz = soundfile.read(path, dtype="int16")
    samples = samples[:, 0] if samples.ndim > 1 else samples
    return samples.astype(np.float32) if rate_hz == V.RATE_HZ else V.to_8k(samples, rate_hz)


def load_syllable(path: str) -> np.ndarray:
    """One recorded syllable, silent ends cut, level set; empty where it is too short to use."""
    samples = read_audio(path)
    loud = np.where(np.abs(samples) > 0.04 * (np.abs(samples).max() + 1))[0]
    if len(samples) < 800 or not len(loud):
        return np.zeros(0, np.float32)
    samples = samples[loud[0] : loud[-1]]
    return samples / (np.sqrt((samples**2).mean()) + 1) * V.SPEECH_RMS


def concatenate(syllables: list[str], rng: random.Random) -> np.ndarray:
    """Joins recorded syllables, shortened and overlapped by 25 ms."""
    overlap, parts = 200, []
    for name in syllables:
        samples = SYLLABLES[name]
        samples = samples[: int(len(samples) * rng.uniform(0.62, 0.8))].copy()
        fade = min(160, len(samples) // 4)
        samples[-fade:] *= np.linspace(1, 0, fade)
        samples[:40] *= np.linspace(0, 1, 40)
        parts.append(samples * rng.uniform(0.8, 1.1))
    out, position = np.zeros(sum(map(len, parts)) + 2000, np.float32), 0
    for samples in parts:
        out[position : position + len(samples)] += samples
        position += max(0, len(samples) - overlap)
    return V.to_8k(out[: position + overlap], V.RATE_HZ, rng.uniform(0.8, 1.2))


def join_digits(paths: list[str], rng: random.Random) -> np.ndarray:
    """Recorded single digits with pauses of 0 to 180 ms."""
    parts = []
    for path in paths:
        samples = read_audio(path)
        parts += [samples / (np.abs(samples).max() + 1) * 9000, np.zeros(int(rng.uniform(0, 0.18) * V.RATE_HZ), np.float32)]
    return V.to_8k(np.concatenate(parts), V.RATE_HZ, rng.uniform(0.9, 1.1))


def render(job: Job) -> list[tuple[Job, np.ndarray]]:
    """Worker: the clips of a job. A clip that an engine fails on or that is too short or long is left out."""
    rng = random.Random(job.seed)
    if job.batch:
        sounds = V.festival_batch([s.say for s in job.batch], job.voice)
        items = [(Job(job.kind, job.split, s, job.speaker), x) for s, x in zip(job.batch, sounds)]
    elif job.kind == "concat":
        items = [(job, concatenate(job.syllables, rng))]
    elif job.kind == "digits":
        items = [(job, join_digits(job.paths, rng))]
    elif job.kind == "real":
        items = [(job, V.to_8k(read_audio(job.paths[0]), V.RATE_HZ, rng.choice([1, 1, 0.92, 1.08])))]
    else:
        try:
            items = [(job, V.speak(job.sentence.say, job.voice))]
        except (subprocess.CalledProcessError, ValueError):
            return []
    if job.voice and job.voice.reshaped:
        items = [(j, V.another_person(x, rng)) for j, x in items]
    return [(j, V.line_shape(x, rng)) for j, x in items if 1200 < len(x) < MAX_SAMPLES]


def misread_characters(characters: list[str]) -> set[str]:
    """Hanzi that eSpeak's pinyin voice reads as English letters."""
    bad = set()
    for character in characters:
        out = subprocess.run(["espeak-ng", "-v", "cmn-latn-pinyin", "-x", "-q", character], capture_output=True, text=True, check=False).stdout
        if "(en)" in out or not out.strip():
            bad.add(character)
    return bad


class Planner:
    """Collects the jobs of the corpus. `scale` multiplies every count."""

    def __init__(self, source: TextSource, scale: float, seed: int) -> None:
        self.source, self.scale, self.rng, self.jobs = source, scale, random.Random(seed), []

    def count(self, number: float) -> range:
        return range(max(1, int(number * self.scale)))

    def espeak(self, number: float, language: str, split: str, text_split: str, variants: list[str] | None = None) -> None:
        for _ in self.count(number):
            voice = V.training_voice(language, self.rng)
            if variants:
                voice = V.espeak_voice(f"{self.rng.choice(V.ESPEAK_ACCENTS[language])}+{self.rng.choice(variants)}", self.rng)
            self.jobs.append(Job("espeak", split, self.source.draw(language, text_split), voice.name, voice))

    def service_test(self, number: int, language: str) -> None:
        """Sentences of the service data's test situations: text that no template and no training situation holds."""
        if not self.source.service.get(language, {}).get("test"):
            return
        for _ in self.count(number):
            item = self.source.draw_service(language, "test")
            if item is not None and len(item.text) > 6:
                voice = V.training_voice(language, self.rng)
                self.jobs.append(Job("espeak", "test-service-text", item, voice.name, voice))

    def flite(self, number: int, name: str, split: str, text_split: str, raised_share: float = 0) -> None:
        for _ in self.count(number):
            voice = (V.raised_flite_voice if self.rng.random() < raised_share else V.flite_voice)(name, self.rng)
            self.jobs.append(Job("flite", split, self.source.draw("en", text_split), name, voice))

    def festival(self, number: int, name: str, split: str, text_split: str, highest_speed: float = 1.14) -> None:
        for start in range(0, number, 50):
            batch = [self.source.draw("en", text_split) for _ in range(min(50, number - start))]
            voice = V.Voice("festival", name, speed=self.rng.uniform(0.88, highest_speed))
            self.jobs.append(Job("festival", split, batch[0], name, voice, batch=batch))

    def dialogues(self, folder: Path, repeats: int) -> None:
        """The sample dialogues, whole turns and their single sentences, by many voices (English also by Flite)."""
        for dialogue in load_dialogues(folder):
            language = dialogue["language"]
            for turn in dialogue["turns"]:
                pieces = [turn["text"]] * 2 + split_long(turn["text"], language)
                for piece in [self.rng.choice(pieces) for _ in range(repeats)]:
                    item = sentence(piece, language, "dialogue", self.rng)
                    if item is None:
                        continue
                    if language == "en" and self.rng.random() < 0.45:
                        name = self.rng.choice(V.FLITE_VOICES)
                        self.jobs.append(Job("flite", "train", item, name, V.flite_voice(name, self.rng)))
                    else:
                        voice = V.training_voice(language, self.rng)
                        self.jobs.append(Job("espeak", "train", item, voice.name, voice))

    def real(self, folder: Path) -> None:
        """Public recordings: read sentences, digit strings joined from single digits, spelled names and numbers."""
        self._read_sentences(folder)
        self.digits(folder)

    def reshape(self) -> None:
        """Every synthesised voice planned so far is made another person's; its speaker is named so."""
        for job in self.jobs:
            if job.voice:
                job.voice, job.speaker = replace(job.voice, reshaped=True), job.speaker + "-reshaped"

    def digits(self, folder: Path) -> None:
        """Strings of one to seven digits joined from single digits of people; one speaker is kept for the test."""
        digits: dict[tuple[str, str], list[str]] = defaultdict(list)
        for row in manifest(folder / "fsdd"):
            digits[row["speaker"], row["text"]].append(str(folder / "fsdd" / row["audio"]))
        words = sorted({word for _, word in digits})
        for speaker in sorted({s for s, _ in digits}):
            held = speaker == FSDD_HELD_OUT
            for _ in range(60 if held else max(60, int(300 * self.scale))):
                spoken = [self.rng.choice(words) for _ in range(self.rng.randint(1, 7))]
                item = Sentence(" ".join(spoken), "", "en", "fsdd")
                paths = [self.rng.choice(digits[speaker, word]) for word in spoken]
                self.jobs.append(Job("digits", "test-fsdd" if held else "train", item, f"fsdd-{speaker}", paths=paths))

    def _read_sentences(self, folder: Path) -> None:
        ocean = manifest(folder / "speechocean762-train")
        held_speakers = set(sorted({row["speaker"] for row in ocean})[::12])
        for row in ocean:
            item = Sentence(row["text"].lower(), row["text"].lower(), "en", "read")
            split = "test-ocean" if row["speaker"] in held_speakers else "train"
            self._real(item, split, "ocean-" + row["speaker"], folder / "speechocean762-train" / row["audio"])
        aishell = manifest(folder / "aishell-sample")
        for index, row in enumerate(aishell):
            item = Sentence(row["text"].replace(" ", ""), row["text"].replace(" ", ""), "zh", "read")
            if re.fullmatch("[\u4e00-\u9fff]+", item.text):
                self._real(item, "test-aishell" if index % 16 == 7 else "train", row["speaker"], folder / "aishell-sample" / row["audio"])
        for row in manifest(folder / "alphanumeric"):
            if row["kind"] == "address":  # how a house number was said is not known
                continue
            digits = " ".join(re.findall(r"\d", row["prompt"])) if row["kind"] == "number" else row["prompt"]
            text = re.sub(r"[ ,]+", " ", verbalise_en(digits, random.Random(0))).replace(" oh ", " zero ")
            self._real(Sentence(text, text, "en", "read"), "train", row["speaker"], folder / "alphanumeric" / row["audio"])
        for language, rows in (("en", ocean), ("zh", aishell)):
            for _ in self.count(800):
                item = sentence(self.rng.choice(rows)["text"].replace(" ", "" if language == "zh" else " "), language, "read", self.rng)
                if item is not None:
                    voice = V.training_voice(language, self.rng)
                    self.jobs.append(Job("espeak", "train", item, voice.name, voice))

    def _real(self, item: Sentence, split: str, speaker: str, path: Path) -> None:
        self.jobs.append(Job("real", split, item, speaker, paths=[str(path)]))

    def concat(self, folder: Path, number: int, split: str, text_split: str) -> None:
        """Mandarin from the recorded syllables of one speaker."""
        if not SYLLABLES:
            for row in manifest(folder / "audio-cmn"):
                samples = load_syllable(str(folder / "audio-cmn" / row["audio"]))
                if len(samples):
                    SYLLABLES[row["text"]] = samples
        for _ in self.count(number):
            item = self.source.draw("zh", text_split)
            names = [s.replace("ü", "v") for s in lazy_pinyin(item.text, style=Style.TONE3, neutral_tone_with_five=True, tone_sandhi=True)]
            names = [s if s in SYLLABLES else s[:-1] + "1" if s[-1] == "5" else s for s in names]
            if all(s in SYLLABLES for s in names):
                self.jobs.append(Job("concat", split, item, "cmn-syllables", syllables=names))


def manifest(folder: Path) -> list[dict]:
    """Rows of a speech set's `manifest.jsonl`; a missing set is an error that names the folder."""
    path = folder / "manifest.jsonl"
    if not path.exists():
        raise FileNotFoundError(f"{path} is missing: unpack the set's archive into {folder}")
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


def plan(planner: Planner, part: str, real: Path, dialogues: Path) -> None:
    """`train`: the corpus (at scale 1 about 21 h) and validation; `extra`: more sentences for a later stage; `wide`: mostly
    service data, and more of the recorded English voices, half of them raised to a woman's; `reshaped`: those voices made
    other people's, and some plain ones; `test`: every test set."""
    if part == "reshaped":
        for name, number in zip(V.FLITE_VOICES, (2000, 2000, 900)):
            planner.flite(number, name, "train", "train")
        for name, number in zip(V.FESTIVAL_VOICES, (600, 1300)):
            planner.festival(int(number * planner.scale), name, "train", "train")
        planner.espeak(900, "en", "train", "train")
        planner.espeak(1500, "zh", "train", "train")
        planner.reshape()
        planner.espeak(1800, "en", "train", "train")
        planner.espeak(2500, "zh", "train", "train")
        planner.concat(real, 500, "train", "train")
        return
    if part == "wide":
        planner.espeak(4200, "en", "train", "train")
        planner.espeak(7500, "zh", "train", "train")
        for name, number in (("awb", 2600), ("rms", 2600), ("kal16", 900)):
            planner.flite(number, name, "train", "train", raised_share=0.5)
        for name, number in zip(V.FESTIVAL_VOICES, (400, 800)):
            planner.festival(int(number * planner.scale), name, "train", "train", highest_speed=1.3)
        planner.concat(real, 900, "train", "train")
        planner.dialogues(dialogues, 4)
        return
    if part == "test":
        for language in ("en", "zh"):
            planner.espeak(150, language, "test-seen-voice", "test")
            planner.espeak(100, language, "test-new-variant", "test", V.HELD_OUT_VARIANTS)
            planner.service_test(130, language)
        planner.flite(100, V.HELD_OUT_FLITE, "test-flite-slt", "test")
        planner.festival(60, V.HELD_OUT_FESTIVAL, "test-festival-hts", "test")
        planner.concat(real, 60, "test-concat", "test")
        planner.real(real)
        planner.jobs = [job for job in planner.jobs if job.split != "train"]
        return
    shares = {"train": (7600, 9800, 1000, 1100, 500), "extra": (3000, 3000, 500, 500, 0)}[part]
    planner.espeak(shares[0], "en", "train", "train")
    planner.espeak(shares[1], "zh", "train", "train")
    for name, number in zip(("awb", "rms", "kal16"), shares[2:]):
        if number:
            planner.flite(number, name, "train", "train")
    planner.dialogues(dialogues, 16 if part == "train" else 8)
    if part == "extra":
        planner.digits(real)
        planner.jobs = [job for job in planner.jobs if job.split == "train"]
        planner.concat(real, 700, "train", "train")
    if part == "train":
        planner.festival(int(500 * planner.scale), V.FESTIVAL_VOICES[0], "train", "train")
        planner.real(real)
        planner.jobs = [job for job in planner.jobs if job.split == "train"]
        planner.concat(real, 1400, "train", "train")
        for language in ("en", "zh"):
            planner.espeak(60 / planner.scale, language, "validation", "validation")


def run(jobs: list[Job], processes: int, seed: int) -> list[tuple[Job, np.ndarray]]:
    """Renders all jobs. Festival batches first: they take longest."""
    for index, job in enumerate(jobs):
        job.seed = seed * 1_000_003 + index
    random.Random(seed).shuffle(jobs)
    jobs.sort(key=lambda job: not job.batch)
    done, started = [], time.time()
    with Pool(processes) as pool:
        for index, clips in enumerate(pool.imap_unordered(render, jobs, 8)):
            done += clips
            if index % 4000 == 0:
                print(f"{index} of {len(jobs)} jobs, {time.time() - started:.0f} s", flush=True)
    return done


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("real", "texts", "dialogues", "service-en", "service-zh", "out"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    parser.add_argument("--scale", type=float, default=1.0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--part", choices=["train", "extra", "wide", "reshaped", "test"], required=True)
    args = parser.parse_args()
    shares = {"service_share": 0.8, "salad_share": 0.06} if args.part in ("wide", "reshaped") else {}
    source = TextSource(args.texts, {"en": args.service_en, "zh": args.service_zh}, args.seed, **shares)
    planner = Planner(source, args.scale, args.seed)
    plan(planner, args.part, args.real, args.dialogues)
    spoken_zh = {c for job in planner.jobs if job.kind == "espeak" and job.sentence.language == "zh" for c in job.sentence.say}
    bad = misread_characters(sorted(spoken_zh - {"，"}))
    jobs = [job for job in planner.jobs if job.kind != "espeak" or not bad & set(job.sentence.say)]
    print(f"{len(jobs)} jobs; {len(bad)} misread characters cost {len(planner.jobs) - len(jobs)} jobs", flush=True)
    started = time.time()
    clips = run(jobs, args.processes, args.seed)
    np.savez(args.out.with_suffix(".npz"), audio=np.concatenate([x for _, x in clips]), offsets=np.cumsum([0] + [len(x) for _, x in clips]))
    hours: dict[tuple[str, str, str], list[float]] = defaultdict(lambda: [0, 0.0])
    with args.out.with_suffix(".jsonl").open("w", encoding="utf-8") as file:
        for job, samples in clips:
            item = job.sentence
            row = {"text": item.text, "language": item.language, "speaker": job.speaker, "kind": job.kind, "split": job.split, "source": item.source}
            file.write(json.dumps(row, ensure_ascii=False) + "\n")
            total = hours[job.split, item.language, job.kind]
            total[0] += 1
            total[1] += len(samples) / V.RATE_HZ / 3600
    for key in sorted(hours):
        print(*key, f"{hours[key][0]} clips, {hours[key][1]:.2f} h")
    print(f"total {sum(h for _, h in hours.values()):.1f} h in {time.time() - started:.0f} s")


if __name__ == "__main__":
    main()
