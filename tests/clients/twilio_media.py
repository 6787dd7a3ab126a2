"""A telephone media stream as Twilio sends it, and the call that it becomes."""

import asyncio
import base64
import json
import random
import time

import requests
import websockets
from _audio import BASE_URL, TOKEN, WS_URL, likeness, mulaw, pcm, said

HEADERS = {"Authorization": f"Bearer {TOKEN}"}


async def stream(call_sid: str, frame_ms: int, lost: float) -> dict:
    samples, rate, _ = pcm("en-stereo")
    sides = [b"".join(samples[i + at : i + at + 2] for i in range(0, len(samples), 4)) for at in (0, 2)]
    tracks = dict(zip(("inbound", "outbound"), (mulaw(side) for side in sides)))
    block, chance = rate * frame_ms // 1000, random.Random(7)
    async with websockets.connect(f"{WS_URL}/compat/twilio/media") as socket:
        await socket.send(json.dumps({"event": "connected", "protocol": "Call", "version": "1.0.0"}))
        parameters = {"token": TOKEN, "queue": "support", "agent_id": "a17", "language": "en-US", "campaign": "spring"}
        start = {
            "streamSid": "MZ01", "accountSid": "AC01", "callSid": call_sid, "tracks": ["inbound", "outbound"], "customParameters": parameters,
            "mediaFormat": {"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1},
        }
        await socket.send(json.dumps({"event": "start", "sequenceNumber": "1", "streamSid": "MZ01", "start": start}))
        for at in range(0, len(tracks["inbound"]), block):
            for name, audio in tracks.items():
                if chance.random() >= lost:
                    media = {"track": name, "chunk": str(at // block + 1), "timestamp": str(at * 1000 // rate), "payload": base64.b64encode(audio[at : at + block]).decode()}
                    await socket.send(json.dumps({"event": "media", "sequenceNumber": "3", "streamSid": "MZ01", "media": media}))
        await socket.send(json.dumps({"event": "dtmf", "streamSid": "MZ01", "dtmf": {"track": "inbound_track", "digit": "4"}}))
        await socket.send(json.dumps({"event": "surprise"}))
        await socket.send(json.dumps({"event": "stop", "streamSid": "MZ01", "stop": {"accountSid": "AC01", "callSid": call_sid}}))
        said_back = [message async for message in socket]
        assert said_back == [], "nothing is sent on a one-way stream"
    for _ in range(600):
        calls = requests.get(f"{BASE_URL}/api/v1/calls?limit=200", headers=HEADERS).json()["items"]
        call = next(c for c in calls if c["external_id"] == call_sid)
        if call["state"] == "completed":
            return call
        time.sleep(0.1)
    raise SystemExit("the call did not end")


def words(call: dict, role: str) -> str:
    turns = requests.get(f"{BASE_URL}/api/v1/calls/{call['call_id']}/transcript", headers=HEADERS).json()["turns"]
    return " ".join(t["text"] for t in turns if t["role"] == role)


async def main() -> None:
    for call_sid, frame_ms, lost in (("CA01", 20, 0.0), ("CA02", 160, 0.03)):
        call = await stream(call_sid, frame_ms, lost)
        assert call["queue"] == "support" and call["agent"]["id"] == "a17" and call["metadata"]["campaign"] == "spring"
        assert call["metadata"]["dtmf"] == "4" and "token" not in call["metadata"]
        assert [p["role"] for p in call["participants"]] == ["customer", "agent"]
        for role in ("customer", "agent"):
            like = likeness(words(call, role), said("en", role))
            assert like > (0.55 if lost == 0 else 0.3), f"{call_sid} {role}: {like:.2f}"

    # Without a token the stream is closed; broken text is let pass twice.
    async with websockets.connect(f"{WS_URL}/compat/twilio/media") as socket:
        start = {"callSid": "CA03", "tracks": ["inbound"], "customParameters": {}}
        await socket.send(json.dumps({"event": "start", "start": start}))
        try:
            await socket.recv()
            raise SystemExit("a stream without a token was let in")
        except websockets.exceptions.ConnectionClosed as closed:
            assert closed.rcvd.code == 1008
    async with websockets.connect(f"{WS_URL}/compat/twilio/media") as socket:
        for _ in range(3):
            await socket.send("{broken")
        try:
            await socket.recv()
            raise SystemExit("broken messages were let in")
        except websockets.exceptions.ConnectionClosed as closed:
            assert closed.rcvd.code == 1007


asyncio.run(main())
