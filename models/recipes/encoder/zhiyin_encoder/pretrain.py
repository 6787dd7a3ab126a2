"""Stage 1: masked language modelling on public training text, then on the project's own training text (`--adapt`).

    python -m zhiyin_encoder.pretrain --public PUBLIC --work WORK [--size small|full] [--adapt]
"""

from __future__ import annotations

import math
import time
from pathlib import Path

import numpy as np
import torch
from scipy import sparse
from sklearn.utils.extmath import randomized_svd
from tokenizers import Tokenizer

from . import corpora, own
from .model import MaskedModel
from .settings import BUDGETS, Shape, arguments, seeded
from .tokenizer import load_or_train

MASK_SHARE = 0.15
# How often a kind of text is drawn; laws are plentiful but far from service talk.
MIX = {"english": 0.42, "chinese": 0.16, "laws": 0.42}
ADAPT_MIX = {"own": 0.3, "english": 0.35, "chinese": 0.15, "laws": 0.2}


class Stream:
    """An endless row of tokens of one kind of text, read from a shuffled start; documents are parted by [SEP]."""

    def __init__(self, texts: list[str], tokenizer: Tokenizer, seed: int) -> None:
        separator = tokenizer.token_to_id("[SEP]")
        pieces = []
        for encoding in tokenizer.encode_batch(corpora.shuffled(texts, seed), add_special_tokens=False):
            pieces.append(np.asarray(encoding.ids[:400] + [separator], dtype=np.int32))
        self.tokens = np.concatenate(pieces)
        self.random = np.random.default_rng(seed)

    def rows(self, count: int, length: int) -> np.ndarray:
        """`count` windows of `length` tokens."""
        starts = self.random.integers(0, len(self.tokens) - length, size=count)
        return np.stack([self.tokens[s : s + length] for s in starts])


def masked(rows: np.ndarray, tokenizer: Tokenizer, random: np.random.Generator) -> tuple[torch.Tensor, ...]:
    """Inputs, masked positions (flat) and their true tokens.

    Of the 15 % chosen, 80 % become [MASK], 10 % another token, 10 % stay (as BERT). The count is the same in
    every batch, so that the CPU kernels see few shapes.
    """
    cls, mask = tokenizer.token_to_id("[CLS]"), tokenizer.token_to_id("[MASK]")
    rows = np.concatenate([np.full((len(rows), 1), cls, dtype=rows.dtype), rows[:, 1:]], axis=1)
    flat = rows.reshape(-1)
    chosen = random.permutation((flat > 4).nonzero()[0])[: int(MASK_SHARE * len(flat))]
    targets = flat[chosen].astype(np.int64)
    fate = random.random(len(chosen))
    inputs = flat.astype(np.int64)
    inputs[chosen[fate < 0.8]] = mask
    replaced = chosen[(fate >= 0.8) & (fate < 0.9)]
    inputs[replaced] = random.integers(5, tokenizer.get_vocab_size(), len(replaced))
    return torch.from_numpy(inputs.reshape(rows.shape)), torch.from_numpy(chosen), torch.from_numpy(targets)


def word_vectors(streams: dict[str, Stream], mix: dict[str, float], shape: Shape, seed: int) -> np.ndarray:
    """A start for the word table: singular vectors of the shifted positive PMI of neighbouring tokens.

    After Levy and Goldberg, "Neural Word Embedding as Implicit Matrix Factorization" (2014). It costs a minute
    and saves the first part of the masked-model training.
    """
    size = shape.vocab_size
    counts = sparse.csr_matrix((size, size), dtype=np.float32)
    for kind, share in mix.items():
        tokens = streams[kind].tokens[:2_500_000]
        weight = share / len(tokens)
        for distance in range(1, 5):
            left, right = tokens[:-distance], tokens[distance:]
            values = np.full(len(left), weight / distance, dtype=np.float32)
            counts = counts + sparse.csr_matrix((values, (left, right)), shape=(size, size))
    counts = counts + counts.T
    total = counts.sum()
    margin = np.asarray(counts.sum(1)).ravel()
    smooth = margin**0.75
    smooth *= total / smooth.sum()
    pairs = counts.tocoo()
    pmi = np.log(pairs.data * total / (margin[pairs.row] * smooth[pairs.col])) - math.log(2)
    keep = (pmi > 0) & (pairs.data * 1e7 > 1)
    matrix = sparse.csr_matrix((pmi[keep], (pairs.row[keep], pairs.col[keep])), shape=(size, size))
    left, values, _ = randomized_svd(matrix, shape.hidden_size, n_iter=2, random_state=seed)
    vectors = left * np.sqrt(values)
    return (vectors * (0.03 / max(vectors.std(), 1e-9))).astype(np.float32)


def texts_for(public: Path, adapt: bool) -> dict[str, list[str]]:
    """Text by kind, without anything that stands in a test split."""
    texts = corpora.language_model_texts(public)
    held_out = [r.text for r in corpora.clinc150(public, "test") + corpora.banking77(public, "test") + corpora.goemotions(public, "test")]
    held_out += own.held_out_texts()
    if adapt:
        texts["own"] = own.language_model_texts()
    return {kind: corpora.refuse_test_text(rows, held_out, kind) for kind, rows in texts.items()}


def main() -> None:
    parser = arguments(__doc__.splitlines()[0])
    parser.add_argument("--adapt", action="store_true", help="go on from pretrained.pt with the project's own text")
    parser.add_argument("--start", default="pretrained.pt", help="checkpoint from which --adapt goes on")
    parser.add_argument("--minutes", type=float, help="instead of the size's minutes")
    options = parser.parse_args()
    budget, shape = BUDGETS[options.size], Shape()
    device = seeded(options.seed, options.threads)
    options.work.mkdir(parents=True, exist_ok=True)
    tokenizer = load_or_train(options.work / "tokenizer.json", options.public, shape)
    assert tokenizer.get_vocab_size() <= shape.vocab_size, "the tokenizer is larger than the word table"
    mix = ADAPT_MIX if options.adapt else MIX
    texts = texts_for(options.public, options.adapt)
    streams = {kind: Stream(rows, tokenizer, options.seed) for kind, rows in texts.items() if kind in mix}
    print({kind: len(s.tokens) for kind, s in streams.items()}, flush=True)
    model = MaskedModel(shape).to(device)
    if not options.adapt:
        vectors = torch.from_numpy(word_vectors(streams, mix, shape, options.seed)).to(device)
        with torch.no_grad():
            model.trunk.words.weight += vectors
        print("word table started from co-occurrence", flush=True)
    if options.adapt:
        model.load_state_dict(torch.load(options.work / options.start, weights_only=True))
    minutes = options.minutes or (budget.adapt_minutes if options.adapt else budget.pretrain_minutes)
    path = options.work / ("adapted.pt" if options.adapt else "pretrained.pt")
    train(model, streams, mix, tokenizer, device, budget, minutes, options.seed, 0.7 if options.adapt else 1.0, path)
    torch.save(model.state_dict(), path)


def train(model, streams, mix, tokenizer, device, budget, minutes, seed, rate_factor, checkpoint) -> None:
    """AdamW with a warm-up and a cosine to zero over the time that the stage has."""
    optimizer = torch.optim.AdamW(model.parameters(), lr=budget.pretrain_rate, weight_decay=0.01, betas=(0.9, 0.98), fused=True)
    random = np.random.default_rng(seed)
    kinds, weights = list(mix), np.array(list(mix.values()))
    begin, step, mean = time.time(), 0, None
    model.train()
    while True:
        done = max(step / budget.pretrain_steps, (time.time() - begin) / (60 * minutes))
        if done >= 1:
            break
        for group in optimizer.param_groups:
            group["lr"] = rate_factor * budget.pretrain_rate * min(1, (step + 1) / 200) * 0.5 * (1 + math.cos(math.pi * done))
        length = 128 if random.random() < 0.25 else 48
        counts = random.multinomial(budget.pretrain_batch_tokens // length, weights)
        rows = np.concatenate([streams[k].rows(int(c), length) for k, c in zip(kinds, counts) if c])
        batch = [t.to(device) for t in masked(rows, tokenizer, random)]
        with torch.autocast(device.type, dtype=torch.bfloat16):
            loss = model(*batch)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        mean = loss.item() if mean is None else 0.98 * mean + 0.02 * loss.item()
        step += 1
        if step % 100 == 0:
            print(f"step {step} loss {mean:.3f} minutes {(time.time() - begin) / 60:.1f}", flush=True)
        if checkpoint and step % 400 == 0:
            torch.save(model.state_dict(), checkpoint)
    print(f"end step {step} loss {mean:.3f} minutes {(time.time() - begin) / 60:.1f}", flush=True)


if __name__ == "__main__":
    main()
