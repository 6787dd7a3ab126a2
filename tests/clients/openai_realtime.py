"""Realtime transcription with the official OpenAI client."""

import asyncio
import base64
import json

import websockets
from _audio import BASE_URL, TOKEN, WS_URL, likeness, mulaw, pcm, said
from openai import AsyncOpenAI

client = AsyncOpenAI(base_url=f"{BASE_URL}/v1", api_key=TOKEN, max_retries=0)
PREFIX = "conversation.item.input_audio_transcription."


def audio_of(name: str, form: str) -> tuple[bytes, int, dict]:
    """Bytes, bytes per 100 ms, and the format as the session names it."""
    samples, rate, channels = pcm(name)
    if form == "pcm":
        return samples, rate * 2 // 10, {"type": "audio/pcm", "rate": rate}
    one = b"".join(samples[i : i + 2] for i in range(0, len(samples), 2 * channels))
    return mulaw(one), 800, {"type": "audio/pcmu"}


async def talk(name: str, form: str, model: str, manual: bool) -> None:
    audio, block, shape = audio_of(name, form)
    turns = None if manual else {"type": "server_vad", "threshold": 0.5, "prefix_padding_ms": 300, "silence_duration_ms": 500}
    async with client.realtime.connect(extra_query={"intent": "transcription"}) as connection:
        first = await connection.recv()
        assert first.type == "session.created" and first.session.type == "transcription", first
        language = name.split("-")[0]
        settings = {"format": shape, "transcription": {"model": model, "language": language}, "turn_detection": turns}
        await connection.session.update(session={"type": "transcription", "audio": {"input": settings}})
        updated = await connection.recv()
        assert updated.type == "session.updated", updated
        assert updated.session.audio.input.transcription.model == model
        await connection.send({"type": "nonsense.event"})
        refused = await connection.recv()
        assert refused.type == "error" and refused.error.code == "unknown_event"
        for start in range(0, len(audio), block):
            await connection.input_audio_buffer.append(audio=base64.b64encode(audio[start : start + block]).decode())
        await connection.input_audio_buffer.commit()
        events, open_items, committed_last = [], set(), False
        while True:
            event = await asyncio.wait_for(connection.recv(), 120)
            events.append(event)
            if event.type == "input_audio_buffer.committed":
                open_items.add(event.item_id)
            if event.type == PREFIX + "completed":
                open_items.discard(event.item_id)
                committed_last = True
            if committed_last and not open_items and manual:
                break
            if committed_last and not open_items and not manual and await quiet(connection, events, open_items):
                break
    check(events, name, model, manual)


async def quiet(connection, events, open_items) -> bool:
    """Whether nothing more comes."""
    try:
        event = await asyncio.wait_for(connection.recv(), 3)
    except asyncio.TimeoutError:
        return True
    events.append(event)
    if event.type == "input_audio_buffer.committed":
        open_items.add(event.item_id)
    return False


def check(events, name: str, model: str, manual: bool) -> None:
    committed = [e for e in events if e.type == "input_audio_buffer.committed"]
    completed = [e for e in events if e.type == PREFIX + "completed"]
    assert [e.item_id for e in committed] == [e.item_id for e in completed], "items complete in order"
    previous = None
    for event in committed:
        assert event.previous_item_id == previous
        previous = event.item_id
    for event in completed:
        of_item = [e for e in events if getattr(e, "item_id", None) == event.item_id]
        kinds = [e.type for e in of_item]
        deltas = "".join(e.delta for e in of_item if e.type == PREFIX + "delta")
        if model == "zhiyin-final":
            assert deltas == event.transcript, (kinds, len(deltas), len(event.transcript))
        if not manual and event.transcript:
            places = [kinds.index(k) for k in ("input_audio_buffer.speech_started", "input_audio_buffer.speech_stopped", "input_audio_buffer.committed")]
            assert places == sorted(places), kinds
            assert kinds.index("input_audio_buffer.committed") < kinds.index(PREFIX + "completed")
    heard = " ".join(e.transcript for e in completed)
    assert likeness(heard, said(name.split("-")[0])) > 0.55, f"{name} {model}: {likeness(heard, said(name.split('-')[0])):.2f}"


async def beta() -> None:
    headers = {"Authorization": f"Bearer {TOKEN}", "OpenAI-Beta": "realtime=v1"}
    async with websockets.connect(f"{WS_URL}/v1/realtime?intent=transcription", additional_headers=headers) as socket:
        assert json.loads(await socket.recv())["type"] == "transcription_session.created"
        update = {"input_audio_format": "g711_ulaw", "input_audio_transcription": {"model": "whisper-1", "language": "en"}}
        await socket.send(json.dumps({"type": "transcription_session.update", "session": update}))
        updated = json.loads(await socket.recv())
        assert updated["type"] == "transcription_session.updated"
        assert updated["session"]["input_audio_format"] == "g711_ulaw"
        await socket.send(json.dumps({"type": "response.create"}))
        assert json.loads(await socket.recv())["error"]["code"] == "unsupported_event"


async def main() -> None:
    await talk("zh", "pcm", "zhiyin-final", manual=False)
    await talk("en", "pcm", "zhiyin-live", manual=False)
    await talk("en", "pcm", "zhiyin-final", manual=True)
    await talk("en-stereo", "pcmu", "gpt-4o-transcribe", manual=False)
    await beta()
    try:
        async with client.with_options(api_key="zy_wrong").realtime.connect(extra_query={"intent": "transcription"}):
            raise SystemExit("a wrong key was let in")
    except websockets.exceptions.InvalidStatus as error:
        assert error.response.status_code == 401


asyncio.run(main())
