//! From text to index terms. Documents and queries go through the same functions, so equal words give equal terms.

use crate::text::{Script, fold, phonetic, runs, segment};

/// Index term of a word: Chinese words as they are, English words by their stem.
pub(super) fn term_of(token: &segment::Token) -> String {
    if token.han { token.text.clone() } else { segment::stem(&token.text) }
}

/// Word terms of a text in search mode, stop words included (a document keeps everything).
pub(super) fn word_terms(text: &str) -> Vec<String> {
    segment::tokens(text).iter().map(term_of).collect()
}

/// Neighbouring Chinese characters as pairs, across words, and neighbouring English content words. Pairs with a function
/// word in them say nothing and are left out.
pub(super) fn bigram_terms(text: &str) -> Vec<String> {
    let mut pairs = character_pairs(text);
    for line in text.lines() {
        let stems: Vec<String> = segment::words(line)
            .iter()
            .filter(|token| !token.han && !segment::is_stop_word(&token.text))
            .map(|token| segment::stem(&token.text))
            .collect();
        pairs.extend(stems.windows(2).map(|pair| pair.join(" ")));
    }
    pairs
}

fn character_pairs(text: &str) -> Vec<String> {
    han_runs(text)
        .iter()
        .flat_map(|run| run.windows(2).map(|pair| pair.iter().collect::<String>()).collect::<Vec<_>>())
        .filter(|pair| !pair.chars().any(is_function_character))
        .collect()
}

/// The Chinese characters of a text that carry meaning, each once.
pub(super) fn content_characters(text: &str) -> Vec<String> {
    let mut characters: Vec<String> =
        han_runs(text).concat().into_iter().filter(|c| !is_function_character(*c)).map(String::from).collect();
    characters.sort();
    characters.dedup();
    characters
}

/// Single characters and Latin words in order: the stream in which exact phrases are looked for.
pub(super) fn character_terms(text: &str) -> Vec<String> {
    let folded = fold(text);
    let chars: Vec<char> = folded.chars().collect();
    let mut terms = Vec::new();
    for (script, range) in runs(&chars) {
        match script {
            Script::Han => terms.extend(chars[range].iter().map(char::to_string)),
            Script::Latin | Script::Digit => terms.push(chars[range].iter().collect()),
            Script::Other => {}
        }
    }
    terms
}

/// How the text sounds: pairs of syllables in Chinese runs, sound keys of English words of four letters or more.
pub(super) fn sound_terms(text: &str) -> Vec<String> {
    let mut terms = chinese_sounds(text);
    terms.extend(segment::words(text).iter().filter(|token| !token.han).filter_map(|token| english_sound(&token.text)));
    terms
}

/// The syllable pairs of all Chinese runs.
pub(super) fn chinese_sounds(text: &str) -> Vec<String> {
    han_runs(text).iter().flat_map(|run| sound_pairs(run)).collect()
}

/// The syllable pairs of one Chinese run; a pair with a function word in it is left out.
pub(super) fn sound_pairs(run: &[char]) -> Vec<String> {
    run.windows(2)
        .filter(|pair| !pair.iter().any(|c| is_function_character(*c)))
        .filter_map(|pair| {
            let keys = phonetic::homophone_key(&pair.iter().collect::<String>());
            (keys.len() == 2).then(|| keys.join("_"))
        })
        .collect()
}

/// Least length of an English sound key; shorter ones fit too many words.
const MIN_SOUND_KEY: usize = 4;

/// The sound term of an English word, if its key is long enough.
pub(super) fn english_sound(word: &str) -> Option<String> {
    let key = phonetic::metaphone(&segment::stem(word));
    (word.len() >= 4 && key.len() >= MIN_SOUND_KEY && word.is_ascii()).then(|| format!("~{key}"))
}

/// Runs of Chinese characters.
pub(super) fn han_runs(text: &str) -> Vec<Vec<char>> {
    let folded = fold(text);
    let chars: Vec<char> = folded.chars().collect();
    runs(&chars).into_iter().filter(|(script, _)| *script == Script::Han).map(|(_, range)| chars[range].to_vec()).collect()
}

fn is_function_character(c: char) -> bool {
    "的了吗呢吧啊呀哦嗯么我你您他她它们这那是在和跟就都也还又再很被把给让请对个什怎哪几要想能会说着过没有".contains(c)
}
