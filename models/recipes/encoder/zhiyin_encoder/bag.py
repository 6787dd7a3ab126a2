"""The character n-gram bag: linear SVMs over hashed n-grams, one weight per bucket and label of every sentence head.

    python -m zhiyin_encoder.bag --public PUBLIC --work WORK

It is fitted by itself, in a minute. Training rows get margins of SVMs that were fitted without their situation
(cross-fitting), so that the heads learn how far the bag can be trusted on texts it has not seen, and the trunk learns
what the bag does not know. The product uses the SVMs of all training rows.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from joblib import Parallel, delayed
from scipy import sparse
from sklearn.svm import LinearSVC

from . import corpora, labels, ngrams, own
from .examples import Example, description_examples, own_examples
from .settings import Shape, arguments, seeded

FOLDS = 5
# Brings the rows to about unit length, so that one penalty fits all.
ROW_SCALE = 0.25
PENALTY = {"intent": 0.5, "emotion": 0.5, "act": 0.3, "conduct": 0.3}
# Rows of the table belong to the heads one after another.
ORDER = ("intent", "act", "emotion", "conduct")


def section(head: str) -> slice:
    """The columns of a head."""
    start = sum(len(labels.SENTENCE_HEADS[h]) for h in ORDER[: ORDER.index(head)])
    return slice(start, start + len(labels.SENTENCE_HEADS[head]))


def counts(texts: list[str], shape: Shape) -> sparse.csr_matrix:
    """n-gram counts over the root of the number of n-grams, one row per text."""
    columns, values, ends = [], [], [0]
    for text in texts:
        found = ngrams.buckets(text, shape.ngram_max, shape.ngram_buckets, shape.ngram_words)
        columns.append(found)
        values.append(np.full(len(found), ROW_SCALE / max(1, len(found)) ** 0.5))
        ends.append(ends[-1] + len(found))
    matrix = sparse.csr_matrix((np.concatenate(values), np.concatenate(columns), ends), shape=(len(texts), shape.ngram_buckets))
    matrix.sum_duplicates()
    return matrix


def one_label(matrix: sparse.csr_matrix, holds: np.ndarray, penalty: float, balanced: bool) -> tuple[np.ndarray, float]:
    """The SVM of one label against the rest: weights and intercept."""
    model = LinearSVC(C=penalty, class_weight="balanced" if balanced else None).fit(matrix, holds)
    return model.coef_[0].astype(np.float32), float(model.intercept_[0])


def fit(examples: list[Example], x: sparse.csr_matrix, shape: Shape, workers: int) -> tuple[np.ndarray, np.ndarray]:
    """Table (buckets, labels) and intercepts."""
    assert shape.ngram_dim == section(ORDER[-1]).stop, "one number per label of a sentence head"
    frequency = np.asarray((x > 0).sum(0)).ravel()
    weight = np.where(frequency >= 2, np.log((1 + len(examples)) / (1 + frequency)) + 1, 0.0)
    weighted = x @ sparse.diags(weight)
    table = np.zeros((shape.ngram_buckets, shape.ngram_dim), dtype=np.float32)
    intercept = np.full(shape.ngram_dim, -1.0, dtype=np.float32)
    labelled = {
        "intent": (lambda e: bool(e.intents), lambda e, n: e.intents[0] == n),
        "emotion": (lambda e: bool(e.emotion), lambda e, n: e.emotion == n),
        "act": (lambda e: e.acts is not None and e.conduct is not None, lambda e, n: n in e.acts),
        "conduct": (lambda e: e.acts is not None and e.conduct is not None, lambda e, n: e.conduct[n]),
    }
    columns, problems = [], []
    for head in ORDER:
        known, holds = labelled[head]
        rows = [i for i, e in enumerate(examples) if known(e)]
        matrix = weighted[rows].tocsr()
        for column, name in enumerate(labels.SENTENCE_HEADS[head]):
            target = np.array([int(holds(examples[i], name)) for i in rows])
            if 5 <= target.sum() < len(target):
                columns.append(section(head).start + column)
                problems.append(delayed(one_label)(matrix, target, PENALTY[head], head == "emotion"))
    for column, (coefficients, bias) in zip(columns, Parallel(n_jobs=workers)(problems)):
        table[:, column], intercept[column] = coefficients * weight * ROW_SCALE, bias
    return table, intercept


def quantised(table: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """int8 table and one scale per column."""
    scale = (np.abs(table).max(0) / 127 + 1e-12).astype(np.float32)
    return np.clip(np.round(table / scale), -127, 127).astype(np.int8), scale


class Bag:
    """The fitted bag in the precision that is shipped."""

    def __init__(self, path: Path) -> None:
        stored = np.load(path, allow_pickle=False)
        self.table, self.scale = quantised(stored["table"])
        self.intercept = stored["intercept"]
        self.cross_fitted = dict(zip(stored["keys"].tolist(), stored["margins"]))

    def margins(self, texts: list[str], shape: Shape) -> np.ndarray:
        """(texts, labels) without the intercepts, as the product computes it: rows summed, over the root of their number."""
        return ((counts(texts, shape) / ROW_SCALE) @ (self.table.astype(np.float32) * self.scale)).astype(np.float32)


def fold_of(example: Example) -> int:
    """The fold of an example: all utterances of a situation share it."""
    situation = example.origin.rsplit("-", 1)[0]
    return sum(situation.encode()) % FOLDS


def main() -> None:
    parser = arguments(__doc__.splitlines()[0])
    parser.add_argument("--whole", action="store_true", help="no cross-fitted margins: enough for `refit --plain`, a sixth of the time")
    options = parser.parse_args()
    seeded(options.seed, options.threads)
    shape = Shape()
    held_out = {corpora.canonical(t) for t in own.held_out_texts()}
    train = [e for e in own_examples("train") if corpora.canonical(e.text) not in held_out] + description_examples()
    x = counts([e.text for e in train], shape)
    folds = np.array([fold_of(e) for e in train])
    margins = np.zeros((len(train), shape.ngram_dim), dtype=np.float32)
    for fold in range(0 if options.whole else FOLDS):
        inside, outside = np.flatnonzero(folds != fold), np.flatnonzero(folds == fold)
        table, _ = fit([train[i] for i in inside], x[inside], shape, options.threads)
        margins[outside] = x[outside] / ROW_SCALE @ table
        print("fold", fold, len(outside), flush=True)
    table, intercept = fit(train, x, shape, options.threads)
    keys = [] if options.whole else [e.text for e in train]
    np.savez(options.work / "bag.npz", table=table, intercept=intercept, keys=np.array(keys, dtype=str), margins=margins[: len(keys)])
    dev = [e for e in own_examples("dev") if e.intents]
    guess = (Bag(options.work / "bag.npz").margins([e.text for e in dev], shape) + intercept)[:, section("intent")].argmax(1)
    print("accuracy on dev", np.mean(guess == [labels.INTENTS.index(e.intents[0]) for e in dev]))


if __name__ == "__main__":
    main()
