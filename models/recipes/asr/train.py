"""Trains the recogniser from scratch on a CPU (bf16 autocast) for a given number of minutes.

Loss: cross entropy of the decoder + a weight times CTC over the encoder. Learning rate: warm up, hold, then straight
down to zero. Noise: little at first, more later. Each of `--processes` workers is one thread with its own batches;
their gradients are averaged every step (one thread per worker loses far less on a busy machine than one worker
with many threads). Usage:
train.py --data PREFIX --tiktoken multilingual.tiktoken --mel mel_filters.npz --out CHECKPOINT --minutes 45
Set ONEDNN_PRIMITIVE_CACHE_CAPACITY=20000, or building kernels takes half of the time.
"""

import argparse
import copy
import os
import random
import time
from pathlib import Path

import numpy as np
import torch
import torch.distributed as dist
import torch.multiprocessing
import torch.nn.functional as F

from batches import Batch, Batcher, Clip, Line, load_corpus
from model import Config, FRAME_SAMPLES, Mel, Recogniser, edit_distance, units
from muon import Muon
from warm_start import go_on, warm_start
from vocab import (
    EMPTY, END, LANGUAGE_ID, NO_SPEECH, NO_TIMESTAMPS, PREVIOUS, START, TRANSCRIBE,
    CtcUnits, Tokeniser, load_mel_filters, load_vocabulary,
)

LABEL_SMOOTHING = 0.05
WARM_UP_STEPS = 150


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, nargs="+", help="prefixes of one or more corpora")
    for name in ("tiktoken", "mel", "out"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    parser.add_argument("--init", type=Path, help="start from a checkpoint (.pt) or an earlier unpacked model file of the recipe")
    parser.add_argument("--extra", type=Path, help="second corpus, read once at --extra-at of the time if it exists then")
    parser.add_argument("--extra-at", type=float, default=0.4)
    parser.add_argument("--noisy", action="store_true", help="much noise from the first step: for a stage that goes on from a trained model")
    parser.add_argument("--dialogue-weight", type=int, default=1, help="how often a clip of the sample dialogues counts")
    parser.add_argument("--minutes", type=float, default=45)
    parser.add_argument("--batch-seconds", type=float, default=36, help="audio in a batch of one process")
    parser.add_argument("--lr", type=float, default=1.6e-3)
    parser.add_argument("--hold", type=float, default=0.4, help="share of the time before the learning rate falls")
    parser.add_argument("--check-minutes", type=float, default=6)
    parser.add_argument("--check-clips", type=int, default=24)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--port", type=int, default=29511, help="for the workers' exchange on this machine")
    return parser.parse_args()


def build(train: list[Clip], tokeniser: Tokeniser, ctc: CtcUnits, mel: Mel) -> Recogniser:
    """A fresh model whose sub-vocabulary holds every token of the training text, common characters and the special ids."""
    tokens = sorted({t for clip in train for t in clip.tokens} | tokeniser.common_ids())
    special = [EMPTY, END, START, *LANGUAGE_ID.values(), TRANSCRIBE, PREVIOUS, NO_SPEECH, NO_TIMESTAMPS]
    return Recogniser(Config(mel.used_mels, tokens + special, ctc.units))


def losses(model: Recogniser, batch: Batch) -> tuple[torch.Tensor, torch.Tensor]:
    """(decoder cross entropy per token, CTC loss per unit)."""
    with torch.autocast("cpu", torch.bfloat16):
        memory = model.encoder(batch.mel)
        logits, frames = model.decoder(batch.inputs, memory), model.ctc(memory)
    attention = F.cross_entropy(logits.flatten(0, 1), batch.targets.flatten(), ignore_index=-1, label_smoothing=LABEL_SMOOTHING)
    log_probabilities = frames.float().log_softmax(-1).transpose(0, 1)
    ctc = F.ctc_loss(log_probabilities, batch.ctc, batch.positions, batch.ctc_lengths, zero_infinity=True, reduction="none")
    return attention, ctc.sum() / max(1, int(batch.ctc_lengths.sum()))


@torch.no_grad()
def greedy(model: Recogniser, mel: Mel, clips: list[Clip], tokeniser: Tokeniser, limit: int = 60) -> list[str]:
    """Most probable text of clean clips, one batch of similar length at a time."""
    sub = model.config.sub_vocabulary
    rows = {token: row for row, token in enumerate(sub)}
    texts: dict[int, str] = {}
    order = sorted(range(len(clips)), key=lambda i: len(clips[i].samples))
    model.eval()
    for start in range(0, len(order), 24):
        chosen = order[start : start + 24]
        length = -(-(max(len(clips[i].samples) for i in chosen) + 3200) // 5120) * 5120
        waves = np.zeros((len(chosen), length), np.float32)
        for row, index in enumerate(chosen):
            waves[row, 800 : 800 + len(clips[index].samples)] = clips[index].samples / 32768
        with torch.autocast("cpu", torch.bfloat16):
            memory = model.encoder(mel(torch.from_numpy(waves[:, : model.config.audio_context * FRAME_SAMPLES])))
            given = torch.tensor([[rows[i] for i in (START, LANGUAGE_ID[clips[c].language], TRANSCRIBE, NO_TIMESTAMPS)] for c in chosen])
            finished = torch.zeros(len(chosen), dtype=torch.bool)
            for _ in range(limit):
                logits = model.decoder(given, memory)[:, -1]
                logits[:, [-1, rows[NO_SPEECH]]] = -1e9
                best = logits.argmax(-1)
                best[finished] = rows[END]
                given = torch.cat([given, best[:, None]], 1)
                finished |= best == rows[END]
                if finished.all():
                    break
        for index, out in zip(chosen, given[:, 4:].tolist()):
            texts[index] = tokeniser.decode([sub[r] for r in out if sub[r] < EMPTY])
    model.train()
    return [texts[i] for i in range(len(clips))]


def check(model: Recogniser, mel: Mel, sets: dict[str, list[Clip]], tokeniser: Tokeniser) -> None:
    """Prints the error rate on the validation clips of each language."""
    for name, clips in sorted(sets.items()):
        texts = greedy(model, mel, clips, tokeniser)
        wrong = sum(edit_distance(units(c.text, c.language), units(t, c.language)) for c, t in zip(clips, texts))
        total = sum(len(units(c.text, c.language)) for c in clips)
        print(f"   {name}: {100 * wrong / total:.1f} % of {total} | {clips[0].text} -> {texts[0]}", flush=True)


def noise_settings(progress: float, noisy: bool) -> tuple[float, float]:
    """(share of clips with noise, lowest SNR in dB): light in the first quarter, then up to half the clips at 8 dB and more;
    `noisy`: seven of ten clips at 6 dB and more all the time, for a model that knows the language already."""
    if noisy:
        return 0.7, 6.0
    ramp = min(1.0, max(0.0, (progress - 0.25) / 0.4))
    return 0.3 + 0.25 * ramp, 20 - 12 * ramp


class Shared:
    """All gradients in one flat buffer, so that one exchange averages them; its tail carries the minutes gone and
    whether the extra corpus is there, so that all workers take the same decisions."""

    TAIL = 2

    def __init__(self, model: Recogniser, processes: int) -> None:
        parameters = list(model.parameters())
        self.processes = processes
        self.flat = torch.zeros(sum(p.numel() for p in parameters) + self.TAIL)
        offset = 0
        for parameter in parameters:
            parameter.grad = self.flat[offset : offset + parameter.numel()].view_as(parameter)
            offset += parameter.numel()

    def average(self, minutes: float, extra_ready: bool) -> tuple[float, bool]:
        self.flat[-2], self.flat[-1] = minutes, float(extra_ready)
        dist.all_reduce(self.flat)
        self.flat /= self.processes
        return float(self.flat[-2]), float(self.flat[-1]) == 1.0


class Average:
    """Moving average of the weights: what is saved. It gives early most of what a falling learning rate gives at the end."""

    DECAY = 0.995

    def __init__(self, model: Recogniser) -> None:
        self.model = copy.deepcopy(model)

    @torch.no_grad()
    def update(self, model: Recogniser, step: int) -> None:
        share = 1 - self.DECAY if step > 300 else 1.0
        torch._foreach_lerp_(list(self.model.parameters()), list(model.parameters()), share)


def main() -> None:
    args = parse_arguments()
    print(vars(args), flush=True)
    os.environ.update(MASTER_ADDR="127.0.0.1", MASTER_PORT=str(args.port), OMP_NUM_THREADS="1")
    torch.multiprocessing.spawn(work, (args,), nprocs=args.processes)


def work(rank: int, args: argparse.Namespace) -> None:
    """One worker: the same model on every rank, other batches."""
    torch.set_num_threads(1)
    dist.init_process_group("gloo", rank=rank, world_size=args.processes)
    torch.manual_seed(args.seed)
    random.seed(args.seed * 1000 + rank)
    rng = np.random.default_rng(args.seed * 1000 + rank)
    tokeniser, ctc, mel = Tokeniser(load_vocabulary(args.tiktoken)), CtcUnits(), Mel(load_mel_filters(args.mel))
    clips = [clip for prefix in args.data for clip in load_corpus(prefix, tokeniser, ctc)]
    train = [c for c in clips if c.split == "train"]
    validation = {lang: [c for c in clips if c.split == "validation" and c.language == lang][: args.check_clips] for lang in LANGUAGE_ID}
    model = build(train, tokeniser, ctc, mel)
    fresh: list[str] = []
    if args.init and args.init.suffix == ".pt":
        fresh = go_on(model, args.init)
    elif args.init:
        fresh = warm_start(model, args.init)
    ctc.frozen = True
    rows = {token: row for row, token in enumerate(model.config.sub_vocabulary)}
    line = Line([c.samples for c in random.sample(train, 400)], rng)
    batcher = Batcher(mel, rows, line, args.batch_seconds, model.config.audio_context, *noise_settings(0, args.noisy))
    if rank == 0:
        sizes = {name: sum(p.numel() for p in part.parameters()) / 1e6 for name, part in (("encoder", model.encoder), ("decoder", model.decoder))}
        print(f"train {len(train)} clips, {sum(len(c.samples) for c in train) / 8000 / 3600:.1f} h; rows {len(rows)}; ctc {len(ctc.units)}; M parameters {sizes}; fresh after warm start {len(fresh)}", flush=True)

    matrices = [p for name, p in model.named_parameters() if p.ndim == 2 and "blocks" in name]
    others = [p for name, p in model.named_parameters() if not (p.ndim == 2 and "blocks" in name)]
    shared, average = Shared(model, args.processes), Average(model)
    muon, adam = Muon(matrices, rank, args.processes), torch.optim.AdamW(others, lr=args.lr, betas=(0.9, 0.98), weight_decay=0, fused=True)
    source = batcher.batches(train, 0.0)
    started, minutes, step, seconds, next_check, pending = time.time(), 0.0, 0, 0.0, args.check_minutes, args.extra
    sums = [0.0, 0.0]
    while (progress := minutes / args.minutes) < 1:
        batcher.noise_share, batcher.lowest_snr_db = noise_settings(progress, args.noisy)
        batch = next(source)
        attention, ctc_loss = losses(model, batch)
        (attention + (0.5 if progress < 0.5 else 0.3) * ctc_loss).backward()
        ready = pending is not None and pending.with_suffix(".jsonl").exists()
        minutes, ready = shared.average((time.time() - started) / 60, ready)
        torch.nn.utils.clip_grad_norm_(model.parameters(), 2.0)
        falling = 1.0 if progress < args.hold else max(0.005, (1 - progress) / (1 - args.hold))
        muon.lr = adam.param_groups[0]["lr"] = args.lr * min(1.0, (step + 1) / WARM_UP_STEPS) * falling
        muon.step()
        adam.step()
        shared.flat.zero_()
        if rank == 0:
            average.update(model, step)
        step, seconds = step + 1, seconds + batch.seconds
        sums = [sums[0] + attention.item(), sums[1] + ctc_loss.item()]
        if rank == 0 and step % 100 == 0:
            print(f"{step} steps {minutes:.1f} min attention {sums[0] / 100:.3f} ctc {sums[1] / 100:.3f} lr {muon.lr:.1e} "
                  f"{args.processes * seconds / minutes / 60:.0f} x real time {minutes * 60 / step:.3f} s/step", flush=True)
            sums = [0.0, 0.0]
        if ready and pending and progress > args.extra_at:
            train += [c for c in load_corpus(pending, tokeniser, ctc) if all(t in rows for t in c.tokens)]
            train += [c for c in train if c.source == "dialogue"] * (args.dialogue_weight - 1)
            source, pending = batcher.batches(train, 0.6), None
            print(f"worker {rank}: {len(train)} clips with the extra corpus", flush=True)
        if minutes > next_check:
            next_check += args.check_minutes
            if rank == 0:
                save(average.model, args.out, step, args.processes * seconds)
                check(average.model, mel, validation, tokeniser)
    if rank == 0:
        save(average.model, args.out, step, args.processes * seconds)
        print(f"done: {step} steps, {args.processes * seconds / 3600:.1f} h of speech", flush=True)
        check(average.model, mel, validation, tokeniser)
    dist.destroy_process_group()


def save(model: Recogniser, path: Path, step: int, seconds: float) -> None:
    """Writes the checkpoint beside the old one, then puts it in its place."""
    part = path.with_suffix(".part")
    torch.save({"config": model.config.to_dict(), "weights": model.state_dict(), "steps": step, "speech_seconds": seconds}, part)
    part.replace(path)


if __name__ == "__main__":
    main()
