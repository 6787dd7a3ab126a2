//! Names of persons: a surname and a given name, found by the words around them and by common characters.

use std::sync::LazyLock;

use regex::Regex;

use super::cue::{Cue, Hit};
use super::folded::Folded;
use super::{Finding, Kind};

/// The most frequent surnames; two characters first.
const SURNAMES_LONG: [&str; 8] = ["欧阳", "上官", "司马", "诸葛", "东方", "皇甫", "尉迟", "公孙"];
const SURNAMES: &str = "王李张刘陈杨黄赵吴周徐孙马朱胡郭何林高罗郑梁谢宋唐许韩冯邓曹彭曾肖田董袁潘于蒋蔡余杜叶程苏魏吕丁任沈姚卢姜崔钟谭陆汪范金石廖贾夏韦付方白邹孟熊秦邱江尹薛闫段雷侯龙史陶黎贺顾毛郝龚邵万钱严覃武戴莫孔向汤温康施文牛樊葛邢安齐易乔伍庞颜倪庄聂章鲁岳翟殷詹申欧耿关兰焦俞左柳甘祝包宁尚符舒阮柯纪梅童凌毕单季裴霍涂成苗谷盛曲翁冉骆蓝路游辛靳欧管柴蒙鲍华喻祁蒲房滕屈饶解牟艾尤阳时穆农司卓古吉缪简车项连芦麦褚娄窦戚岑景党宫费卜冷晏席卫米柏宗瞿桂全佟应臧闵苟邬边卞姬师和仇栾隋商刁沙荣巫寇桑郎甄丛仲虞敖巩明佘池查麻苑迟邝";
/// Characters that given names are commonly made of.
const GIVEN: &str = "伟芳娜敏静丽强磊军洋勇艳杰娟涛明超秀霞平刚桂英华玉兰红梅建国志文海燕云飞鹏辉婷欣怡宇轩浩然子涵梓萱晨阳俊思远佳琪慧春生立新永贵凤雪晓玲琳倩莉萍丹波斌峰龙林森鑫健康庆东南西北方正德福成功宏伟光荣兴旺胜利民安宁雨晴诗雅婉清淑珍珠宝莲荷菊竹松柏青山川江河湖泊冰雷震坤乾天地仁义礼智信忠孝廉洁博学家豪杰英才俊良善美好心怡然逸轩睿哲瑞祥嘉乐悦欢凯旋翔宇航帆舟远程鸿雁鹤鹰龙虎豹彪彬彩虹霓裳羽毛丰收秋冬夏月星辰昊旭日曦朝夕晗晶莹璐瑶琴棋书画墨香馨蕾蓉芬芝茜茹蓓薇若依可人小大中少长元亨利贞维国邦栋梁柱材根树桐楠权果昌盛茂荣贤淑惠慈爱恩泽润涛泉源溪沁沐沛泓涵澜澄清漪潇洒冉然宏亮朗照耀炜烨焕炎灵巧妙善佑佐佩仪伦伊伯仲叔季双全";
/// Behind such words a name stands.
const BEFORE_ZH: &str = r"(?:我?(?:名字)?叫|名字(?:是|写的?)?|我是|他是|她是|姓名(?:是|叫|写)?|户名(?:是)?|户主(?:是|叫|名字)?|机主(?:是)?|业主(?:是|叫)?|(?:收|寄|收货|联系|联络|乘机|入住|就诊|被保险|受益|预订|租|收餐)人(?:是|叫|改成|写的?|为)?|患者|乘客|客人|客户|学员|骑手|师傅|工程师|医生|老婆|爱人|老公|丈夫|妻子|妈妈|爸爸|孩子|儿子|女儿|表弟|同事|朋友|找一?下|转告|告诉|过户到|抬头写?|写着?|印的是|用的是?|行驶证上是|新户主|本人|不是)";
const BEHIND_ZH: &str = r"(?:先生|女士|小姐|医生|师傅|经理|老师|同学|名下|的名字|收|本人|身份证|态度|接(?:的|电话)|拿我)";
/// Words that begin with a surname and a given-name character but are none.
const NO_NAMES: [&str; 46] = [
    "马上", "高兴", "明天", "方便", "安全", "成功", "时间", "全部", "应该", "明白", "高清", "金额", "白天", "安心", "文件",
    "平安", "何时", "石家", "江苏", "华为", "高德", "温度", "路上", "于是", "和平", "可能", "公司", "周末", "周日", "任何",
    "包裹", "单子", "车子", "查明", "万元", "万一", "米家", "房子", "解放", "武汉", "文字", "全国", "农业", "关心", "关于",
    "古月",
];

/// First names that English-speaking callers have often.
const FIRST_NAMES: &str = " aaron abigail adam adrian agnes aisha alan albert alex alexander alexandra alfred alice alicia alison amanda amber amelia amir amy andrea andrew angela anita ann anna anne anthony antonio april arjun arthur ashley audrey barbara beatrice ben benjamin bernard beth bethany betty beverly bill billy bob bonnie brandon brenda brian bridget bruce bryan caitlin cameron carl carla carlos carmen carol caroline catherine cathy cecilia chad charles charlie charlotte cheryl chloe chris christian christina christine christopher cindy claire clara claudia colin connor craig crystal curtis cynthia daisy dale dan daniel danielle darren david dawn dean deborah debra denise dennis derek diana diane dominic donald donna doris dorothy douglas duncan dylan edgar edith edward edwin eileen elaine eleanor elena eli elizabeth ella ellen ellie emily emma eric erica ethan eva evan evelyn faith fatima felix fiona florence frances francis frank fred frederick gabriel gail gareth gary gavin gemma geoffrey george georgia gerald gina glenn gloria gordon grace graham grant greg gregory gwen hannah harold harriet harry hassan hazel heather helen henry holly howard hugh ian ibrahim ingrid irene iris isaac isabel isabella ivan jack jackie jacob jake james jamie jan jane janet janice jasmine jason jay jean jeff jeffrey jennifer jenny jeremy jerry jesse jessica jill jim joan joanna joe joel john jonathan jordan jose joseph josh joshua joy joyce juan judith judy julia julian julie justin karen karl kate katherine kathleen kathryn katie kay keith kelly ken kenneth kerry kevin kim kimberly kirsty kyle lara larry laura lauren laurence lawrence leah lee leo leon leonard leslie lewis liam lily linda lisa lloyd logan louis louise lucas lucy luis luke lydia lynn madison malcolm marcus margaret maria marie marilyn mario marion mark martha martin martina mary mason mateo matthew maureen max maya megan melanie melissa mercedes mia michael michelle miguel mike mitchell mohamed mohammed molly monica morgan muhammad nadia nancy naomi natalie natasha nathan neil nicholas nick nicola nicole nigel nina noah noel nora norma norman oliver olivia omar oscar owen pamela patricia patrick paul paula pauline pedro peggy penelope peter phil philip phillip phyllis priya rachel rahul raj ralph raymond rebecca reggie rhys ricardo richard rita rob robert roberta robin rodney roger roland ronald rosa rose rosemary ross roy ruby russell ruth ryan sabrina sally sam samantha samuel sandra sara sarah scott sean sebastian seth shane shannon sharon shaun sheila shirley sidney simon sofia sonia sophia sophie stacy stanley stella stephanie stephen steve steven stuart sue susan suzanne sylvia tamara tanya tara ted teresa terry thelma theo theodore theresa thomas tim timothy tina tobias toby todd tom tony tracy travis trevor tyler valerie vanessa vera veronica vicky victor victoria vincent violet virginia vivian walter wanda warren wayne wendy wesley will william wilma xavier yasmin yolanda yvonne zachary zara zoe ";

struct Patterns {
    before_zh: Regex,
    behind_zh: Regex,
    cue_en: Regex,
    capital: Regex,
}

static PATTERNS: LazyLock<Option<Patterns>> = LazyLock::new(|| Patterns::compile().ok());

impl Patterns {
    fn compile() -> Result<Self, regex::Error> {
        let name = r"\p{Lu}[\p{L}'\-]+(?:(?: \p{Lu}\.?)? \p{Lu}[\p{L}'\-]+){0,2}";
        Ok(Self {
            before_zh: Regex::new(&format!("{BEFORE_ZH}[：: ]?$"))?,
            behind_zh: Regex::new(&format!("^{BEHIND_ZH}"))?,
            cue_en: Regex::new(&format!(
                r"(?:(?i:\b(?:my (?:full )?name(?: is|'s)|(?:the )?name(?: is|'s| was)|i'm|i am|this is|it's under|called|recipient is|sender(?:'s name)? is|spouse is|attention|attn|contact is|speaking with|speak to|speak with|mr|mrs|ms|miss|dr|doctor)\.?,? ))({name})"
            ))?,
            capital: Regex::new(&format!(r"\b{name}"))?,
        })
    }
}

/// Whether all patterns compiled.
#[cfg(test)]
pub(super) fn compiled() -> bool {
    PATTERNS.is_some()
}

/// Names of a text. `asked`: the other party asked for one.
pub(super) fn find(text: &Folded, hits: &[Hit], asked: Option<Cue>) -> Vec<Finding> {
    let Some(patterns) = PATTERNS.as_ref() else { return Vec::new() };
    let mut found = if text.han { chinese(text, asked, patterns) } else { Vec::new() };
    found.extend(latin(text, hits, asked, patterns));
    found
}

fn chinese(text: &Folded, asked: Option<Cue>, patterns: &Patterns) -> Vec<Finding> {
    let chars = &text.chars;
    let han = |at: usize| chars.get(at).is_some_and(|c| ('\u{4e00}'..='\u{9fff}').contains(c));
    let given = |at: usize| chars.get(at).is_some_and(|c| GIVEN.contains(*c));
    let mut found: Vec<Finding> = Vec::new();
    let mut at = 0;
    while at < chars.len() {
        let surname = surname_at(text, at);
        if surname == 0 || !given(at + surname) {
            at += 1;
            continue;
        }
        let first = at + surname;
        let two = given(first + 1);
        let before = text.slice(at.saturating_sub(8), at);
        let clause_begin = at == 0 || !han(at - 1) && !chars[at - 1].is_alphanumeric();
        let named = patterns.before_zh.is_match(before);
        let answer = asked == Some(Cue::Name) && clause_begin;
        // the longer name if its last character is a name's, the shorter one if what follows says so
        let ends = [first + 1 + usize::from(two), first + 1];
        let end = ends.into_iter().find(|&end| patterns.behind_zh.is_match(text.slice(end, end + 6))).unwrap_or(ends[0]);
        let behind = patterns.behind_zh.is_match(text.slice(end, end + 6));
        let alone = clause_begin && !han(end);
        let word = NO_NAMES.iter().any(|word| text.slice(at, at + 4).starts_with(word));
        if !word && end - at >= 2 && (named || answer || behind || alone) {
            // 我是 and the like are weak: what follows must end or be a name of three
            let weak = ["我是", "他是", "她是"].iter().any(|cue| before.ends_with(cue)) && end - at == 2 && han(end) && !behind;
            if !weak {
                let strength = if named || answer { 0.9 } else { 0.7 };
                found.push(Finding { kind: Kind::Name, start: at, end, strength });
                at = end;
                continue;
            }
        }
        at += 1;
    }
    found
}

/// How many code points of a surname begin here.
fn surname_at(text: &Folded, at: usize) -> usize {
    if SURNAMES_LONG.contains(&text.slice(at, at + 2)) {
        return 2;
    }
    usize::from(SURNAMES.contains(text.chars[at]))
}

fn latin(text: &Folded, hits: &[Hit], asked: Option<Cue>, patterns: &Patterns) -> Vec<Finding> {
    let mut found = Vec::new();
    let mut push = |start: usize, end: usize, strength: f32| {
        found.push(Finding { kind: Kind::Name, start: text.char_at(start), end: text.char_at(end), strength });
    };
    for hit in patterns.cue_en.captures_iter(&text.text) {
        let Some(name) = hit.get(1) else { continue };
        let words: Vec<&str> = name.as_str().split(' ').collect();
        let known = is_first_name(words[0]);
        let title = ["mr", "mrs", "ms", "miss", "dr", "doctor"].iter().any(|t| hit[0].to_ascii_lowercase().starts_with(t));
        let own = hit[0].to_ascii_lowercase().starts_with("my ");
        if ((words.len() > 1 || own) && !is_common_word(words[0])) || (known && !title) {
            push(name.start(), name.end(), if known { 0.9 } else { 0.8 });
        }
    }
    for hit in patterns.capital.find_iter(&text.text) {
        let words: Vec<&str> = hit.as_str().split(' ').collect();
        let skip = usize::from(words.len() > 2 && !is_first_name(words[0]) && is_first_name(words[1]));
        let start = hit.start() + words[..skip].iter().map(|w| w.len() + 1).sum::<usize>();
        let rest = &words[skip..];
        let place = text.char_at(start);
        let clause =
            place == 0 || text.chars[..place].iter().rev().find(|c| **c != ' ').is_some_and(|c| matches!(c, ',' | ':' | '.'));
        let answer = asked == Some(Cue::Name) && clause;
        let street =
            ["street", "road", "avenue", "lane", "drive", "court"].contains(&rest[rest.len() - 1].to_lowercase().as_str());
        if !street && ((rest.len() > 1 && is_first_name(rest[0])) || (answer && rest.len() > 1 && !is_common_word(rest[0]))) {
            push(start, hit.end(), if answer { 0.9 } else { 0.8 });
        }
    }
    // recognised speech has no capitals: a first name and one word more behind a word for a name
    if !text.text.chars().any(char::is_uppercase) {
        for hit in hits.iter().filter(|hit| hit.cue == Cue::Name) {
            let rest = text.slice(hit.end, text.chars.len());
            let lead = ["'s ", " is ", " "].into_iter().find(|lead| rest.starts_with(lead)).unwrap_or("");
            let words: Vec<&str> = rest[lead.len()..].split(' ').take(2).collect();
            if words.len() == 2 && is_first_name(words[0]) && words[1].chars().all(char::is_alphabetic) {
                let start = hit.end + lead.chars().count();
                let end = start + words[0].chars().count() + 1 + words[1].chars().count();
                found.push(Finding { kind: Kind::Name, start, end, strength: 0.8 });
            }
        }
    }
    found
}

fn is_first_name(word: &str) -> bool {
    word.chars().all(char::is_alphabetic) && FIRST_NAMES.contains(&format!(" {} ", word.to_lowercase()))
}

/// Capitalised words that begin a sentence or name a thing, not a person.
fn is_common_word(word: &str) -> bool {
    const WORDS: [&str; 40] = [
        "the",
        "a",
        "an",
        "i",
        "my",
        "your",
        "our",
        "please",
        "thank",
        "thanks",
        "yes",
        "no",
        "ok",
        "okay",
        "hi",
        "hello",
        "dear",
        "monday",
        "tuesday",
        "wednesday",
        "thursday",
        "friday",
        "saturday",
        "sunday",
        "january",
        "february",
        "april",
        "june",
        "july",
        "august",
        "september",
        "october",
        "november",
        "december",
        "customer",
        "service",
        "account",
        "order",
        "new",
        "united",
    ];
    WORDS.contains(&word.to_lowercase().as_str())
}
