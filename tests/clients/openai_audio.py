"""Transcription with the official OpenAI client."""

import re

from _audio import BASE_URL, FOLDER, TOKEN, likeness, said
from openai import AuthenticationError, BadRequestError, NotFoundError, OpenAI, UnprocessableEntityError

client = OpenAI(base_url=f"{BASE_URL}/v1", api_key=TOKEN, max_retries=0)


def create(name: str, **more):
    with open(FOLDER / f"{name}.wav", "rb") as file:
        return client.audio.transcriptions.create(file=file, **{"model": "zhiyin-final", **more})


for name, language in (("zh", "zh"), ("en", "en")):
    answer = create(name, language=language)
    assert likeness(answer.text, said(name)) > 0.6, f"{name}: {likeness(answer.text, said(name)):.2f}"
    assert answer.usage.seconds > 10
    text = create(name, language=language, response_format="text")
    assert str(text).strip() == answer.text.strip()

    verbose = create(name, response_format="verbose_json", timestamp_granularities=["word", "segment"])
    assert verbose.language in ("chinese", "english")
    starts = [w.start for w in verbose.words]
    assert starts == sorted(starts) and all(0 <= w.start <= w.end <= verbose.duration + 0.1 for w in verbose.words)
    assert "".join(s.text for s in verbose.segments) == verbose.text
    assert all(s.avg_logprob < 0 for s in verbose.segments)

    srt = create(name, response_format="srt")
    times = re.findall(r"(\S+) --> (\S+)", srt)
    flat = [t for pair in times for t in pair]
    assert len(times) >= 3 and flat == sorted(flat)
    assert create(name, response_format="vtt").startswith("WEBVTT")

    events = list(create(name, language=language, stream=True))
    assert events[-1].type == "transcript.text.done"
    assert "".join(e.delta for e in events if e.type == "transcript.text.delta") == events[-1].text == answer.text

both = create("zh-stereo", response_format="diarized_json")
assert {s.speaker for s in both.segments} == {"A", "B"}

for expected, code, call in (
    (NotFoundError, "model_not_found", lambda: create("zh", model="no-such-model")),
    (UnprocessableEntityError, "invalid_audio", lambda: client.audio.transcriptions.create(file=("a.wav", b"nonsense"), model="whisper-1")),
    (UnprocessableEntityError, "invalid_value", lambda: create("zh", response_format="poem")),
    (AuthenticationError, "invalid_api_key", lambda: client.with_options(api_key="zy_wrong").audio.transcriptions.create(file=("a.wav", b"x"), model="whisper-1")),
):
    try:
        call()
        raise SystemExit(f"{expected.__name__} was not raised")
    except (expected, BadRequestError) as error:
        assert error.code == code, (error.code, code)
