//! Reading HTML of unknown origin piece by piece, and writing it back safe.
//!
//! Nothing of the input is passed on as it stands: the safe form is written anew from known tags and escaped text.

use std::collections::HashMap;

/// Tags that stay.
const KEPT: [&str; 32] = [
    "a",
    "b",
    "blockquote",
    "br",
    "code",
    "em",
    "h1",
    "h2",
    "h3",
    "h4",
    "h5",
    "h6",
    "hr",
    "i",
    "li",
    "ol",
    "p",
    "pre",
    "s",
    "strong",
    "sub",
    "sup",
    "table",
    "tbody",
    "td",
    "tfoot",
    "th",
    "thead",
    "tr",
    "u",
    "ul",
    "div",
];
/// Tags whose content goes with them.
const DROPPED: [&str; 14] = [
    "script", "style", "iframe", "object", "embed", "noscript", "template", "svg", "math", "head", "title", "textarea", "select",
    "frameset",
];
/// Link targets that stay.
const SCHEMES: [&str; 4] = ["http://", "https://", "mailto:", "tel:"];

/// How many times the length of a text may be read for tags that never end; `<a <a <a …` would be read anew at each `<`.
const READ_IN_VAIN: usize = 8;
/// The least that may be read for them, bytes.
const LEAST_IN_VAIN: usize = 1 << 20;

/// A piece of an HTML text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Piece {
    /// Text, entities read.
    Text(String),
    /// A start tag: lower-case name and attributes.
    Open {
        /// Name.
        name: String,
        /// Attributes with entities read.
        attributes: Vec<(String, String)>,
    },
    /// An end tag.
    Close(String),
}

/// The pieces of a text without comments, declarations and the content of [`DROPPED`] tags.
pub(super) fn pieces(source: &str) -> Vec<Piece> {
    let mut pieces = Vec::new();
    let mut rest = source;
    let mut in_vain = 0;
    while let Some(at) = rest.find('<') {
        push_text(&mut pieces, &rest[..at]);
        rest = &rest[at..];
        if let Some(comment) = rest.strip_prefix("<!--") {
            rest = comment.find("-->").map_or("", |end| &comment[end + 3..]);
        } else if rest.starts_with("<!") || rest.starts_with("<?") {
            rest = rest.find('>').map_or("", |end| &rest[end + 1..]);
        } else {
            match tag(rest) {
                Tag::Whole(piece, used) => {
                    rest = &rest[used..];
                    match piece {
                        Piece::Open { ref name, .. } if DROPPED.contains(&name.as_str()) => rest = behind_end_tag(rest, name),
                        Piece::Close(ref name) if DROPPED.contains(&name.as_str()) => {}
                        piece => pieces.push(piece),
                    }
                    continue;
                }
                Tag::None => {}
                Tag::NeverEnds => in_vain += rest.len(),
            }
            if in_vain > source.len().saturating_mul(READ_IN_VAIN).max(LEAST_IN_VAIN) {
                break; // what is left is text
            }
            push_text(&mut pieces, "<");
            rest = &rest[1..];
        }
    }
    push_text(&mut pieces, rest);
    pieces
}

fn push_text(pieces: &mut Vec<Piece>, raw: &str) {
    if raw.is_empty() {
        return;
    }
    let text = unescape(raw);
    match pieces.last_mut() {
        Some(Piece::Text(last)) => last.push_str(&text),
        _ => pieces.push(Piece::Text(text)),
    }
}

/// What follows the end tag of a dropped element; nothing if it is never closed.
fn behind_end_tag<'a>(rest: &'a str, name: &str) -> &'a str {
    let starts = rest.match_indices("</").find(|(at, _)| {
        rest.as_bytes().get(at + 2..at + 2 + name.len()).is_some_and(|found| found.eq_ignore_ascii_case(name.as_bytes()))
    });
    starts.map_or("", |(at, _)| rest[at..].find('>').map_or("", |end| &rest[at + end + 1..]))
}

/// What stands at a `<`.
enum Tag {
    /// A tag, and its length.
    Whole(Piece, usize),
    /// No tag.
    None,
    /// The beginning of a tag that does not end before the text does.
    NeverEnds,
}

/// The tag at the start of a text.
fn tag(text: &str) -> Tag {
    let closing = text.starts_with("</");
    let name_start = if closing { 2 } else { 1 };
    let name_length = text[name_start..].find(|c: char| !c.is_ascii_alphanumeric() && c != ':');
    let Some(name_length) = name_length else { return Tag::NeverEnds };
    let name = text[name_start..name_start + name_length].to_ascii_lowercase();
    if !name.starts_with(|c: char| c.is_ascii_alphabetic()) {
        return Tag::None;
    }
    let mut attributes = Vec::new();
    let mut at = name_start + name_length;
    loop {
        at += text[at..].len() - text[at..].trim_start_matches(|c: char| c.is_whitespace() || c == '/').len();
        let rest = &text[at..];
        if rest.is_empty() {
            return Tag::NeverEnds;
        }
        if rest.starts_with('>') {
            let piece = if closing { Piece::Close(name) } else { Piece::Open { name, attributes } };
            return Tag::Whole(piece, at + 1);
        }
        let Some((attribute, used)) = attribute(rest) else { return Tag::NeverEnds };
        attributes.push(attribute);
        at += used;
    }
}

fn attribute(text: &str) -> Option<((String, String), usize)> {
    let end = text.find(|c: char| c.is_whitespace() || matches!(c, '=' | '>' | '/')).unwrap_or(text.len()).max(1);
    let end = if text.is_char_boundary(end) { end } else { text.chars().next()?.len_utf8() };
    let name = text[..end].to_ascii_lowercase();
    let after = &text[end..];
    let Some(value) = after.trim_start().strip_prefix('=') else {
        return Some(((name, String::new()), end));
    };
    let value = value.trim_start();
    let value_start = text.len() - value.len();
    let (raw, used) = match value.chars().next() {
        Some(quote @ ('"' | '\'')) => {
            let close = value[1..].find(quote)?;
            (&value[1..=close], close + 2)
        }
        _ => {
            let close = value.find(|c: char| c.is_whitespace() || c == '>').unwrap_or(value.len());
            (&value[..close], close)
        }
    };
    Some(((name, unescape(raw)), value_start + used))
}

/// Entities read: the common names and all numbers.
fn unescape(text: &str) -> String {
    let mut plain = String::new();
    let mut rest = text;
    while let Some(at) = rest.find('&') {
        plain.push_str(&rest[..at]);
        rest = &rest[at..];
        let end = rest.char_indices().take(12).find(|(_, c)| *c == ';').map(|(position, _)| position);
        match end.and_then(|end| entity(&rest[1..end]).map(|c| (c, end))) {
            Some((c, end)) => {
                plain.push(c);
                rest = &rest[end + 1..];
            }
            None => {
                plain.push('&');
                rest = &rest[1..];
            }
        }
    }
    plain + rest
}

fn entity(name: &str) -> Option<char> {
    if let Some(number) = name.strip_prefix('#') {
        let code = match number.strip_prefix(['x', 'X']) {
            Some(hex) => u32::from_str_radix(hex, 16).ok()?,
            None => number.parse().ok()?,
        };
        return char::from_u32(code).filter(|c| !c.is_control() || c.is_whitespace());
    }
    Some(match name {
        "amp" => '&',
        "lt" => '<',
        "gt" => '>',
        "quot" => '"',
        "apos" => '\'',
        "nbsp" => ' ',
        "copy" => '©',
        "reg" => '®',
        "hellip" => '…',
        "mdash" => '—',
        "ndash" => '–',
        "ldquo" => '“',
        "rdquo" => '”',
        "lsquo" => '‘',
        "rsquo" => '’',
        "yen" => '¥',
        "pound" => '£',
        "euro" => '€',
        "middot" => '·',
        "times" => '×',
        _ => return None,
    })
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

/// See [`super::markup::sanitise_html`].
pub(super) fn sanitise(source: &str) -> String {
    let mut safe = String::new();
    let mut open: Vec<String> = Vec::new();
    let mut open_of: HashMap<String, usize> = HashMap::new();
    for piece in pieces(source) {
        match piece {
            Piece::Text(text) => safe.push_str(&escape(&text)),
            Piece::Open { name, attributes } if KEPT.contains(&name.as_str()) => {
                safe.push('<');
                safe.push_str(&name);
                let target =
                    attributes.iter().find(|(attribute, _)| name == "a" && attribute == "href").map(|(_, value)| value.trim());
                if let Some(target) =
                    target.filter(|target| SCHEMES.iter().any(|scheme| target.to_ascii_lowercase().starts_with(scheme)))
                {
                    safe.push_str(&format!(" href=\"{}\" rel=\"noopener nofollow\"", escape(target)));
                }
                for (attribute, value) in
                    attributes.iter().filter(|(attribute, _)| matches!(attribute.as_str(), "colspan" | "rowspan"))
                {
                    if let Ok(count) = value.parse::<u16>() {
                        safe.push_str(&format!(" {attribute}=\"{count}\""));
                    }
                }
                safe.push('>');
                if !matches!(name.as_str(), "br" | "hr") {
                    *open_of.entry(name.clone()).or_default() += 1;
                    open.push(name);
                }
            }
            Piece::Close(name) => {
                // an end tag closes what is open inside it, one without a start is dropped
                let opened = open_of.get(&name).is_some_and(|count| *count > 0);
                if let Some(at) = opened.then(|| open.iter().rposition(|other| *other == name)).flatten() {
                    for inner in open.drain(at..).rev() {
                        if let Some(count) = open_of.get_mut(&inner) {
                            *count -= 1;
                        }
                        safe.push_str(&format!("</{inner}>"));
                    }
                }
            }
            Piece::Open { .. } => {}
        }
    }
    for name in open.into_iter().rev() {
        safe.push_str(&format!("</{name}>"));
    }
    safe
}
