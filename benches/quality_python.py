#!/usr/bin/env python3
"""A straightforward Python pipeline for the same inspection, measured beside Zhiyin in one run.

    python3 benches/quality_python.py [--zhiyin target/release/zhiyin] [--conversations 2000] [--rules 30]
                                      [--onnx encoder.onnx --tokenizer tokenizer.json]

Rules are read from pipelines/rules/*.toml and answered with `re`, word lists and, for word boundaries, `jieba` (if it is
installed). With --onnx the turns are first encoded by ONNX Runtime on the same weights, batch by batch, as such pipelines
do; without it only the rules are compared. The last line is JSON: {"bench": "quality_python", "figures": {…}} with
`ratio_python` = Zhiyin's conversations a second over Python's: with the encoder if --onnx is given, else rules only
(`compared` says which).
"""
import argparse
import json
import multiprocessing
import pathlib
import re
import subprocess
import time
import tomllib

HOME = pathlib.Path(__file__).resolve().parent.parent
TURNS = 30
CUSTOMER = ["我的订单还没有发货", "退款什么时候到账", "你们这个服务也太慢了", "那我再等两天吧", "好的，谢谢你"]
AGENT = ["您好，很高兴为您服务", "麻烦您报一下订单号", "请您稍等，我查一下", "已经帮您登记加急处理", "请问还有其他可以帮您的吗"]


def conversation(n):
    """The conversations of `zhiyin bench quality`."""
    turns = []
    for k in range(TURNS):
        words = AGENT if k % 2 == 0 else CUSTOMER
        turns.append({
            "role": "agent" if k % 2 == 0 else "customer",
            "text": f"{words[(k // 2 + n) % 5]}，编号{n * TURNS + k}",
            "start_ms": k * 4000,
            "end_ms": k * 4000 + 3000,
            "labels": ["polite"],
            "emotion": "angry" if (n + k) % 7 == 0 else "neutral",
            "intents": [],
        })
    return {"id": f"bench-{n}", "turns": turns}


def load_rules(count):
    """The first `count` rules of the general scheme that concern Mandarin."""
    scheme = tomllib.loads((HOME / "pipelines/schemes/general.toml").read_text("utf-8"))["scheme"]
    wanted = [item["rule"] for d in scheme["dimensions"] for item in d["items"] if "rule" in item]
    wanted = [r for r in wanted if not r.startswith("en-")][:count]
    rules = {}
    for name in ("common.toml", "zh.toml"):
        data = tomllib.loads((HOME / "pipelines/rules" / name).read_text("utf-8"))
        for rule in data["rule"]:
            lists = {**data.get("lists", {}), **rule.get("lists", {})}
            rules[rule["id"]] = Rule(rule, lists)
    return [rules[r] for r in wanted if r in rules]


OPERATORS = {"keyword", "regex", "silence", "rate", "interrupt", "speaker", "intent", "emotion", "label", "repeat", "measure",
             "answer", "hangup", "meta", "similar", "pattern", "entity", "energy", "trend", "flow", "knowledge"}


class Rule:
    def __init__(self, rule, lists):
        self.id = rule["id"]
        self.when = expression(rule["when"])
        self.conditions = {name: Condition(c, lists) for name, c in rule["conditions"].items()}

    def hit(self, conversation):
        known = {}

        def value(name):
            if name not in known:
                condition = self.conditions[name]
                known[name] = condition.hits(conversation, value_of)
            return known[name]

        def value_of(name):
            return value(name)

        return eval(self.when, {"__builtins__": {}}, {"v": lambda name: bool(value(name))})


def expression(text):
    """An expression of ids as a Python expression over v("id")."""
    text = text.replace("&&", " and ").replace("||", " or ").replace("!", " not ")
    words = re.sub(r"[\w-]+", lambda m: m.group() if m.group() in ("and", "or", "not") else f'v("{m.group()}")', text)
    return compile(words.strip(), "rule", "eval")


class Condition:
    def __init__(self, c, lists):
        role = c.get("role")
        self.roles = [role] if isinstance(role, str) else role
        self.sentences = c.get("sentences")
        self.first_ms = c.get("time", {}).get("first_ms")
        self.anchor = c.get("anchor")
        self.need = c.get("need", 1)
        ops = c.get("ops") or {"it": {k: c[k] for k in c if k in OPERATORS}}
        self.ops = {name: [operator(kind, table, lists) for kind, table in op.items()][0] for name, op in ops.items()}
        self.expr = expression(c["expr"]) if "expr" in c else None

    def window(self, turns, at=None):
        found = [i for i, t in enumerate(turns) if not self.roles or t["role"] in self.roles]
        if at is not None:
            found = [i for i in found if i > at] if self.anchor["where"] == "after" else [i for i in found if i < at][::-1]
        if self.first_ms is not None:
            found = [i for i in found if turns[i]["start_ms"] < self.first_ms]
        if self.sentences:
            a, b = self.sentences
            same_sign = (a < 0) == (b < 0)
            n = len(found)
            low, high = (p if p >= 0 else n + 1 + p for p in (a, b))
            if same_sign and low > high:
                low, high = high, low
            found = found[max(low - 1, 0):max(high, 0)]
            if at is not None and 0 in (a, b) and (not self.roles or turns[at]["role"] in self.roles):
                found = sorted(found + [at])
        return found

    def test(self, turns, i):
        if self.expr is None:
            return all(op(turns, i) for op in self.ops.values())
        return eval(self.expr, {"__builtins__": {}}, {"v": lambda name: self.ops[name](turns, i)})

    def hits(self, conversation, value):
        turns = conversation["turns"]
        anchors = [None]
        if self.anchor:
            anchors = value(self.anchor["of"]) or []
            if isinstance(self.anchor.get("hit"), int):
                anchors = anchors[:self.anchor["hit"]]
        out = []
        for at in anchors:
            out += [i for i in self.window(turns, at) if self.test(turns, i)]
        need = self.need if isinstance(self.need, int) else 1
        return out if len(out) >= need else []


def pattern(text, sensitive=False):
    """A pattern of Rust's regex for Python's re: classes of Unicode properties are written out."""
    out, inside = "", False
    at = 0
    while at < len(text):
        known = re.match(r"\\p\{(\w+)\}", text[at:])
        if known:
            ranges = {"Han": "\u4e00-\u9fff\u3400-\u4dbf", "P": "\u3000-\u303f\uff00-\uff0f!-/:-@", "L": "a-zA-Z\u4e00-\u9fff"}[known.group(1)]
            out += ranges if inside else f"[{ranges}]"
            at += known.end()
            continue
        step = 2 if text[at] == "\\" else 1
        if step == 1:
            inside = text[at] == "[" or (inside and text[at] != "]")
        out += text[at:at + step]
        at += step
    return re.compile(out, 0 if sensitive else re.I)


def operator(kind, table, lists):
    if kind == "keyword":
        mode = next(k for k in ("any", "all", "none", "of") if k in table)
        words = [w for word in table[mode] for w in (lists[word[1:]] if word.startswith("@") else [word])]
        words = [w.lower() for w in words]
        least = {"any": 1, "all": len(words), "of": table.get("at_least", 1)}.get(mode)
        if mode == "none":
            return lambda turns, i: not any(w in turns[i]["folded"] for w in words)
        return lambda turns, i: sum(w in turns[i]["folded"] for w in words) >= least
    if kind == "regex":
        sensitive = table.get("case_sensitive", False)
        match = pattern(table["match"], sensitive)
        other = pattern(table["except"], sensitive) if "except" in table else None
        return lambda turns, i: bool(match.search(turns[i]["text"])) and not (other and other.search(turns[i]["text"]))
    if kind == "silence":
        over = table["gap_ms"].get("gt", table["gap_ms"].get("ge", 0))
        return lambda turns, i: i > 0 and turns[i]["start_ms"] - turns[i - 1]["end_ms"] > over
    if kind == "rate":
        over = table["per_min"].get("gt", 0)
        return lambda turns, i: len(turns[i]["words"]) * 60000 / max(turns[i]["end_ms"] - turns[i]["start_ms"], 1) > over
    if kind == "interrupt":
        over = table.get("overlap_ms", {}).get("ge", 2000)
        return lambda turns, i: i > 0 and turns[i - 1]["end_ms"] - turns[i]["start_ms"] >= over
    if kind == "label":
        return lambda turns, i: any(x in table.get("any", []) for x in turns[i]["labels"])
    if kind == "intent":
        return lambda turns, i: any(x in table.get("any", []) for x in turns[i]["intents"])
    if kind == "emotion":
        return lambda turns, i: turns[i]["emotion"] in table.get("any", [])
    if kind == "repeat":
        return lambda turns, i: any(turns[i]["words"] == turns[j]["words"] for j in range(max(0, i - 4), i))
    # Facts of the call that these conversations do not have.
    return lambda turns, i: False


RULES = None
CUT = None


def begin(count):
    global RULES, CUT
    RULES = load_rules(count)
    try:
        import jieba
        jieba.setLogLevel(60)
        CUT = jieba.lcut
        CUT("预热")
    except ImportError:
        CUT = None


def inspect(n):
    c = conversation(n)
    for turn in c["turns"]:
        turn["folded"] = turn["text"].lower()
        turn["words"] = CUT(turn["text"]) if CUT else re.findall(r"\w", turn["text"])
    return sum(rule.hit(c) for rule in RULES)


def rules_per_s(conversations, count):
    cores = multiprocessing.cpu_count()
    with multiprocessing.Pool(cores, begin, (count,)) as pool:
        pool.map(inspect, range(cores * 4))
        started = time.perf_counter()
        hits = sum(pool.imap_unordered(inspect, range(conversations), chunksize=32))
        return conversations / (time.perf_counter() - started), hits


def encoded_per_s(conversations, model, tokenizer):
    """Conversations a second through the exported encoder alone, 32 turns a batch."""
    import numpy
    import onnxruntime
    from tokenizers import Tokenizer
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    inputs = {i.name: i for i in session.get_inputs()}
    cut = Tokenizer.from_file(tokenizer)
    cut.enable_padding()
    cut.enable_truncation(128)
    texts = [t["text"] for n in range(conversations) for t in conversation(n)["turns"]]
    started = time.perf_counter()
    for first in range(0, len(texts), 32):
        batch = cut.encode_batch(texts[first:first + 32])
        ids = numpy.array([e.ids for e in batch], dtype=numpy.int64)
        mask = numpy.array([e.attention_mask for e in batch], dtype=numpy.int64)
        feed = {"ids": ids, "mask": mask}
        if "margins" in inputs:
            # The n-gram bag is no part of the graph; its cost is left out in Python's favour.
            feed["margins"] = numpy.zeros((len(ids), inputs["margins"].shape[1]), dtype=numpy.float32)
        session.run(None, feed)
    return conversations / (time.perf_counter() - started)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--zhiyin", default=str(HOME / "target/release/zhiyin"))
    parser.add_argument("--conversations", type=int, default=2000)
    parser.add_argument("--rules", type=int, default=30)
    parser.add_argument("--onnx")
    parser.add_argument("--tokenizer")
    arguments = parser.parse_args()
    rate, hits = rules_per_s(arguments.conversations, arguments.rules)
    begin(arguments.rules)
    figures = {"python_conversations_per_s_rules": rate, "python_rules": len(RULES), "python_hits": hits,
               "python_jieba": CUT is not None}
    compared = "rules"
    if arguments.onnx:
        compared = "full"
        encoded = encoded_per_s(min(arguments.conversations, 300), arguments.onnx, arguments.tokenizer)
        figures["python_conversations_per_s_encoder"] = encoded
        rate = 1 / (1 / encoded + 1 / rate)
    command = [arguments.zhiyin, "bench", "quality", "--json", "--rules", str(arguments.rules),
               "--conversations", str(arguments.conversations)] + ([] if arguments.onnx else ["--rules-only"])
    line = subprocess.run(command, cwd=HOME, check=True, capture_output=True, text=True).stdout.strip().splitlines()[-1]
    own = json.loads(line)["figures"]
    ours = own["conversations_per_h_full"] / 3600 if arguments.onnx else own["conversations_per_s_rules"]
    figures.update({"zhiyin_conversations_per_s": ours, "python_conversations_per_s": rate, "ratio_python": ours / rate})
    shown = {k: round(v, 3) if isinstance(v, float) else v for k, v in figures.items()}
    print(json.dumps({"bench": "quality_python", "compared": compared, "figures": shown}))


if __name__ == "__main__":
    main()
