//! Subtitles: cues of at most two lines whose times never overlap.

/// Longest line of a cue, columns; a Chinese character takes two.
const LINE_COLUMNS: usize = 42;

/// A text and its place in the audio, milliseconds.
pub(super) struct Cue {
    /// Begin.
    pub start_ms: i64,
    /// End.
    pub end_ms: i64,
    /// What was said.
    pub text: String,
}

/// Cues in order of their begin as SRT or WebVTT. One that begins before the last has ended waits for its end.
pub(super) fn subtitles(cues: impl IntoIterator<Item = Cue>, vtt: bool) -> String {
    let mut text = String::from(if vtt { "WEBVTT\n\n" } else { "" });
    let mark = if vtt { '.' } else { ',' };
    let (mut number, mut free_from_ms) = (0, 0);
    for cue in cues {
        let parts = cut(&cue.text.replace('\n', " "), 2 * LINE_COLUMNS);
        let columns = parts.iter().map(|p| width(p)).sum::<usize>().max(1) as i64;
        let start = cue.start_ms.max(free_from_ms);
        let length = (cue.end_ms - start).max(parts.len() as i64);
        let mut before = 0;
        for part in parts {
            let from = start + length * before / columns;
            before += width(&part) as i64;
            let until = start + length * before / columns;
            number += 1;
            text.push_str(&format!("{number}\n{} --> {}\n{}\n\n", clock(from, mark), clock(until, mark), lines(&part)));
            free_from_ms = until;
        }
    }
    text
}

fn width(text: &str) -> usize {
    text.chars().map(|c| if c.is_ascii() { 1 } else { 2 }).sum()
}

/// Cuts a text into parts of at most so many columns, at spaces or between Chinese characters.
fn cut(text: &str, columns: usize) -> Vec<String> {
    let mut parts = Vec::new();
    let mut part = String::new();
    for unit in units(text) {
        if width(&part) + width(unit) > columns && !part.is_empty() {
            parts.push(std::mem::take(&mut part).trim().to_owned());
        }
        part.push_str(unit);
    }
    parts.push(part.trim().to_owned());
    parts.retain(|p| !p.is_empty());
    parts
}

/// Words with the space behind them, or single characters of a script without spaces.
fn units(text: &str) -> Vec<&str> {
    let mut found = Vec::new();
    let mut from = 0;
    for (at, c) in text.char_indices() {
        let end = at + c.len_utf8();
        if c == ' ' || !c.is_ascii() {
            if !c.is_ascii() && from < at {
                found.push(&text[from..at]);
                from = at;
            }
            found.push(&text[from..end]);
            from = end;
        }
    }
    if from < text.len() {
        found.push(&text[from..]);
    }
    found
}

fn lines(text: &str) -> String {
    if width(text) <= LINE_COLUMNS {
        return text.to_owned();
    }
    cut(text, LINE_COLUMNS.max(width(text).div_ceil(2) + 6)).join("\n")
}

fn clock(ms: i64, mark: char) -> String {
    let (s, ms) = (ms / 1_000, ms % 1_000);
    format!("{:02}:{:02}:{:02}{mark}{ms:03}", s / 3_600, s / 60 % 60, s % 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cue(start_ms: i64, end_ms: i64, text: &str) -> Cue {
        Cue { start_ms, end_ms, text: text.into() }
    }

    #[test]
    fn long_text_becomes_cues_of_two_lines_whose_times_rise() {
        let long = "我想查一下上个月的话费为什么比平时多了三十块钱".repeat(6);
        let text = subtitles([cue(0, 9_000, &long), cue(8_000, 9_500, "well, that is it")], false);
        let times: Vec<&str> = text.lines().filter(|l| l.contains("-->")).collect();
        assert!(times.len() >= 4, "{text}");
        let ends: Vec<&str> = times.iter().flat_map(|t| t.split(" --> ")).collect();
        assert!(ends.windows(2).all(|w| w[0] <= w[1]), "{ends:?}");
        assert!(text.split("\n\n").all(|cue| cue.lines().count() <= 4));
        let joined: String = text.lines().filter(|l| !l.contains("-->") && l.parse::<u32>().is_err()).collect();
        assert_eq!(joined.replace(' ', ""), format!("{long}well,thatisit"));
    }

    #[test]
    fn a_vtt_begins_with_its_name() {
        assert!(subtitles([cue(0, 1_000, "hello")], true).starts_with("WEBVTT\n\n1\n00:00:00.000 --> 00:00:01.000\nhello"));
    }
}
