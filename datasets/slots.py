"""Fillings of the slots in the written service utterances. All values are made up; numbers belong to nobody on purpose."""

KINDS = {
    "order_no", "phone", "amount", "date", "time", "product", "quantity", "plan", "address", "person", "organisation",
    "url", "email", "mobile", "landline", "id_card", "bank_card", "passport", "plate", "verification_code",
}

SPOKEN_ZH = dict(zip("0123456789", "零幺二三四五六七八九"))
SPOKEN_EN = dict(zip("0123456789", "zero one two three four five six seven eight nine".split()))
NUMBERS_ZH = "一二三四五六七八九十"
NUMBERS_EN = "one two three four five six seven eight nine ten eleven twelve".split()
MONTHS_EN = "January February March April May June July August September October November December".split()
DAYS_EN = "Monday Tuesday Wednesday Thursday Friday Saturday Sunday".split()

PRODUCTS = {
    "zh": "蓝牙耳机 扫地机器人 羽绒服 电饭煲 空气炸锅 机械键盘 行车记录仪 婴儿推车 保温杯 运动鞋 吹风机 智能手表 四件套 书包 "
    "洗衣机 电动牙刷 平板电脑 台灯 床垫 咖啡机 投影仪 瑜伽垫 剃须刀 净水器 连衣裙 手机壳 充电宝 奶粉 双人帐篷 登山包 加湿器 "
    "显示器 路由器 冰箱 沙发 羊毛衫 电热毯 按摩椅 打印机 儿童座椅".split(),
    "en": [
        "wireless headphones", "robot vacuum", "winter coat", "rice cooker", "air fryer", "mechanical keyboard", "dash cam",
        "pushchair", "water bottle", "running shoes", "hair dryer", "smart watch", "bedding set", "backpack", "washing machine",
        "electric toothbrush", "tablet", "desk lamp", "mattress", "coffee machine", "projector", "yoga mat", "shaver", "kettle",
        "dress", "phone case", "power bank", "tent", "humidifier", "monitor", "router", "fridge", "sofa", "jumper", "printer",
        "car seat", "garden hose", "toaster", "office chair", "bluetooth speaker",
    ],
}
PLANS = {
    "zh": "畅享59套餐 畅享129套餐 家庭融合199 青春卡39 无忧冰淇淋99 5G尊享169 孝心卡19 校园卡29 全家享159 流量王79 "
    "乐享49 商务88套餐 宽带500兆包年 夜猫包 任我选69".split(),
    "en": [
        "Unlimited Plus", "Saver 20", "Family Share 60", "SIM Only 12", "Fibre 500", "Student Flex", "Senior Talk",
        "Freedom 35", "Business Max", "Weekend Green tariff", "Fixed Two Year", "Starter 5", "Global 80", "Essentials 15",
    ],
}
STREETS = {
    "zh": ["建设路", "人民南路", "解放大道", "文化西路", "滨江路", "和平街", "学府路", "长江东路", "望湖路", "锦绣大道", "桂花巷", "青年路"],
    "en": ["Maple Road", "High Street", "Station Lane", "Mill Close", "Victoria Terrace", "Orchard Way", "King's Avenue", "Bridge Street",
           "Cedar Drive", "Church Row"],
}
TOWNS = {
    "zh": ["武汉市洪山区", "成都市武侯区", "合肥市蜀山区", "青岛市市南区", "杭州市西湖区", "南宁市青秀区", "沈阳市和平区", "昆明市盘龙区",
           "长沙市岳麓区", "苏州市姑苏区", "广州市天河区", "西安市雁塔区"],
    "en": ["Leeds", "Bristol", "Norwich", "Cardiff", "Boston", "Pune", "Galway", "Portland", "York", "Tampines", "Denver", "Perth"],
}
SURNAMES_ZH = "王李张刘陈杨赵黄周吴徐孙马朱胡郭何高林罗郑梁谢宋唐许韩冯邓曹彭曾萧田董潘袁蔡蒋余于杜叶程苏魏吕丁任沈姚卢姜崔钟谭陆汪范金石廖"
GIVEN_ZH = "伟芳娜敏静丽强磊军洋勇艳杰娟涛明超秀霞平刚桂英华玉兰萍鑫建国宇欣悦子涵梓轩浩然诗雨嘉怡俊凯志远晓燕海波雪梅"
GIVEN_EN = "Oliver Amelia Priya Marcus Fiona Chloe Nathan Grace Imran Sofia Declan Hannah Ravi Megan Tomasz Wei Aisha Connor Ruth Jamal".split()
SURNAMES_EN = "Harper Whitfield Patel Okafor Brennan Lindqvist Chowdhury Fraser Novak Ellison Tan Mbeki Castillo Hughes Yilmaz Doyle Kaur Reid".split()
ORGANISATIONS = {
    "zh": ["蓝湖贸易有限公司", "远山科技", "红枫广告公司", "实验小学", "宏达物流公司", "晨光幼儿园", "第三人民医院", "云杉设计事务所",
           "南岸物业", "金禾食品厂", "同泰律师事务所", "北辰建材商行"],
    "en": ["Bluewater Trading Ltd", "Hillcrest Primary School", "Redwood Design", "Norbury Dental Practice", "Kestrel Logistics",
           "Oakfield Housing", "Sunrise Bakery", "Penrose & Vale Solicitors", "Harbour Community Centre", "Greenline Motors"],
}
HOSTS = ["bluewater-shop.example", "mail.example", "post.example", "hillcrest.example", "fastpay.example", "kestrel.example"]
PROVINCES_ZH = "京沪粤苏浙鲁川鄂湘皖闽豫冀辽"
AREA_CODES_ZH = ["010", "021", "020", "027", "028", "0551", "0532", "0571"]
MEASURES_ZH = "件个份箱台张包"


def digits(rng, count, first="0123456789"):
    """`count` digits, the first from a choice."""
    return rng.choice(first) + "".join(rng.choice("0123456789") for _ in range(count - 1))


def spoken(number, language, rng):
    """Now and then the digits as they are read out, or in groups."""
    form = rng.random()
    if form < 0.2:
        if language == "zh":
            return "".join(SPOKEN_ZH.get(c, c) for c in number)
        return " ".join(SPOKEN_EN.get(c, c) for c in number if c != " ")
    if form < 0.35 and number.isdigit() and len(number) >= 8:
        return " ".join(number[i:i + 4] for i in range(0, len(number), 4))
    return number


def order_no(language, following, rng):
    if language == "zh":
        return rng.choice([
            lambda: "20260" + digits(rng, 9), lambda: "DD" + digits(rng, 8), lambda: digits(rng, 12, "123456789"),
            lambda: "E" + digits(rng, 10), lambda: spoken(digits(rng, 8, "123456789"), "zh", rng),
        ])()
    return rng.choice([
        lambda: f"{rng.choice('ABKRTZ')}{rng.choice('CDHMXQ')}-{digits(rng, 6)}", lambda: "#" + digits(rng, 7, "123456789"),
        lambda: digits(rng, 10, "123456789"), lambda: f"ORD{digits(rng, 7)}", lambda: spoken(digits(rng, 6, "123456789"), "en", rng),
    ])()


def amount(language, following, rng):
    whole = rng.choice([rng.randint(3, 99), rng.randint(100, 999), rng.randint(1000, 9800)])
    if language == "zh":
        return rng.choice([
            f"{whole}元", f"{whole}块", f"{whole}块钱", f"{whole}.{rng.randint(1, 9)}元", f"¥{whole}",
            f"{rng.choice(NUMBERS_ZH[:9])}百{rng.choice(NUMBERS_ZH[1:9])}十块", f"{rng.choice(NUMBERS_ZH[1:9])}十块钱",
            f"{rng.choice('两三五六八')}千块", f"{rng.choice('一两三五')}万元", f"{whole}块{rng.randint(1, 9)}",
        ])
    sign = rng.choice("£$£$€")
    return rng.choice([
        f"{sign}{whole}", f"{sign}{whole}.{rng.randint(10, 99)}", f"{whole} pounds", f"{whole} dollars", f"{whole} quid",
        f"{rng.choice(NUMBERS_EN)} hundred dollars", f"{rng.choice('twenty thirty forty fifty sixty eighty'.split())} pounds",
        f"{rng.choice('twenty thirty forty fifty'.split())}-{rng.choice(NUMBERS_EN[:9])} quid", f"{sign}{whole:,}",
    ])


def date(language, following, rng):
    day, month = rng.randint(1, 28), rng.randint(1, 12)
    if language == "zh":
        return rng.choice([
            f"{month}月{day}号", f"{month}月{day}日", f"{day}号", "昨天", "前天", "上周" + rng.choice("一二三四五六日"),
            "这周" + rng.choice("一二三四五"), "下周" + rng.choice("一二三四五"), "月底", "上个月", "大前天", f"{month}月份",
            f"{rng.choice(NUMBERS_ZH)}月{rng.choice(NUMBERS_ZH)}号", "明天", "后天",
        ])
    suffix = "th" if 10 < day < 20 else {1: "st", 2: "nd", 3: "rd"}.get(day % 10, "th")
    name = MONTHS_EN[month - 1]
    return rng.choice([
        f"{day} {name}", f"the {day}{suffix}", f"{name} {day}{suffix}", f"the {day}{suffix} of {name}", rng.choice(DAYS_EN),
        f"next {rng.choice(DAYS_EN)}", f"last {rng.choice(DAYS_EN)}", f"{day:02d}/{month:02d}", name,
    ])


def time(language, following, rng):
    hour, minute = rng.randint(7, 21), rng.choice([0, 15, 20, 30, 40, 45])
    if language == "zh":
        part = "早上" if hour < 9 else "上午" if hour < 12 else "中午" if hour < 13 else "下午" if hour < 18 else "晚上"
        twelve = hour if hour <= 12 else hour - 12
        said = "两" if twelve == 2 else (NUMBERS_ZH + "一")[twelve - 1] if twelve <= 10 else f"十{'一' if twelve == 11 else '二'}"
        return rng.choice([f"{part}{said}点", f"{part}{twelve}点半", f"{hour}:{minute:02d}", f"{said}点", f"{part}{said}点半", f"{hour}点{minute or 10}分"])
    twelve = hour if hour <= 12 else hour - 12
    half = "am" if hour < 12 else "pm"
    return rng.choice([f"{twelve}{half}", f"{twelve}:{minute:02d} {half}", f"{hour}:{minute:02d}", f"{NUMBERS_EN[twelve - 1]} o'clock", f"half {NUMBERS_EN[twelve - 1]}", "noon"])


def quantity(language, following, rng):
    count = rng.randint(2, 12)
    if language == "en":
        return rng.choice([str(count), NUMBERS_EN[count - 1], NUMBERS_EN[count - 1]])
    number = rng.choice([str(count), "两" if count == 2 else NUMBERS_ZH[count - 1] if count <= 10 else "十几"])
    # A measure word of the sentence's own follows already.
    return number if following[:1] in set(MEASURES_ZH + "人天次笔套斤盒瓶条本期年月户位周小分") else number + rng.choice(MEASURES_ZH)


def address(language, following, rng):
    street, number = rng.choice(STREETS[language]), rng.randint(1, 240)
    if language == "zh":
        town = rng.choice(TOWNS["zh"])
        return rng.choice([f"{town}{street}{number}号", f"{street}{number}号", f"{town}{street}{number}号{rng.randint(1, 9)}栋{rng.randint(1, 30)}0{rng.randint(1, 6)}室", f"{town}{street}"])
    town = rng.choice(TOWNS["en"])
    return rng.choice([f"{number} {street}", f"{number} {street}, {town}", f"flat {rng.randint(1, 40)}, {number} {street}", f"{street} in {town}"])


def person(language, following, rng):
    if language == "zh":
        return rng.choice(SURNAMES_ZH) + "".join(rng.choice(GIVEN_ZH) for _ in range(rng.choice([1, 2, 2])))
    return rng.choice([f"{rng.choice(GIVEN_EN)} {rng.choice(SURNAMES_EN)}", rng.choice(GIVEN_EN), f"{rng.choice(GIVEN_EN)} {rng.choice(SURNAMES_EN)}"])


def email(language, following, rng):
    name = rng.choice(GIVEN_EN).lower() + rng.choice([".", "_", ""]) + rng.choice(SURNAMES_EN).lower()
    host = rng.choice(["mail.example", "post.example", "inbox.example", "163.example", "qq.example"])
    if language == "en" and rng.random() < 0.15:
        return f"{name.replace('.', ' dot ').replace('_', ' underscore ')} at {host.replace('.', ' dot ')}"
    return f"{name}{rng.choice(['', str(rng.randint(1, 99))])}@{host}"


def url(language, following, rng):
    return rng.choice(["", "https://", "www."]) + rng.choice(HOSTS) + rng.choice(["", f"/{rng.choice(['pay', 'track', 'login', 'a'])}/{digits(rng, 4)}"])


def mobile(language, following, rng):
    if language == "zh":
        return spoken("1" + rng.choice("3578") + digits(rng, 9), "zh", rng)
    return spoken(rng.choice(["07" + digits(rng, 9), "555" + digits(rng, 7), "98" + digits(rng, 8)]), "en", rng)


def landline(language, following, rng):
    if language == "zh":
        return rng.choice(AREA_CODES_ZH) + rng.choice(["-", ""]) + digits(rng, 8, "23568")
    return rng.choice([f"0{rng.randint(113, 190)} {digits(rng, 3)} {digits(rng, 4)}", f"({digits(rng, 3, '23456789')}) 555-{digits(rng, 4)}"])


def id_card(language, following, rng):
    if language == "en":
        return rng.choice([f"{rng.choice('ABCEHJ')}{rng.choice('ABCEHJ')}{digits(rng, 6)}{rng.choice('ABCD')}", f"{digits(rng, 3)}-{digits(rng, 2)}-{digits(rng, 4)}"])
    body = rng.choice(["420106", "510104", "340104", "330106", "440106"]) + f"{rng.randint(1955, 2005)}{rng.randint(1, 12):02d}{rng.randint(1, 28):02d}{digits(rng, 3)}"
    # Check digit of GB 11643-1999.
    weights = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
    return body + "10X98765432"[sum(int(c) * w for c, w in zip(body, weights)) % 11]


def bank_card(language, following, rng):
    body = rng.choice(["6222", "6217", "6228"]) + digits(rng, 14) if language == "zh" else rng.choice(["4", "5"]) + digits(rng, 14)
    # Check digit after Luhn.
    total = sum(sum(divmod(int(c) * (2 if i % 2 == 0 else 1), 10)) for i, c in enumerate(reversed(body)))
    number = body + str(-total % 10)
    return spoken(number, language, rng) if rng.random() < 0.3 else number


def passport(language, following, rng):
    return rng.choice(["E", "EA", "G"]) + digits(rng, 8) if language == "zh" else digits(rng, 9)


def plate(language, following, rng):
    if language == "zh":
        return rng.choice(PROVINCES_ZH) + rng.choice("ABCDE") + "".join(rng.choice("ABCDEFGHJKLMN0123456789") for _ in range(5))
    letters = "ABCDEFGHJKLMNOPRSTUVWXYZ"
    return f"{rng.choice(letters)}{rng.choice(letters)}{digits(rng, 2)} {''.join(rng.choice(letters) for _ in range(3))}"


def verification_code(language, following, rng):
    return spoken(digits(rng, rng.choice([4, 6])), language, rng)


FILLERS = {
    "order_no": order_no, "phone": lambda l, f, r: r.choice([mobile, landline])(l, f, r), "amount": amount, "date": date, "time": time,
    "product": lambda l, f, r: r.choice(PRODUCTS[l]), "quantity": quantity, "plan": lambda l, f, r: r.choice(PLANS[l]),
    "address": address, "person": person, "organisation": lambda l, f, r: r.choice(ORGANISATIONS[l]), "url": url, "email": email,
    "mobile": mobile, "landline": landline, "id_card": id_card, "bank_card": bank_card, "passport": passport, "plate": plate,
    "verification_code": verification_code,
}


def fill(kind, language, following, rng):
    """A value for a slot; `following` is the text behind it."""
    return FILLERS[kind](language, following, rng)
