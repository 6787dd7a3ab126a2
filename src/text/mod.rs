//! Text as characters and words: folding, scripts, segmentation, sound keys, inverse text normalisation.
//!
//! Everything here is a pure function of its input. Positions are code points of the text that was passed in.
//!
//! * [`fold`]: one form for texts that mean the same characters (width, case, compatibility forms).
//! * [`segment`]: words of mixed Chinese and English text, for indexing and for reading.
//! * [`phonetic`]: keys that are equal for words that sound alike, for recognition errors.
//! * [`itn`]: spoken numbers, dates, times and amounts written as people write them.
//!
//! ```
//! use zhiyin::conversation::Language;
//! use zhiyin::text::{fold, itn::Itn, segment};
//!
//! assert_eq!(fold("ＡＢＣ　１２３"), "abc 123");
//! let words: Vec<String> = segment::words("退款多久到账").into_iter().map(|token| token.text).collect();
//! assert_eq!(words, ["退款", "多久", "到账"]);
//! let (written, _) = Itn::new().apply("一共一百二十元", Language::Zh);
//! assert_eq!(written, "一共120元");
//! ```

mod fold;
pub mod itn;
pub mod phonetic;
mod script;
pub mod segment;

pub use fold::{Folded, fold, fold_with_map};
pub use script::{Script, is_han, runs, script_of};

#[cfg(test)]
mod tests;
