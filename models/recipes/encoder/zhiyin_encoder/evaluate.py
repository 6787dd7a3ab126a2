"""Stage 4: results on the test splits, with a linear SVM on character n-grams beside them, and the model card.

    python -m zhiyin_encoder.evaluate --public PUBLIC --work WORK --out models/zhiyin-encoder-small

Writes `results.json` into the work folder and `card.toml` into the model folder.
"""

from __future__ import annotations

import json
from collections import defaultdict
from pathlib import Path

import numpy as np
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import f1_score
from sklearn.multiclass import OneVsRestClassifier
from sklearn.svm import LinearSVC
from tokenizers import Tokenizer

from . import calibrate, card, corpora, labels, own
from .bag import Bag
from .examples import Example, from_own, mark_tags, punctuation_examples
from .export import rounded
from .predict import Prediction, load, predict
from .settings import Shape, arguments, seeded


def svm(train_texts: list[str], train_labels: list, test_texts: list[str]) -> np.ndarray:
    """The baseline: character 1-5-grams with tf-idf and a linear SVM."""
    vectoriser = TfidfVectorizer(analyzer="char", ngram_range=(1, 5), sublinear_tf=True, min_df=2, lowercase=True)
    x = vectoriser.fit_transform(train_texts)
    if isinstance(train_labels[0], str):
        return LinearSVC(C=1.0).fit(x, train_labels).predict(vectoriser.transform(test_texts))
    return OneVsRestClassifier(LinearSVC(C=1.0)).fit(x, np.array(train_labels)).predict(vectoriser.transform(test_texts))


def calibration_error(probabilities: np.ndarray, truth: np.ndarray) -> float:
    """Expected calibration error of the best label, 15 bins."""
    confidence, right = probabilities.max(1), probabilities.argmax(1) == truth
    bins = np.minimum((confidence * 15).astype(int), 14)
    return float(sum(abs(right[bins == b].mean() - confidence[bins == b].mean()) * (bins == b).mean() for b in np.unique(bins)))


def single(head: str, truth: list[str], predictions: list[Prediction], calibration: dict) -> dict:
    """Accuracy, macro-F1 and calibration of a head with one label."""
    names = labels.SENTENCE_HEADS[head]
    probabilities = calibrate.softmax(np.stack([p.sentence[head] for p in predictions]), calibration[head]["temperature"])
    guess = [names[int(i)] for i in probabilities.argmax(1)]
    index = np.array([names.index(t) for t in truth])
    return {
        "accuracy": float(np.mean([g == t for g, t in zip(guess, truth)])),
        "macro_f1": f1_score(truth, guess, labels=sorted(set(truth)), average="macro", zero_division=0),
        "accuracy_at_3": float(np.mean([i in row for i, row in zip(index, np.argsort(-probabilities, 1)[:, :3])])),
        "calibration_error": calibration_error(probabilities, index),
        "rows": len(truth),
    }


def several(head: str, truth: np.ndarray, predictions: list[Prediction], calibration: dict) -> dict:
    """F1 of a head with several labels; the macro average is over labels with at least 5 test rows."""
    names = labels.SENTENCE_HEADS[head]
    probabilities = calibrate.sigmoid(np.stack([p.sentence[head] for p in predictions]), calibration[head]["temperature"])
    chosen = probabilities >= np.array(calibration[head]["thresholds"])
    kept = [i for i in range(len(names)) if truth[:, i].sum() >= 5]
    scores = f1_score(truth, chosen, average=None, zero_division=0)
    return {
        "macro_f1": float(np.mean(scores[kept])),
        "micro_f1": f1_score(truth, chosen, average="micro", zero_division=0),
        "f1": {names[i]: round(float(scores[i]), 3) for i in kept},
        "rows": len(truth),
    }


def spans_of(tags: np.ndarray, places: list[tuple[int, int]]) -> set[tuple[int, int, str]]:
    """Spans of BIO tags, decoded as `src/inference/encoding.rs` does."""
    found, open_kind = [], None
    for tag, (start, end) in zip(tags, places):
        mark, _, kind = labels.ENTITY_TAGS[int(tag)].partition("-")
        if mark == "I" and open_kind == kind and found:
            found[-1] = (found[-1][0], end, kind)
        elif mark != "O":
            found.append((start, end, kind))
        open_kind = kind if mark != "O" else None
    return set(found)


def entities(examples: list[Example], predictions: list[Prediction]) -> dict:
    """Precision, recall and F1 of whole spans with their kind."""
    counts = defaultdict(lambda: [0, 0, 0])
    for e, p in zip(examples, predictions):
        guess = spans_of(p.tokens["entity"].argmax(1), p.places) if p.places else set()
        truth = set(e.entities)
        for kind in {s[2] for s in guess | truth}:
            g, t = {s for s in guess if s[2] == kind}, {s for s in truth if s[2] == kind}
            for key in (kind, "all"):
                for i, n in enumerate((len(g & t), len(g), len(t))):
                    counts[key][i] += n
    hit, guess, truth = counts.pop("all")
    by_kind = {k: round(2 * h / (g + t), 3) for k, (h, g, t) in sorted(counts.items()) if t >= 5}
    return {"precision": hit / max(1, guess), "recall": hit / max(1, truth), "f1": 2 * hit / max(1, guess + truth), "spans": truth, "f1_by_kind": by_kind}


def punctuation(texts: list[str], run) -> dict:
    """F1 of the marks put into texts without them."""
    examples = punctuation_examples(texts)
    truth, guess = [], []
    for e, p in zip(examples, run([e.text for e in examples])):
        truth += mark_tags(e.marks, p.places, [0] * len(p.places))
        guess += p.tokens["punctuation"].argmax(1).tolist()
    scores = f1_score(truth, guess, labels=[1, 2, 3], average=None, zero_division=0)
    return {"f1": dict(zip(labels.PUNCTUATION[1:], map(float, scores))), "macro_f1": float(scores.mean()), "sentences": len(examples)}


def own_results(language: str, run, calibration: dict) -> dict:
    """Every head on the own test split of a language, and the SVM trained on the same training rows."""
    train = [from_own(r) for r in own.rows(language, "train")]
    test = [from_own(r) for r in own.rows(language, "test")]
    predictions = run([e.text for e in test])
    customers = [(e, p) for e, p in zip(test, predictions) if e.intents]
    result = {
        "intent": single("intent", [e.intents[0] for e, _ in customers], [p for _, p in customers], calibration),
        "emotion": single("emotion", [e.emotion for e in test], predictions, calibration),
        "emotion_customer": single("emotion", [e.emotion for e, _ in customers], [p for _, p in customers], calibration),
        "entity": entities(test, predictions),
        "punctuation": punctuation([e.text for e in test], run),
    }
    scope = calibrate.softmax(np.stack([p.sentence["intent"] for _, p in customers]), calibration["intent"]["temperature"])
    outside = np.array([e.intents[0] == "out_of_scope" for e, _ in customers])
    chosen = scope.argmax(1) == labels.INTENTS.index("out_of_scope")
    result["intent"]["out_of_scope_recall"] = float(chosen[outside].mean())
    result["intent"]["out_of_scope_precision"] = float(outside[chosen].mean()) if chosen.any() else 0.0
    in_train = [e for e in train if e.intents]
    guess = svm([e.text for e in in_train], [e.intents[0] for e in in_train], [e.text for e, _ in customers])
    truth = [e.intents[0] for e, _ in customers]
    result["intent"]["svm_macro_f1"] = f1_score(truth, guess, labels=sorted(set(truth)), average="macro", zero_division=0)
    result["intent"]["svm_accuracy"] = float(np.mean(guess == np.array(truth)))
    # Rows of which only the intents were labelled by hand are left out of the rest.
    train = [e for e in train if e.emotion]
    guess = svm([e.text for e in train], [e.emotion for e in train], [e.text for e in test])
    truth = [e.emotion for e in test]
    result["emotion"]["svm_macro_f1"] = f1_score(truth, guess, labels=sorted(set(truth)), average="macro", zero_division=0)
    for head, names, holds in (("act", labels.ACTS, lambda e, n: n in e.acts), ("conduct", labels.CONDUCT, lambda e, n: e.conduct[n])):
        truth = np.array([[int(holds(e, n)) for n in names] for e in test])
        result[head] = several(head, truth, predictions, calibration)
        guess = svm([e.text for e in train], [[int(holds(e, n)) for n in names] for e in train], [e.text for e in test])
        kept = [i for i in range(len(names)) if truth[:, i].sum() >= 5]
        result[head]["svm_macro_f1"] = float(np.mean(f1_score(truth, guess, average=None, zero_division=0)[kept]))
    return result


def faq(run) -> dict:
    """MRR@10 of each article's last question, which no training saw, over all articles of its language."""
    articles = own.articles()
    result = {}
    for language in own.LANGUAGES:
        chosen = [a for a in articles if (language == "zh") == any("\u4e00" <= c <= "\u9fff" for c in a[0] + a[2][:50]) and len(a[1]) >= 2]
        if not chosen:
            continue
        documents = [(i, t) for i, (title, questions, body) in enumerate(chosen) for t in [title, body[:200], *questions[:-1]]]
        vectors = np.stack([p.embedding for p in run([t for _, t in documents])])
        ranks = []
        for i, p in enumerate(run([questions[-1] for _, questions, _ in chosen])):
            best = defaultdict(lambda: -1.0)
            for (article, _), score in zip(documents, vectors @ p.embedding):
                best[article] = max(best[article], float(score))
            ranks.append(1 + sum(s > best[i] for s in best.values()))
        result[language] = {"mrr_at_10": float(np.mean([1 / r if r <= 10 else 0 for r in ranks])), "articles": len(chosen)}
    return result


def faq_entries(run) -> dict:
    """MRR@10 of the test questions of `datasets/faq` over all its entries (title, and title with body), by retrieval vectors alone."""
    entries, vectors, result = {}, {}, {}
    for language in own.LANGUAGES:
        entries[language] = own.json_lines(own.DATASETS / f"faq/{language}/entries.jsonl")
        texts = [t for e in entries[language] for t in (e["title"], f"{e['title']} {e['body']}")]
        vectors[language] = np.stack([p.embedding for p in run(texts)])

    def mean_rank(questions: list[tuple[str, list[str]]], language: str) -> float:
        ids, ranks = [e["id"] for e in entries[language]], []
        for p, (_, relevant) in zip(run([text for text, _ in questions]), questions):
            order = np.argsort(-(vectors[language] @ p.embedding).reshape(-1, 2).max(1))[:10]
            ranks.append(max((1 / (1 + place) for place, i in enumerate(order) if ids[i] in relevant), default=0.0))
        return float(np.mean(ranks))

    across = [q for q in own.json_lines(own.DATASETS / "faq/crosslingual.jsonl") if q["split"] == "test"]
    for language in own.LANGUAGES:
        asked = [q for q in own.json_lines(own.DATASETS / f"faq/{language}/queries.jsonl") if q["split"] == "test"]
        other = {"zh": "en", "en": "zh"}[language]
        result[language] = {
            "mrr_at_10": mean_rank([(q["text"], q["relevant"]) for q in asked], language),
            "across_mrr_at_10": mean_rank([(q["query"], q["relevant"]) for q in across if q["query_language"] == language], other),
            "questions": len(asked),
        }
    return result


def public_results(public: Path, run) -> dict:
    """Frozen sentence vectors with logistic regression on BANKING77 and CLINC150; the emotion head on GoEmotions."""
    result = {}
    for name, read in (("banking77", corpora.banking77), ("clinc150", corpora.clinc150)):
        train = [r for r in read(public) if r.label != "oos"]
        test = read(public, "test")
        x = np.stack([p.vector for p in run([r.text for r in train])])
        y = np.stack([p.vector for p in run([r.text for r in test])])
        classifier = LogisticRegression(C=20.0, max_iter=200).fit(x, [r.label for r in train])
        result[name] = {"accuracy": float(np.mean(classifier.predict(y) == np.array([r.label for r in test])))}
    rows = [r for r in corpora.goemotions(public, "test") if r.emotion]
    guess = [labels.EMOTIONS[int(p.sentence["emotion"].argmax())] for p in run([r.text for r in rows])]
    result["goemotions"] = {"macro_f1": f1_score([r.emotion for r in rows], guess, average="macro", zero_division=0), "rows": len(rows)}
    return result


def conversation_results(run, calibration: dict) -> dict:
    """Intent and emotion of the turns of the test conversations."""
    result = {}
    rows = [from_own(r) for r in own.conversation_rows("test")]
    predictions = run([e.text for e in rows])
    for language in own.LANGUAGES:
        chosen = [(e, p) for e, p in zip(rows, predictions) if any("\u4e00" <= c <= "\u9fff" for c in e.text) == (language == "zh")]
        customers = [(e, p) for e, p in chosen if e.intents]
        if customers:
            result[language] = {
                "intent": single("intent", [e.intents[0] for e, _ in customers], [p for _, p in customers], calibration),
                "emotion": single("emotion", [e.emotion for e, _ in chosen], [p for _, p in chosen], calibration),
            }
    return result


def main() -> None:
    parser = arguments(__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--own-only", action="store_true", help="leave the public test sets out (they take most of the time)")
    options = parser.parse_args()
    shape, device = Shape(), seeded(options.seed, options.threads)
    tokenizer = Tokenizer.from_file(str(options.out / "tokenizer.json"))
    model = load(options.work / "tuned.pt", shape)
    rounded(model)
    model = model.to(device)
    calibration = json.loads((options.work / "calibration.json").read_text())
    bag = Bag(options.work / "bag.npz")

    def run(texts: list[str]) -> list[Prediction]:
        return predict(model, texts, tokenizer, shape, device, bag)

    results = {}
    for language in own.LANGUAGES:
        results[language] = own_results(language, run, calibration)
        print(language, json.dumps(results[language]), flush=True)
    results |= {"conversations": conversation_results(run, calibration), "faq": faq(run), "faq_entries": faq_entries(run)}
    results |= {"public": {} if options.own_only else public_results(options.public, run)}
    # What `zhiyin train` reached on this encoder, as rows of `figure`, `value`, `on` and `command`; written by hand.
    trained = options.work / "trained.json"
    results["trained"] = json.loads(trained.read_text(encoding="utf-8")) if trained.exists() else []
    (options.work / "results.json").write_text(json.dumps(results, indent=1))
    (options.out / "card.toml").write_text(card.card(options.out, results, shape), encoding="utf-8")
    print(json.dumps({k: v for k, v in results.items() if k not in own.LANGUAGES}, indent=1))


if __name__ == "__main__":
    main()
