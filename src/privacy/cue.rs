//! Words beside a number that say what it is.

use std::sync::LazyLock;

use regex::Regex;

use super::Kind;
use super::folded::Folded;

/// What the words beside a value call it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cue {
    /// A telephone.
    Phone,
    /// A landline telephone.
    Landline,
    /// An identity card or national number.
    IdCard,
    /// A bank card.
    BankCard,
    /// A passport.
    Passport,
    /// A number plate.
    Plate,
    /// A one-time code.
    Code,
    /// An e-mail address.
    Email,
    /// A name.
    Name,
    /// An address.
    Address,
    /// "The number is": what kind the words before it say, else a telephone.
    Number,
    /// A number of a thing: an order, a parcel, a meter, an amount …
    Thing,
}

impl Cue {
    /// The kind that an answer to a question with this cue has.
    pub(super) fn kind(self) -> Option<Kind> {
        Some(match self {
            Self::Phone | Self::Number => Kind::Mobile,
            Self::Landline => Kind::Landline,
            Self::IdCard => Kind::IdCard,
            Self::BankCard => Kind::BankCard,
            Self::Passport => Kind::Passport,
            Self::Plate => Kind::Plate,
            Self::Code => Kind::VerificationCode,
            Self::Email => Kind::Email,
            Self::Name => Kind::Name,
            Self::Address => Kind::Address,
            Self::Thing => return None,
        })
    }
}

impl Cue {
    /// Whether what it names has a number.
    fn has_number(self) -> bool {
        !matches!(self, Self::Email | Self::Name | Self::Address | Self::Number)
    }
}

/// A cue and the code points that say it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Hit {
    pub(super) cue: Cue,
    pub(super) start: usize,
    pub(super) end: usize,
}

/// Later entries win where two cues end at the same place.
static CUES: LazyLock<Vec<(Cue, Regex)>> = LazyLock::new(|| {
    [
        (Cue::Number, r"号码|(?i:\b(?:the )?number(?: on file)?(?: is|:)?\b)"),
        (Cue::Phone, r"手机|电话|联系方式|打给|打我|拨打|回电|(?i:\b(?:phone|mobile|cell(?:phone)?|call me|ring me|rang|text me|reach (?:me|you)|contact number|telephone|tel|my number|whatsapp|linked to|registered (?:to|under)|messages to)\b)"),
        (Cue::Landline, r"座机|固话|固定电话|单位电话|家里电话|(?i:\b(?:landline|home phone|house phone|office (?:line|phone)|front desk|depot|emergency line)\b)"),
        (Cue::Name, r"姓名|名字|怎么称呼|户名|户主|机主|收件人|收货人|联系人|(?i:\bname\b|\brecipient\b|\bspeaking with\b)"),
        (Cue::Address, r"地址|住址|住在|(?i:\baddress\b|\bi live at\b)"),
        (Cue::Email, r"邮箱|电子邮件|邮件地址|(?i:\be-?mail\b)"),
        (Cue::IdCard, r"身份证|证件|居民证|社保号|(?i:\b(?:social(?: security)?(?: number)?|ssn|national insurance(?: number)?|identity card|id card)\b)"),
        (Cue::BankCard, r"卡号|银行卡|信用卡|储蓄卡|借记卡|(?:这|那)张卡|原卡|新卡|旧卡|还款卡|退卡|卡(?:是|上)|(?i:\b(?:(?:credit|debit|bank|original|repayment|long)?\s?card(?: number)?|number on the card)\b)"),
        (Cue::Passport, r"护照|(?i:\bpassport\b)"),
        (Cue::Plate, r"车牌|牌照|车号|(?i:\b(?:registration|reg|(?:licen[cs]e|number)? ?plates?)\b)"),
        (Cue::Code, r"验证码|校验码|动态密?码|短信密?码|一次性密码|短信.{0,4}(?:数字|码)|(?i:\b(?:(?:verification|security|one-time|login|text|sms|access|confirmation|old|new|the) (?:pass)?code|one-time pass(?:code|word)|passcode|otp|digits in the text|code (?:you sent|is|to you)|got code|texted you a code|read me the code)\b)"),
        (Cue::Thing, r"订单(?:编?号码?)?|(?:运|快递|物流|流水|面|工|保|安装|行程)单号?码?|(?:单|流水|编|序列|合同|报案|受理|收据|发票|户|表|档案|病历|会员|产品|工|台|座位|航班|确认|团|书|批|版本|型|群|货|桌|取餐)号码?|编码|就诊卡号?|准考证号?|缴费码|充值(?:卡)?(?:密码|卡号)?|激活码|兑换码|取件码|取货码|提货码|取票(?:号|码)|邀请码|优惠码|邮编|代码|门禁卡|上网卡|会员卡|积分|金额|余额|车架|发动机|表号|读数|型号|QQ|ID是|热线|客服电话|尾号|后四位|后[几两三六]位|末四位|分机|工龄|(?i:\b(?:(?:zip|postal|area|error|product|promo|discount|country) code(?: is)?|driver'?s?'? licen[cs]e|order|booking|parcel|tracking|reference|ticket|policy|claim|receipt|invoice|serial|meter|account|member|membership|contract|application|transaction|product|course|shop|part|model|engine|vin|chassis|sim|imei|iccid|isbn|fob|exam|lab|patient|record|character|player|agent|staff|engineer|appointment|installation|confirmation|payment code|top-up|activation|pickup|pick-up|pin|postcode|zip|error|hotline|extension|points|expiry|flight|group|version|level|ends in|ending in|last four|last 4|size|gate)\b)"),
        // a thing's cue that names a personal number after all
        (Cue::BankCard, r"银行卡号|信用卡号|(?:收款|付款|银行)账号|(?i:\bcard number\b)"),
        (Cue::Phone, r"(?:会员|订单|账号|工单)(?:的|绑定的?|绑定|预留的?)?(?:手机|电话)(?:号码?)?|(?i:\b(?:phone|mobile|contact) number\b)"),
        (Cue::Code, r"(?i:\b(?:verification|security|login) code\b)"),
        (Cue::IdCard, r"身份证号码?|证件号码?"),
        (Cue::Passport, r"护照号码?"),
        (Cue::Thing, r"(?:手机|电话|身份证|卡)号?的?(?:尾号|后四位|末四位)|身份证后[四六]位|护照上|(?i:\blast four(?: digits)?(?: of (?:your|my) (?:phone|card))?|product code|error code|zip code|payment code|top-up code|promo code)"),
    ]
    .into_iter()
    .filter_map(|(cue, source)| Regex::new(source).ok().map(|regex| (cue, regex)))
    .collect()
});

/// How many cue patterns compiled; a test holds the number.
#[cfg(test)]
pub(super) fn cue_count() -> usize {
    CUES.len()
}

/// All cues of a text; where several end at the same place, the most special one stands last.
pub(super) fn cues(text: &Folded) -> Vec<Hit> {
    let mut hits: Vec<(usize, Hit)> = Vec::new();
    for (rank, (cue, regex)) in CUES.iter().enumerate() {
        for found in regex.find_iter(&text.text) {
            let hit = Hit { cue: *cue, start: text.char_at(found.start()), end: text.char_at(found.end()) };
            hits.push((rank, hit));
        }
    }
    hits.sort_by_key(|(rank, hit)| (hit.end, *rank));
    hits.into_iter().map(|(_, hit)| hit).collect()
}

/// The nearest cue before a place, within a sentence and `reach` code points. "The number" leaves it to what was named before.
pub(super) fn cue_before(text: &Folded, hits: &[Hit], at: usize, reach: usize) -> Option<Hit> {
    let before = &hits[..hits.partition_point(|hit| hit.end <= at)];
    let hit = before.last()?;
    let sentence = |from: usize| {
        let between = text.slice(from, at);
        between.contains(['。', '！', '？', '!', '?', '；', ';', '\n']) || between.contains(". ")
    };
    if sentence(hit.end) || at - hit.end > reach {
        return None;
    }
    if hit.cue != Cue::Number {
        return Some(*hit);
    }
    let named = before.iter().rev().take(6).find(|other| other.cue != Cue::Number && other.end <= hit.end);
    let named =
        named.filter(|other| hit.start.saturating_sub(other.end) <= reach && !sentence(other.end) && other.cue.has_number());
    Some(Hit { cue: named.map_or(Cue::Phone, |other| other.cue), ..*hit })
}

/// A cue right behind a value: 13812345678是我的订单号.
pub(super) fn cue_behind(text: &Folded, hits: &[Hit], end: usize) -> Option<Hit> {
    let hit = hits[hits.partition_point(|hit| hit.end <= end)..].iter().take(8).find(|hit| hit.start >= end)?;
    let between = text.slice(end, hit.start);
    (hit.cue != Cue::Number && hit.start - end <= 6 && !between.contains([',', '，', '。', '、', '.', '?'])).then_some(*hit)
}

/// What a question asks for: the last cue of the turn.
pub(super) fn asked(text: &Folded) -> Option<Cue> {
    let hits = cues(text);
    let named = hits.iter().rev().find(|hit| hit.cue != Cue::Number).map(|hit| hit.cue);
    named.or_else(|| hits.last().map(|_| Cue::Phone))
}
