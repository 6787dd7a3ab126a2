#!/usr/bin/env python3
"""The official OpenAI client against /v1/embeddings. Needs: pip install openai==3.54.0; BASE_URL and TOKEN in the environment."""

import base64
import math
import os
import struct
import sys

import openai


def cosine(a, b):
    return sum(x * y for x, y in zip(a, b)) / math.sqrt(sum(x * x for x in a) * sum(y * y for y in b))


def main():
    base = os.environ["BASE_URL"].rstrip("/")
    client = openai.OpenAI(base_url=f"{base}/v1", api_key=os.environ["TOKEN"], max_retries=0)
    texts = ["退款多久到账", "when do I get my money back", "今天天气不错"]
    # the client asks for base64 by default and decodes it itself
    packed = client.embeddings.create(model="zhiyin-encoder-small", input=texts)
    assert [row.index for row in packed.data] == [0, 1, 2], packed
    floats = client.embeddings.create(model="zhiyin-encoder-small", input=texts, encoding_format="float")
    for a, b in zip(packed.data, floats.data):
        assert cosine(a.embedding, b.embedding) > 0.99999
        assert abs(math.sqrt(sum(x * x for x in a.embedding)) - 1) < 1e-3
    one = client.embeddings.create(model="zhiyin-encoder-small", input=texts[0])
    assert cosine(one.data[0].embedding, floats.data[0].embedding) > 0.9999
    assert packed.usage.prompt_tokens > 0 and packed.usage.total_tokens == packed.usage.prompt_tokens
    short = client.embeddings.create(model="zhiyin-encoder-small", input=texts[0], dimensions=64)
    assert len(short.data[0].embedding) == 64
    raw = client.embeddings.with_raw_response.create(model="zhiyin-encoder-small", input=texts[0], encoding_format="base64")
    value = __import__("json").loads(raw.text if isinstance(raw.text, str) else raw.text())["data"][0]["embedding"]
    unpacked = struct.unpack(f"<{len(base64.b64decode(value)) // 4}f", base64.b64decode(value))
    assert cosine(unpacked, floats.data[0].embedding) > 0.99999
    for bad, kind in [({"input": []}, openai.BadRequestError), ({"input": ""}, openai.BadRequestError),
                      ({"input": [[1, 2]]}, openai.BadRequestError), ({"input": "a", "dimensions": 9999}, openai.BadRequestError)]:
        try:
            client.embeddings.create(model="zhiyin-encoder-small", **bad)
        except kind as error:
            assert error.body and error.body["message"], error
        else:
            raise AssertionError(f"{bad} was taken")
    try:
        openai.OpenAI(base_url=f"{base}/v1", api_key="wrong", max_retries=0).embeddings.create(model="m", input="a")
    except openai.AuthenticationError as error:
        assert error.body["code"] == "invalid_api_key", error.body
    else:
        raise AssertionError("a wrong key was taken")
    print("openai embeddings: ok")


if __name__ == "__main__":
    try:
        main()
    except Exception as error:  # noqa: BLE001 - the exit status is the result
        print(f"openai embeddings: {type(error).__name__}: {error}", file=sys.stderr)
        sys.exit(1)
