"""The encoder beside ONNX Runtime: the same weights, texts and number of threads, in one run.

    pip install onnxruntime onnx torch numpy safetensors tokenizers
    cargo build --release
    python benches/against_onnx.py [--model models/zhiyin-encoder-small] [--texts FILE] [--threads 1] [--json]

Exports the model with `export_onnx.py`, quantises a copy with ONNX Runtime's dynamic int8, and measures both beside
`zhiyin bench encoder --json --texts FILE --threads N`, in turns, so that a busy machine disturbs all alike. Prints

    ratio_fp32_b1, _b8, _b32        our texts/s over ONNX Runtime's, both in 32-bit floating point
    ratio_int8_b1, _b8, _b32        our int8 over its dynamic int8
    int8_agreement                  share of texts whose labels our int8 and our fp32 agree on, mean over the heads
    cosine_min                      least cosine between our fp32 embedding and ONNX Runtime's: must exceed 0.99999

Both sides are given texts sorted by length. Ours goes from text to all heads: tokenizer, n-gram bag, network, calibration.
The headline figures count ONNX Runtime's tokenizer (the `tokenizers` package) and network; `strict_*` count its network
alone, on ids and n-gram margins made beforehand, against all of ours. Where each batch is one width, no padding is lost.
Exits with 1 when the cosine is too small: then the two are not the same model and no ratio means anything.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

HERE = Path(__file__).resolve().parent
HOME = HERE.parent
COSINE_LEAST = 0.99999

# Customer questions of both languages, written for this comparison.
TEXTS = """\
我上周五退的那个耳机，钱怎么还没到账啊
Hi, I was charged twice for my plan this month and I want one of them back
能不能帮我把收货地址改到公司这边
My broadband has been down since yesterday evening, can you send someone?
我的银行卡好像丢了，先帮我挂失吧
How long does it usually take for a refund to show up on my card?
这个套餐每个月多少流量，超出了怎么收费
Could you tell me where my parcel is, the tracking has not moved for days
发票抬头开错了，可以重新开一张吗
I forgot my password and the reset mail never arrives
昨天约的师傅到现在还没来，也没人打电话
Can I change the delivery to next Tuesday after six?
为什么这个月扣了我两次会员费
The app says my account is locked, what should I do now?
我想把宽带迁到新家，需要多少钱
Please cancel the order I placed this morning
信用卡账单日能不能往后调几天
I need a copy of the contract I signed last year
收到的杯子是碎的，我要换一个新的
Is there a fee if I pay back the loan early?
转账显示成功了，对方说没收到
Your colleague promised to call me back and nobody did
帮我查一下积分什么时候过期
The signal in my flat is gone since you changed the antenna
我要投诉你们的快递员，态度太差了
What documents do I need for the insurance claim?
年费可以减免吗，我一年都没怎么用
My new card does not work at the cash machine
在国外打电话一分钟多少钱
I want to speak to a person, not to a machine
你们周末几点开门，可以现场办理吗
Thanks, that is all I wanted to know
"""


class OnnxSide:
    """One ONNX session over texts sorted by length."""

    def __init__(self, path: Path, threads: int, tokenizer, texts: list[str], margins: np.ndarray | None) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
        self.session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        self.tokenizer, self.texts, self.margins = tokenizer, texts, margins

    def inputs(self, start: int, end: int) -> dict[str, np.ndarray]:
        rows = [e.ids for e in self.tokenizer.encode_batch(self.texts[start:end])]
        width = max(map(len, rows))
        ids, mask = np.zeros((len(rows), width), np.int64), np.zeros((len(rows), width), np.int64)
        for place, row in enumerate(rows):
            ids[place, : len(row)], mask[place, : len(row)] = row, 1
        given = {"ids": ids, "mask": mask}
        if self.margins is not None:
            given["margins"] = self.margins[start:end]
        return given

    def embeddings(self) -> np.ndarray:
        # One by one, so that no padding has a part in the comparison.
        return np.concatenate([self.session.run(["embedding"], self.inputs(i, i + 1))[0] for i in range(len(self.texts))])

    def speed(self, batch: int, seconds: float, tokenise: bool, cpu_time: bool) -> float:
        """Texts a second; all outputs are computed."""
        clock = time.process_time if cpu_time else time.perf_counter
        spans = [(s, min(s + batch, len(self.texts))) for s in range(0, len(self.texts), batch)]
        spans = [(max(0, e - batch), e) for _, e in spans]
        ready = [self.inputs(*span) for span in spans]
        self.session.run(None, ready[0])
        count, started, begun = 0, time.perf_counter(), clock()
        while time.perf_counter() - started < seconds:
            for place, span in enumerate(spans):
                self.session.run(None, self.inputs(*span) if tokenise else ready[place])
                count += span[1] - span[0]
        return count / (clock() - begun)


def ours(binary: Path, model: Path, texts: Path, threads: int, seconds: float, dump: Path, cpu_time: bool) -> dict:
    """Figures of `zhiyin bench encoder`, and the encodings it wrote."""
    command = [str(binary), "bench", "encoder", "--json", "--model", str(model), "--texts", str(texts)]
    command += ["--threads", str(threads), "--seconds", str(seconds), "--dump", str(dump)]
    command += ["--cpu-time"] if cpu_time else []
    done = subprocess.run(command, capture_output=True, text=True, cwd=HOME)
    if done.returncode != 0:
        raise SystemExit(f"{' '.join(command)}\n{done.stderr}")
    return json.loads(done.stdout.strip().splitlines()[-1])["figures"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, default=HOME / "models/zhiyin-encoder-small")
    parser.add_argument("--texts", type=Path, help="one text per line")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=2.0, help="for each figure of each round")
    parser.add_argument("--rounds", type=int, default=3, help="turns of both sides; the median of their ratios counts")
    parser.add_argument("--zhiyin", type=Path, default=HOME / "target/release/zhiyin")
    parser.add_argument("--cpu-time", action="store_true", help="count time on a core on both sides: for a busy machine, with one thread")
    parser.add_argument("--json", action="store_true")
    chosen = parser.parse_args()
    if chosen.cpu_time and chosen.threads != 1:
        raise SystemExit("--cpu-time counts one thread; use --threads 1")
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    sys.path.insert(0, str(HERE))
    from export_onnx import export
    from onnxruntime.quantization import QuantType, quantize_dynamic
    from tokenizers import Tokenizer

    lines = chosen.texts.read_text(encoding="utf-8") if chosen.texts else TEXTS
    tokenizer = Tokenizer.from_file(str(chosen.model / "tokenizer.json"))
    tokenizer.no_padding()
    texts = sorted((t.strip() for t in lines.splitlines() if t.strip()), key=lambda t: len(tokenizer.encode(t).ids))
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        full, small, listed, dump = work / "fp32.onnx", work / "int8.onnx", work / "texts.txt", work / "ours.jsonl"
        model = export(chosen.model, full)
        longest = model.config["max_position_embeddings"] - (2 if model.config["model_type"] == "roberta" else 0)
        tokenizer.enable_truncation(longest)
        quantize_dynamic(full, small, weight_type=QuantType.QInt8, per_channel=True)
        listed.write_text("\n".join(texts) + "\n", encoding="utf-8")
        ours(chosen.zhiyin, chosen.model, listed, chosen.threads, 0.1, dump, chosen.cpu_time)
        mine = [json.loads(line) for line in dump.read_text(encoding="utf-8").splitlines()]
        hidden = model.config["hidden_size"]
        margins = np.array([m["sentence"][hidden:] for m in mine], np.float32) if "ngrams" in model.config else None
        sides = {name: OnnxSide(path, chosen.threads, tokenizer, texts, margins) for name, path in (("fp32", full), ("int8", small))}
        theirs = sides["fp32"].embeddings()
        cosine = min(float(np.dot(m["embedding"], t)) for m, t in zip(mine, theirs))
        small_cosine = min(float(np.dot(m["embedding"], t)) for m, t in zip(mine, sides["int8"].embeddings()))
        rounds: list[dict[str, float]] = []
        for _ in range(chosen.rounds):
            own = ours(chosen.zhiyin, chosen.model, listed, chosen.threads, chosen.seconds, dump, chosen.cpu_time)
            found: dict[str, float] = {}
            for name, batch in ((name, batch) for name in ("fp32", "int8") for batch in (1, 8, 32)):
                prefix = "" if name == "fp32" else "int8_"
                mine_speed = found[f"{prefix}texts_per_s_b{batch}"] = own[f"{prefix}texts_per_s_b{batch}"]
                for kind, tokenise in (("", True), ("strict_", False)):
                    speed = sides[name].speed(batch, chosen.seconds, tokenise, chosen.cpu_time)
                    found[f"onnx_{kind}{prefix}texts_per_s_b{batch}"] = speed
                    found[f"{kind}ratio_{name}_b{batch}"] = mine_speed / speed
            rounds.append(found)
    figures = {name: round(statistics.median(r[name] for r in rounds), 3) for name in rounds[0]}
    figures |= {"int8_agreement": round(own["int8_agreement"], 5)} if "int8_agreement" in own else {}
    figures |= {"cosine_min": round(cosine, 7), "onnx_int8_cosine_min": round(small_cosine, 5), "our_int8_cosine_min": round(own["int8_cosine_min"], 5)}
    figures |= {"threads": chosen.threads, "texts": len(texts), "mean_tokens": round(own["mean_tokens"], 1)}
    if chosen.json:
        print(json.dumps({"bench": "against_onnx", "model": chosen.model.name, "figures": figures}))
    else:
        for name, value in figures.items():
            print(f"{name:<36} {value:>12}")
    if cosine <= COSINE_LEAST:
        raise SystemExit(f"the least cosine between the two is {cosine:.7f}: they are not the same model")


if __name__ == "__main__":
    main()
