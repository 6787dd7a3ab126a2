"""FunASR's WebSocket protocol, with frames as its clients send them."""

import asyncio
import json

import websockets
from _audio import FOLDER, TOKEN, WS_URL, likeness, pcm, said

HEADERS = {"Authorization": f"Bearer {TOKEN}"}


async def stream(socket, name: str, mode: str, is_end: bool, container: str = "pcm", **more) -> list[dict]:
    samples, rate, _ = pcm("zh")
    first = {"mode": mode, "wav_name": name, "wav_format": container, "audio_fs": rate, "is_speaking": True, "chunk_size": [5, 10, 5], "chunk_interval": 10}
    await socket.send(json.dumps(first | more))
    data = samples if container == "pcm" else (FOLDER / "zh.wav").read_bytes()
    for start in range(0, len(data), 19200):
        await socket.send(data[start : start + 19200])
    await socket.send(json.dumps({"is_speaking": False} | ({"is_end": True} if is_end else {})))
    messages = []
    while True:
        message = json.loads(await asyncio.wait_for(socket.recv(), 120))
        assert message["wav_name"] == name
        messages.append(message)
        if message.get("is_end") or (not is_end and message["is_final"]):
            return messages


async def main() -> None:
    async with websockets.connect(f"{WS_URL}/compat/funasr", additional_headers=HEADERS, subprotocols=["binary"]) as socket:
        two = await stream(socket, "k1", "2pass", True, hotwords='{"退款":20}', itn=True)
        online = "".join(m["text"] for m in two if m["mode"] == "2pass-online")
        offline = "".join(m["text"] for m in two if m["mode"] == "2pass-offline")
        assert two[-1]["is_final"] is True and "error" not in two[-1]
        assert likeness(offline, said("zh")) > 0.6 and likeness(online, offline) > 0.6
        times = [pair for m in two if m["mode"] == "2pass-offline" for pair in json.loads(m["timestamp"])]
        assert times == sorted(times) and times[-1][1] <= 30_500

        # The socket takes the next recording; a client that asks for no acknowledgement gets the last sentence.
        live = await stream(socket, "k2", "online", False)
        assert {m["mode"] for m in live} == {"online"} and live[-1]["is_final"]
        assert likeness("".join(m["text"] for m in live), said("zh")) > 0.5
        whole = await stream(socket, "k3", "offline", False, container="wav")
        assert {m["mode"] for m in whole} == {"offline"}

        # What goes wrong is said in the acknowledgement.
        await socket.send(b"\0" * 320)
        await socket.send("{broken")
        await socket.send(json.dumps({"is_speaking": False, "is_end": True}))
        answer = json.loads(await socket.recv())
        assert answer["is_final"] is False and "configuration" in answer["error"]
        await socket.send(json.dumps({"mode": "2pass", "wav_name": "k4", "wav_format": "mp3", "is_speaking": True}))
        assert json.loads(await socket.recv())["text"].startswith("ERROR.")

    async def one(n: int) -> None:
        async with websockets.connect(f"{WS_URL}/compat/funasr", additional_headers=HEADERS) as socket:
            assert (await stream(socket, f"n{n}", "offline", True))[-1]["is_end"]

    await asyncio.gather(*(one(n) for n in range(6)))


asyncio.run(main())
