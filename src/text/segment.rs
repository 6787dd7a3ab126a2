//! Words of mixed Chinese and English text.
//!
//! Chinese runs are cut by the dictionary of `jieba-rs`; runs of letters and digits are words as they stand ("4g",
//! "iphone15" stay whole). [`words`] cuts without overlap, for reading; [`tokens`] is the search mode, which adds the
//! shorter words inside long ones, for indexing.

use std::sync::LazyLock;

use jieba_rs::{Jieba, TokenizeMode};
use rust_stemmers::{Algorithm, Stemmer};

use super::{Script, fold_with_map, runs};

/// A word and its place in the text it was cut from, in code points.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Token {
    /// The folded word.
    pub text: String,
    /// First code point in the original text.
    pub start: usize,
    /// First code point behind it.
    pub end: usize,
    /// Whether the word is Chinese.
    pub han: bool,
}

/// Words of service centres that the general dictionary does not know or cuts differently.
const DOMAIN_WORDS: [&str; 35] = [
    "到账",
    "话费",
    "流量包",
    "加油包",
    "携号转网",
    "停机",
    "复机",
    "销户",
    "挂失",
    "补卡",
    "补办",
    "退订",
    "价保",
    "差价",
    "运费险",
    "退货款",
    "报修",
    "移机",
    "光猫",
    "限速",
    "盗刷",
    "风控",
    "理赔",
    "退保",
    "保单",
    "滞纳金",
    "年费",
    "账单日",
    "还款日",
    "最低还款",
    "手续费",
    "客服",
    "工单",
    "七天无理由",
    "无理由退货",
];

static JIEBA: LazyLock<Jieba> = LazyLock::new(|| {
    let mut jieba = Jieba::new();
    for word in DOMAIN_WORDS {
        jieba.add_word(word, None, None);
    }
    jieba
});
static STEMMER: LazyLock<Stemmer> = LazyLock::new(|| Stemmer::create(Algorithm::English));

/// Loads the Chinese dictionary (some hundred milliseconds) so that the first text does not wait for it.
pub fn warm() {
    LazyLock::force(&JIEBA);
}

/// Words without overlap.
pub fn words(text: &str) -> Vec<Token> {
    cut(text, TokenizeMode::Default)
}

/// Words in search mode: long Chinese words come together with the shorter ones inside, ordered by end.
pub fn tokens(text: &str) -> Vec<Token> {
    cut(text, TokenizeMode::Search)
}

fn cut(text: &str, mode: TokenizeMode) -> Vec<Token> {
    let folded = fold_with_map(text);
    let chars: Vec<char> = folded.text.chars().collect();
    let mut found = Vec::new();
    let mut push = |start: usize, end: usize, han: bool| {
        found.push(Token {
            text: chars[start..end].iter().collect(),
            start: folded.source[start],
            end: folded.source[end - 1] + 1,
            han,
        });
    };
    let mut pending: Option<(usize, usize)> = None; // letters and digits side by side form one word
    for (script, range) in runs(&chars) {
        if matches!(script, Script::Latin | Script::Digit) {
            pending = Some((pending.map_or(range.start, |(start, _)| start), range.end));
            continue;
        }
        if let Some((start, end)) = pending.take() {
            push(start, end, false);
        }
        if script == Script::Han {
            let run: String = chars[range.clone()].iter().collect();
            for token in JIEBA.tokenize(&run, mode, true) {
                push(range.start + token.start, range.start + token.end, true);
            }
        }
    }
    if let Some((start, end)) = pending {
        push(start, end, false);
    }
    found
}

/// The stem of a lower-case English word (Porter 2); a possessive ending is cut first.
pub fn stem(word: &str) -> String {
    let bare = word.strip_suffix("'s").unwrap_or(word);
    STEMMER.stem(bare).into_owned()
}

/// Whether a folded word says so little that a search is better without it.
pub fn is_stop_word(word: &str) -> bool {
    STOP_WORDS.binary_search(&word).is_ok()
}

/// Function words, sorted by code point for the binary search.
static STOP_WORDS: LazyLock<Vec<&'static str>> = LazyLock::new(|| {
    let mut words: Vec<&str> = STOP_WORDS_EN.split_whitespace().chain(STOP_WORDS_ZH.split_whitespace()).collect();
    words.sort_unstable();
    words
});

const STOP_WORDS_EN: &str = "a about all also am an and any are as at be been but by can could did do does doing for \
    from get got had has have having he hello her hi him his i i'd i'll i'm i've if in into is it it's its just know let like me \
    my now of oh okay on or our please she should so some sure thank thanks that that's the their them then there these \
    they this those to uh um us very want was we well were what what's when which who will with would yeah yes you your";
const STOP_WORDS_ZH: &str = "的 了 吗 呢 吧 啊 呀 哦 嗯 哈 么 嘛 呃 额 我 你 您 他 她 它 我们 你们 他们 咱 咱们 这 那 这个 那个 这样 那样 是 是不是 有 \
    没 没有 在 和 跟 与 或 就 都 也 还 又 再 很 太 被 把 给 让 请 请问 您好 你好 好 好的 对 一下 一个 个 什么 怎么 怎样 如何 为什么 为 什么样 \
    哪 哪里 哪个 几 多少 要 想 能 能不能 可以 可不可以 会 应该 说 之 得 地 着 过 上 下 里 到 去 来 从 对于 关于 以 而 但 但是 所以 因为 然后 就是 \
    就是说 现在 啦 喂 谢谢 麻烦 知道 帮 帮我 怎么办 办 用 做 不 不是 啥 咋 俺 自己 这边 那边 这里 那里 一";
