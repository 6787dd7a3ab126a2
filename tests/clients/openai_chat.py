"""Chat completions through the official `openai` package. Reads BASE_URL (…/v1) and TOKEN; asserts; exit code 0 when all holds."""

import asyncio
import os
import sys

import openai

BASE_URL = os.environ["BASE_URL"].rstrip("/")
if not BASE_URL.endswith("/v1"):
    BASE_URL += "/v1"
client = openai.OpenAI(base_url=BASE_URL, api_key=os.environ["TOKEN"])


def user(text):
    return {"role": "user", "content": text}


# models
ids = [m.id for m in client.models.list()]
assert "zhiyin-chat" in ids and "zhiyin-live" in ids and "zhiyin-final" in ids, ids
assert client.models.retrieve("zhiyin-chat").owned_by == "zhiyin"
try:
    client.models.retrieve("no-such-model")
    sys.exit("an unknown model was found")
except openai.NotFoundError as error:
    assert error.code == "model_not_found", error.code

# a question that an article answers, whole
whole = client.chat.completions.create(model="zhiyin-chat", messages=[user("how do I return something?")])
assert whole.object == "chat.completion" and whole.choices[0].finish_reason == "stop"
assert whole.choices[0].message.role == "assistant" and whole.choices[0].message.content
assert whole.usage.total_tokens == whole.usage.prompt_tokens + whole.usage.completion_tokens > 0
assert whole.model_extra["zhiyin"]["citations"], "an answer without a citation"

# the same, streamed
text, roles, finish, usage = "", [], None, None
stream = client.chat.completions.create(
    model="zhiyin-chat", messages=[user("how do I return something?")], stream=True, stream_options={"include_usage": True}
)
for chunk in stream:
    assert chunk.object == "chat.completion.chunk"
    if not chunk.choices:
        usage = chunk.usage
        continue
    delta = chunk.choices[0].delta
    roles += [delta.role] if delta.role else []
    text += delta.content or ""
    finish = chunk.choices[0].finish_reason or finish
assert roles == ["assistant"] and finish == "stop" and usage.total_tokens > 0
assert text == whole.choices[0].message.content, "the joined deltas differ from the whole answer"

# the asynchronous client, in Mandarin; a stream may be left before its end
async def streamed() -> str:
    other = openai.AsyncOpenAI(base_url=BASE_URL, api_key=os.environ["TOKEN"])
    parts = []
    async with other:
        async for chunk in await other.chat.completions.create(model="zhiyin-chat", messages=[user("怎么申请退货")], stream=True):
            parts += [chunk.choices[0].delta.content or ""]
        left = await other.chat.completions.create(model="zhiyin-chat", messages=[user("怎么申请退货")], stream=True)
        async for _ in left:
            await left.close()
            break
    return "".join(parts)


assert "退货" in asyncio.run(streamed())

# a limit cuts the answer and says so, whole and streamed
short = client.chat.completions.create(model="zhiyin-chat", messages=[user("how do I return something?")], max_completion_tokens=5)
assert short.choices[0].finish_reason == "length" and short.usage.completion_tokens == 5
ends = [
    chunk.choices[0].finish_reason
    for chunk in client.chat.completions.create(
        model="zhiyin-chat", messages=[user("how do I return something?")], max_completion_tokens=5, stream=True
    )
]
assert ends[-1] == "length" and not any(ends[:-1]), ends

# a conversation that goes on: with `user` it lives here, without it is in the request
key = f"client-{os.getpid()}"
first = client.chat.completions.create(model="zhiyin-chat", user=key, messages=[user("where is my parcel")])
second = client.chat.completions.create(model="zhiyin-chat", user=key, messages=[user("AB20260307")])
assert "AB20260307" in second.choices[0].message.content or second.model_extra["zhiyin"]["handoff"], second
again = client.chat.completions.create(
    model="zhiyin-chat",
    messages=[user("where is my parcel"), {"role": "assistant", "content": first.choices[0].message.content}, user("AB20260307")],
)
assert "AB20260307" in again.choices[0].message.content or again.model_extra["zhiyin"]["handoff"], again

# what is not known is not made up
unknown = client.chat.completions.create(model="zhiyin-chat", messages=[user("who won the football match last night")])
assert not unknown.model_extra["zhiyin"]["citations"]

# a person
person = client.chat.completions.create(model="zhiyin-chat", messages=[user("我要转人工")])
assert person.model_extra["zhiyin"]["handoff"]["reason"] == "asked"

# refusals; a stream is refused like the rest, before it begins
for more in ({"n": 2}, {"n": 2, "stream": True}, {"tools": [{"type": "function", "function": {"name": "f", "parameters": {}}}]}):
    try:
        client.chat.completions.create(model="zhiyin-chat", messages=[user("hello")], **more)
        sys.exit(f"{more} was accepted")
    except openai.BadRequestError as error:
        assert error.code == "unsupported_parameter", error.code
for messages, kind in (([], openai.BadRequestError), ([user("   ")], openai.BadRequestError), ([user("长" * 9_000)], openai.UnprocessableEntityError)):
    try:
        client.chat.completions.create(model="zhiyin-chat", messages=messages)
        sys.exit("a message that cannot be answered was accepted")
    except kind as error:
        assert error.type == "invalid_request_error" and "长长" not in str(error), error
try:
    client.chat.completions.create(model="gpt-9", messages=[user("hi")], stream=True)
    sys.exit("an unknown model was accepted")
except openai.NotFoundError as error:
    assert error.code == "model_not_found", error.code
try:
    image = [{"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}}]
    client.chat.completions.create(model="zhiyin-chat", messages=[{"role": "user", "content": image}])
    sys.exit("an image was accepted")
except openai.BadRequestError as error:
    assert error.code == "unsupported_parameter", error.code
try:
    openai.OpenAI(base_url=BASE_URL, api_key="zy_wrong", max_retries=0).chat.completions.create(model="zhiyin-chat", messages=[user("hi")])
    sys.exit("a wrong key was accepted")
except openai.AuthenticationError as error:
    assert error.code == "invalid_api_key", error.code
print("ok")
