#!/usr/bin/env python3
"""Listening beside other programs: the same weights, the same sample calls, one run on one machine.

    pip install numpy requests pywhispercpp opus-fast-mosestokenizer
    pip install --no-deps whisper-streaming
    python3 benches/listening_peers.py --zhiyin target/release/zhiyin --whisper-server PATH [--calls 2] [--json]

Measured one after the other, each with the sample calls in real time, two channels a call:

* zhiyin: `zhiyin bench live --calls N`. It finds where speech begins and ends by itself; its time to the final contains the
  silence that it waits for.
* whisper.cpp's server example (`examples/server`, source in the pywhispercpp source package; build it with GGML_NATIVE=OFF).
  It takes whole segments and finds no end of speech: it is given the exact turns of the reference at the moment they end, so
  its time is decoding and queueing alone, and there are no partial words.
* whisper-streaming (local agreement over a growing buffer, one second a step), with its processor as it is and these weights
  behind it through pywhispercpp. Its interface to models is closed to ggml files: the class it asks for is put in its place.
  Times of words are spread evenly over what is loud in the buffer, since the weights know no timestamps.

Flash attention is off in all three: on a processor it pads the keys of the audio with zeros that take attention, and with a
short audio context that costs errors.

The latency of a turn is from its last sample to the last word of it that will not change any more. Error rates are edit
distances over characters (Chinese) or words (English), after `zhiyin text write` on both sides; zhiyin's own are those of
`zhiyin transcribe`. Processor time is that of all processes of a program. Prints one JSON line with `--json`.
"""
import argparse
import io
import json
import multiprocessing
import re
import resource
import socket
import subprocess
import tempfile
import threading
import time
import wave
from pathlib import Path

import numpy as np
import requests

RATE = 16_000
STEP_S = 1.0  # what whisper-streaming takes at once
BUFFER_S = 8.0  # it is trimmed to this; the weights hear at most 12 s
HOME = Path(__file__).resolve().parent.parent


def percentile(values, share):
    return float(np.percentile(np.array(values), share * 100, method="inverted_cdf")) if values else 0.0


def sample_calls():
    calls = []
    for path in sorted((HOME / "pipelines/samples/calls").glob("*.json")):
        reference = json.loads(path.read_text())
        opus = path.with_suffix(".opus")
        raw = subprocess.run(["ffmpeg", "-v", "error", "-i", opus, "-f", "s16le", "-ar", str(RATE), "-ac", "2", "-"],
                             check=True, stdout=subprocess.PIPE).stdout
        audio = np.frombuffer(raw, dtype="<i2").reshape(-1, 2).astype(np.float32) / 32_768
        calls.append({"id": reference["id"], "language": reference["language"][:2], "turns": reference["turns"], "audio": audio,
                      "path": str(opus)})
    return calls


def units(text, language):
    text = text.lower()
    return [c for c in text if c.isalnum()] if language == "zh" else re.findall(r"[^\W_]+", text)


def distance(a, b):
    row = list(range(len(b) + 1))
    for i, x in enumerate(a):
        diagonal, row[0] = row[0], i + 1
        for j, y in enumerate(b):
            diagonal, row[j + 1] = row[j + 1], min(diagonal + (x != y), row[j + 1] + 1, row[j] + 1)
    return row[-1]


class Errors:
    """Edit distance over all turns; both sides written as zhiyin writes."""

    def __init__(self, options):
        self.zhiyin, self.sides = options.zhiyin, []

    def add(self, language, reference, heard):
        self.sides.append((language, reference, heard))

    def written(self, text):
        command = [self.zhiyin, "text", "write", "--", text or "-"]
        return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, cwd=HOME).stdout.strip()

    def rate(self):
        wrong = total = 0
        for language, reference, heard in self.sides:
            reference, heard = (units(self.written(text), language) for text in (reference, heard))
            wrong, total = wrong + distance(reference, heard), total + len(reference)
        return wrong / max(total, 1)


def channel_text(call, channel):
    return " ".join(turn["text"] for turn in call["turns"] if turn["channel"] == channel)


def run_zhiyin(options, calls):
    command = [options.zhiyin, "bench", "live", "--calls", str(options.calls), "--json"]
    line = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, cwd=HOME).stdout.strip().splitlines()[-1]
    figures = json.loads(line)["figures"]
    errors = Errors(options)
    for call in calls[: options.calls]:
        command = [options.zhiyin, "transcribe", "--format", "json", "--languages", call["language"], call["path"]]
        said = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, cwd=HOME).stdout
        turns = json.loads(said)["turns"]
        for channel, role in ((0, "customer"), (1, "agent")):
            heard = " ".join(turn["text"] for turn in turns if turn["role"] == role)
            errors.add(call["language"], channel_text(call, channel), heard)
    return {
        "final_p50_ms": figures["final_p50_ms"], "final_p95_ms": figures["final_p95_ms"],
        "first_partial_p50_ms": figures["first_partial_p50_ms"], "finals": figures["finals"],
        "cpu_per_call_second": figures["cpu_per_call_second"], "error_rate": errors.rate(),
    }


def wav(samples):
    file = io.BytesIO()
    with wave.open(file, "wb") as out:
        out.setparams((1, 2, RATE, 0, "NONE", ""))
        out.writeframes((samples * 32_767).astype("<i2").tobytes())
    return file.getvalue()


def cpu_of(pid):
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / 100


def run_server(options, calls, model):
    port = free_port()
    command = [options.whisper_server, "-m", model, "--host", "127.0.0.1", "--port", str(port), "-t", str(options.threads), "-nf", "-nt", "-nfa"]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        for _ in range(300):
            try:
                socket.create_connection(("127.0.0.1", port), 0.2).close()
                break
            except OSError:
                time.sleep(0.1)
        before, latencies, errors, lock = cpu_of(server.pid), [], Errors(options), threading.Lock()

        def ask(call, turn, ended_at):
            part = call["audio"][turn["start_ms"] * RATE // 1000:turn["end_ms"] * RATE // 1000, turn["channel"]]
            answer = requests.post(f"http://127.0.0.1:{port}/inference", files={"file": ("turn.wav", wav(part))}, data={
                "response_format": "json", "language": call["language"], "temperature": "0", "no_timestamps": "true"})
            with lock:
                latencies.append((time.monotonic() - ended_at) * 1_000)
                errors.add(call["language"], turn["text"], answer.json().get("text", "").strip())

        seconds = in_real_time(options, calls, ask)
        return {"final_p50_ms": percentile(latencies, 0.5), "final_p95_ms": percentile(latencies, 0.95),
                "finals": len(latencies), "cpu_per_call_second": (cpu_of(server.pid) - before) / seconds,
                "error_rate": errors.rate()}
    finally:
        server.terminate()
        server.wait()


def in_real_time(options, calls, ask):
    """Asks about every turn at the moment it ends; seconds of calls played."""
    threads, begun, seconds = [], time.monotonic(), 0.0
    moments = []
    for number in range(options.calls):
        call = calls[number % len(calls)]
        seconds += len(call["audio"]) / RATE
        moments += [(number * 0.7 + turn["end_ms"] / 1_000, call, turn) for turn in call["turns"]]
    for at, call, turn in sorted(moments, key=lambda moment: moment[0]):
        time.sleep(max(0.0, begun + at - time.monotonic()))
        thread = threading.Thread(target=ask, args=(call, turn, begun + at))
        thread.start()
        threads.append(thread)
    for thread in threads:
        thread.join()
    return seconds


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def spread(audio, count):
    """Times of words: evenly over what is louder than -45 dB, in frames of 20 ms."""
    if count == 0:
        return []
    frame = RATE // 50
    frames = audio[: len(audio) // frame * frame].reshape(-1, frame)
    loud = np.flatnonzero((frames ** 2).mean(axis=1) > 10 ** -4.5) if len(frames) else np.array([], dtype=int)
    places = loud if len(loud) >= count else np.arange(max(len(frames), count))
    edges = [int(places[min(n * len(places) // count, len(places) - 1)]) / 50 for n in range(count + 1)]
    return list(zip(edges[:-1], edges[1:]))


def stream_channel(audio, language, model, results):
    """One channel through whisper-streaming in a process of its own; gives words with the time they became fixed."""
    import whisper_streaming.backend as backend
    from pywhispercpp.model import Model
    from whisper_streaming import ASRProcessor, AudioReceiver, Backend, OutputSender, TimeTrimming, Word
    from whisper_streaming.base import ASRBase, Segment

    class Ggml(ASRBase):
        def __init__(self, model_config, transcribe_config, feature_config, rate, language):
            self.language = language
            super().__init__("ggml", model_config, transcribe_config)

        def _load_model(self, path):
            return Model(path, n_threads=1, print_progress=False, print_realtime=False, redirect_whispercpp_logs_to=None,
                         context_params={"flash_attn": False})

        def transcribe(self, audio, init_prompt):
            found = self.model.transcribe(audio.astype(np.float32), language=self.language, no_timestamps=True,
                                          single_segment=True, temperature_inc=0.0)
            text = " ".join(segment.text for segment in found).strip()
            parts = list(text.replace(" ", "")) if self.language == "zh" else [" " + word for word in text.split()]
            times = spread(audio, len(parts))
            words = [Word(start, end, part) for (start, end), part in zip(times, parts)]
            return [Segment(0.0, len(audio) / RATE, words)], self.language

        def segments_to_words(self, segments):
            return [word for segment in segments for word in segment.words]

        @staticmethod
        def get_supported_sampling_rates():
            return [RATE]

    backend.FasterWhisperASR = Ggml
    heard, begun = [], time.monotonic()

    class Line(AudioReceiver):
        at = 0

        def _do_receive(self):
            step = int(STEP_S * RATE)
            if self.at >= len(audio):
                return None
            self.at += step
            time.sleep(max(0.0, begun + self.at / RATE - time.monotonic()))
            return audio[self.at - step:self.at]

        def _do_close(self):
            pass

    class Notes(OutputSender):
        def _do_output(self, data):
            heard.append((time.monotonic() - begun, data.start, data.end, data.word))

        def _do_close(self):
            pass

    config = ASRProcessor.ProcessorConfig(sampling_rate=RATE, prompt_size=0, audio_receiver_timeout=STEP_S * 3,
                                          audio_trimming=TimeTrimming(BUFFER_S), language=language)
    notes = Notes()
    processor = ASRProcessor(config, Line(), notes, Backend.FASTER_WHISPER, model, None, None)
    begun = time.monotonic()
    processor.run()
    notes.join(5)
    usage = resource.getrusage(resource.RUSAGE_SELF)
    results.put((heard, usage.ru_utime + usage.ru_stime))


def run_streaming(options, calls, model):
    context = multiprocessing.get_context("spawn")
    lines = []
    for number in range(options.calls):
        call = calls[number % len(calls)]
        for channel in (0, 1):
            results = context.Queue()
            audio = np.ascontiguousarray(call["audio"][:, channel])
            process = context.Process(target=stream_channel, args=(audio, call["language"], model, results))
            process.start()
            lines.append((call, channel, process, results))
    latencies, errors, cpu, seconds = [], Errors(options), 0.0, 0.0
    for call, channel, process, results in lines:
        heard, used = results.get(timeout=600)
        process.join()
        cpu, seconds = cpu + used, seconds + len(call["audio"]) / RATE / 2
        errors.add(call["language"], channel_text(call, channel), "".join(word for *_, word in heard))
        for turn in (turn for turn in call["turns"] if turn["channel"] == channel):
            of_turn = [at for at, start, end, _ in heard if turn["start_ms"] < (start + end) * 500 < turn["end_ms"] + 500]
            if of_turn:
                latencies.append(max(of_turn) * 1_000 - turn["end_ms"])
    return {"final_p50_ms": percentile(latencies, 0.5), "final_p95_ms": percentile(latencies, 0.95), "finals": len(latencies),
            "cpu_per_call_second": cpu / seconds, "error_rate": errors.rate()}


def unpacked(folder):
    path = Path(folder) / "model.ggml"
    packed = HOME / "models/zhiyin-asr-small/model.ggml.zst"
    subprocess.run(["zstd", "-q", "-d", packed, "-o", path], check=True)
    return str(path)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--zhiyin", required=True, help="the program")
    parser.add_argument("--whisper-server", help="whisper.cpp's server example; left out without it")
    parser.add_argument("--no-streaming", action="store_true", help="leave whisper-streaming out")
    parser.add_argument("--calls", type=int, default=2, help="calls at once (default 2)")
    parser.add_argument("--threads", type=int, default=2, help="threads of whisper.cpp's server (default 2)")
    parser.add_argument("--json", action="store_true", help="one JSON object")
    options = parser.parse_args()
    options.zhiyin = str(Path(options.zhiyin).resolve())
    calls, results = sample_calls(), {}
    with tempfile.TemporaryDirectory() as folder:
        model = unpacked(folder)
        results["zhiyin"] = run_zhiyin(options, calls)
        if options.whisper_server:
            results["whisper_cpp_server"] = run_server(options, calls, model)
        if not options.no_streaming:
            results["whisper_streaming"] = run_streaming(options, calls, model)
    for values in results.values():
        values.update({name: round(value, 4) for name, value in values.items()})
    if options.json:
        print(json.dumps({"bench": "listening_peers", "calls": options.calls, "results": results}))
        return
    names = list(next(iter(results.values())))
    print("program".ljust(22), *(name.rjust(22) for name in names))
    for program, values in results.items():
        print(program.ljust(22), *(str(values.get(name, "-")).rjust(22) for name in names))


if __name__ == "__main__":
    main()
