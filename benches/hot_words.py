#!/usr/bin/env python3
"""What hot words are worth: names and products that no training text holds, spoken by eSpeak NG, heard with and without them.

    zhiyin serve --listen 127.0.0.1:8080                      # another terminal; it prints a token
    python3 benches/hot_words.py --token TOKEN [--url http://127.0.0.1:8080] [--json]

Each of twenty names a language stands in four sentences by four voices. They go to `POST /v1/audio/transcriptions`, once as they
are and once with all twenty names of the language as `keywords`. A name counts as found when it stands in the text as it is
written. `put_in` counts names that were put where another one, or none, was said; twenty further sentences hold no name.
Needs Python alone and the program `espeak-ng`.
"""
import argparse
import io
import json
import re
import subprocess
import urllib.request
import uuid
import wave

SETS = {
    "en": {
        "names": "Nimbus Velora Arcadia Quantix Brightline Solvane Tessaly Mirabel Korvo Lumina Ashworth Delacroix Ravenscroft Okonkwo "
        "Mahmood Pemberton Zephyrine Halcyon Orbitel Fjordia".split(),
        "sentences": ["my {} has not arrived yet", "i want to return the {} please", "this is {} calling about my bill", "how much is the {} plan"],
        "plain": ["where is my parcel", "i would like to cancel my order", "the internet is very slow today", "can you send me the invoice again",
                  "my card was declined at the shop"],
        "voices": ["en-us+m3", "en-gb+f2", "en-us+Andy", "en-gb+m5"],
    },
    "zh": {
        "names": "云雀路由器 星澜卡 畅途套餐 蓝鲸耳机 沐光台灯 欧阳文静 慕容雪 司徒明 端木青 青禾宽带 极光手环 麦浪饼干 听涛音箱 鹿鸣校园卡 远帆保险 "
        "沈知夏 贺兰山 陆清欢 凌云号 飞驰快充".split(),
        "sentences": ["我的{}还没有到", "我想退{}", "请帮我查一下{}", "{}多少钱一个月"],
        "plain": ["我的快递到哪了", "我想取消订单", "今天网速特别慢", "能不能再发一次发票", "我的卡刷不了"],
        "voices": ["cmn-latn-pinyin+m3", "cmn-latn-pinyin+f2", "cmn-latn-pinyin+Andy", "cmn-latn-pinyin+m5"],
    },
}


def spoken(text, voice):
    """A WAV file of a sentence with silence around it."""
    data = subprocess.run(["espeak-ng", "-v", voice, "-s", "150", "--stdout", text], check=True, stdout=subprocess.PIPE).stdout
    start = data.find(b"data") + 8
    rate = int.from_bytes(data[24:28], "little")
    samples = data[start : start + (len(data) - start) // 2 * 2]
    out = io.BytesIO()
    with wave.open(out, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(bytes(rate // 5 * 2) + samples + bytes(rate // 2 * 2))
    return out.getvalue()


def heard(options, audio, language, names):
    """The text without blanks and marks, in small letters."""
    border = uuid.uuid4().hex
    fields = [("model", "whisper-1"), ("language", language), ("response_format", "json"), *[("keywords", name) for name in names]]
    body = b"".join(f'--{border}\r\nContent-Disposition: form-data; name="{key}"\r\n\r\n{value}\r\n'.encode() for key, value in fields)
    body += f'--{border}\r\nContent-Disposition: form-data; name="file"; filename="a.wav"\r\nContent-Type: audio/wav\r\n\r\n'.encode()
    body += audio + f"\r\n--{border}--\r\n".encode()
    headers = {"Authorization": f"Bearer {options.token}", "Content-Type": f"multipart/form-data; boundary={border}"}
    request = urllib.request.Request(options.url.rstrip("/") + "/v1/audio/transcriptions", body, headers)
    with urllib.request.urlopen(request, timeout=60) as answer:
        return re.sub(r"[^\w]", "", json.load(answer)["text"]).lower()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--token", required=True)
    parser.add_argument("--url", default="http://127.0.0.1:8080")
    parser.add_argument("--json", action="store_true", help="one JSON object as the last line")
    options = parser.parse_args()
    figures = {}
    for language, given in SETS.items():
        names, voices = given["names"], given["voices"]
        found, put_in, said = {"without": 0, "with": 0}, 0, 0
        for place, name in enumerate(names):
            for number, sentence in enumerate(given["sentences"]):
                audio = spoken(sentence.format(name), voices[(place + number) % len(voices)])
                said += 1
                for kind, words in (("without", []), ("with", names)):
                    text = heard(options, audio, language, words)
                    found[kind] += name.lower() in text
                    put_in += kind == "with" and any(other.lower() in text for other in names if other != name)
        for number, sentence in enumerate(given["plain"] * 4):
            text = heard(options, spoken(sentence, voices[number % len(voices)]), language, names)
            put_in += any(name.lower() in text for name in names)
        figures |= {f"{language}_names": said, f"{language}_found_without": found["without"], f"{language}_found_with": found["with"], f"{language}_put_in": put_in}
        print(f"{language}: of {said} names {found['without']} found without hot words, {found['with']} with; {put_in} put in wrongly")
    if options.json:
        print(json.dumps({"bench": "hot_words", "figures": figures}))


if __name__ == "__main__":
    main()
