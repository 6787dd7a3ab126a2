"""Live transcription with the official Deepgram client."""

import threading
import time

from _audio import BASE_URL, TOKEN, WS_URL, likeness, mulaw, pcm, said
from deepgram import DeepgramClient
from deepgram.core.api_error import ApiError
from deepgram.core.events import EventType
from deepgram.environment import DeepgramClientEnvironment
from websockets.exceptions import InvalidStatus

environment = DeepgramClientEnvironment(base=BASE_URL, production=WS_URL, agent=WS_URL, agent_rest=BASE_URL)


def client(key: str = TOKEN) -> DeepgramClient:
    return DeepgramClient(api_key=key, environment=environment)


def listen(audio: bytes, block: int, finalize_at: int | None = None, pace_s: float = 0.0, **options) -> list:
    messages = []
    with client().listen.v1.connect(model="zhiyin-live", **options) as connection:
        connection.on(EventType.MESSAGE, messages.append)
        reader = threading.Thread(target=connection.start_listening, daemon=True)
        reader.start()
        for start in range(0, len(audio), block):
            connection.send_media(audio[start : start + block])
            if finalize_at is not None and start <= finalize_at < start + block:
                connection.send_finalize()
            time.sleep(pace_s)
        connection.send_close_stream()
        reader.join(120)
        assert not reader.is_alive(), "the socket was not closed"
    return messages


def of_type(messages: list, kind: str) -> list:
    return [m for m in messages if getattr(m, "type", None) == kind]


samples, rate, _ = pcm("zh")
messages = listen(samples, 6400, encoding="linear16", sample_rate=rate, language="zh", interim_results="true", smart_format="true", pace_s=0.02)
results = of_type(messages, "Results")
finals = [r for r in results if r.is_final]
heard = "".join(r.channel.alternatives[0].transcript for r in finals)
assert likeness(heard, said("zh")) > 0.6, f"{likeness(heard, said('zh')):.2f}"
assert any(not r.is_final for r in results), "no interim result"
ends = [r.start + r.duration for r in finals]
assert ends == sorted(ends)
confidences = {r.channel.alternatives[0].confidence for r in finals}
assert len(confidences) > 1 and all(0 < c < 1 for c in confidences)
(metadata,) = of_type(messages, "Metadata")
assert abs(metadata.duration - len(samples) / 2 / rate) < 0.02 and metadata.channels == 1

samples, rate, channels = pcm("en-stereo")
assert channels == 2
messages = listen(mulaw(samples), 3200, encoding="mulaw", sample_rate=rate, channels=2, multichannel="true", vad_events="true", utterance_end_ms=1000, language="en")
finals = [r for r in of_type(messages, "Results") if r.is_final]
for index, role in ((0, "customer"), (1, "agent")):
    heard = " ".join(r.channel.alternatives[0].transcript for r in finals if r.channel_index == [index, 2])
    assert likeness(heard, said("en", role)) > 0.55, f"{role} {likeness(heard, said('en', role)):.2f}"
assert of_type(messages, "SpeechStarted") and of_type(messages, "UtteranceEnd")

samples, rate, _ = pcm("en")
messages = listen(samples, 3200, finalize_at=3 * rate * 2, encoding="linear16", sample_rate=rate)
assert [r for r in of_type(messages, "Results") if r.from_finalize], "finalize was not answered"

for options, status, key in (({"callback": "https://example.org"}, 400, TOKEN), ({}, 401, "zy_wrong"), ({"channels": 9}, 400, TOKEN)):
    try:
        with client(key).listen.v1.connect(model="zhiyin-live", **options):
            raise SystemExit(f"{options} was let in")
    except ApiError as error:
        assert error.status_code == status, (error.status_code, status)
    except InvalidStatus as error:  # the client passes on what its socket library raises
        assert error.response.status_code == status, (error.response.status_code, status)
        assert b"err_code" in error.response.body and error.response.headers["dg-request-id"]
