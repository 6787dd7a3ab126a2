#!/usr/bin/env python3
"""The knowledge search beside other programs, in one run on one machine.

    pip install bm25s jieba hnswlib numpy
    python3 benches/knowledge_peers.py --zhiyin target/release/zhiyin --corpus laws.txt [--passages 100000]

Runs `zhiyin bench knowledge` first, which leaves its passages, vectors and queries in a folder; then the same passages are
indexed and the same queries asked with

* bm25s: BM25 over words cut by jieba (cut_for_search), cutting the query included,
* hnswlib: cosine, M 16, ef_construction 128, ef 128, the same vectors; the query vectors are given to it.

bm25s and hnswlib together find what the hybrid search finds before fusion; neither corrects typing errors, searches by
sound, filters, cites or makes the query vector, all of which is in the time of zhiyin. Prints one JSON line: milliseconds of
one search after the other, the recall of hnswlib against exact search, and ratios (peer / zhiyin: above 1, zhiyin is faster).
"""
import argparse
import json
import subprocess
import tempfile
import time
from pathlib import Path

import bm25s
import hnswlib
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


def run_bm25s(passages, queries):
    started = time.perf_counter()
    index = bm25s.BM25(k1=1.2, b=0.75)
    index.index([words(text) for text in passages], show_progress=False)
    build_s = time.perf_counter() - started
    times = []
    for query in queries:
        started = time.perf_counter()
        index.retrieve([words(query)], k=TOP, show_progress=False, n_threads=1)
        times.append((time.perf_counter() - started) * 1e3)
    return build_s, times


def run_hnswlib(vectors, asked):
    started = time.perf_counter()
    index = hnswlib.Index(space="cosine", dim=vectors.shape[1])
    index.init_index(max_elements=len(vectors), M=16, ef_construction=128)
    index.add_items(vectors, num_threads=2)
    build_s = time.perf_counter() - started
    index.set_ef(128)
    index.set_num_threads(1)
    times, found, wanted = [], 0, 0
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    for n, vector in enumerate(asked):
        started = time.perf_counter()
        ids, _ = index.knn_query(vector, k=TOP)
        times.append((time.perf_counter() - started) * 1e3)
        if n % 5 == 0:
            cosines = unit @ (vector / np.linalg.norm(vector))
            least = np.sort(cosines)[-10] - 1e-6
            found += int((cosines[ids[0][:10]] >= least).sum())
            wanted += 10
    return build_s, times, found / wanted


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--zhiyin", default="target/release/zhiyin")
    parser.add_argument("--corpus", action="append", required=True)
    parser.add_argument("--passages", type=int, default=100_000)
    parser.add_argument("--index", help="keep the index of zhiyin here and use it again")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        own = run_zhiyin(options, folder)["figures"]
        passages, queries = lines_of(folder / "passages.jsonl"), lines_of(folder / "queries.jsonl")
        vectors = np.fromfile(folder / "passages.f32", dtype="<f4").reshape(len(passages), -1)
        asked = np.fromfile(folder / "queries.f32", dtype="<f4").reshape(len(queries), -1)
    jieba.initialize()
    bm25_build_s, bm25_ms = run_bm25s(passages, queries)
    hnsw_build_s, hnsw_ms, hnsw_recall = run_hnswlib(vectors, asked)
    both_p50 = percentile(bm25_ms, 0.5) + percentile(hnsw_ms, 0.5)
    figures = {
        "passages": len(passages),
        "queries": len(queries),
        "zhiyin_search_alone_p50_ms": own["search_alone_p50_ms"],
        "zhiyin_recall_at_10": own["recall_at_10"],
        "bm25s_build_s": bm25_build_s,
        "bm25s_p50_ms": percentile(bm25_ms, 0.5),
        "bm25s_p99_ms": percentile(bm25_ms, 0.99),
        "hnswlib_build_s": hnsw_build_s,
        "hnswlib_p50_ms": percentile(hnsw_ms, 0.5),
        "hnswlib_p99_ms": percentile(hnsw_ms, 0.99),
        "hnswlib_recall_at_10": hnsw_recall,
        "ratio_search_p50": both_p50 / own["search_alone_p50_ms"],
    }
    if "build_s" in own:
        figures["ratio_build"] = (bm25_build_s + hnsw_build_s) / own["build_s"]
    print(json.dumps({"bench": "knowledge_peers", "figures": {name: round(value, 4) for name, value in figures.items()}}))


if __name__ == "__main__":
    main()
