#!/usr/bin/env python3
"""huggingface_hub's InferenceClient against the text-embeddings-inference routes.

Needs: pip install huggingface_hub==2.4.0; BASE_URL and TOKEN in the environment.
"""

import json
import math
import os
import sys
import urllib.error
import urllib.request

import numpy
from huggingface_hub import InferenceClient

BASE = os.environ["BASE_URL"].rstrip("/")
TOKEN = os.environ["TOKEN"]


def ask(path, body=None):
    data = None if body is None else json.dumps(body).encode()
    headers = {"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/json"}
    request = urllib.request.Request(BASE + path, data=data, headers=headers)
    try:
        with urllib.request.urlopen(request) as response:
            return response.status, json.load(response), response.headers
    except urllib.error.HTTPError as error:
        return error.code, json.load(error), error.headers


def cosine(a, b):
    a, b = numpy.ravel(a), numpy.ravel(b)
    return float(a @ b / (numpy.linalg.norm(a) * numpy.linalg.norm(b)))


def main():
    status, info, _ = ask("/info")
    assert status == 200 and info["rerank"] == "cosine" and "classifier" in info["model_type"], info
    labels = set(info["model_type"]["classifier"]["label2id"])
    client = InferenceClient(model=f"{BASE}/embed", token=TOKEN)
    vector = client.feature_extraction("您好")
    assert vector.shape[0] == 1 and abs(float(numpy.linalg.norm(vector)) - 1) < 1e-3, vector.shape
    batch = ["退款多久到账", "where is my parcel", "您好"]
    status, rows, headers = ask("/embed", {"inputs": batch})
    assert status == 200 and cosine(rows[2], vector) > 0.9999
    assert int(headers["x-inference-time"]) <= int(headers["x-total-time"]) + 1 and int(headers["x-compute-tokens"]) > 0
    status, rows, _ = ask("/embed", {"inputs": "您好", "dimensions": 32})
    assert status == 200 and len(rows[0]) == 32 and abs(math.sqrt(sum(x * x for x in rows[0])) - 1) < 1e-3
    predicted = InferenceClient(model=f"{BASE}/predict", token=TOKEN).text_classification("我要退款")
    first = predicted[0] if isinstance(predicted, list) else predicted
    assert first.label in labels and 0 < first.score <= 1, predicted
    for inputs, shape in [("我要退款", 1), (["a", "b"], 1), ([["我要退款"], ["where is my parcel", "please"]], 2)]:
        status, answer, _ = ask("/predict", {"inputs": inputs})
        assert status == 200, answer
        answers = answer if shape == 2 else [answer]
        assert all(abs(sum(row["score"] for row in one) - 1) < 1e-3 for one in answers)
        assert all(one == sorted(one, key=lambda row: -row["score"]) for one in answers)
    status, ranking, _ = ask("/rerank", {"query": "退款", "texts": ["天气很好", "退款三天到账"], "return_text": True})
    assert status == 200 and ranking[0]["text"] == "退款三天到账" and all(0 < row["score"] < 1 for row in ranking), ranking
    status, raw, _ = ask("/rerank", {"query": "退款", "texts": ["天气很好", "退款三天到账"], "raw_scores": True})
    assert [row["index"] for row in raw] == [row["index"] for row in ranking]
    for path, body, wanted, kind in [
        ("/embed", {"inputs": ["a"] * 33}, 422, "Validation"),
        ("/embed", {"inputs": []}, 400, "Empty"),
        ("/embed", {"inputs": "长" * 20000}, 422, "Validation"),
        ("/compat/tei/intent/embed", {"inputs": "a"}, 424, "Backend"),
    ]:
        status, answer, _ = ask(path, body)
        assert status == wanted and answer["error_type"] == kind, (path, status, answer)
    status, rows, _ = ask("/embed", {"inputs": "长" * 20000, "truncate": True})
    assert status == 200 and len(rows) == 1
    status, answer, _ = ask("/compat/tei/emotion/predict", {"inputs": "我非常生气"})
    assert status == 200 and len(answer) == 8, answer
    print("text-embeddings-inference: ok")


if __name__ == "__main__":
    try:
        main()
    except Exception as error:  # noqa: BLE001 - the exit status is the result
        print(f"text-embeddings-inference: {type(error).__name__}: {error}", file=sys.stderr)
        sys.exit(1)
