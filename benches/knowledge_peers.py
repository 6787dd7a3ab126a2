#!/usr/bin/env python3
"""The knowledge search beside other programs, in one run on one machine.

    pip install bm25s jieba faiss-cpu numpy
    python3 benches/knowledge_peers.py --zhiyin target/release/zhiyin --corpus zh_laws.txt.xz [--corpus …] [--json]

Runs `zhiyin bench knowledge` first, which leaves its passages, vectors and queries in a folder; then the same passages are
indexed and the same queries asked with

* bm25s: BM25 over words cut by jieba (cut_for_search), cutting the query included,
* faiss: HNSW over unit vectors, M 16, efConstruction 128, efSearch 128; the query vectors are given to it.

bm25s and faiss together find what the hybrid search finds before fusion; neither corrects typing errors, searches by sound,
filters, cites or makes the query vector, all of which is in the time of zhiyin. Times of one search after the other, by the
clock and by the processor (all threads); ratios are peer / zhiyin: above 1, zhiyin is faster. `known_item` is the share of
the queries cut out of a passage whose passage is among the first ten.
"""
import argparse
import json
import subprocess
import tempfile
import time
from pathlib import Path

import bm25s
import faiss
import jieba
import numpy as np

TOP = 40  # candidates that each part contributes, as in zhiyin


def percentile(values, share):
    return float(np.percentile(np.array(values), share * 100, method="inverted_cdf"))


def words(text):
    return [word for word in jieba.cut_for_search(text.lower()) if any(c.isalnum() for c in word)]


def run_zhiyin(options, folder):
    command = [options.zhiyin, "bench", "knowledge", "--passages", str(options.passages), "--dump", str(folder), "--json"]
    if options.index:
        command += ["--index", options.index]
    for corpus in options.corpus:
        command += ["--corpus", corpus]
    lines = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout.strip().splitlines()
    return json.loads(lines[-1])


def lines_of(path):
    with open(path, encoding="utf-8") as file:
        return [json.loads(line)["text"] for line in file]


def timed(ask, queries):
    """Milliseconds of the clock each, milliseconds of the processor on average, and the answers."""
    times, answers = [], []
    processor = time.process_time()
    for query in queries:
        started = time.perf_counter()
        answers.append(ask(query))
        times.append((time.perf_counter() - started) * 1e3)
    return times, (time.process_time() - processor) * 1e3 / max(len(queries), 1), answers


def run_bm25s(passages, queries):
    started = time.perf_counter()
    index = bm25s.BM25(k1=1.2, b=0.75)
    index.index([words(text) for text in passages], show_progress=False)
    build_s = time.perf_counter() - started

    def ask(query):
        found = index.retrieve([words(query)], k=TOP, show_progress=False, n_threads=1)
        return [int(n) for n in found.documents[0]]

    return build_s, *timed(ask, queries)


def run_faiss(vectors, asked):
    unit = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
    asked = asked / np.maximum(np.linalg.norm(asked, axis=1, keepdims=True), 1e-12)
    faiss.omp_set_num_threads(2)
    started = time.perf_counter()
    index = faiss.IndexHNSWFlat(unit.shape[1], 16, faiss.METRIC_INNER_PRODUCT)
    index.hnsw.efConstruction = 128
    index.add(unit)
    build_s = time.perf_counter() - started
    index.hnsw.efSearch = 128
    faiss.omp_set_num_threads(1)
    times, processor, answers = timed(lambda vector: index.search(vector[None], TOP)[1][0], asked)
    found, wanted = 0, 0
    for vector, ids in list(zip(asked, answers))[::5]:
        cosines = unit @ vector
        least = np.sort(cosines)[-10] - 1e-6
        found += int((cosines[ids[:10]] >= least).sum())
        wanted += 10
    return build_s, times, processor, found / wanted


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--zhiyin", default="target/release/zhiyin")
    parser.add_argument("--corpus", action="append", required=True)
    parser.add_argument("--passages", type=int, default=100_000)
    parser.add_argument("--index", help="keep the index of zhiyin here and use it again")
    parser.add_argument("--json", action="store_true", help="one JSON object as the last line instead of a table")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        own = run_zhiyin(options, folder)["figures"]
        passages, queries = lines_of(folder / "passages.jsonl"), lines_of(folder / "queries.jsonl")
        sources = [json.loads(line).get("source") for line in (folder / "queries.jsonl").read_text().splitlines()]
        vectors = np.fromfile(folder / "passages.f32", dtype="<f4").reshape(len(passages), -1)
        asked = np.fromfile(folder / "queries.f32", dtype="<f4").reshape(len(queries), -1)
    jieba.initialize()
    bm25_build_s, bm25_ms, bm25_cpu, bm25_answers = run_bm25s(passages, queries)
    faiss_build_s, faiss_ms, faiss_cpu, faiss_recall = run_faiss(vectors, asked)
    cut = [(source, answer) for source, answer in zip(sources, bm25_answers) if source is not None]
    both_p50 = percentile(bm25_ms, 0.5) + percentile(faiss_ms, 0.5)
    figures = {
        "passages": len(passages),
        "queries": len(queries),
        "zhiyin_search_alone_p50_ms": own["search_alone_p50_ms"],
        "zhiyin_search_cpu_ms": own["search_cpu_ms"],
        "zhiyin_recall_at_10": own["recall_at_10"],
        "zhiyin_known_item_at_10": own["known_item_at_10"],
        "bm25s_build_s": bm25_build_s,
        "bm25s_p50_ms": percentile(bm25_ms, 0.5),
        "bm25s_p99_ms": percentile(bm25_ms, 0.99),
        "bm25s_cpu_ms": bm25_cpu,
        "bm25s_known_item_at_10": sum(source in answer[:10] for source, answer in cut) / max(len(cut), 1),
        "faiss_build_s": faiss_build_s,
        "faiss_p50_ms": percentile(faiss_ms, 0.5),
        "faiss_p99_ms": percentile(faiss_ms, 0.99),
        "faiss_cpu_ms": faiss_cpu,
        "faiss_recall_at_10": faiss_recall,
        "ratio_search_p50": both_p50 / own["search_alone_p50_ms"],
        "ratio_search_cpu": (bm25_cpu + faiss_cpu) / own["search_cpu_ms"],
    }
    if "build_s" in own:
        figures["ratio_build"] = (bm25_build_s + faiss_build_s) / own["build_s"]
    if options.json:
        print(json.dumps({"bench": "knowledge_peers", "figures": {name: round(value, 4) for name, value in figures.items()}}))
    else:
        for name, value in figures.items():
            print(f"{name:<28} {value:>12.4f}")


if __name__ == "__main__":
    main()
