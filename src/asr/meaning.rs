//! Does a text sound finished? An unfinished number, a conjunction or a filler at its end says that the speaker goes on; a
//! complete question says that he waits for an answer. Texts are as recognised: no punctuation, digits as words.
//!
//! The tables below are the policy; docs/listening.md prints them, and a test compares the two.

use crate::conversation::Language;

/// What the end of a text says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// A digit string that may go on.
    Number,
    /// A word that needs another behind it.
    Conjunction,
    /// A sound of thinking.
    Filler,
    /// A complete question.
    Question,
    /// Anything else.
    Plain,
}

impl Ending {
    /// Whether more is to be expected.
    pub fn is_unfinished(self) -> bool {
        matches!(self, Self::Number | Self::Conjunction | Self::Filler)
    }
}

/// Conjunctions and other words that lean on what follows, the longest first where one ends with another.
pub const CONJUNCTIONS_ZH: [&str; 30] = [
    "因为",
    "所以",
    "但是",
    "可是",
    "不过",
    "然后",
    "还有",
    "而且",
    "如果",
    "或者",
    "或是",
    "以及",
    "并且",
    "虽然",
    "只是",
    "就是",
    "要是",
    "的话",
    "比如",
    "比如说",
    "包括",
    "关于",
    "对于",
    "除了",
    "跟",
    "和",
    "把",
    "被",
    "是因为",
    "我想",
];
/// Sounds and words of thinking.
pub const FILLERS_ZH: [&str; 10] = ["嗯", "呃", "额", "那个", "这个", "就是说", "怎么说呢", "等一下", "等等", "我想想"];
/// Ends of complete questions.
pub const QUESTIONS_ZH: [&str; 16] = [
    "吗",
    "呢",
    "多少钱",
    "多少",
    "什么时候",
    "怎么办",
    "怎么弄",
    "为什么",
    "可以吗",
    "行不行",
    "是不是",
    "对不对",
    "能不能",
    "好不好",
    "几天",
    "多久",
];
/// Conjunctions, prepositions, articles and auxiliaries that lean on what follows.
pub const CONJUNCTIONS_EN: [&str; 48] = [
    "and", "but", "or", "so", "because", "since", "although", "though", "if", "unless", "when", "while", "that", "which", "who",
    "then", "also", "plus", "the", "a", "an", "my", "your", "our", "their", "his", "her", "of", "to", "from", "with", "for",
    "at", "in", "on", "by", "about", "is", "are", "was", "were", "i", "i'm", "we", "they", "it's", "that's", "than",
];
/// Sounds and words of thinking.
pub const FILLERS_EN: [&str; 9] = ["um", "uh", "er", "erm", "hmm", "well", "like", "you know", "let me see"];
/// Ends of complete questions.
pub const QUESTIONS_EN: [&str; 12] = [
    "can i help you",
    "may i help you",
    "help you today",
    "anything else",
    "is that right",
    "is that correct",
    "how much is it",
    "how long will it take",
    "is that okay",
    "is that ok",
    "does that help",
    "what should i do",
];

/// Digits as they are spoken; 幺 is the 1 of telephone numbers.
const DIGITS_ZH: [char; 12] = ['零', '〇', '幺', '一', '二', '两', '三', '四', '五', '六', '七', '八'];
const LAST_DIGIT_ZH: char = '九';
const DIGITS_EN: [&str; 13] =
    ["zero", "oh", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "double", "triple"];
/// A digit string of so many digits is taken for unfinished: one alone is a count, eleven are a whole telephone number.
const NUMBER_DIGITS: std::ops::RangeInclusive<usize> = 2..=10;

/// What the end of a text says; the language decides which table is asked.
pub fn ending_of(text: &str, language: Language) -> Ending {
    let text = text.trim().to_lowercase();
    let text = text.trim_end_matches(|c: char| c.is_ascii_punctuation() && c != '\'' || "，。？！、；：".contains(c));
    match language {
        Language::Zh => ending_zh(text),
        Language::En => ending_en(text),
    }
}

fn ending_zh(text: &str) -> Ending {
    let ends = |table: &[&str]| table.iter().any(|end| text.ends_with(end));
    let digits = text.chars().rev().take_while(|c| is_digit_zh(*c)).count();
    if NUMBER_DIGITS.contains(&digits) {
        Ending::Number
    } else if ends(&FILLERS_ZH) {
        Ending::Filler
    } else if ends(&QUESTIONS_ZH) {
        Ending::Question
    } else if ends(&CONJUNCTIONS_ZH) {
        Ending::Conjunction
    } else {
        Ending::Plain
    }
}

fn is_digit_zh(character: char) -> bool {
    character.is_ascii_digit() || character == LAST_DIGIT_ZH || DIGITS_ZH.contains(&character)
}

fn ending_en(text: &str) -> Ending {
    let words: Vec<&str> = text.split_whitespace().collect();
    let ends = |table: &[&str]| {
        table.iter().any(|end| {
            let end: Vec<&str> = end.split(' ').collect();
            words.ends_with(&end)
        })
    };
    let digits: usize = words.iter().rev().map_while(|word| digits_en(word)).sum();
    if NUMBER_DIGITS.contains(&digits) {
        Ending::Number
    } else if ends(&QUESTIONS_EN) {
        Ending::Question
    } else if ends(&FILLERS_EN) {
        Ending::Filler
    } else if ends(&CONJUNCTIONS_EN) {
        Ending::Conjunction
    } else {
        Ending::Plain
    }
}

/// Digits that a word stands for; `None` if it is none.
fn digits_en(word: &str) -> Option<usize> {
    if word.chars().all(|c| c.is_ascii_digit()) {
        return Some(word.len());
    }
    DIGITS_EN.contains(&word).then_some(1)
}
