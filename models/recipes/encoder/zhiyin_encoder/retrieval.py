"""Texts that ask for one piece of knowledge, as batches of pairs that teach the retrieval vectors.

A group is a title, an answer and questions, in Chinese and English (`datasets/questions`), or an article with its questions. Groups that
stand side by side differ by one fact; a batch takes runs of them, so that the near ones are told apart and not only the far.
"""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from tokenizers import Tokenizer
from torch import Tensor, nn

from . import corpora, own
from .predict import language_of

# Tokens of a text, pairs of a batch, groups of a run.
WIDTH, PAIRS, RUN = 48, 40, 4
TEMPERATURE, WORD_DROP = 0.06, 0.1
# One step of so many has a batch of pairs beside its labelled rows.
EVERY = 2
# Every so many-th block of groups is kept for choosing.
DEV_BLOCK, DEV_EVERY = 8, 12

Group = list[tuple[str, str]]


def load() -> tuple[list[Group], list[Group]]:
    """Groups to train on and groups to choose with. No text that retrieval is measured with is among them."""
    unseen = {corpora.canonical(t) for t in own.faq_texts()}
    written = [[(kind, text) for kind, text in group if corpora.canonical(text) not in unseen] for group in own.question_groups()]
    kept = [n // DEV_BLOCK % DEV_EVERY != 0 for n in range(len(written))]
    articles = []
    for title, questions, body in own.articles():
        parts = [p.strip() for p in body.split("\n\n") if p.strip()]
        articles.append([("t", title), *(("a", p[:300]) for p in parts[:3]), *(("q", q) for q in questions[:-1])])
    return [g for g, k in zip(written, kept) if k] + articles, [g for g, k in zip(written, kept) if not k]


class Pairs:
    """Token ids of all texts of the groups; a batch is two texts of each of some groups."""

    def __init__(self, groups: list[Group], tokenizer: Tokenizer) -> None:
        tokenizer.enable_truncation(WIDTH)
        tokenizer.no_padding()
        self.questions = [[i for i, (kind, _) in enumerate(g) if kind == "q"] for g in groups]
        self.ids = [[e.ids for e in tokenizer.encode_batch([text for _, text in g])] for g in groups]

    def batch(self, rng: np.random.Generator, mask_id: int) -> tuple[Tensor, Tensor]:
        """Ids and mask (2 x PAIRS, WIDTH): the first half are questions, the second another text of the same group."""
        first = np.arange(rng.integers(RUN), len(self.ids) - RUN, RUN)
        chosen = [start + i for start in rng.permutation(first)[: PAIRS // RUN] for i in range(RUN)]
        ids, mask = np.zeros((2 * len(chosen), WIDTH), np.int64), np.zeros((2 * len(chosen), WIDTH), np.int64)
        for row, group in enumerate(chosen):
            question = int(rng.choice(self.questions[group]))
            other = int(rng.choice([i for i in range(len(self.ids[group])) if i != question]))
            for place, text in ((row, question), (row + len(chosen), other)):
                found = np.array(self.ids[group][text])
                dropped = rng.random(len(found)) < WORD_DROP
                dropped[[0, -1]] = False
                ids[place, : len(found)], mask[place, : len(found)] = np.where(dropped, mask_id, found), 1
        return torch.from_numpy(ids), torch.from_numpy(mask)


def loss(vectors: Tensor) -> Tensor:
    """NT-Xent (Chen et al. 2020) over two halves of which row i belongs to row i."""
    half = len(vectors) // 2
    similarity = (vectors @ vectors.T / TEMPERATURE).masked_fill(torch.eye(2 * half, dtype=torch.bool), -1e4)
    return F.cross_entropy(similarity, torch.arange(2 * half).roll(half))


@torch.no_grad()
def reciprocal_rank(encoder: nn.Module, groups: list[Group], tokenizer: Tokenizer) -> str:
    """MRR@10 of every question over the other texts of all groups: of its language, and of the other one."""
    tokenizer.enable_truncation(WIDTH)
    texts = [(n, kind, language_of(text), text) for n, g in enumerate(groups) for kind, text in g]
    vectors = []
    for start in range(0, len(texts), 80):
        part = tokenizer.encode_batch([text for *_, text in texts[start : start + 80]])
        ids, mask = np.zeros((80, WIDTH), np.int64), np.zeros((80, WIDTH), np.int64)
        mask[:, 0] = 1
        for row, e in enumerate(part):
            ids[row, : len(e.ids)], mask[row, : len(e.ids)] = e.ids, 1
        vectors.append(encoder.embed(encoder(torch.from_numpy(ids), torch.from_numpy(mask))[1])[: len(part)])
    similarity = torch.cat(vectors) @ torch.cat(vectors).T
    of = np.array([n for n, *_ in texts])
    language, found = np.array([l for _, _, l, _ in texts]), {}
    for i, (group, kind, own_language, _) in enumerate(texts):
        if kind != "q":
            continue
        for name, among in (("", language == own_language), ("across ", language != own_language)):
            among = among.copy()
            among[i] = False
            best = np.full(len(groups), -2.0)
            np.maximum.at(best, of[among], similarity[i].numpy()[among])
            rank = 1 + int((best > best[group]).sum())
            found.setdefault(f"{name}{own_language}", []).append(1 / rank if rank <= 10 else 0.0)
    return "; ".join(f"{name} questions {np.mean(ranks):.3f}" for name, ranks in sorted(found.items()))
