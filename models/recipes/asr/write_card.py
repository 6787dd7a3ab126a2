"""Writes `card.toml` beside the packed model: files with checksums, licences, limits, and the figures that `evaluate.py --record` left.

Usage: write_card.py --model model.ggml --packed ../../zhiyin-asr-small/model.ggml.zst --figures figures.jsonl --training "…"
"""

import argparse
import hashlib
import json
from pathlib import Path

INTENDED_USE = (
    "Offline demo, tests and the floor of comparisons: service calls in Mandarin and English at telephone bandwidth, "
    "in segments of at most 10 s. Replace it by a larger model for real callers."
)
LIMITS = [
    "Does not understand open real speech in either language (see the figures for AISHELL and speechocean762): it learned almost only from synthetic voices. Of people it knows English digits said one by one.",
    "An unknown synthesiser or voice costs seven to ten times the errors of a known one (see the figures for Flite slt and Festival HTS).",
    "whisper.cpp must run it without flash attention, as Zhiyin does: on a processor that pads the keys of a cut audio context with zeros, and errors triple.",
    "The sentences of the six sample calls are part of its training text, by many voices: the figures of the sample calls are no measure of anything else.",
    "Times are per segment, from the voice activity detector; the model is trained without timestamp tokens.",
    "Numbers come out as words and nothing is punctuated; digits and marks are put in afterwards.",
    "Audio beyond 12 s in one segment is dropped by whisper.cpp without a word.",
]
DATA_LICENCES = [
    "service-zh, service-en, templates, sample dialogues: the project's own, Apache-2.0",
    "speechocean762 (training part): free for commercial use, per its README",
    "alphanumeric-audio-dataset: MIT",
    "free-spoken-digit-dataset: CC BY-SA 4.0",
    "AISHELL-1 (sample): Apache-2.0",
    "audio-cmn syllables: CC BY-SA 3.0",
    "vocabulary and mel filters of openai-whisper: MIT",
]


def checksum(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def text_list(values: list[str]) -> str:
    return "[\n" + "".join(f"  {json.dumps(v, ensure_ascii=False)},\n" for v in values) + "]"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("model", "packed", "figures"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    parser.add_argument("--version", default="1")
    parser.add_argument("--training", required=True, help="how this file was trained: steps, minutes, start")
    args = parser.parse_args()
    name = args.packed.name.removesuffix(".zst")
    lines = [
        'id = "zhiyin-asr-small"',
        'kind = "asr"',
        f"version = {json.dumps(args.version)}",
        'source = "built-in"',
        'licence = "Apache-2.0"',
        f"data_licences = {text_list(DATA_LICENCES)}",
        'languages = ["zh-CN", "en-US"]',
        "sample_rate_hz = 16000",
        f"intended_use = {json.dumps(INTENDED_USE)}",
        f"limits = {text_list([*LIMITS, 'Training: ' + args.training])}",
        "",
        "[[files]]",
        f'name = "{name}"',
        f'sha256 = "{checksum(args.model)}"',
        f"bytes = {args.model.stat().st_size}",
        f'packed = {{ name = "{args.packed.name}", sha256 = "{checksum(args.packed)}", bytes = {args.packed.stat().st_size}, codec = "zstd" }}',
    ]
    for row in map(json.loads, args.figures.read_text("utf-8").splitlines()):
        option = "--non-speech --clips 12" if row["figure"].startswith("invented") else "--calls pipelines/samples/calls" if "_call_" in row["figure"] else "--data test --clips 150"
        option += " --noise-db 15" if row["figure"].endswith("_noise_15_db") else ""
        lines += ["", "[[measured]]", f'figure = "{row["figure"]}"', f"value = {row['value']}", f'unit = "{row["unit"]}"', f'on = "{row["on"]}"']
        lines.append(f'command = "models/recipes/asr/evaluate.py --transcribe transcribe --model {name} {option}"')
    args.packed.with_name("card.toml").write_text("\n".join(lines) + "\n", "utf-8")


if __name__ == "__main__":
    main()
