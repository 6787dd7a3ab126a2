//! A text in the form that the rules read: one code point for each of the original, so that places stay.

/// Traditional characters of the words that the rules look for.
const TRADITIONAL: [(char, char); 46] = [
    ('號', '号'),
    ('電', '电'),
    ('話', '话'),
    ('機', '机'),
    ('驗', '验'),
    ('證', '证'),
    ('碼', '码'),
    ('護', '护'),
    ('車', '车'),
    ('單', '单'),
    ('訂', '订'),
    ('銀', '银'),
    ('聯', '联'),
    ('繫', '系'),
    ('樓', '楼'),
    ('棟', '栋'),
    ('區', '区'),
    ('縣', '县'),
    ('餘', '余'),
    ('陳', '陈'),
    ('張', '张'),
    ('劉', '刘'),
    ('趙', '赵'),
    ('吳', '吴'),
    ('鄭', '郑'),
    ('馮', '冯'),
    ('許', '许'),
    ('謝', '谢'),
    ('羅', '罗'),
    ('鄧', '邓'),
    ('葉', '叶'),
    ('蘇', '苏'),
    ('盧', '卢'),
    ('蔣', '蒋'),
    ('馬', '马'),
    ('黃', '黄'),
    ('楊', '杨'),
    ('園', '园'),
    ('廣', '广'),
    ('門', '门'),
    ('戶', '户'),
    ('現', '现'),
    ('郵', '邮'),
    ('儲', '储'),
    ('賬', '账'),
    ('帳', '账'),
];

/// A text folded for the rules: full width to half width, traditional characters of known words to simplified ones.
#[derive(Clone, Debug)]
pub(super) struct Folded {
    /// Folded text.
    pub(super) text: String,
    /// Its code points.
    pub(super) chars: Vec<char>,
    /// Byte offset of each code point, and the length behind the last.
    bytes: Vec<usize>,
    /// Whether it holds a Han character.
    pub(super) han: bool,
}

impl Folded {
    pub(super) fn new(text: &str) -> Self {
        let chars: Vec<char> = text.chars().map(fold_char).collect();
        let text: String = chars.iter().collect();
        let bytes = text.char_indices().map(|(at, _)| at).chain([text.len()]).collect();
        let han = chars.iter().any(|c| ('\u{4e00}'..='\u{9fff}').contains(c));
        Self { text, chars, bytes, han }
    }

    /// The code point that begins at a byte offset of the folded text.
    pub(super) fn char_at(&self, byte: usize) -> usize {
        self.bytes.partition_point(|&at| at < byte)
    }

    /// Folded text of a range of code points, cut to the text.
    pub(super) fn slice(&self, start: usize, end: usize) -> &str {
        let last = self.chars.len();
        let (start, end) = (start.min(last), end.min(last));
        &self.text[self.bytes[start]..self.bytes[end.max(start)]]
    }
}

fn fold_char(c: char) -> char {
    match c {
        '\u{ff01}'..='\u{ff5e}' => char::from_u32(u32::from(c) - 0xfee0).unwrap_or(c),
        '\u{3000}' | '\u{a0}' | '\t' => ' ',
        '\u{2010}'..='\u{2015}' | '\u{2212}' => '-',
        '\u{2019}' => '\'',
        _ if c >= '\u{4e00}' => TRADITIONAL.iter().find(|(from, _)| *from == c).map_or(c, |(_, to)| *to),
        _ => c,
    }
}
