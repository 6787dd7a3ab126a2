"""Stage 2b: the trunk alone, on every labelled row, a few epochs at full speed; `refit` fits the heads on it afterwards.

    python -m zhiyin_encoder.trunk --public PUBLIC --work WORK [--minutes 25]

Every head here reads the sentence vector alone, so that the trunk learns the whole task and not only what the n-gram bag
leaves. The tokens that word dropout hides are guessed again, as in pre-training, and pairs of texts that ask for the same knowledge
(`retrieval.py`) teach the retrieval vectors. Rows come in batches of a few fixed shapes: with shapes that change at every step most of the time of a CPU goes into
building kernels (set ONEDNN_PRIMITIVE_CACHE_CAPACITY=20000 all the same). Each of `--processes` workers is one thread with its
own batches; their gradients are averaged every step.
"""

from __future__ import annotations

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
from sklearn.metrics import f1_score
from tokenizers import Tokenizer
from torch import Tensor, nn

from . import corpora, labels, retrieval
from .examples import IGNORE, TRAIN_TOKENS, Auxiliary, Example, article_examples, description_examples, entity_tags, held_out, mark_tags, own_examples, public_examples, punctuation_examples
from .model import Encoder, WordHead
from .predict import language_of
from .refit import rarity
from .settings import Shape, arguments

WIDTHS = (8, 16, 24, 32, 48, TRAIN_TOKENS)
# Tokens of a batch of one worker, padding included.
BATCH_TOKENS = 4096
RATE, WARM_UP, DECAY = 6e-4, 150, 0.05
SMOOTHING, WORD_DROP, DROPOUT = 0.05, 0.15, 0.1
PAIR_TEMPERATURE = 0.1
WEIGHT = {"intent": 1.0, "emotion": 0.8, "act": 2.0, "conduct": 3.0, "entity": 0.3, "punctuation": 0.3, "auxiliary": 0.5, "pair": 0.1, "words": 0.25, "retrieval": 1.0}
# Rows of a public set, and sentences without marks, that an epoch draws.
PUBLIC_ROWS = {"clinc150": 15000, "banking77": 10000, "goemotions": 9000, "cped": 9000, "multidogo": 6000, "tydip": 1400, "presidio": 1200}
SENTENCES = 8000
# Texts without labels that an epoch draws, for the masked words.
TEXT_ROWS = {"english": 8000, "chinese": 12000, "laws": 4000}
AVERAGE_DECAY = 0.995


class Rows:
    """All rows as arrays, so that a batch is a slice: token ids, tags, and targets with -1 where a label is not known."""

    def __init__(self, examples: list[Example], tokenizer: Tokenizer, auxiliary: Auxiliary) -> None:
        tokenizer.enable_truncation(TRAIN_TOKENS)
        tokenizer.no_padding()
        count = len(examples)
        self.ids = np.zeros((count, TRAIN_TOKENS), np.int32)
        self.length = np.zeros(count, np.int32)
        self.entity, self.marks = np.full((count, TRAIN_TOKENS), IGNORE, np.int16), np.full((count, TRAIN_TOKENS), IGNORE, np.int16)
        self.intent, self.second, self.emotion = (np.full(count, -1, np.int64) for _ in range(3))
        self.act, self.conduct = np.full((count, len(labels.ACTS)), -1, np.int8), np.full((count, len(labels.CONDUCT)), -1, np.int8)
        self.auxiliary, self.pair = np.full((count, 2), -1, np.int64), np.full((count, 2), -1, np.int64)
        self.weight = np.array([e.weight for e in examples], np.float32)
        kinds: dict[str, int] = {}
        keys: dict[tuple[str, str], int] = {}
        heads = {name: n for n, name in enumerate(auxiliary.heads)}
        for start in range(0, count, 4096):
            for row, e in enumerate(tokenizer.encode_batch([e.text for e in examples[start : start + 4096]]), start):
                self._take(row, examples[row], e, heads, kinds, keys)
        self.width = np.array([next(w for w in WIDTHS if w >= n) for n in self.length])

    def _take(self, row: int, example: Example, e, heads, kinds, keys) -> None:
        self.length[row] = len(e.ids)
        self.ids[row, : len(e.ids)] = e.ids
        if example.entities is not None:
            self.entity[row, : len(e.ids)] = entity_tags(example.entities, e.offsets, e.special_tokens_mask)
        if example.marks is not None:
            self.marks[row, : len(e.ids)] = mark_tags(example.marks, e.offsets, e.special_tokens_mask)
        if example.intents:
            self.intent[row] = labels.INTENTS.index(example.intents[0])
            self.second[row] = labels.INTENTS.index(example.intents[1]) if len(example.intents) > 1 else -1
        if example.emotion:
            self.emotion[row] = labels.EMOTIONS.index(example.emotion)
        if example.acts is not None:
            self.act[row] = [a in example.acts for a in labels.ACTS]
        if example.conduct is not None:
            self.conduct[row] = [int(example.conduct[c]) if c in example.conduct else -1 for c in labels.CONDUCT]
        if example.auxiliary:
            self.auxiliary[row] = heads[example.auxiliary[0]], example.auxiliary[1]
        if example.pair:
            self.pair[row] = kinds.setdefault(example.pair[0], len(kinds)), keys.setdefault(example.pair, len(keys))

    def batches(self, rows: np.ndarray, rng: np.random.Generator):
        """Full batches of one width each, in random order."""
        found = []
        for width in WIDTHS:
            chosen = rng.permutation(rows[self.width[rows] == width])
            size = BATCH_TOKENS // width
            found += [(width, chosen[i : i + size]) for i in range(0, len(chosen) - size + 1, size)]
        return [found[i] for i in rng.permutation(len(found))]


class Trainee(nn.Module):
    """The encoder with a plain head for every task."""

    def __init__(self, shape: Shape, auxiliary: Auxiliary) -> None:
        super().__init__()
        self.tables = auxiliary.heads
        heads = {name: len(table) for name, table in auxiliary.heads.items()}
        self.encoder = Encoder(shape, {k: len(v) for k, v in labels.SENTENCE_HEADS.items()}, {k: len(v) for k, v in labels.TOKEN_HEADS.items()}, heads)
        self.plain = nn.ModuleDict({name: nn.Linear(shape.hidden_size, len(names)) for name, names in labels.SENTENCE_HEADS.items()})
        self.words = WordHead(shape)
        self.dropout = nn.Dropout(DROPOUT)

    def load(self, stored: dict, masked: dict) -> None:
        """Goes on from a checkpoint: of `finetune` or `refit` the encoder, of this stage all heads; `masked` has the head of words."""
        state, whole = stored.get("state", stored), stored.get("auxiliary") == self.tables
        names = ("trunk.", "pool_", "embedding.", "token_heads.", *(("auxiliary.",) if whole else ()))
        self.encoder.load_state_dict({k: v for k, v in state.items() if k.startswith(names)}, strict=False)
        if "plain" in stored:
            self.plain.load_state_dict(stored["plain"])
        self.words.load_state_dict({k: v for k, v in masked.items() if not k.startswith("trunk.")}, strict=False)

    def losses(self, rows: Rows, chosen: np.ndarray, width: int, rng: np.random.Generator, mask_id: int, class_weights: dict[str, Tensor]) -> dict[str, Tensor]:
        """One loss a task over the rows that have its label."""
        ids, length = rows.ids[chosen, :width].astype(np.int64), rows.length[chosen]
        places = np.arange(width)[None]
        inner = (places > 0) & (places < length[:, None] - 1)
        # As many hidden tokens in every batch of a width, so that the kernels see few shapes.
        hidden_words = np.resize(rng.permutation(np.flatnonzero(inner)), int(WORD_DROP * ids.size))
        true_words = ids.ravel()[hidden_words]
        ids.ravel()[hidden_words] = mask_id
        hidden, sentence = self.encoder(torch.from_numpy(ids), torch.from_numpy((places < length[:, None]).astype(np.int64)))
        dropped, weight, found = self.dropout(sentence), torch.from_numpy(rows.weight[chosen]), {}
        masked = hidden.flatten(0, 1)[torch.from_numpy(hidden_words)]
        found["words"] = self.words.word_loss(masked, self.encoder.trunk.words.weight, torch.from_numpy(true_words))

        def mean(loss: Tensor, known: Tensor) -> Tensor:
            return (loss * known).sum() / known.sum().clamp(min=1)

        def one_of(name: str, target: np.ndarray, logits: Tensor) -> Tensor:
            known = torch.from_numpy(target >= 0)
            target = torch.from_numpy(np.maximum(target, 0))
            loss = F.cross_entropy(logits, target, class_weights.get(name), reduction="none", label_smoothing=SMOOTHING)
            return mean(loss, known * weight)

        def any_of(target: np.ndarray, logits: Tensor) -> Tensor:
            known = torch.from_numpy(target >= 0) * weight[:, None]
            return mean(F.binary_cross_entropy_with_logits(logits, torch.from_numpy(np.maximum(target, 0)).float(), reduction="none"), known)

        logits = {name: head(dropped).float() for name, head in self.plain.items()}
        found["intent"] = one_of("intent", rows.intent[chosen], logits["intent"])
        if (rows.second[chosen] >= 0).any():
            found["intent"] = 0.9 * found["intent"] + 0.1 * one_of("intent", rows.second[chosen], logits["intent"])
        found["emotion"] = one_of("emotion", rows.emotion[chosen], logits["emotion"])
        found["act"], found["conduct"] = any_of(rows.act[chosen], logits["act"]), any_of(rows.conduct[chosen], logits["conduct"])
        for name, tags in (("entity", rows.entity), ("punctuation", rows.marks)):
            target = torch.from_numpy(tags[chosen, :width].astype(np.int64)).flatten()
            if (target >= 0).any():
                found[name] = F.cross_entropy(self.encoder.token_heads[name](hidden).float().flatten(0, 1), target, ignore_index=IGNORE)
        head, label = rows.auxiliary[chosen].T
        for number, linear in enumerate(self.encoder.auxiliary.values()):
            if (head == number).sum() >= 4:
                loss = one_of("", np.where(head == number, label, -1), linear(dropped).float())
                found["auxiliary"] = found.get("auxiliary", 0.0) + loss * float((head == number).mean())
        found["pair"] = self.pair_loss(sentence, rows.pair[chosen])
        return found

    def pair_loss(self, sentence: Tensor, pairs: np.ndarray) -> Tensor:
        """Supervised contrastive loss (Khosla et al. 2020): rows of one key attract, others of the same kind repel."""
        kind, key = torch.from_numpy(pairs[:, 0].copy()), torch.from_numpy(pairs[:, 1].copy())
        vectors = self.encoder.embed(sentence)
        itself = torch.eye(len(key), dtype=torch.bool)
        similarity = (vectors @ vectors.T / PAIR_TEMPERATURE).masked_fill(itself | (kind[:, None] != kind[None, :]), -1e4)
        positive = ((key[:, None] == key[None, :]) & (key >= 0)[:, None] & ~itself).float()
        log_share = similarity - similarity.logsumexp(1, keepdim=True)
        has = (positive.sum(1) > 0).float()
        return (-(log_share * positive).sum(1) / positive.sum(1).clamp(min=1) * has).sum() / has.sum().clamp(min=1)


@torch.no_grad()
def dev_scores(model: Trainee, rows: Rows, dev: list[Example]) -> str:
    """Macro-F1 of intents and emotions of the sentence vector alone, per language."""
    model.eval()
    guess = {"intent": np.zeros(len(dev), np.int64), "emotion": np.zeros(len(dev), np.int64)}
    for width in WIDTHS:
        chosen = np.flatnonzero(rows.width == width)
        for start in range(0, len(chosen), 64):
            part = chosen[start : start + 64]
            mask = (np.arange(width)[None] < rows.length[part, None]).astype(np.int64)
            sentence = model.encoder(torch.from_numpy(rows.ids[part, :width].astype(np.int64)), torch.from_numpy(mask))[1]
            for name, out in guess.items():
                out[part] = model.plain[name](sentence).argmax(1).numpy()
    model.train()
    languages, shown = np.array([language_of(e.text) for e in dev]), []
    for language in ("zh", "en"):
        for name, truth in (("intent", rows.intent), ("emotion", rows.emotion)):
            which = (languages == language) & (truth >= 0)
            score = f1_score(truth[which], guess[name][which], labels=sorted(set(truth[which])), average="macro", zero_division=0)
            shown.append(f"{language} {name} {score:.3f}")
    return "; ".join(shown)


def load_rows(options) -> tuple[list[Example], Auxiliary, list[Example]]:
    """Training examples of all kinds, the label tables of the public sets, and the dev split."""
    unseen = held_out(options.public)
    own = [e for e in own_examples("train") if corpora.canonical(e.text) not in unseen]
    public, auxiliary = public_examples(options.public, unseen)
    drawn, joined = random.Random(options.seed), own + description_examples() * 4 + article_examples() * 8
    for name, rows in public.items():
        joined += drawn.sample(rows, min(PUBLIC_ROWS.get(name, 0), len(rows)))
    marked = [e.text for e in drawn.sample(own, min(SENTENCES, len(own)))] + drawn.sample([r.text for r in corpora.cped(options.public)], SENTENCES // 2)
    marked += drawn.sample([r.text for r in corpora.goemotions(options.public)], SENTENCES // 2)
    joined += punctuation_examples([t for t in marked if corpora.canonical(t) not in unseen])
    for kind, texts in corpora.language_model_texts(options.public).items():
        joined += [Example(t) for t in drawn.sample(texts, min(TEXT_ROWS[kind], len(texts))) if corpora.canonical(t) not in unseen]
    return joined, auxiliary, own_examples("dev")


def work(rank: int, options) -> None:
    """One worker: the same model on every rank, other batches."""
    os.environ.update(MASTER_ADDR="127.0.0.1", MASTER_PORT="29517", OMP_NUM_THREADS="1")
    torch.set_num_threads(1)
    dist.init_process_group("gloo", rank=rank, world_size=options.processes)
    random.seed(options.seed)
    torch.manual_seed(options.seed)
    rng, shape = np.random.default_rng([options.seed, rank]), Shape()
    tokenizer = Tokenizer.from_file(str(options.work / "tokenizer.json"))
    mask_id = tokenizer.token_to_id("[MASK]")
    train, auxiliary, dev = load_rows(options)
    rows, dev_rows = Rows(train, tokenizer, auxiliary), Rows(dev, tokenizer, auxiliary)
    model = Trainee(shape, auxiliary)
    masked = options.work / "adapted.pt"
    model.load(torch.load(options.work / options.start, weights_only=True), torch.load(masked, weights_only=True) if masked.exists() else {})
    asked, asked_dev = retrieval.load()
    pairs = retrieval.Pairs(asked, tokenizer)
    weights = {}
    for name, target in (("intent", rows.intent), ("emotion", rows.emotion)):
        number = torch.bincount(torch.from_numpy(target[target >= 0]), minlength=len(labels.SENTENCE_HEADS[name]))
        weights[name] = rarity(number.float())
    parameters = list(model.parameters())
    flat = torch.zeros(sum(p.numel() for p in parameters) + 1)
    at = 0
    for p in parameters:
        p.grad = flat[at : at + p.numel()].view_as(p)
        at += p.numel()
    optimizer = torch.optim.AdamW(parameters, lr=RATE, weight_decay=DECAY, betas=(0.9, 0.98), fused=True)
    average, mine = copy.deepcopy(model), np.arange(len(rows.ids))[rank :: options.processes]
    if rank == 0:
        before = f"{dev_scores(model, dev_rows, dev)}; {retrieval.reciprocal_rank(model.encoder, asked_dev, tokenizer)}"
        print(f"{len(rows.ids)} rows, mean {rows.length.mean():.1f} tokens, {len(asked)} groups of questions; dev before: {before}", flush=True)
    started, step, minutes, epoch, means, seen = time.time(), 0, 0.0, 0, {}, 0
    while minutes < options.minutes:
        epoch += 1
        for width, chosen in rows.batches(mine, rng):
            with torch.autocast("cpu", torch.bfloat16):
                found = model.losses(rows, chosen, width, rng, mask_id, weights)
                if step % retrieval.EVERY == 0:
                    found["retrieval"] = retrieval.loss(model.encoder.embed(model.encoder(*pairs.batch(rng, mask_id))[1]))
            sum(WEIGHT[name] * value for name, value in found.items()).backward()
            flat[-1] = (time.time() - started) / 60
            dist.all_reduce(flat)
            flat /= options.processes
            minutes = float(flat[-1])
            flat[-1] = 0
            torch.nn.utils.clip_grad_norm_(parameters, 1.0)
            optimizer.param_groups[0]["lr"] = options.rate * min(1, (step + 1) / WARM_UP) * max(0.0, 1 - minutes / options.minutes)
            optimizer.step()
            flat.zero_()
            step, seen = step + 1, seen + len(chosen)
            with torch.no_grad():
                torch._foreach_lerp_(list(average.parameters()), parameters, 1 - min(AVERAGE_DECAY, step / (step + 20)))
            for name, value in found.items():
                means[name] = 0.98 * means.get(name, float(value)) + 0.02 * float(value)
            if rank == 0 and step % 100 == 0:
                shown = " ".join(f"{k} {v:.3f}" for k, v in means.items())
                print(f"step {step} epoch {epoch} minutes {minutes:.1f} {options.processes * seen / minutes / 60:.0f} rows/s {shown}", flush=True)
            if rank == 0 and step % 400 == 0:
                save(average, auxiliary, options.work)
                print(f"step {step} dev {dev_scores(average, dev_rows, dev)}; {retrieval.reciprocal_rank(average.encoder, asked_dev, tokenizer)}", flush=True)
            if minutes >= options.minutes:
                break
    if rank == 0:
        save(average, auxiliary, options.work)
        print(f"end step {step} epoch {epoch} dev {dev_scores(average, dev_rows, dev)}; {retrieval.reciprocal_rank(average.encoder, asked_dev, tokenizer)}", flush=True)
    dist.destroy_process_group()


def save(model: Trainee, auxiliary: Auxiliary, work_folder: Path) -> None:
    """Encoder and plain heads, in the layout that `refit` reads."""
    state = dict(model.encoder.state_dict())
    torch.save({"state": state, "auxiliary": auxiliary.heads, "plain": model.plain.state_dict()}, work_folder / "trunk.part")
    (work_folder / "trunk.part").replace(work_folder / "trunk.pt")


def main() -> None:
    parser = arguments(__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=25)
    parser.add_argument("--rate", type=float, default=RATE)
    parser.add_argument("--start", default="tuned.pt", help="checkpoint in the work folder to go on from")
    parser.add_argument("--processes", type=int, default=2)
    options = parser.parse_args()
    torch.multiprocessing.spawn(work, (options,), nprocs=options.processes)


if __name__ == "__main__":
    main()
