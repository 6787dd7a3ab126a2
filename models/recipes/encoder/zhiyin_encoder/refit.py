"""Stage 2b: the heads alone, anew on a frozen trunk; for new labelled rows or a new n-gram bag in minutes.

    python -m zhiyin_encoder.refit --public PUBLIC --work WORK

Reads `tuned.pt` and `bag.npz`, encodes every labelled row once, and trains each head on what the trunk gives: sentence
heads on sentence vectors and cross-fitted margins, token heads on hidden states. Classes are weighed by the root of their
rarity. The state of the best epoch on the dev split is kept, head by head; `tuned.pt` is written anew.
"""

from __future__ import annotations

import random
import time

import numpy as np
import torch
import torch.nn.functional as F
from sklearn.metrics import f1_score
from tokenizers import Tokenizer

from . import corpora, labels
from .bag import ORDER, Bag, section
from .examples import TRAIN_TOKENS, Example, collate, description_examples, held_out, own_examples, public_examples, punctuation_examples
from .finetune import TRUST, add_margins
from .model import Encoder
from .predict import language_of
from .settings import Shape, arguments, seeded

EPOCHS = {"intent": 24, "emotion": 16, "act": 16, "conduct": 16, "entity": 8, "punctuation": 8}
RATE, DECAY, BATCH = 1.5e-3, 0.02, 512
SMOOTHING = 0.05
# How much the plain heads of `trunk` add to the bag's verdict: chosen on dev. Their training has seen the rows that they were
# fitted to, so no fit on the same rows can tell how far to trust them.
PLAIN_SHARE = {"intent": 0.7, "emotion": 0.7, "act": 0.5, "conduct": 0.5}
# Rows of public sets that join: labels of emotion and politeness.
PUBLIC_ROWS = {"goemotions": 9000, "cped": 9000, "tydip": 3000}
# Sentences that the punctuation head learns from, beside the own ones.
PUBLIC_SENTENCES = 9000


@torch.no_grad()
def encoded(model: Encoder, examples: list[Example], tokenizer: Tokenizer, tokens_too: bool) -> tuple[torch.Tensor, list]:
    """Sentence vectors (rows, hidden); with `tokens_too` also per example (hidden states f16, entity tags, marks)."""
    order = sorted(range(len(examples)), key=lambda i: len(examples[i].text))
    vectors = torch.zeros(len(examples), model.pool_first.out_features)
    parts: list = [None] * len(examples)
    for start in range(0, len(order), 64):
        chosen = order[start : start + 64]
        batch = collate([examples[i] for i in chosen], tokenizer, TRAIN_TOKENS, 0.0, random.Random(0))
        with torch.autocast("cpu", torch.bfloat16):
            hidden, sentence = model(batch.ids, batch.mask)
        vectors[chosen] = sentence.float()
        for row, i in enumerate(chosen if tokens_too else []):
            keep = batch.mask[row].bool()
            parts[i] = (hidden[row][keep].half(), batch.entity[row][keep], batch.punctuation[row][keep])
    return vectors, parts


def rarity(counts: torch.Tensor) -> torch.Tensor:
    """Class weights of mean 1 over the rows: the root of how rare a class is."""
    weight = (counts.sum() / counts.clamp(min=1)).sqrt()
    return weight * counts.sum() / (weight * counts).sum()


def fit(head: torch.nn.Linear, x: torch.Tensor, loss_of, score, epochs: int, name: str, dropped: int) -> None:
    """AdamW with a linear decay; keeps the weights of the epoch with the best `score`. Dropout on the first `dropped` inputs."""
    optimizer = torch.optim.AdamW(head.parameters(), lr=RATE, weight_decay=DECAY)
    best, kept, begin = score(head), {k: v.clone() for k, v in head.state_dict().items()}, time.time()
    start, steps = best, epochs * -(-len(x) // BATCH)
    step = 0
    for _ in range(epochs):
        for chosen in torch.randperm(len(x)).split(BATCH):
            optimizer.param_groups[0]["lr"] = RATE * (1 - step / steps)
            rows = x[chosen].float()
            rows = torch.cat([F.dropout(rows[:, :dropped], 0.3), rows[:, dropped:]], 1)
            optimizer.zero_grad()
            loss_of(head(rows), chosen).backward()
            optimizer.step()
            step += 1
        with torch.no_grad():
            now = score(head)
        if now > best:
            best, kept = now, {k: v.clone() for k, v in head.state_dict().items()}
    head.load_state_dict(kept)
    print(f"{name}: {len(x)} rows, dev {start:.4f} -> {best:.4f}, {time.time() - begin:.0f} s", flush=True)


def macro(truth: np.ndarray, guess: np.ndarray, languages: np.ndarray) -> float:
    """Macro-F1, mean of the two languages."""
    found = [f1_score(truth[languages == l], guess[languages == l], labels=sorted(set(truth[languages == l])), average="macro", zero_division=0) for l in ("zh", "en")]
    return float(np.mean(found))


def refit_sentence_heads(model: Encoder, train: list[Example], dev: list[Example], x: torch.Tensor, y: torch.Tensor) -> None:
    """Intent, emotion, act and conduct."""
    width = model.pool_first.out_features
    languages = np.array([language_of(e.text) for e in dev])
    for name, names in labels.SENTENCE_HEADS.items():
        single = name in ("intent", "emotion")
        known = {"intent": lambda e: e.intents, "emotion": lambda e: e.emotion, "act": lambda e: e.acts is not None, "conduct": lambda e: e.conduct is not None}[name]
        first = {"intent": lambda e: e.intents[0], "emotion": lambda e: e.emotion}.get(name)
        rows, tests = [i for i, e in enumerate(train) if known(e)], [i for i, e in enumerate(dev) if known(e)]
        weight = torch.tensor([train[i].weight for i in rows])
        if single:
            target, truth = (np.array([names.index(first(es[i])) for i in which]) for es, which in ((train, rows), (dev, tests)))
            class_weight, target = rarity(torch.bincount(torch.from_numpy(target), minlength=len(names)).float()), torch.from_numpy(target)

            def loss_of(logits: torch.Tensor, chosen: torch.Tensor) -> torch.Tensor:
                return (F.cross_entropy(logits, target[chosen], class_weight, reduction="none", label_smoothing=SMOOTHING) * weight[chosen]).mean()

            def score(head: torch.nn.Linear) -> float:
                return macro(truth, head(y[tests]).argmax(1).numpy(), languages[tests])
        else:
            holds = (lambda e, n: n in e.acts) if name == "act" else (lambda e, n: e.conduct.get(n, False))
            target, truth = (torch.tensor([[float(holds(es[i], n)) for n in names] for i in which]) for es, which in ((train, rows), (dev, tests)))
            told = torch.tensor([[float(name == "act" or n in train[i].conduct) for n in names] for i in rows]) * weight[:, None]
            positive = ((told.sum(0) - (told * target).sum(0)) / (told * target).sum(0).clamp(min=1)).sqrt().clamp(max=6)

            def loss_of(logits: torch.Tensor, chosen: torch.Tensor) -> torch.Tensor:
                loss = F.binary_cross_entropy_with_logits(logits, target[chosen], pos_weight=positive, reduction="none")
                return (loss * told[chosen]).sum() / told[chosen].sum()

            def score(head: torch.nn.Linear) -> float:
                return -float(F.binary_cross_entropy_with_logits(head(y[tests]), truth, pos_weight=positive))
        fit(model.sentence_heads[name], x[rows], loss_of, score, EPOCHS[name], name, width)


def follow_the_bag(model: Encoder, bag: Bag) -> None:
    """The intent head's part on the margins becomes the bag's own verdict again: what training makes of it fits the training
    situations better and new ones worse (dev 0.68 -> 0.70, mean of the languages)."""
    place, width = section("intent"), model.pool_first.out_features
    with torch.no_grad():
        head = model.sentence_heads["intent"]
        head.weight[:, width:] = 0
        head.weight[:, width + place.start : width + place.stop] = torch.eye(place.stop - place.start) * TRUST["intent"]
        head.bias.copy_(torch.from_numpy(bag.intercept[place]) * TRUST["intent"])


def plain_heads(model: Encoder, bag: Bag, plain: dict[str, torch.Tensor], shares: dict[str, float]) -> None:
    """Sentence heads after `trunk`: the bag's own verdict, plus a share of what the plain head says of the sentence vector."""
    model.trust_bag({h: section(h) for h in ORDER}, torch.from_numpy(bag.intercept), TRUST)
    with torch.no_grad():
        for name, share in shares.items():
            head = model.sentence_heads[name]
            head.weight[:, : model.pool_first.out_features] = share * plain[f"{name}.weight"]
            head.bias += share * plain[f"{name}.bias"]


def refit_token_heads(model: Encoder, parts: dict[str, list], dev_parts: dict[str, list]) -> None:
    """Entities and punctuation, on hidden states."""
    for name, column in (("entity", 1), ("punctuation", 2)):
        def stacked(rows: list) -> tuple[torch.Tensor, torch.Tensor]:
            hidden, tags = torch.cat([p[0] for p in rows]), torch.cat([p[column] for p in rows])
            return hidden[tags >= 0], tags[tags >= 0]

        x, target = stacked(parts[name])
        y, truth = stacked(dev_parts[name])
        count = len(labels.TOKEN_HEADS[name])
        class_weight = rarity(torch.bincount(target, minlength=count).float()).sqrt()
        class_weight[torch.bincount(target, minlength=count) == 0] = 0

        def loss_of(logits: torch.Tensor, chosen: torch.Tensor) -> torch.Tensor:
            return F.cross_entropy(logits, target[chosen], class_weight)

        def score(head: torch.nn.Linear) -> float:
            guess = head(y.float()).argmax(1).numpy()
            return f1_score(truth.numpy(), guess, labels=list(range(1, count)), average="micro", zero_division=0)

        fit(model.token_heads[name], x, loss_of, score, EPOCHS[name], name, x.shape[1])


def main() -> None:
    parser = arguments(__doc__.splitlines()[0])
    parser.add_argument("--plain", action="store_true", help="after `trunk`: the bag and a share of its plain heads, which no training joins")
    options = parser.parse_args()
    shape = Shape()
    seeded(options.seed, options.threads)
    tokenizer = Tokenizer.from_file(str(options.work / "tokenizer.json"))
    unseen = held_out(options.public)
    own_train = [e for e in own_examples("train") if corpora.canonical(e.text) not in unseen] + description_examples()
    dev = own_examples("dev")
    public, _ = public_examples(options.public, unseen)
    drawn = random.Random(options.seed)
    train = own_train + [e for name, count in PUBLIC_ROWS.items() for e in drawn.sample(public[name], min(count, len(public[name])))]
    source = options.work / ("trunk.pt" if options.plain else "tuned.pt")
    stored = torch.load(source, weights_only=True)
    model = Encoder(shape, {k: len(v) for k, v in labels.SENTENCE_HEADS.items()}, {k: len(v) for k, v in labels.TOKEN_HEADS.items()}, {})
    model.load_state_dict({k: v for k, v in stored["state"].items() if not k.startswith("auxiliary.")})
    model.eval()
    bag = Bag(options.work / "bag.npz")
    vectors, parts = encoded(model, train, tokenizer, True)
    dev_vectors, dev_parts = encoded(model, dev, tokenizer, True)
    print(f"encoded {len(train)} rows and {len(dev)} of dev", flush=True)
    if options.plain:
        plain_heads(model, bag, stored["plain"], PLAIN_SHARE)
    else:
        add_margins(train, bag, shape)
        x = torch.cat([vectors, torch.from_numpy(np.stack([e.margins for e in train]))], 1)
        y = torch.cat([dev_vectors, torch.from_numpy(bag.margins([e.text for e in dev], shape))], 1)
        refit_sentence_heads(model, train, dev, x, y)
        follow_the_bag(model, bag)

    chinese = [r.text for r in corpora.cped(options.public)] + corpora.crosswoz(options.public)
    english = [r.text for r in corpora.goemotions(options.public)]
    marked = [e.text for e in own_train] + drawn.sample(chinese, PUBLIC_SENTENCES) + drawn.sample(english, PUBLIC_SENTENCES)
    sentences = punctuation_examples([t for t in marked if corpora.canonical(t) not in unseen])
    _, with_marks = encoded(model, sentences, tokenizer, True)
    _, dev_marks = encoded(model, punctuation_examples([e.text for e in dev]), tokenizer, True)
    entities = [p for e, p in zip(train, parts) if e.entities is not None]
    dev_entities = [p for e, p in zip(dev, dev_parts) if e.entities is not None]
    refit_token_heads(model, {"entity": entities, "punctuation": with_marks}, {"entity": dev_entities, "punctuation": dev_marks})
    torch.save({"state": model.state_dict()}, options.work / "tuned.pt")


if __name__ == "__main__":
    main()
