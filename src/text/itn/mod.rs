//! Inverse text normalisation: what is spoken as words is written as people write it.
//!
//! 一百二十元 becomes 120元, "one hundred twenty dollars" becomes "$120". The grammar is small and careful: it writes
//! figures where a reader expects them (amounts, dates, times, percentages, decimals, digit strings, cardinals from ten
//! on) and leaves everything else alone: 一下, 三心二意, 十分, "one of them" and single-digit counts without a unit.
//!
//! The returned [`SpanMap`] leads from written text back to what was said, so that word times can follow.
//!
//! ```
//! use zhiyin::conversation::Language;
//! use zhiyin::text::itn::Itn;
//!
//! let itn = Itn::new();
//! let (text, map) = itn.apply("退款一百二十元", Language::Zh);
//! assert_eq!(text, "退款120元");
//! assert_eq!(map.source(2, 5), 2..6); // 120 was said as 一百二十
//! assert_eq!(itn.apply("I paid twenty five percent", Language::En).0, "I paid 25%");
//! ```

mod cases;
mod en;
mod en_number;
mod en_symbols;
mod span;
mod zh;
mod zh_number;
mod zh_symbols;

pub use cases::{ItnCase, ItnFile, run_cases};
pub use span::SpanMap;

use crate::conversation::Language;
use span::Rewriter;

/// How figures, dates and units are spelled.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ItnStyle {
    /// As people write running text: 120元, 2008年8月8日, "200 meters", "at 8:30". Small counts stay words.
    #[default]
    Readable,
    /// As forms and tables have it: ¥120, 2008/08/08, "200 m", "08:30". The spelling of the WeTextProcessing and NeMo
    /// grammars, so that their cases can be run.
    Symbols,
}

/// Writes spoken forms; holds no state but the style, one serves all threads.
#[derive(Clone, Copy, Debug, Default)]
pub struct Itn {
    style: ItnStyle,
}

impl Itn {
    /// The normaliser of the built-in grammars.
    pub fn new() -> Self {
        Self::default()
    }

    /// A normaliser of another style.
    pub fn with_style(style: ItnStyle) -> Self {
        Self { style }
    }

    /// The written form of a text and the way from it back to the spoken one.
    ///
    /// The grammar of the language is used; with Chinese, English words in the text stay as they are, and the other way
    /// round.
    pub fn apply(&self, text: &str, language: Language) -> (String, SpanMap) {
        let chars: Vec<char> = text.chars().collect();
        let mut rewriter = Rewriter::new(&chars);
        match language {
            Language::Zh => zh::rewrite(&mut rewriter, self.style),
            Language::En => en::rewrite(&mut rewriter, self.style),
        }
        rewriter.finish()
    }
}
