"""Stage 2: multi-task training of all heads and of the embedding.

    python -m zhiyin_encoder.finetune --public PUBLIC --work WORK [--size small|full]

Every step sees own rows (balanced over intents, emotions and conduct), rows of the public sets, sentences
without punctuation and knowledge articles; each row carries the losses of the labels that it has.
"""

from __future__ import annotations

import math
import random
import time
from collections import defaultdict

import numpy as np
import torch
import torch.nn.functional as F
from tokenizers import Tokenizer

from . import corpora, labels
from .bag import ORDER, Bag, section
from .examples import (
    TRAIN_TOKENS, Auxiliary, Batch, Example, article_examples, collate, description_examples, held_out, own_examples, public_examples, punctuation_examples,
)
from .model import Encoder
from .predict import predict, quick_scores
from .settings import BUDGETS, Shape, arguments, seeded

# Rows of one step by kind, for a batch of 64 rows by intent.
SHARE = {"intent": 64, "emotion": 14, "conduct": 10, "agent": 14, "entity": 6, "punctuation": 10, "article": 8}
PUBLIC_SHARE = {"goemotions": 6, "cped": 6, "clinc150": 7, "banking77": 7, "multidogo": 3, "tydip": 2, "presidio": 2}
LOSS_WEIGHT = {"intent": 1.0, "act": 2.0, "emotion": 0.8, "conduct": 3.0, "entity": 0.7, "punctuation": 0.4, "auxiliary": 0.4, "pair": 0.5}
SMOOTHING = 0.08
PAIR_TEMPERATURE = 0.1
WORD_DROP = 0.12
# How strongly the heads follow the bag at the start; training corrects it.
TRUST = {"intent": 8.0, "act": 3.0, "emotion": 2.0, "conduct": 3.0}
# The running average takes in the weights every few steps; its memory is about 40 of these.
AVERAGE_EVERY, AVERAGE_DECAY = 4, 0.975


class Sampler:
    """Draws the rows of each step."""

    def __init__(self, examples: list[Example], public: dict[str, list[Example]], punctuation: list[Example], scale: float, seed: int) -> None:
        self.random = random.Random(seed)
        self.scale = scale
        self.public, self.punctuation, self.articles = public, punctuation, defaultdict(list)
        for example in article_examples():
            self.articles[example.pair[1]].append(example)
        self.by_intent, self.by_emotion, self.by_conduct = defaultdict(list), defaultdict(list), defaultdict(list)
        self.agents, self.entities = [], []
        for example in examples:
            for intent in (example.intents or [])[:1]:
                self.by_intent[intent].append(example)
            if example.emotion:
                self.by_emotion[example.emotion].append(example)
            for name, holds in (example.conduct or {}).items():
                if holds:
                    self.by_conduct[name].append(example)
            if not example.intents:
                self.agents.append(example)
            if example.entities:
                self.entities.append(example)

    def step(self) -> list[Example]:
        """Rows of one step."""
        pick, rows = self.random, []
        count = {kind: max(2, round(n * self.scale)) for kind, n in (SHARE | PUBLIC_SHARE).items()}
        intents = pick.sample(sorted(self.by_intent), min(count["intent"] // 2, len(self.by_intent)))
        for intent in intents:
            rows += [pick.choice(self.by_intent[intent]) for _ in range(2)]
        rows += [pick.choice(self.by_emotion[pick.choice(sorted(self.by_emotion))]) for _ in range(count["emotion"])]
        rows += [pick.choice(self.by_conduct[pick.choice(sorted(self.by_conduct))]) for _ in range(count["conduct"])]
        for kind, pool in (("agent", self.agents), ("entity", self.entities), ("punctuation", self.punctuation)):
            if pool:
                rows += pick.choices(pool, k=count[kind])
        for article in pick.sample(sorted(self.articles), min(count["article"] // 2, len(self.articles))):
            rows += pick.choices(self.articles[article], k=2)
        for name, pool in self.public.items():
            rows += pick.choices(pool, k=count[name])
        return rows


def losses(model: Encoder, batch: Batch, hidden: torch.Tensor, sentence: torch.Tensor, auxiliary: Auxiliary, emotion_weight: torch.Tensor) -> dict[str, torch.Tensor]:
    """One loss per head over the rows that have its label."""
    device, examples = sentence.device, batch.examples
    dropped = model.dropout(sentence)
    margins = torch.from_numpy(np.stack([e.margins for e in examples])).to(device)
    found: dict[str, torch.Tensor] = {}

    def rows_with(attribute: str) -> list[int]:
        return [i for i, e in enumerate(examples) if getattr(e, attribute) is not None]

    if rows := rows_with("intents"):
        target = torch.full((len(rows), len(labels.INTENTS)), SMOOTHING / len(labels.INTENTS))
        for n, i in enumerate(rows):
            names = examples[i].intents
            # The first intent is the main one.
            shares = [1.0] if len(names) == 1 else [0.65] + [0.35 / (len(names) - 1)] * (len(names) - 1)
            for name, share in zip(names, shares):
                target[n, labels.INTENTS.index(name)] += (1 - SMOOTHING) * share
        weight = torch.tensor([examples[i].weight for i in rows])
        logits = model.head("intent", sentence[rows], margins[rows]).float()
        found["intent"] = (F.cross_entropy(logits, target.to(device), reduction="none") * weight.to(device)).sum() / weight.sum()
    if rows := rows_with("emotion"):
        target = torch.tensor([labels.EMOTIONS.index(examples[i].emotion) for i in rows], device=device)
        weight = torch.tensor([examples[i].weight for i in rows], device=device) * emotion_weight[target]
        logits = model.head("emotion", sentence[rows], margins[rows]).float()
        found["emotion"] = (F.cross_entropy(logits, target, reduction="none", label_smoothing=SMOOTHING) * weight).sum() / weight.sum()
    if rows := rows_with("acts"):
        target = torch.tensor([[float(a in examples[i].acts) for a in labels.ACTS] for i in rows], device=device)
        weight = torch.tensor([examples[i].weight for i in rows], device=device)
        loss = F.binary_cross_entropy_with_logits(model.head("act", sentence[rows], margins[rows]).float(), target, reduction="none").mean(1)
        found["act"] = (loss * weight).sum() / weight.sum()
    if rows := rows_with("conduct"):
        target = torch.tensor([[float(examples[i].conduct.get(c, False)) for c in labels.CONDUCT] for i in rows], device=device)
        known = torch.tensor([[float(c in examples[i].conduct) * examples[i].weight for c in labels.CONDUCT] for i in rows], device=device)
        loss = F.binary_cross_entropy_with_logits(model.head("conduct", sentence[rows], margins[rows]).float(), target, reduction="none")
        found["conduct"] = (loss * known).sum() / known.sum()
    for head, tags in (("entity", batch.entity), ("punctuation", batch.punctuation)):
        chosen = (tags.flatten() >= 0).nonzero().squeeze(1)
        if len(chosen):
            logits = model.token_heads[head](model.dropout(hidden.flatten(0, 1)[chosen.to(device)])).float()
            found[head] = F.cross_entropy(logits, tags.flatten()[chosen].to(device))
    by_head = defaultdict(list)
    for i in rows_with("auxiliary"):
        by_head[examples[i].auxiliary[0]].append(i)
    for head, rows in by_head.items():
        target = torch.tensor([examples[i].auxiliary[1] for i in rows], device=device)
        loss = F.cross_entropy(model.auxiliary[head](dropped[rows]).float(), target)
        found["auxiliary"] = found.get("auxiliary", 0.0) + loss / len(by_head)
    if pair := pair_loss(model, examples, sentence):
        found["pair"] = pair[0]
    return found


def add_margins(examples: list[Example], bag: Bag, shape: Shape) -> None:
    """Margins of the rows that have none yet: cross-fitted ones for rows the bag was fitted on."""
    new = [e for e in examples if e.margins is None]
    fresh = [e for e in new if e.text not in bag.cross_fitted]
    for e in new:
        e.margins = bag.cross_fitted.get(e.text)
    if fresh:
        for e, margins in zip(fresh, bag.margins([e.text for e in fresh], shape)):
            e.margins = margins


def pair_loss(model: Encoder, examples: list[Example], sentence: torch.Tensor) -> tuple[torch.Tensor] | None:
    """Supervised contrastive loss (Khosla et al. 2020): rows of one key attract, others of the same kind repel."""
    rows = [i for i, e in enumerate(examples) if e.pair]
    if len(rows) < 4:
        return None
    kinds: dict[str, int] = {}
    keys: dict[tuple[str, str], int] = {}
    kind = torch.tensor([kinds.setdefault(examples[i].pair[0], len(kinds)) for i in rows], device=sentence.device)
    key = torch.tensor([keys.setdefault(examples[i].pair, len(keys)) for i in rows], device=sentence.device)
    vectors = model.embed(sentence[rows])
    similarity = vectors @ vectors.T / PAIR_TEMPERATURE
    itself = torch.eye(len(rows), dtype=torch.bool, device=sentence.device)
    similarity = similarity.masked_fill(itself | (kind[:, None] != kind[None, :]), -1e4)
    positive = ((key[:, None] == key[None, :]) & ~itself).float()
    log_share = similarity - similarity.logsumexp(1, keepdim=True)
    has = positive.sum(1) > 0
    if not has.any():
        return None
    return (-(log_share * positive).sum(1)[has] / positive.sum(1)[has]).mean(),


def forward_by_length(model: Encoder, examples: list[Example], tokenizer: Tokenizer, device, rng) -> list[tuple[Batch, torch.Tensor, torch.Tensor]]:
    """The rows in three groups of like length, so that little padding is computed."""
    ordered = sorted(examples, key=lambda e: len(e.text.encode()) if e.text.isascii() else 3 * len(e.text))
    groups, size = [], -(-len(ordered) // 3)
    for start in range(0, len(ordered), size):
        batch = collate(ordered[start : start + size], tokenizer, TRAIN_TOKENS, WORD_DROP, rng)
        hidden, sentence = model(*batch.inputs(device))
        groups.append((batch, hidden, sentence))
    return groups


def joined(groups: list[tuple[Batch, torch.Tensor, torch.Tensor]]) -> tuple[Batch, torch.Tensor, torch.Tensor]:
    """The groups as one batch; hidden states and tags are laid in one row of tokens."""
    batch = Batch(
        [e for b, _, _ in groups for e in b.examples], *[None] * 2,
        entity=torch.cat([b.entity.flatten() for b, _, _ in groups]),
        punctuation=torch.cat([b.punctuation.flatten() for b, _, _ in groups]),
    )
    return batch, torch.cat([h.flatten(0, 1) for _, h, _ in groups])[None], torch.cat([s for _, _, s in groups])


def main() -> None:
    parser = arguments(__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, help="instead of the size's minutes")
    parser.add_argument("--start", default="adapted.pt", help="checkpoint of the pre-training in the work folder")
    parser.add_argument("--resume", action="store_true", help="go on from tuned.pt")
    options = parser.parse_args()
    budget, shape = BUDGETS[options.size], Shape()
    device = seeded(options.seed, options.threads)
    tokenizer = Tokenizer.from_file(str(options.work / "tokenizer.json"))
    unseen = held_out(options.public)
    train = [e for e in own_examples("train") if corpora.canonical(e.text) not in unseen] + description_examples()
    dev = own_examples("dev")
    public, auxiliary = public_examples(options.public, unseen)
    marked = [e.text for e in train] + [r.text for r in corpora.cped(options.public)] + corpora.crosswoz(options.public)
    marked += corpora.shuffled(corpora.laws(options.public), options.seed)[:8000] + [r.text for r in corpora.goemotions(options.public)][:15000]
    # Own sentences are repeated until they are half of what the punctuation head sees.
    punctuation = punctuation_examples([t for t in marked if corpora.canonical(t) not in unseen])
    own_marked = punctuation_examples([e.text for e in train])
    punctuation += own_marked * max(1, len(punctuation) // max(1, 2 * len(own_marked)))
    print({"train": len(train), "dev": len(dev), "punctuation": len(punctuation)} | {k: len(v) for k, v in public.items()}, flush=True)

    heads = {name: len(table) for name, table in auxiliary.heads.items()}
    model = Encoder(shape, {k: len(v) for k, v in labels.SENTENCE_HEADS.items()}, {k: len(v) for k, v in labels.TOKEN_HEADS.items()}, heads).to(device)
    pretrained = torch.load(options.work / options.start, weights_only=True)
    model.trunk.load_state_dict({k.removeprefix("trunk."): v for k, v in pretrained.items() if k.startswith("trunk.")})
    bag = Bag(options.work / "bag.npz")
    model.trust_bag({h: section(h) for h in ORDER}, torch.from_numpy(bag.intercept), TRUST)
    if options.resume:
        stored = torch.load(options.work / "tuned.pt", weights_only=True)
        known = model.state_dict()
        model.load_state_dict({k: v for k, v in stored["state"].items() if k in known}, strict=False)
    sampler = Sampler(train, public, punctuation, budget.tune_batch / 64, options.seed)
    counts = torch.tensor([1.0 + len(sampler.by_emotion[e]) for e in labels.EMOTIONS])
    emotion_weight = (counts.mean() / counts).pow(0.35).to(device)
    tune(model, sampler, auxiliary, emotion_weight, tokenizer, shape, device, budget, options, dev, bag)


def tune(model, sampler, auxiliary, emotion_weight, tokenizer, shape, device, budget, options, dev, bag) -> None:
    """AdamW, warm-up, linear decay to zero; the exported weights are a running average."""
    trunk = [p for n, p in model.named_parameters() if n.startswith("trunk.")]
    rest = [p for n, p in model.named_parameters() if not n.startswith("trunk.")]
    rates = [budget.tune_rate, 3 * budget.tune_rate]
    optimizer = torch.optim.AdamW([{"params": trunk}, {"params": rest}], lr=budget.tune_rate, weight_decay=0.05, betas=(0.9, 0.98), fused=True)
    average = {k: v.detach().clone() for k, v in model.state_dict().items()}
    minutes = options.minutes or budget.tune_minutes
    rng, begin, step, means = random.Random(options.seed), time.time(), 0, {}
    while True:
        done = max(step / budget.tune_steps, (time.time() - begin) / (60 * minutes))
        if done >= 1:
            break
        for group, rate in zip(optimizer.param_groups, rates):
            group["lr"] = rate * min(1, (step + 1) / 150) * (1 - done)
        model.train()
        with torch.autocast(device.type, dtype=torch.bfloat16):
            rows = sampler.step()
            add_margins(rows, bag, shape)
            groups = forward_by_length(model, rows, tokenizer, device, rng)
            batch, hidden, sentence = joined(groups)
            found = losses(model, batch, hidden, sentence, auxiliary, emotion_weight)
            loss = sum(LOSS_WEIGHT[name] * value for name, value in found.items())
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        step += 1
        if step % AVERAGE_EVERY == 0:
            decay = min(AVERAGE_DECAY, step / (step + 10 * AVERAGE_EVERY))
            with torch.no_grad():
                for k, v in model.state_dict().items():
                    average[k].lerp_(v, 1 - decay)
        for name, value in found.items():
            means[name] = 0.97 * means.get(name, value.item()) + 0.03 * value.item()
        if step % 50 == 0:
            shown = " ".join(f"{k} {v:.3f}" for k, v in means.items())
            print(f"step {step} minutes {(time.time() - begin) / 60:.1f} {shown}", flush=True)
        if step % 200 == 0:
            save(average, auxiliary, options.work / "tuned.pt")
            print(f"step {step} dev {dev_scores(model, average, dev, tokenizer, shape, device, bag)}", flush=True)
    save(average, auxiliary, options.work / "tuned.pt")
    print(f"end step {step} dev {dev_scores(model, average, dev, tokenizer, shape, device, bag)}", flush=True)


def dev_scores(model, average, dev, tokenizer, shape, device, bag) -> str:
    """Scores of the averaged weights on the dev split."""
    current = {k: v.clone() for k, v in model.state_dict().items()}
    model.load_state_dict(average)
    result = quick_scores(dev, predict(model, [e.text for e in dev], tokenizer, shape, device, bag))
    model.load_state_dict(current)
    return result


def save(state: dict[str, torch.Tensor], auxiliary: Auxiliary, path) -> None:
    """Weights and the label tables of the auxiliary heads."""
    torch.save({"state": state, "auxiliary": auxiliary.heads}, path)


if __name__ == "__main__":
    main()
