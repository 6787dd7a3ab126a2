"""Slot fillers: random values of the `{slot}` names in `texts/*_templates.txt`, written out as they are spoken.

Every filler takes a `random.Random` and returns words (English: lower case; Mandarin: hanzi), never digits.
"""

import random
from collections.abc import Callable

Filler = Callable[[random.Random], str]

EN_DIGITS = "zero one two three four five six seven eight nine".split()
EN_TEENS = "ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen nineteen".split()
EN_TENS = "zero ten twenty thirty forty fifty sixty seventy eighty ninety".split()
EN_ORDINALS = (
    "first second third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth thirteenth fourteenth "
    "fifteenth sixteenth seventeenth eighteenth nineteenth twentieth"
).split()
EN_ORDINALS += ["twenty " + o for o in EN_ORDINALS[:9]] + ["thirtieth", "thirty first"]
EN_MONTHS = (
    "january february march april may june july august september october november december"
).split()
EN_DAYS = "monday tuesday wednesday thursday friday saturday sunday".split()
EN_FIRST = (
    "anna peter tom emma james lucy david sarah michael karen daniel laura mark susan kevin priya ahmed maria chloe "
    "george helen jack olivia ryan grace simon rachel oliver sophie ben amy wei li ming arjun fatima carlos nina paul "
    "jane mary john robert alice henry ruth martin zoe adam eva max ella ivan rosa sam diana frank julia"
).split()
EN_LAST = (
    "brown hall smith jones taylor evans wilson clark wright walker green baker carter mitchell turner parker collins "
    "morgan bell murphy cooper ward cox diaz wood watson brooks kelly price bennett gray hughes patel khan singh chen "
    "wang kim lopez garcia miller davis moore white harris martin young king scott hill adams"
).split()
EN_STREETS = (
    "park hill green church station high mill oak river queen king victoria school garden lake forest bridge north "
    "south market york london spring maple"
).split()
EN_CITIES = (
    "london leeds bristol manchester glasgow dublin boston chicago seattle denver sydney melbourne singapore "
    "toronto mumbai delhi york oxford austin dallas"
).split()
EN_PRODUCTS = (
    "phone|laptop|tablet|headset|charger|kettle|washing machine|vacuum cleaner|jacket|coat|pair of shoes|dress|lamp|"
    "sofa|mattress|camera|watch|printer|keyboard|monitor|router|television|speaker|microwave|coffee machine|fridge|"
    "desk|chair|backpack|suitcase|hair dryer|air fryer|smart watch|power bank|game console|bike|tent|toaster|blender"
).split("|")
EN_PLANS = (
    "the basic plan|the family plan|the student plan|the unlimited plan|the gold account|the premium package|"
    "the starter bundle|the weekend plan|the business plan|the fibre package|the saver account|the travel pass|"
    "the silver membership|the prepaid plan|the data only plan"
).split("|")
LETTERS = "abcdefghijklmnopqrstuvwxyz"

ZH_DIGITS = "零一二三四五六七八九"
ZH_SURNAMES = (
    "王李张刘陈杨黄赵吴周徐孙马朱胡郭何高林罗郑梁谢宋唐许韩冯邓曹彭曾肖田董袁潘于蒋蔡余杜叶程苏魏吕丁任沈姚卢姜崔钟谭陆汪范金"
    "石廖贾夏韦付方白邹孟熊秦邱江尹薛闫段雷侯龙史陶黎贺顾毛郝龚邵万钱严覃武戴莫孔向汤"
)
ZH_GIVEN = (
    "明 伟 芳 娜 敏 静 丽 强 磊 军 洋 勇 艳 杰 娟 涛 超 秀英 霞 平 刚 桂英 建国 志强 晓明 小红 文静 雪梅 海燕 子涵 浩然 "
    "雨欣 梓轩 思远 佳怡 国庆 春梅 建华 玉兰 丹丹 婷婷 俊杰 宇航 欣怡 一诺 晨 慧 鹏 飞 琳 倩 欢 波 斌"
).split()
ZH_CITIES = (
    "北京 上海 广州 深圳 杭州 成都 武汉 南京 西安 重庆 天津 苏州 长沙 郑州 青岛 沈阳 大连 厦门 昆明 合肥 济南 福州 "
    "宁波 无锡 贵阳 南昌 太原 兰州 海口 哈尔滨 长春 石家庄 佛山 东莞 珠海 温州"
).split()
ZH_PRODUCTS = (
    "耳机 手机 充电器 平板 电脑 笔记本 键盘 鼠标 手表 手环 音箱 电视 冰箱 洗衣机 空调 热水器 电饭锅 微波炉 吸尘器 扫地机器人 "
    "空气净化器 净水器 豆浆机 电磁炉 吹风机 剃须刀 电动牙刷 台灯 沙发 床垫 书桌 椅子 衣柜 窗帘 被子 枕头 羽绒服 外套 裤子 裙子 "
    "衬衫 毛衣 运动鞋 皮鞋 靴子 背包 行李箱 雨伞 眼镜 项链 面膜 口红 洗发水 奶粉 纸尿裤 玩具 积木 自行车 电动车 头盔 帐篷 茶叶 "
    "水果 牛奶 零食 猫粮 路由器 摄像头 打印机 充电宝 数据线 手机壳 烤箱 投影仪 跑步机 婴儿车"
).split()
ZH_PLANS = (
    "畅享套餐 家庭套餐 校园套餐 无限流量套餐 商务套餐 老年套餐 融合套餐 基础套餐 星卡套餐 宽带套餐 亲情套餐 国际漫游包 夜间流量包 "
    "白金卡 金卡 普卡 钻石会员 年费会员 月度会员 随心用套餐 大流量卡"
).split()
ZH_COURIERS = "顺风 圆通 中通 申通 韵达 邮政 极速快递 同城快递".split()
ZH_BANKS = "海湾银行 星河商城 东方银行 城市银行 移动客服 电信客服 宽带客服 大地保险 安心银行 供电公司 自来水公司 航空公司".split()
ZH_STREETS = "人民 建设 解放 中山 和平 新华 文化 长江 黄河 胜利 光明 朝阳 花园 学院 幸福 青年 东风 滨江 科技 湖滨".split()


def en_number(value: int, rng: random.Random) -> str:
    """English cardinal for 0 <= value < 1,000,000; "and" after hundreds at random."""
    if value < 10:
        return EN_DIGITS[value]
    if value < 20:
        return EN_TEENS[value - 10]
    if value < 100:
        tens, unit = divmod(value, 10)
        return EN_TENS[tens] + (f" {EN_DIGITS[unit]}" if unit else "")
    if value < 1000:
        hundreds, rest = divmod(value, 100)
        joint = rng.choice([" ", " and "])
        return f"{EN_DIGITS[hundreds]} hundred" + (joint + en_number(rest, rng) if rest else "")
    thousands, rest = divmod(value, 1000)
    return f"{en_number(thousands, rng)} thousand" + (f" {en_number(rest, rng)}" if rest else "")


def en_digit_string(digits: str, rng: random.Random) -> str:
    """Digits one by one; sometimes "double" for a pair and "oh" for zero."""
    oh, doubles = rng.random() < 0.25, rng.random() < 0.3
    words: list[str] = []
    position = 0
    while position < len(digits):
        digit = digits[position]
        if doubles and digits[position + 1 : position + 2] == digit:
            words += ["double", EN_DIGITS[int(digit)]]
            position += 2
            continue
        words.append("oh" if digit == "0" and oh else EN_DIGITS[int(digit)])
        position += 1
    return " ".join(words)


def zh_number(value: int) -> str:
    """Mandarin cardinal for 0 <= value < 100,000,000."""
    if value < 10:
        return ZH_DIGITS[value]
    if value < 20:
        return "十" + (ZH_DIGITS[value % 10] if value % 10 else "")
    for unit, name in ((10_000, "万"), (1000, "千"), (100, "百"), (10, "十")):
        if value >= unit:
            head, rest = divmod(value, unit)
            text = zh_number(head) + name
            if rest:
                text += ("零" if rest < unit // 10 else "") + _zh_tail(rest)
            return text
    raise AssertionError("every value >= 10 has a unit")


def _zh_tail(value: int) -> str:
    """A rest inside a larger number: ten is written with its leading one (一百一十)."""
    return "一" + zh_number(value) if 10 <= value < 20 else zh_number(value)


def zh_digit_string(digits: str, rng: random.Random) -> str:
    """Digits one by one, 一 sometimes spoken as 幺."""
    one = "幺" if rng.random() < 0.6 else "一"
    return "".join(one if d == "1" else ZH_DIGITS[int(d)] for d in digits)


def _digits(rng: random.Random, low: int, high: int) -> str:
    return "".join(rng.choice("0123456789") for _ in range(rng.randint(low, high)))


def _en_amount(rng: random.Random) -> str:
    whole = rng.choice([rng.randrange(1, 100), rng.randrange(1, 1000), rng.randrange(5, 60) * 10, rng.randrange(1, 9) * 100])
    unit = rng.choice(["dollar", "dollar", "pound", "euro"])
    text = f"{en_number(whole, rng)} {unit}" + ("" if whole == 1 else "s")
    if rng.random() < 0.3:
        cents = rng.choice([25, 50, 75, 99, 10, 20, rng.randrange(2, 100)])
        text += rng.choice([" and ", " "]) + en_number(cents, rng) + (" pence" if unit == "pound" else " cents")
    return text


def _en_date(rng: random.Random) -> str:
    day, month = rng.choice(EN_ORDINALS), rng.choice(EN_MONTHS)
    return rng.choice(
        [f"{month} {day}", f"the {day} of {month}", f"the {day}", rng.choice(EN_DAYS), "last " + rng.choice(EN_DAYS)]
        + ["next " + rng.choice(EN_DAYS), "yesterday", "tomorrow", "today", "tonight", "the end of the week", "next week"]
    )


def _en_time(rng: random.Random) -> str:
    hour = en_number(rng.randrange(1, 13), rng)
    return rng.choice(
        [hour, f"{hour} o'clock", f"{hour} thirty", f"half past {hour}", f"quarter to {hour}", f"{hour} fifteen"]
        + [f"{hour} in the morning", f"{hour} in the afternoon", f"{hour} {rng.choice(['a', 'p'])} m", "noon", "midnight"]
    )


def _en_code(rng: random.Random) -> str:
    letters = " ".join(rng.choice(LETTERS) for _ in range(rng.randint(1, 3)))
    return f"{letters} {en_digit_string(_digits(rng, 3, 6), rng)}"


def _zh_amount(rng: random.Random) -> str:
    whole = rng.choice([rng.randrange(1, 100), rng.randrange(1, 1000), rng.randrange(1, 60) * 10, rng.randrange(1, 99) * 100])
    text = ("两" if whole == 2 else zh_number(whole)) + rng.choice(["元", "块", "块钱", "块"])
    if text.endswith("块") and rng.random() < 0.3:
        text += ZH_DIGITS[rng.randrange(1, 10)]
    return text


def _zh_count(rng: random.Random) -> str:
    value = rng.choice([2, 2, 3, 3, 4, 5, 6, 7, 8, 9, 10, 12, 20])
    return "两" if value == 2 else zh_number(value)


def _zh_date(rng: random.Random) -> str:
    day = zh_number(rng.randrange(1, 32))
    month = zh_number(rng.randrange(1, 13))
    week = rng.choice("一二三四五六日")
    return rng.choice(
        [f"{month}月{day}号", f"{month}月{day}日", f"{day}号", f"上周{week}", f"这周{week}", f"下周{week}", f"星期{week}", f"周{week}"]
        + ["昨天", "前天", "今天", "明天", "后天", "上个月", "下个月", f"上个月{day}号", "月底", "周末"]
    )


def _zh_time(rng: random.Random) -> str:
    part = rng.choice(["", "早上", "上午", "下午", "晚上", "中午"])
    hour = rng.randrange(1, 13)
    tail = rng.choice(["", "", "半", "一刻", zh_number(rng.randrange(1, 6) * 10) + "分"])
    return f"{part}{'两' if hour == 2 else zh_number(hour)}点{tail}"


def _zh_days(rng: random.Random) -> str:
    return rng.choice(
        [_zh_count(rng) + "天", zh_number(rng.randrange(3, 31)) + "天", _zh_count(rng) + "个工作日", "一个星期", "一周", "半个月"]
        + ["一个月", "两个星期", "两个月", "三到五天", "三个工作日", "七个工作日", "十五天", "二十四小时", "四十八小时"]
    )


def _zh_address(rng: random.Random) -> str:
    street = f"{rng.choice(ZH_STREETS)}{rng.choice(['路', '街', '大道'])}{zh_number(rng.randrange(1, 300))}号"
    flat = f"{zh_number(rng.randrange(1, 30))}{rng.choice(['栋', '号楼'])}{zh_digit_string(_digits(rng, 3, 4), rng)}"
    return rng.choice([street, rng.choice(ZH_CITIES) + street, street + flat, flat, rng.choice(ZH_CITIES) + "市" + street])


def _zh_person(rng: random.Random) -> str:
    return rng.choice(ZH_SURNAMES) + rng.choice(["先生", "女士", "小姐", "先生", "女士", "阿姨", "老师"])


def _zh_phone(rng: random.Random) -> str:
    return zh_digit_string("1" + rng.choice("3456789") + _digits(rng, 9, 9), rng)


def _en_birth(rng: random.Random) -> str:
    year = "nineteen " + en_number(rng.randrange(40, 100), rng) if rng.random() < 0.7 else "two thousand and " + en_number(rng.randrange(1, 10), rng)
    return f"{rng.choice(['the ', ''])}{rng.choice(EN_ORDINALS)} of {rng.choice(EN_MONTHS)} {year}"


EN_FILLERS: dict[str, Filler] = {
    "amount": _en_amount,
    "bigamount": lambda r: en_number(r.randrange(1, 100) * 1000, r) + r.choice([" dollars", " pounds"]),
    "date": _en_date,
    "time": _en_time,
    "day": lambda r: r.choice(EN_DAYS),
    "days": lambda r: r.choice(["two days", "three days", "five days", "a week", "ten days", "two weeks", "three weeks", "a month", "five working days", "twenty four hours", "forty eight hours", en_number(r.randrange(2, 31), r) + " days"]),
    "digits": lambda r: en_digit_string(_digits(r, 4, 8), r),
    "order": lambda r: en_digit_string(_digits(r, 4, 9), r),
    "phone": lambda r: en_digit_string(_digits(r, 10, 11), r),
    "six": lambda r: en_digit_string(_digits(r, 6, 6), r),
    "tail": lambda r: en_digit_string(_digits(r, 4, 4), r),
    "serial": lambda r: r.choice([en_digit_string(_digits(r, 4, 6), r), en_number(r.randrange(100, 9999), r)]),
    "code": _en_code,
    "spelled": lambda r: " ".join(r.choice(EN_LAST)),
    "postcode": lambda r: " ".join([r.choice(LETTERS), r.choice(LETTERS), EN_DIGITS[r.randrange(10)], EN_DIGITS[r.randrange(10)], r.choice(LETTERS), r.choice(LETTERS)]),
    "birth": _en_birth,
    "count": lambda r: en_number(r.choice([2, 2, 3, 3, 4, 5, 6, 7, 8, 9, 10, 12, 15, 20]), r),
    "minutes": lambda r: r.choice(["five", "ten", "fifteen", "twenty", "thirty", "forty", "forty five", "sixty"]),
    "months": lambda r: r.choice(["three", "six", "twelve", "eighteen", "twenty four", "thirty six"]),
    "percent": lambda r: en_number(r.choice([5, 10, 15, 20, 25, 30, 50, r.randrange(2, 40)]), r) + r.choice(["", " point " + EN_DIGITS[r.randrange(1, 10)]]) + " percent",
    "gigs": lambda r: en_number(r.choice([1, 2, 5, 8, 10, 20, 30, 50, 100]), r) + r.choice([" gigabytes", " gigs"]),
    "speed": lambda r: en_number(r.choice([10, 30, 50, 70, 100, 200, 300, 500]), r),
    "ordinal": lambda r: r.choice(EN_ORDINALS),
    "product": lambda r: r.choice(EN_PRODUCTS),
    "plan": lambda r: r.choice(EN_PLANS),
    "first": lambda r: r.choice(EN_FIRST),
    "last": lambda r: r.choice(EN_LAST),
    "title": lambda r: r.choice(["mister", "missus", "miss", "doctor"]),
    "city": lambda r: r.choice(EN_CITIES),
    "bank": lambda r: r.choice(["green hill store", "north line support", "bay bank", "harbour bank", "city power", "blue sky travel", "home direct", "first union", "river telecom", "star mobile"]),
    "address": lambda r: f"{en_number(r.randrange(1, 250), r)} {r.choice(EN_STREETS)} {r.choice(['road', 'street', 'avenue', 'lane', 'drive', 'close'])}" + r.choice(["", "", f", {r.choice(EN_ORDINALS[:12])} floor", f", flat {en_number(r.randrange(1, 30), r)}", f", {r.choice(EN_CITIES)}"]),
}

ZH_FILLERS: dict[str, Filler] = {
    "amount": _zh_amount,
    "bigamount": lambda r: ("两" if (v := r.randrange(1, 51)) == 2 else zh_number(v)) + r.choice(["万", "万元", "万块"]),
    "date": _zh_date,
    "time": _zh_time,
    "daypart": lambda r: r.choice(["上午", "下午", "晚上", "早上", "中午", "傍晚"]),
    "daynum": lambda r: zh_number(r.randrange(1, 29)),
    "days": _zh_days,
    "digits": lambda r: zh_digit_string(_digits(r, 4, 8), r),
    "order": lambda r: zh_digit_string(_digits(r, 6, 10), r),
    "phone": _zh_phone,
    "six": lambda r: zh_digit_string(_digits(r, 6, 6), r),
    "tail": lambda r: zh_digit_string(_digits(r, 4, 4), r),
    "serial": lambda r: zh_digit_string(_digits(r, 4, 6), r),
    "count": _zh_count,
    "minutes": lambda r: r.choice(["五", "十", "十五", "二十", "三十", "一百", "三百", "五百"]),
    "months": lambda r: r.choice(["三", "六", "十二", "十八", "二十四"]),
    "percent": lambda r: "百分之" + zh_number(r.randrange(1, 60)) + r.choice(["", "", "点" + ZH_DIGITS[r.randrange(1, 10)]]),
    "flow": lambda r: r.choice(["五个", "十个", "二十个", "三十个", "一百个", "五十个"]) + r.choice(["", "g"]) if r.random() < 0.2 else r.choice(["五百兆", "一百兆", "两百兆", "十个", "二十个", "五十个"]),
    "discount": lambda r: r.choice(["九五折", "九折", "八折", "七折", "六折", "五折", "八五折"]),
    "product": lambda r: r.choice(ZH_PRODUCTS),
    "plan": lambda r: zh_number(r.choice([19, 29, 39, 59, 79, 99, 129, 199])) + r.choice(["元", "块", ""]) + r.choice(["套餐", "的套餐"]) if r.random() < 0.3 else r.choice(ZH_PLANS),
    "surname": lambda r: r.choice(ZH_SURNAMES),
    "person": _zh_person,
    "name": lambda r: r.choice(ZH_SURNAMES) + r.choice(ZH_GIVEN),
    "city": lambda r: r.choice(ZH_CITIES),
    "bank": lambda r: r.choice(ZH_BANKS),
    "courier": lambda r: r.choice(ZH_COURIERS),
    "address": _zh_address,
}
FILLERS = {"en": EN_FILLERS, "zh": ZH_FILLERS}
# Slots of the service data sets that have another name here; a sentence with any other slot is left out.
ALIASES = {"order_no": "order", "quantity": "count", "person": "person", "mobile": "phone", "landline": "digits",
           "id_card": "six", "bank_card": "tail", "verification_code": "six", "organisation": "bank"}
EN_FILLERS["person"] = lambda r: f"{r.choice(EN_FIRST)} {r.choice(EN_LAST)}"
