"""Light noise for copies of training utterances: what speech recognition, hurry and hesitation do to a text.

Entities keep their words, so that their spans stay right.
"""

PUNCTUATION = "，。？！、；：,.?!;:…"
# Words that recognition mixes up because they sound alike.
HOMOPHONES = {
    "zh": [("退款", "退宽"), ("订单", "定单"), ("流量", "流亮"), ("套餐", "套参"), ("发票", "发飘"), ("账单", "帐单"), ("账户", "帐户"), ("账号", "帐号"),
           ("物流", "误流"), ("快递", "快弟"), ("积分", "机分"), ("宽带", "宽代"), ("余额", "鱼额"), ("密码", "密吗"), ("挂失", "挂是"), ("客服", "克服"),
           ("投诉", "头诉"), ("理赔", "里赔"), ("保单", "宝单"), ("利息", "利西"), ("转账", "转帐"), ("逾期", "于期"), ("漫游", "慢游"), ("预约", "预月"),
           ("的", "得"), ("在", "再"), ("已经", "以经"), ("需要", "须要"), ("怎么", "咋么"), ("优惠", "优会"), ("解约", "解月"), ("合同", "和同"),
           ("换货", "换活"), ("退货", "退活"), ("信号", "信好"), ("网络", "网洛"), ("师傅", "师父"), ("额度", "额渡"), ("还款", "还宽"), ("是", "事")],
    "en": [("refund", "re fund"), ("their", "there"), ("there", "their"), ("your", "you're"), ("you're", "your"), ("to", "too"), ("bill", "bil"),
           ("delivery", "delivry"), ("receive", "recieve"), ("account", "acount"), ("password", "pass word"), ("broadband", "broad band"),
           ("parcel", "parsel"), ("exchange", "exchang"), ("invoice", "in voice"), ("charge", "charg"), ("week", "weak"), ("weeks", "weaks"),
           ("whether", "weather"), ("wait", "weight"), ("know", "no"), ("where", "were"), ("right", "rite"), ("been", "bin"), ("hours", "ours"),
           ("cancel", "cancle"), ("because", "cause"), ("going to", "gonna"), ("want to", "wanna"), ("please", "pls"), ("you", "u"), ("for", "4")],
}
FILLERS = {
    "zh": ["嗯，", "那个，", "就是，", "呃，", "喂，", "你好，", "就是说，", "哎，", "那什么，", "我问下，"],
    "en": ["um, ", "so, ", "hi, ", "well, ", "hello, ", "er, ", "yeah, ", "okay, ", "right, ", "you know, "],
}
TAILS = {"zh": ["啊", "呢", "哈", "吧", "呀"], "en": [" please", " thanks", " then", " you know", " mate"]}


def add(parts, language, rng):
    """`parts` is a row of (words, entity type or None); a row of the same form comes back."""
    chosen = list(parts)
    if rng.random() < 0.35:
        chosen = [(words if kind else homophone(words, language, rng), kind) for words, kind in chosen]
    if rng.random() < 0.35:
        chosen = [(words if kind else without_punctuation(words, language), kind) for words, kind in chosen]
    if rng.random() < 0.3 and chosen and chosen[0][1] is None:
        chosen.insert(0, (rng.choice(FILLERS[language]), None))
    if rng.random() < 0.1 and language == "zh":
        chosen.append((rng.choice(TAILS["zh"]), None))
    if rng.random() < 0.15 and language == "en":
        chosen = [(words if kind else words.lower(), kind) for words, kind in chosen]
    if rng.random() < 0.2:
        chosen = [(words if kind else slip(words, language, rng), kind) for words, kind in chosen]
    return [(words, kind) for words, kind in chosen if words]


def homophone(words, language, rng):
    """At most two words are taken for others that sound alike."""
    pairs = [p for p in HOMOPHONES[language] if p[0] in words]
    for old, new in rng.sample(pairs, min(len(pairs), rng.choice([1, 1, 2]))):
        if language == "zh":
            words = words.replace(old, new, 1)
        else:
            words = " ".join(new if w == old else w for w in words.split(" ")) if " " not in old else words.replace(old, new, 1)
    return words


def without_punctuation(words, language):
    """Punctuation left out, as recognition does; within Chinese a gap stays now and then."""
    return "".join(c for c in words if c not in PUNCTUATION)


def slip(words, language, rng):
    """One character doubled or left out, as in hurried typing."""
    places = [i for i, c in enumerate(words) if c.isalpha()]
    if len(places) < 8:
        return words
    at = rng.choice(places)
    return words[:at] + words[at + 1:] if rng.random() < 0.6 else words[:at] + words[at] + words[at:]
