"""The tokenizer: WordPiece over lower-cased NFKC text, one token per Chinese character and per digit.

It is trained on the public training text and on lists of characters, so that it does not change with the
project's own data.
"""

from __future__ import annotations

from pathlib import Path

from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

from . import corpora
from .settings import Shape

SPECIALS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
# Characters of dialects, of the phone and of traditional writing that the first level of GB 2312 lacks or that are rare in laws.
EXTRA = (
    "咋啥俺侬唔噶嘎呗嘞哒咯嘛呐哟喔噢欸诶咦嗯嗨哼哎唉嘿咱恁俩仨甭孬忒贼瞅瞎唠嗑搁哈哩喽噻撒煲佢冇咩嘅啲咁咗睇俾畀唛靓埋嘢嚟邊"
    "麼還們這個來沒說對時請問單退貨錢務電話費號帳戶網絡壞換發票會員積轉銀卡遺盜貸險賠約預點優惠訴處謝謝妳您祢裡買賣"
    "耳机箱羽绒扫煎锅烤炉洗碗豆浆鼠键盘屏膜壳拖把枕褥窗帘吹剃须刀奶粉尿裤蜂蜜茶壶羊毛衫裙靴袜帽围巾"
)


def gb2312_level_one() -> list[str]:
    """The 3,755 common characters of GB 2312."""
    found = []
    for lead in range(0xB0, 0xD8):
        for trail in range(0xA1, 0xFF):
            try:
                found.append(bytes([lead, trail]).decode("gb2312"))
            except UnicodeDecodeError:
                continue
    return found


def train(texts: dict[str, list[str]], shape: Shape) -> Tokenizer:
    """Trains the tokenizer; laws weigh a quarter so that service words win the places."""
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]", max_input_chars_per_word=64))
    tokenizer.normalizer = normalizers.Sequence(
        [normalizers.NFKC(), normalizers.BertNormalizer(clean_text=True, handle_chinese_chars=True, strip_accents=False, lowercase=True)]
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.BertPreTokenizer(), pre_tokenizers.Digits(individual_digits=True)])
    alphabet = sorted(set(gb2312_level_one()) | set(EXTRA) | set("abcdefghijklmnopqrstuvwxyz0123456789,.?!;:'\"()-%$£€¥@#/&+*=_~。、《》【】…"))
    trainer = trainers.WordPieceTrainer(
        vocab_size=shape.vocab_size,
        special_tokens=SPECIALS,
        initial_alphabet=alphabet,
        limit_alphabet=len(alphabet) + 250,
        min_frequency=3,
        show_progress=False,
    )
    corpus = texts["english"] + texts["chinese"] + texts["laws"][::4]
    tokenizer.train_from_iterator(corpus, trainer, length=len(corpus))
    cls, sep = tokenizer.token_to_id("[CLS]"), tokenizer.token_to_id("[SEP]")
    tokenizer.post_processor = processors.BertProcessing(("[SEP]", sep), ("[CLS]", cls))
    tokenizer.decoder = decoders.WordPiece()
    return tokenizer


def load_or_train(path: Path, public: Path, shape: Shape) -> Tokenizer:
    """The tokenizer at `path`, trained first when it is not there."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        train(corpora.language_model_texts(public), shape).save(str(path), pretty=False)
    return Tokenizer.from_file(str(path))
