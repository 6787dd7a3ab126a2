"""Values of the slots: personal data of the closed list (with valid checksums) and look-alikes that are none.

All values are made up. Names and streets of the test part do not occur in the dev part.
"""

import string

DIGITS_ZH = {"0": "零", "1": "幺", "2": "二", "3": "三", "4": "四", "5": "五", "6": "六", "7": "七", "8": "八", "9": "九"}
DIGITS_EN = dict(zip("0123456789", "zero one two three four five six seven eight nine".split()))
SURNAMES = {"dev": "王李张刘陈杨黄赵周吴", "test": "徐孙马朱胡郭何林高罗郑梁谢宋唐许韩冯邓曹"}
GIVEN = {
    "dev": "建国 晓明 丽华 伟 雪梅 志强 婷婷 浩然 桂英 磊 秀兰 子涵 国栋 静 文博".split(),
    "test": "思远 海燕 俊杰 敏 玉兰 鹏飞 欣怡 春生 佳琪 勇 慧敏 宇轩 凤霞 涛 小红 梓萱 立新 明辉 倩 永贵".split(),
}
FIRST = {
    "dev": "Emma Oliver Grace Daniel Hannah Marcus Priya Kevin Laura Samuel".split(),
    "test": "Sophie Nathan Olivia Peter Amelia Victor Chloe Raj Helen Tobias Yasmin Gordon Bethany Carlos Irene".split(),
}
LAST = {
    "dev": "Carter Hughes Patel Bennett Morris Wong Foster Ellis Grant Parker".split(),
    "test": "Holloway Jensen Whitfield O'Neill Kapoor Lindqvist Barrett Nakamura Sheridan Ferreira Wallace Dunn".split(),
}
CITIES = {
    "dev": ["杭州市西湖区", "成都市武侯区", "北京市海淀区", "南京市鼓楼区"],
    "test": ["广州市天河区", "武汉市洪山区", "上海市浦东新区", "西安市雁塔区", "江苏省苏州市吴中区", "重庆市渝北区"],
}
ROADS = {"dev": ["文三路", "人民南路", "学院路", "中山东路"], "test": ["体育西路", "珞喻路", "张杨路", "长安南路", "迎春大道", "望江街"]}
ESTATES = {"dev": ["翠苑小区", "锦城花园", "阳光家园"], "test": ["云山雅苑", "东湖名邸", "金桂苑", "紫薇公寓"]}
STREETS = {
    "dev": ["Maple Street", "Station Road", "Oak Avenue", "Mill Lane"],
    "test": ["Chestnut Drive", "Harbour Road", "Linden Avenue", "Willow Court", "Beacon Street", "Priory Lane"],
}
TOWNS = {
    "dev": [("Springfield", "IL 62704"), ("Leeds", "LS6 3QR"), ("Austin", "TX 78702")],
    "test": [("Madison", "WI 53703"), ("Bristol", "BS8 1TH"), ("Portland", "OR 97205"), ("Norwich", "NR2 4SX")],
}
PROVINCES = {"dev": "京浙川苏", "test": "粤鄂沪陕渝鲁豫湘"}
MONTHS = "January February March April May June July August September October November December".split()
PERSONAL = {
    "mobile": "mobile m1 m2 m3 m1s m2s m3s mobile_s mobile_g",
    "landline": "landline landline_s",
    "id_card": "id id_s id_x i1 i2 i3 nino",
    "bank_card": "card card_s card_g c1 c2 c3 c4",
    "passport": "passport passport_s",
    "plate": "plate plate_s plate_new plate_us",
    "email": "email email_s",
    "address": "addr addr_short",
    "name": "name",
    "verification_code": "code code_s",
}


def kind_of(slot):
    """The kind of personal data of a slot, None for a look-alike."""
    return next((kind for kind, slots in PERSONAL.items() if slot in slots.split()), None)


def luhn_check(body):
    total = sum(sum(divmod(2 * int(d), 10)) if i % 2 == 0 else int(d) for i, d in enumerate(reversed(body)))
    return str(-total % 10)


def id_check(body):
    weights = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
    return "10X98765432"[sum(w * int(d) for w, d in zip(weights, body)) % 11]


class Values:
    """Fills slots of one row; slots that share a number (`m1 m2 m3`) share it within the row."""

    def __init__(self, language, split, rng):
        self.zh, self.split, self.rng, self.shared = language == "zh", split, rng, {}

    def value(self, slot):
        return kind_of(slot), getattr(self, "slot_" + slot)()

    # -- parts -------------------------------------------------------------
    def digits(self, n, first="123456789"):
        return self.rng.choice(first) + "".join(self.rng.choice(string.digits) for _ in range(n - 1))

    def pick(self, items):
        return self.rng.choice(list(items))

    def say(self, text):
        """Read out digit by digit."""
        if self.zh:
            return "".join(DIGITS_ZH.get(c, "X" if c == "X" else c) for c in text)
        words, at = [], 0
        while at < len(text):
            same = at + 1 < len(text) and text[at] == text[at + 1] and text[at].isdigit()
            if same and self.rng.random() < 0.5:
                words += ["double", DIGITS_EN[text[at]]]
                at += 2
            else:
                zero = "oh" if self.shared.setdefault("oh", self.rng.random() < 0.4) else "zero"
                words.append(zero if text[at] == "0" else DIGITS_EN.get(text[at], text[at]))
                at += 1
        return " ".join(words)

    def number_mobile(self):
        if "mobile" not in self.shared:
            style = "cn" if self.zh else self.pick(["cn", "us", "uk", "us"])
            number = {
                "cn": lambda: "1" + self.pick("3 5 7 8 9".split()) + self.digits(9, string.digits),
                "us": lambda: self.pick(["415", "312", "646", "206", "713"]) + "55501" + self.digits(2, string.digits),
                "uk": lambda: "07700900" + self.digits(3, string.digits),
            }[style]()
            self.shared["mobile"] = (style, number)
        return self.shared["mobile"]

    def number_card(self):
        if "card" not in self.shared:
            head = self.pick(["6222", "6217", "6228", "6225", "4367"] if self.zh else ["4539", "5412", "4716", "5290"])
            long = self.zh and head != "4367" and self.rng.random() < 0.5
            body = head + self.digits(14 if long else 11, string.digits)
            self.shared["card"] = body + luhn_check(body)
        return self.shared["card"]

    def number_id(self, x=False):
        while True:
            area = self.pick(["110108", "330106", "440106", "420111", "510107", "610113", "320506"])
            birth = f"{self.rng.randint(1955, 2012)}{self.rng.randint(1, 12):02}{self.rng.randint(1, 28):02}"
            body = area + birth + self.digits(3, string.digits)
            if (id_check(body) == "X") == (x or self.rng.random() < 0.09):
                return body + id_check(body)

    def ssn(self):
        return f"{self.rng.randint(100, 665)}-{self.rng.randint(10, 99)}-{self.rng.randint(1000, 9999)}"

    # -- personal data -----------------------------------------------------
    def slot_mobile(self):
        self.shared.pop("mobile", None)
        style, n = self.number_mobile()
        if style == "us":
            return self.pick([f"({n[:3]}) {n[3:6]}-{n[6:]}", f"{n[:3]}-{n[3:6]}-{n[6:]}", f"+1 {n[:3]} {n[3:6]} {n[6:]}"])
        if style == "uk":
            return self.pick([f"{n[:5]} {n[5:]}", f"+44 {n[1:5]} {n[5:]}", n])
        return n if self.zh else self.pick([n, f"+86 {n}"])

    def slot_mobile_s(self):
        self.shared.pop("mobile", None)
        return self.say(self.number_mobile()[1])

    def slot_mobile_g(self):
        self.shared.pop("mobile", None)
        style, n = self.number_mobile()
        if style == "us":
            return f"{n[:3]}.{n[3:6]}.{n[6:]}"
        if style == "uk":
            return f"{n[:5]} {n[5:8]} {n[8:]}"
        return self.pick(["{} {} {}", "{}-{}-{}"]).format(n[:3], n[3:7], n[7:])

    def part_mobile(self, i):
        style, n = self.number_mobile()
        cuts = {"cn": (0, 3, 7, 11), "us": (0, 3, 6, 10), "uk": (0, 5, 8, 11)}[style]
        return n[cuts[i]:cuts[i + 1]]

    def slot_m1(self): return self.part_mobile(0)
    def slot_m2(self): return self.part_mobile(1)
    def slot_m3(self): return self.part_mobile(2)
    def slot_m1s(self): return self.say(self.part_mobile(0))
    def slot_m2s(self): return self.say(self.part_mobile(1))
    def slot_m3s(self): return self.say(self.part_mobile(2))

    def slot_landline(self):
        if self.zh:
            area, n = self.pick([("010", 8), ("021", 8), ("0571", 8), ("027", 8), ("0512", 8), ("0731", 8)])
            return area + self.pick(["-", "", " "]) + self.digits(n, "23456789")
        return self.pick(["020 7946 0" + self.digits(3, string.digits), "0161 496 0" + self.digits(3, string.digits), "0117 496 0" + self.digits(3, string.digits)])

    def slot_landline_s(self):
        if self.zh:
            return self.say(self.pick(["010", "0571", "021"]) + self.digits(8, "23456789"))
        return self.say("01614960" + self.digits(3, string.digits))

    def slot_id(self): return self.number_id() if self.zh else self.ssn()
    def slot_id_s(self): return self.say(self.number_id()) if self.zh else self.say(self.ssn().replace("-", ""))
    def slot_id_x(self): return self.number_id(x=True)

    def part_id(self, i):
        if "id" not in self.shared:
            self.shared["id"] = self.number_id() if self.zh else self.ssn().replace("-", "")
        cuts = (0, 6, 14, 18) if self.zh else (0, 3, 5, 9)
        return self.shared["id"][cuts[i]:cuts[i + 1]]

    def slot_i1(self): return self.part_id(0)
    def slot_i2(self): return self.part_id(1)
    def slot_i3(self): return self.part_id(2)

    def slot_nino(self):
        n = self.pick("ABCEGHJKLMPRSTWXYZ") + self.pick("ABCEGHJKLMPRSTWXYZ") + self.digits(6, string.digits) + self.pick("ABCD")
        while n[:2] in ("BG", "GB", "NK", "KN", "TN", "NT", "ZZ"):
            n = self.pick("ABCE") + n[1:]
        return self.pick([n, f"{n[:2]} {n[2:4]} {n[4:6]} {n[6:8]} {n[8]}"])

    def slot_card(self):
        self.shared.pop("card", None)
        return self.number_card()

    def slot_card_s(self):
        self.shared.pop("card", None)
        return self.say(self.number_card())

    def slot_card_g(self):
        self.shared.pop("card", None)
        n, mark = self.number_card(), self.pick(" -")
        return mark.join(n[i:i + 4] for i in range(0, len(n), 4))

    def part_card(self, i):
        n = self.number_card()
        return n[4 * i:4 * i + 4] if i < 3 else n[12:]

    def slot_c1(self): return self.part_card(0)
    def slot_c2(self): return self.part_card(1)
    def slot_c3(self): return self.part_card(2)
    def slot_c4(self): return self.part_card(3)

    def slot_passport(self):
        if self.zh:
            return self.pick([self.pick("EG") + self.digits(8, string.digits), "E" + self.pick("ABCDEFGH") + self.digits(7, string.digits)])
        return self.pick([self.digits(9), self.pick("ACX") + self.digits(8), "E" + self.digits(8)])

    def slot_passport_s(self): return self.say(self.slot_passport()) if not self.zh else self.say("E" + self.digits(8))

    def slot_plate(self):
        if self.zh:
            tail = self.pick(["{d}{d}{d}{d}{d}", "{a}{d}{d}{d}{d}", "{d}{a}{d}{d}{d}", "{d}{d}{d}{a}{d}", "{a}{d}{d}{a}{d}"])
            return self.pick(PROVINCES[self.split]) + self.pick("ABCDEFG") + self.pick(["", "", "·"]) + self.chars(tail)
        return self.chars("{a}{a}") + self.pick(["12", "19", "21", "68", "70", "73"]) + self.pick([" ", ""]) + self.chars("{a}{a}{a}")

    def slot_plate_new(self):
        return self.pick(PROVINCES[self.split]) + self.pick("ABCDE") + self.pick("DF") + self.chars(self.pick(["{d}{d}{d}{d}{d}", "{a}{d}{d}{d}{d}"]))

    def slot_plate_s(self):
        if self.zh:
            return self.pick(PROVINCES[self.split]) + self.pick("ABC") + self.say(self.digits(5))
        n = self.slot_plate().replace(" ", "")
        return " ".join(DIGITS_EN.get(c, c) for c in n)

    def slot_plate_us(self): return self.chars(self.pick(["{d}{a}{a}{a}{d}{d}{d}", "{a}{a}{a} {d}{d}{d}{d}", "{a}{a}{a}-{d}{d}{d}{d}"]))

    def chars(self, form):
        out = form
        while "{a}" in out or "{d}" in out:
            out = out.replace("{a}", self.pick("ABCDEFGHJKLMNPRSTUVWXYZ"), 1).replace("{d}", self.pick(string.digits), 1)
        return out

    def mail(self):
        name = self.pick("lin hai sunny coffee jane mike xuyan tangwei d.ross green.tea amy".split()) + self.pick(["", "", str(self.rng.randint(7, 99)), "_88", "1990"])
        return name, self.pick(["example.com", "example.org", "mail.example.cn", "post.example.net"])

    def slot_email(self): return "@".join(self.mail())

    def slot_email_s(self):
        name, domain = self.mail()
        name = name.replace("_", "").replace(".", "")
        letters = "".join(c for c in name if c.isalpha())
        number = "".join(c for c in name if c.isdigit())
        host = self.pick(["example", "post", "inbox"])
        if self.zh:
            at, dot = self.pick(["艾特", "at", "圈a"]), "点"
            return f"{letters}{self.say(number)}{at}{host}{dot}com"
        tail = f" {self.say(number)}" if number else ""
        return f"{letters}{tail} at {host} dot {self.pick(['com', 'org', 'net'])}"

    def slot_name(self):
        if self.zh:
            return self.pick(SURNAMES[self.split]) + self.pick(GIVEN[self.split])
        return self.pick(FIRST[self.split]) + " " + self.pick(LAST[self.split])

    def slot_addr(self):
        if self.zh:
            n = self.rng.randint
            tail = self.pick([f"{n(1, 988)}号", f"{n(1, 300)}号{self.pick(ESTATES[self.split])}{n(1, 30)}栋{n(101, 2903)}室", f"{n(2, 99)}弄{n(1, 40)}号{n(101, 802)}室", f"{n(1, 300)}号{self.pick(ESTATES[self.split])}{n(1, 12)}号楼{n(1, 4)}单元{n(101, 1802)}"])
            return self.pick(CITIES[self.split]) + self.pick(ROADS[self.split]) + tail
        town, code = self.pick(TOWNS[self.split])
        flat = self.pick(["", "", "Flat 3, ", "Apartment 12B, "])
        return f"{flat}{self.rng.randint(2, 480)} {self.pick(STREETS[self.split])}, {town}, {code}" if self.rng.random() < 0.7 else f"{self.rng.randint(2, 480)} {self.pick(STREETS[self.split])}, {town}"

    def slot_addr_short(self):
        n = self.rng.randint
        return self.pick(ESTATES[self.split]) + self.pick([f"{n(1, 30)}栋{n(101, 2903)}", f"{n(1, 12)}号楼{n(1, 4)}单元{n(101, 1802)}室"])

    def slot_code(self): return self.digits(self.pick([4, 6, 6, 6]))
    def slot_code_s(self): return self.say(self.digits(6))

    # -- look-alikes -------------------------------------------------------
    def slot_order(self): return self.pick([self.digits(18), self.digits(11, "1") , "202" + self.digits(1, "456") + self.digits(12), self.digits(8), "DD" + self.digits(10), "A-" + self.digits(7)])
    def slot_track(self): return self.pick(["SF" + self.digits(13), "YT" + self.digits(13), self.digits(12, "7"), self.digits(13, "4"), "1Z" + self.chars("{a}{d}{a}") + self.digits(10)])
    def slot_track_s(self): return self.say(self.digits(13, "7"))
    def slot_serial(self): return self.pick([self.digits(10), self.digits(14), self.digits(20), "R" + self.digits(9), "2025" + self.digits(8, "01")])
    def slot_policy(self): return self.pick(["P" + self.digits(12), self.digits(15), "PDAA" + self.digits(14), self.digits(19)])
    def slot_ticket(self): return self.pick([self.digits(10), "T" + self.digits(8), "GD" + self.digits(12)])
    def slot_pickup(self): return self.pick([f"{self.rng.randint(1, 9)}-{self.rng.randint(1, 9)}-{self.digits(4)}", self.digits(6), self.digits(8)])
    def slot_meter(self): return self.pick([self.digits(10), self.digits(5), self.digits(13)])
    def slot_visitno(self): return self.pick([self.digits(8), self.digits(12), "B" + self.digits(9)])
    def slot_member(self): return self.pick([self.digits(9), self.digits(10), "VIP" + self.digits(6)])
    def slot_uid(self): return self.pick([self.digits(8), self.digits(9), self.digits(10)])
    def slot_qq(self): return self.digits(9)
    def slot_account(self): return "fz" + self.digits(9)
    def slot_recharge(self): return self.pick([self.digits(15), self.digits(18)])
    def slot_paycode(self): return self.digits(12)
    def slot_ticketno(self): return self.chars("{a}{a}{d}{a}{d}{d}") if not self.zh else "E" + self.digits(9)
    def slot_prodcode(self): return self.pick([self.chars("{a}{a}") + self.digits(5), self.digits(6), self.digits(4)])
    def slot_engine(self): return self.chars("{a}{d}{d}{a}") + self.digits(7)
    def slot_vin(self): return "L" + self.chars("{a}{a}{d}{d}{d}{a}{a}{d}{a}{a}") + self.digits(6)
    def slot_iccid(self):
        body = "8986" + self.digits(14, "0")
        return body + luhn_check(body)
    def slot_sn(self): return self.pick([self.chars("{a}{d}{a}{a}{d}{d}{a}{d}{a}{d}{d}{a}"), self.digits(16)])
    def slot_actcode(self): return "-".join(self.chars("{a}{d}{a}{d}") for _ in range(4))
    def slot_cardno(self): return self.pick([self.digits(8), self.digits(10)])
    def slot_isbn(self): return "978-7-" + self.digits(3) + "-" + self.digits(5) + "-" + self.digits(1)
    def slot_ip(self): return ".".join(str(self.rng.randint(1, 254)) for _ in range(4))
    def slot_flight(self): return self.pick(["CA", "MU", "CZ", "BA", "UA"]) + self.digits(4)
    def slot_train(self): return self.pick(["G", "D"]) + self.digits(3)
    def slot_gate(self): return self.pick("ABC") + self.digits(2)
    def slot_seat(self): return f"{self.rng.randint(1, 60)}{self.pick('ABCDF')}"
    def slot_model(self): return self.pick(["KFR-35GW/BP3", "BCD-216WTM", "HG8145V5", "WH-1000XM5", "AX3600", "TL-WR886N", "RT-AC68U", "iPhone 15 Pro", "Mate60"])
    def slot_tyre(self): return "205/55 R16"
    def slot_ver(self): return f"{self.rng.randint(1, 9)}.{self.rng.randint(0, 20)}.{self.rng.randint(0, 99)}"
    def slot_errcode(self): return self.pick("E1 F3 E28 P0301".split())
    def slot_agentno(self): return self.digits(self.pick([4, 5, 6]))
    def slot_hotline(self):
        if self.zh:
            return self.pick(["10086", "95588", "12315", "400-820-" + self.digits(4), "4008" + self.digits(6), "1010" + self.digits(4), "800-810-" + self.digits(4)])
        return self.pick(["1-800-555-0" + self.digits(3), "0800 " + self.digits(3) + " " + self.digits(4), "1 888 555 0" + self.digits(3), "0345 " + self.digits(3) + " " + self.digits(4)])
    def slot_shortcode(self): return "1069" + self.digits(4) if self.zh else self.digits(5)
    def slot_tail4(self): return self.digits(4, string.digits)
    def slot_ext(self): return self.digits(4)
    def slot_expiry(self): return f"{self.rng.randint(1, 12):02}/{self.rng.randint(26, 32)}"
    def slot_num(self): return str(self.rng.randint(2, 30))
    def slot_num1(self): return str(self.rng.randint(1, 9))
    def slot_num2(self): return str(self.rng.randint(16, 98))
    def slot_num3(self): return str(self.rng.randint(110, 1400))
    def slot_qty(self): return str(self.rng.randint(2, 5000))
    def slot_points(self): return str(self.rng.randint(1200, 98000))
    def slot_pct(self): return self.pick([f"{self.rng.randint(1, 90)}%", f"{self.rng.randint(1, 30)}.{self.rng.randint(1, 9)}%"])
    def slot_pct_n(self): return str(self.rng.randint(3, 60))
    def slot_weight(self): return f"{self.rng.randint(2, 40)}" + self.pick(["公斤", "斤", "千克"] if self.zh else ["kg", " kilos", " pounds"])
    def slot_length(self): return f"{self.rng.randint(2, 900)}" + self.pick(["米", "厘米", "公里"] if self.zh else ["m", " cm", " miles"])
    def slot_area(self): return f"{self.rng.randint(12, 140)}" + ("平" if self.zh else " square metres")
    def slot_volume(self): return f"{self.rng.randint(30, 70)}" + ("升" if self.zh else " litres")
    def slot_km(self): return f"{self.rng.randint(3, 19)}万公里" if self.zh else f"{self.rng.randint(10, 180)},000 miles"
    def slot_data(self): return f"{self.rng.randint(5, 200)}G" + ("流量" if self.zh else "B")
    def slot_mbps(self): return f"{self.rng.randint(10, 1000)}" + ("兆" if self.zh else " Mbps")
    def slot_room(self): return f"{self.rng.randint(101, 2408)}房" if self.zh else f"room {self.rng.randint(101, 2408)}"
    def slot_parking(self): return f"B2-{self.rng.randint(10, 400)}"
    def slot_building(self): return f"{self.rng.randint(1, 30)}栋{self.rng.randint(1, 4)}单元" if self.zh else f"building {self.rng.randint(2, 9)}"
    def slot_surname(self): return self.pick("钱孙程沈") if self.zh else self.pick(["Doyle", "Archer", "Simms"])
    def slot_road(self): return self.pick(ROADS[self.split]) if self.zh else self.pick(STREETS[self.split])

    def slot_amount(self):
        n = self.pick([str(self.rng.randint(5, 999)), f"{self.rng.randint(5, 999)}.{self.rng.randint(10, 99)}", str(self.rng.randint(1000, 150000)), f"{self.rng.randint(1, 90)},{self.rng.randint(100, 999)}"])
        if self.zh:
            return self.pick([n.replace(",", "") + "元", n.replace(",", "") + "块", "¥" + n, self.pick(["一百二十块", "三千五", "八十九块九", "两万多块", "六百元"])])
        return self.pick(["$" + n, "£" + n, n + " dollars", self.pick(["a hundred and twenty dollars", "forty nine ninety nine", "two thousand pounds"])])

    def slot_date(self):
        month, day, year = self.rng.randint(1, 12), self.rng.randint(1, 28), self.rng.randint(2023, 2026)
        if self.zh:
            return self.pick([f"{month}月{day}号", f"{year}年{month}月{day}日", f"{year}-{month:02}-{day:02}", f"{year}{month:02}{day:02}", "上周三", "十二月二十八号", "二零二五年三月"])
        return self.pick([f"{MONTHS[month - 1]} {day}", f"{year}-{month:02}-{day:02}", f"{month}/{day}/{year}", f"the {day}th of {MONTHS[month - 1]} {year}", "last Wednesday"])

    def slot_time(self):
        hour, minute = self.rng.randint(1, 23), self.rng.randint(10, 59)
        if self.zh:
            return self.pick([f"{hour}点{minute}", f"{hour}:{minute}", f"下午{hour % 11 + 1}点半", "晚上八点一刻"])
        return self.pick([f"{hour}:{minute}", f"{hour % 12 + 1} pm", f"{hour % 12 + 1}:{minute} am", "half past eight"])
