"""Stage 3: calibration on the dev split, export in Hugging Face layout, reference outputs for the parity test.

    python -m zhiyin_encoder.export --public PUBLIC --work WORK --out models/zhiyin-encoder-small
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file
from tokenizers import Tokenizer

from . import calibrate, labels
from .bag import Bag
from .examples import own_examples
from .model import Encoder
from .predict import Prediction, load, predict, quick_scores
from .settings import MODEL_VERSION, Shape, arguments, seeded

VERSION = f"zhiyin-encoder-small@{MODEL_VERSION}"
# Written for the parity test: both languages, marks, digits, emoji, mixed script, a very short and a long text.
PARITY_TEXTS = [
    "我上周退的那个耳机，钱怎么还没到账啊？",
    "你们再不处理我就打12315投诉了",
    "Could you tell me where order AB-204817 is up to, please?",
    "someone's used my card, I never bought that",
    "好的谢谢，没别的事了",
    "手机号是13800138000，身份证稍后发",
    "ok 👍👍",
    "WiFi 一直掉线，app 也打不开，VIP 就这？",
    "转人工！！！",
    "I want to cancel my broadband and get the £45.50 back by Friday 14 March",
    "",
    "   ",
    "繁體字的帳單為什麼多扣了三百塊",
    "您好，请您稍等，我帮您查询一下，" * 12,
]


def tensors(model: Encoder, bag: Bag, shape: Shape) -> dict[str, torch.Tensor]:
    """Weights under Hugging Face's BERT names, in f16; the n-gram table in int8 with one scale per column."""
    s = {k: v.detach().float().contiguous() for k, v in model.state_dict().items()}
    out = {
        "embeddings.word_embeddings.weight": s["trunk.words.weight"],
        "embeddings.position_embeddings.weight": s["trunk.positions.weight"],
        "embeddings.token_type_embeddings.weight": s["trunk.types.weight"],
        "embeddings.LayerNorm.weight": s["trunk.norm.weight"],
        "embeddings.LayerNorm.bias": s["trunk.norm.bias"],
    }
    names = {
        "attention_output": "attention.output.dense", "attention_norm": "attention.output.LayerNorm", "intermediate": "intermediate.dense",
        "output": "output.dense", "output_norm": "output.LayerNorm",
    }
    for i in range(shape.num_hidden_layers):
        for part in ("weight", "bias"):
            for name, chunk in zip(("query", "key", "value"), s[f"trunk.layers.{i}.qkv.{part}"].chunk(3)):
                out[f"encoder.layer.{i}.attention.self.{name}.{part}"] = chunk.contiguous()
            for own, theirs in names.items():
                out[f"encoder.layer.{i}.{theirs}.{part}"] = s[f"trunk.layers.{i}.{own}.{part}"]
    for own, theirs in {"pool_first": "pooler.first", "pool_mean": "pooler.mean", "pool_norm": "pooler.norm", "embedding": "embedding"}.items():
        for part in ("weight", "bias"):
            if f"{own}.{part}" in s:
                out[f"{theirs}.{part}"] = s[f"{own}.{part}"]
    for group in ("sentence_heads", "token_heads"):
        for key in s:
            if key.startswith(f"{group}."):
                out["heads." + key.removeprefix(f"{group}.")] = s[key]
    out = {k: v.half().contiguous() for k, v in out.items()}
    out["ngrams.table"] = torch.from_numpy(bag.table)
    out["ngrams.table_scale"] = torch.from_numpy(bag.scale)
    return out


def rounded(model: Encoder) -> None:
    """Puts the exported precision into the model, so that references come from exactly what is shipped."""
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(parameter.half().float())


def heads_toml(calibration: dict[str, dict]) -> str:
    """The list of heads."""
    names = labels.SENTENCE_HEADS | labels.TOKEN_HEADS
    lines = ["# Heads of the model: labels in the order of the outputs, temperature and thresholds fitted on the dev split."]
    for head, entries in names.items():
        c = calibration[head]
        thresholds = ", ".join(f"{t:.3f}" for t in c["thresholds"])
        lines += ["", "[[head]]", f'name = "{head}"', f'kind = "{labels.KINDS[head]}"', f"temperature = {c['temperature']:.4f}"]
        lines += [f"thresholds = [{thresholds}]"] if thresholds else []
        lines += ["labels = [", *[f'  "{e}",' for e in entries], "]"]
    return "\n".join(lines) + "\n"


def parity(predictions: list[Prediction], calibration: dict[str, dict]) -> dict:
    """Reference outputs of `PARITY_TEXTS`."""
    cases = []
    for text, p in zip(PARITY_TEXTS, predictions):
        sentence = {}
        for head in labels.SENTENCE_HEADS:
            f = calibrate.softmax if labels.KINDS[head] == "softmax" else calibrate.sigmoid
            sentence[head] = [round(float(v), 5) for v in f(p.sentence[head], round(calibration[head]["temperature"], 4))]
        tokens = {head: [int(row.argmax()) for row in p.tokens[head]] for head in labels.TOKEN_HEADS}
        cases.append({"text": text, "spans": p.places, "embedding": [round(float(v), 6) for v in p.embedding], "sentence": sentence, "tokens": tokens})
    return {"version": VERSION, "cases": cases}


def main() -> None:
    parser = arguments(__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    shape, device = Shape(), seeded(options.seed, options.threads)
    tokenizer = Tokenizer.from_file(str(options.work / "tokenizer.json"))
    model = load(options.work / "tuned.pt", shape).to(device)
    rounded(model)
    dev = own_examples("dev")
    bag = Bag(options.work / "bag.npz")
    predictions = predict(model, [e.text for e in dev], tokenizer, shape, device, bag)
    print(quick_scores(dev, predictions))
    calibration = calibrate.calibrate(dev, predictions)
    options.out.mkdir(parents=True, exist_ok=True)
    config = shape.as_dict()
    ngrams = {name: config.pop(f"ngram_{name}") for name in ("buckets", "dim", "max", "words")}
    config |= {"architectures": ["BertModel"], "model_type": "bert", "hidden_act": "gelu", "pooling": "zhiyin", "ngrams": ngrams, "version": VERSION, "pad_token_id": 0}
    (options.out / "config.json").write_text(json.dumps(config, indent=1) + "\n")
    shutil.copyfile(options.work / "tokenizer.json", options.out / "tokenizer.json")
    weights = options.out / "model.safetensors"
    save_file(tensors(model.cpu(), bag, shape), str(weights), metadata={"format": "pt"})
    weights.chmod(0o644)
    (options.out / "heads.toml").write_text(heads_toml(calibration), encoding="utf-8")
    references = parity(predict(model.to(device), PARITY_TEXTS, tokenizer, shape, device, bag), calibration)
    (options.out / "parity.json").write_text(json.dumps(references, ensure_ascii=False) + "\n", encoding="utf-8")
    (options.work / "calibration.json").write_text(json.dumps(calibration))
    print({p.name: p.stat().st_size for p in sorted(options.out.iterdir())})
    print({h: round(c["temperature"], 3) for h, c in calibration.items()}, "second intent from", calibration["intent"]["thresholds"][0])


if __name__ == "__main__":
    main()
