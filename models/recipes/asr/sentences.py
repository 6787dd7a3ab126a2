"""Sentences to speak: templates, the project's service data, sample dialogues, and random-word "salad".

Flow: source line -> slots filled -> `verbalise` (digits, money, Latin words become spoken words) -> `Sentence`,
whose `say` goes to a synthesiser (with commas, which make it pause) and whose `text` the model has to output:
English lower-case words, Mandarin hanzi with a few lower-case Latin words, no punctuation, no digits.
"""

import hashlib
import json
import random
import re
from dataclasses import dataclass
from pathlib import Path

from fillers import ALIASES, EN_DIGITS, EN_ORDINALS, FILLERS, LETTERS, en_digit_string, en_number, zh_digit_string, zh_number

LANGUAGES = ("en", "zh")
MAX_CHARS = {"en": 105, "zh": 32}
# Latin words that occur in Mandarin calls, with hanzi whose sound comes near (eSpeak reads Latin in a Mandarin text as English).
ZH_LATIN = {
    "app": "诶批批", "vip": "维爱批", "wifi": "外发爱", "5g": "五几", "4g": "四几", "g": "几", "ok": "欧尅", "atm": "诶踢诶姆",
    "pos": "坡斯", "id": "爱滴", "qq": "抠抠", "sim": "西姆",
}


@dataclass(frozen=True)
class Sentence:
    """`text`: what the model outputs; `say`: what the synthesiser reads; `language`: en or zh; `source`: where it is from."""

    text: str
    say: str
    language: str
    source: str

    @property
    def length(self) -> int:
        return len(self.text)


def held_out(text: str) -> str:
    """Split of a sentence by its hash: 4 % test, 2 % validation, the rest train. Short ones always train."""
    long_enough = len(text.split()) > 4 or (" " not in text and len(text) > 7)
    bucket = int(hashlib.md5(text.encode()).hexdigest(), 16) % 50
    if not long_enough or bucket > 2:
        return "train"
    return "validation" if bucket == 2 else "test"


def expand(template: str, language: str, rng: random.Random) -> str:
    """Chooses the branches of `[a|b|]` and fills `{slot}`."""
    while "[" in template:
        template = re.sub(r"\[([^\[\]]*)\]", lambda m: rng.choice(m[1].split("|")), template)
    return re.sub(r"\{(\w+)\}", lambda m: FILLERS[language][m[1]](rng), template)


def load_templates(path: Path, language: str) -> list[str]:
    """Template lines without comments; an unknown slot is an error that names the line."""
    lines = []
    for number, line in enumerate(path.read_text("utf-8").splitlines(), 1):
        if not line.strip() or line.startswith("#"):
            continue
        for slot in re.findall(r"\{(\w+)\}", line):
            if slot not in FILLERS[language]:
                raise ValueError(f"{path}:{number}: unknown slot {{{slot}}}; known: {', '.join(sorted(FILLERS[language]))}")
        lines.append(line.strip())
    return lines


def verbalise_en(text: str, rng: random.Random) -> str:
    """English text with digits, money and symbols -> spoken words with commas."""
    text = text.lower().replace("’", "'").replace("%", " percent ").replace("&", " and ").replace("@", " at ")
    money = {"$": "dollars", "£": "pounds", "€": "euros"}

    def spoken_money(m: re.Match[str]) -> str:
        whole, cents = int(m[2].replace(",", "")), m[3]
        return f" {en_number(whole, rng)} {money[m[1]]} " + (f"{en_number(int(cents), rng)} " if cents and int(cents) else "")

    text = re.sub(r"([$£€])\s?(\d[\d,]*)(?:\.(\d\d))?", spoken_money, text)
    text = re.sub(r"(\d+)(?:st|nd|rd|th)\b", lambda m: " " + EN_ORDINALS[int(m[1]) - 1] + " " if 0 < int(m[1]) <= 31 else " " + m[1], text)
    text = re.sub(r"(\d{1,2}):(\d\d)", lambda m: f" {en_number(int(m[1]), rng)} {en_number(int(m[2]), rng) if int(m[2]) else 'o clock'} ", text)
    text = re.sub(r"(\d+)\.(\d+)", lambda m: f" {en_number(int(m[1]), rng)} point {' '.join(EN_DIGITS[int(d)] for d in m[2])} ", text)
    text = re.sub(r"(?<=\d),(?=\d{3})", "", text)

    def spoken_number(m: re.Match[str]) -> str:
        digits = m[0]
        if len(digits) == 4 and digits[:2] in ("19", "20") and digits[2:] != "00":
            return f" {en_number(int(digits[:2]), rng)} {en_number(int(digits[2:]), rng)} "
        as_number = len(digits) <= 3 and digits[0] != "0"
        return f" {en_number(int(digits), rng) if as_number else en_digit_string(digits, rng)} "

    text = re.sub(r"\d+", spoken_number, text)
    text = re.sub(r"[.!?;:…—()\"]+|\s-+\s", ", ", text)
    text = re.sub(r"[^a-z', ]", " ", text)
    text = re.sub(r"(?<![a-z])'|'(?![a-z])", lambda m: "" if m.end() else m[0], text)
    return re.sub(r"(\s*,\s*)+", ", ", re.sub(r" +", " ", text)).strip(" ,")


def verbalise_zh(text: str, rng: random.Random) -> tuple[str, str]:
    """Mandarin text -> (say, text): digits as hanzi; known Latin words keep their letters in `text` only."""
    text = text.lower().replace("wi-fi", "wifi")
    text = re.sub(r"(?<=[零一二三四五六七八九幺\d])\s+(?=[零一二三四五六七八九幺\d])", "，", text)
    text = re.sub(r"(\d+(?:\.\d+)?)%", r"百分之\1", text)
    text = re.sub(r"[¥￥](\d+(?:\.\d+)?)", r"\1元", text)
    text = re.sub(r"(\d{1,2}):(\d\d)", lambda m: zh_number(int(m[1])) + "点" + (zh_number(int(m[2])) + "分" if int(m[2]) else ""), text)
    text = re.sub(r"(\d+)\.(\d+)", lambda m: zh_number(int(m[1])) + "点" + "".join("零一二三四五六七八九"[int(d)] for d in m[2]), text)

    def spoken(m: re.Match[str]) -> str:
        digits, after = m[0], text[m.end() : m.end() + 1]
        if len(digits) > 4 or digits[0] == "0" or (len(digits) == 4 and after in "年，。？！" ) or (len(digits) == 4 and not after):
            return zh_digit_string(digits, rng)
        if digits == "2" and after and after in "个块天次遍位张年分件台笔万千点":
            return "两"
        return zh_number(int(digits))

    text = re.sub(r"(?![45]g(?![a-z]))\d+", spoken, text)  # 4g and 5g stay words
    text = re.sub(r"[，。！？、；：,.!?;:…—~（）()“”\"《》\s]+", "，", text).strip("，")
    say = re.sub(r"\d?[a-z]+", lambda m: ZH_LATIN.get(m[0], m[0]), text)
    return say, re.sub("，", "", text)


def sentence(raw: str, language: str, source: str, rng: random.Random) -> Sentence | None:
    """Written text -> Sentence, or None where it cannot be spoken (unknown Latin word, too long, empty)."""
    if language == "en":
        say = verbalise_en(raw, rng)
        text = re.sub(r"[ ,]+", " ", say).strip()
        valid = re.fullmatch(r"[a-z' ]+", text)
    else:
        say, text = verbalise_zh(raw, rng)
        valid = re.fullmatch(r"[\u4e00-\u9fff，]+", say)
    if not valid or not 1 <= len(text) <= MAX_CHARS[language]:
        return None
    return Sentence(text, say if rng.random() < 0.6 else say.replace("，", "").replace(",", ""), language, source)


def split_long(raw: str, language: str) -> list[str]:
    """A long turn in pieces at sentence marks (then commas), each short enough for one clip."""
    pieces = [p for p in re.split(r"(?<=[.!?。！？；;])\s*", raw) if p.strip()]
    short: list[str] = []
    for piece in pieces:
        if len(piece) <= MAX_CHARS[language]:
            short.append(piece)
        else:
            short += [p for p in re.split(r"(?<=[,，])\s*", piece) if p.strip()]
    return short


def load_service(folder: Path, language: str, rng: random.Random) -> dict[str, list[str]]:
    """Utterances of the project's service data by split; slots filled, entity marks dropped."""
    by_split: dict[str, list[str]] = {"train": [], "dev": [], "test": []}
    for path in sorted(folder.glob("*.txt")):
        split = "train"
        for line in path.read_text("utf-8").splitlines():
            if line.startswith("##"):
                split = line.split()[2]
                continue
            fields = line.split("|", 5)
            if line.startswith("#") or len(fields) != 6 or split not in by_split:
                continue
            text = re.sub(r"\[([^\]]*)\]\(\w+\)", r"\1", fields[5])
            slots = {s: ALIASES.get(s, s) for s in re.findall(r"\{(\w+)\}", text)}
            if all(s in FILLERS[language] for s in slots.values()):
                by_split[split].append(re.sub(r"\{(\w+)\}", lambda m: "{" + slots[m[1]] + "}", text))
    return by_split


def load_dialogues(folder: Path) -> list[dict]:
    """All sample dialogues (`*.json`) in file-name order."""
    return [json.loads(path.read_text("utf-8")) for path in sorted(folder.glob("*.json"))]


class TextSource:
    """Draws sentences. Weights: service data `service_share` where present, salad `salad_share`, templates the rest."""

    def __init__(self, texts: Path, service: dict[str, Path], seed: int, service_share: float = 0.35, salad_share: float = 0.15) -> None:
        self.rng, self.service_share, self.salad_share = random.Random(seed), service_share, salad_share
        self.templates = {lang: load_templates(texts / f"{lang}_templates.txt", lang) for lang in LANGUAGES}
        self.service = {lang: load_service(service[lang], lang, self.rng) for lang in LANGUAGES if lang in service}
        self.seen: set[str] = set()
        self.words = {lang: self._vocabulary(lang) for lang in LANGUAGES}

    def _vocabulary(self, language: str) -> list[str]:
        texts = [self.draw_template(language) for _ in range(6000)]
        texts += [s for raw in self.service.get(language, {}).get("train", []) if (s := self._from_raw(raw, language, "service"))]
        units: set[str] = set()
        for item in texts:
            if item is not None:
                units |= set(item.text.split() if language == "en" else re.findall(r"[\u4e00-\u9fff]", item.text))
        if language == "en":
            units |= set(LETTERS)
        return sorted(units)

    def _from_raw(self, raw: str, language: str, source: str) -> Sentence | None:
        return sentence(expand_slots(raw, language, self.rng), language, source, self.rng)

    def draw_template(self, language: str) -> Sentence | None:
        raw = expand(self.rng.choice(self.templates[language]), language, self.rng)
        if self.rng.random() < 0.18:
            raw += ("，" if language == "zh" else ", ") + expand(self.rng.choice(self.templates[language]), language, self.rng)
        return sentence(raw, language, "template", self.rng)

    def draw_service(self, language: str, split: str) -> Sentence | None:
        pieces = split_long(self.rng.choice(self.service[language][split]), language)
        return self._from_raw(self.rng.choice(pieces), language, "service") if pieces else None

    def draw_salad(self, language: str) -> Sentence | None:
        """Random words (English) or characters in random order (Mandarin): sound without grammar."""
        count = self.rng.randint(2, 9 if language == "en" else 14)
        joint = " " if language == "en" else ""
        return sentence(joint.join(self.rng.choices(self.words[language], k=count)), language, "salad", self.rng)

    def draw(self, language: str, split: str) -> Sentence:
        """A sentence of the wanted split (`train`, `validation`, `test`), new where possible."""
        for attempt in range(4000):
            choice = self.rng.random()
            has_service = len(self.service.get(language, {}).get("train", [])) > 50
            if split == "train" and choice < self.salad_share:
                item = self.draw_salad(language)
            elif split == "train" and choice < self.salad_share + self.service_share and has_service:
                item = self.draw_service(language, "train")
            else:
                item = self.draw_template(language)
            if item is None or held_out(item.text) != split:
                continue
            if item.text in self.seen and item.length > 8 and attempt < 20 and self.rng.random() < 0.9:
                continue
            self.seen.add(item.text)
            return item
        raise RuntimeError(f"no {split} sentence found for {language} in 4000 draws")


def expand_slots(raw: str, language: str, rng: random.Random) -> str:
    """Fills `{slot}` only: service utterances may hold square brackets of their own."""
    return re.sub(r"\{(\w+)\}", lambda m: FILLERS[language][m[1]](rng), raw)
