//! The architecture, checked: which room may know which, and which crate stays in which room.
//!
//! Files are read as lines of text. Comments are skipped (examples in them may do anything), and so are tests: the files
//! `tests.rs`, the folders `tests/`, and what follows `#[cfg(test)]` on a `mod`. A room is a folder of `src`; another
//! room is named `crate::room::…`, so imports can be found without a parser.
//!
//! Each check takes sources and gives complaints, so that the last tests can show that it finds what it is for.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use regex::Regex;

/// Every room and its rank. A room imports rooms of lower rank only; those of one rank do not know each other.
const ROOMS: &[(&str, u8)] = &[
    ("conversation", 0),
    ("telemetry", 0),
    ("audio", 1),
    ("inference", 1),
    ("text", 1),
    ("registry", 1),
    ("vad", 2),
    ("asr", 3),
    ("speaker", 3),
    ("nlu", 3),
    ("emotion", 3),
    ("privacy", 3),
    ("knowledge", 3),
    ("sop", 3),
    ("assist", 4),
    ("chat", 4),
    ("quality", 4),
    ("customer", 4),
    ("insight", 4),
    ("event", 5),
    // Pure rules about tokens and rows; below the store, which keeps the tokens.
    ("access", 5),
    ("pipeline", 6),
    ("store", 6),
    ("notify", 7),
    ("train", 7),
    ("eval", 7),
    ("api", 8),
    ("config", 9),
    ("app", 10),
    ("cli", 11),
    ("bench", 11),
];

/// Rooms that every room may import, whatever its own rank.
const OPEN_TO_ALL: &[&str] = &["conversation", "telemetry"];

/// The composition root: it knows every room.
const ROOT: &[&str] = &["src/main.rs", "src/lib.rs", "src/app/"];

/// Imports against the order of ranks, each with the reason why it stands.
const AGREED: &[(&str, &str, &str)] = &[
    ("cli", "bench", "`zhiyin bench` is a subcommand"),
    ("bench", "cli", "a bench gets what every subcommand gets: the resolved settings and the home folder"),
    ("api", "config", "handlers read the limits; the settings are plain values that config has resolved"),
];

/// What may only be named in some places: a pattern, how it is called in a complaint, and those places.
const KEPT_IN: &[(&str, &str, &[&str])] = &[
    (r"\baxum::", "axum", &["src/api/", "src/app/"]),
    (r"\bcandle_[a-z]+::", "candle", &["src/inference/", "src/train/"]),
    (r"\bwhisper_rs(_sys)?::", "whisper-rs", &["src/asr/whisper.rs"]),
    (r"\btantivy::", "tantivy", &["src/knowledge/", "src/insight/"]),
    (r"\bqdrant_(client|edge)::", "qdrant", &["src/knowledge/"]),
    (r"\bsqlx::", "sqlx", &["src/store/"]),
    (r"\benv::(vars?|var_os|vars_os)\b", "reading the environment", &["src/config/"]),
    (r"\be?print(ln)?!", "printing", &["src/cli/", "src/bench/"]),
];

/// Names that say nothing about what a module holds.
const EMPTY_NAMES: &[&str] = &["util", "utils", "helper", "helpers", "common", "misc", "manager"];

/// Longest file, lines.
const MAX_LINES: usize = 500;

/// A source file: its path from the package's folder, with `/`, and its text.
struct Source {
    path: String,
    text: String,
}

impl Source {
    fn new(path: &str, text: &str) -> Self {
        Self { path: path.to_owned(), text: text.to_owned() }
    }

    /// The folder below `src`; `None` for `lib.rs` and `main.rs`.
    fn room(&self) -> Option<&str> {
        self.path.strip_prefix("src/")?.split_once('/').map(|(room, _)| room)
    }

    fn is_test(&self) -> bool {
        self.path.ends_with("/tests.rs") || self.path.contains("/tests/")
    }

    fn lies_in(&self, places: &[&str]) -> bool {
        places.iter().any(|place| self.path.starts_with(place))
    }

    /// Numbered lines that end up in the program.
    fn program(&self) -> impl Iterator<Item = (usize, &str)> {
        let lines: Vec<&str> = self.text.lines().collect();
        let starts_tests = |pair: &[&str]| pair[0].trim() == "#[cfg(test)]" && pair[1].trim_end().ends_with('{');
        let end = lines.windows(2).position(starts_tests).unwrap_or(lines.len());
        let end = if self.is_test() { 0 } else { end };
        lines.into_iter().take(end).enumerate().map(|(i, line)| (i + 1, line)).filter(|(_, l)| !l.trim_start().starts_with("//"))
    }
}

/// All Rust files below `src`, by path.
static SOURCES: LazyLock<Vec<Source>> = LazyLock::new(|| {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files = Vec::new();
    rust_files(&root.join("src"), &mut files);
    files.sort();
    let path = |file: &Path| {
        file.strip_prefix(root).unwrap().components().map(|c| c.as_os_str().to_string_lossy()).collect::<Vec<_>>().join("/")
    };
    files.iter().map(|file| Source::new(&path(file), &std::fs::read_to_string(file).unwrap())).collect()
});

fn rust_files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            rust_files(&path, found);
        } else if path.extension().is_some_and(|e| e == "rs") {
            found.push(path);
        }
    }
}

fn rank(room: &str) -> Option<u8> {
    ROOMS.iter().find(|(name, _)| *name == room).map(|(_, rank)| *rank)
}

/// Imports of a room of equal or higher rank.
fn wrong_imports(source: &Source) -> Vec<String> {
    static IMPORT: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"\bcrate::(\{|[a-z_]+)").unwrap());
    let Some(room) = source.room().filter(|_| !source.lies_in(ROOT)) else { return Vec::new() };
    let Some(own) = rank(room) else { return Vec::new() };
    let mut complaints = Vec::new();
    for (line, text) in source.program() {
        for found in IMPORT.captures_iter(text) {
            let other = &found[1];
            if other == "{" {
                complaints.push(format!(
                    "{}:{line}: `crate::{{…}}` hides which rooms are used; write one `use crate::room::…` for each",
                    source.path
                ));
                continue;
            }
            let agreed = AGREED.iter().any(|(from, to, _)| *from == room && *to == other);
            let Some(rank) = rank(other) else { continue };
            if other == room || OPEN_TO_ALL.contains(&other) || agreed || rank < own {
                continue;
            }
            complaints.push(format!(
                "{}:{line}: {room} (rank {own}) imports {other} (rank {rank}); move what both need to a lower room, or hand it in as a value from app",
                source.path
            ));
        }
    }
    complaints
}

/// Crates, the environment and printing outside their places.
fn out_of_place(source: &Source) -> Vec<String> {
    static PATTERNS: LazyLock<Vec<Regex>> = LazyLock::new(|| KEPT_IN.iter().map(|(p, _, _)| Regex::new(p).unwrap()).collect());
    let mut complaints = Vec::new();
    for ((_, name, places), pattern) in KEPT_IN.iter().zip(PATTERNS.iter()).filter(|((_, _, places), _)| !source.lies_in(places))
    {
        for (line, _) in source.program().filter(|(_, text)| pattern.is_match(text)) {
            complaints.push(format!(
                "{}:{line}: {name} is kept in {}; use what these rooms offer instead",
                source.path,
                places.join(" and ")
            ));
        }
    }
    complaints
}

/// Marks of unfinished work, in comments too. The words are put together here so that this file does not hold them.
fn unfinished(source: &Source) -> Vec<String> {
    static MARK: LazyLock<Regex> = LazyLock::new(|| {
        let words = [["TO", "DO"], ["FIX", "ME"], ["XX", "X"]].map(|w| w.concat()).join("|");
        let macros = [["to", "do"], ["unimple", "mented"]].map(|w| w.concat()).join("|");
        Regex::new(&format!(r"\b(?:{words})\b|\b(?:{macros})!")).unwrap()
    });
    let marked = source.text.lines().enumerate().filter(|(_, text)| MARK.is_match(text));
    marked.map(|(i, _)| format!("{}:{}: unfinished work; finish it or take it out", source.path, i + 1)).collect()
}

/// Size, front door and name of a file.
fn misshapen(source: &Source) -> Vec<String> {
    let mut complaints = Vec::new();
    let path = &source.path;
    let lines = source.text.lines().count();
    if lines > MAX_LINES {
        complaints.push(format!("{path}:{lines}: longer than {MAX_LINES} lines; split it by what its parts are for"));
    }
    if path.ends_with("/mod.rs") && !source.is_test() && !source.text.starts_with("//! ") {
        complaints.push(format!("{path}:1: no front door; begin with `//!`: what it is, the flow, an example"));
    }
    for part in path.trim_end_matches(".rs").split('/').filter(|part| EMPTY_NAMES.contains(part)) {
        complaints.push(format!("{path}:1: \"{part}\" says nothing; name the module after what it holds"));
    }
    complaints
}

/// Folders below `src` that the table does not know.
fn unknown_rooms(sources: &[Source]) -> Vec<String> {
    let mut rooms: Vec<&str> = sources.iter().filter_map(Source::room).collect();
    rooms.dedup();
    let unknown = rooms.into_iter().filter(|room| rank(room).is_none());
    unknown.map(|room| format!("src/{room}:1: not in the table of rooms; give it a rank in tests/it/architecture.rs and a line in ARCHITECTURE.md")).collect()
}

/// Fails with all complaints about the sources of the package.
#[track_caller]
fn accept(check: impl Fn(&Source) -> Vec<String>) {
    assert!(SOURCES.len() > 50, "only {} source files were found", SOURCES.len());
    none(&SOURCES.iter().flat_map(check).collect::<Vec<_>>());
}

#[track_caller]
fn none(complaints: &[String]) {
    let list = complaints.iter().fold(String::new(), |mut list, complaint| {
        let _ = write!(list, "\n  {complaint}");
        list
    });
    assert!(complaints.is_empty(), "{} complaint(s):{list}", complaints.len());
}

#[test]
fn rooms_import_only_lower_rooms() {
    accept(wrong_imports);
}

#[test]
fn crates_the_environment_and_printing_stay_in_their_rooms() {
    accept(out_of_place);
}

#[test]
fn nothing_is_left_unfinished() {
    accept(unfinished);
}

#[test]
fn files_are_short_and_begin_with_what_they_are() {
    accept(misshapen);
}

#[test]
fn every_room_is_in_the_table_and_has_a_front_door() {
    let mut complaints = unknown_rooms(&SOURCES);
    for room in SOURCES.iter().filter_map(Source::room) {
        let door = format!("src/{room}/mod.rs");
        let complaint = format!("{door}:1: missing; a room is entered through mod.rs");
        if !SOURCES.iter().any(|s| s.path == door) && !complaints.contains(&complaint) {
            complaints.push(complaint);
        }
    }
    none(&complaints);
}

#[test]
fn every_agreed_exception_is_still_used() {
    let used = |from: &str, to: &str| {
        let import = format!("crate::{to}::");
        SOURCES.iter().filter(|s| s.room() == Some(from)).any(|s| s.program().any(|(_, text)| text.contains(&import)))
    };
    let unused = AGREED.iter().filter(|(from, to, _)| !used(from, to));
    let complaints: Vec<String> =
        unused.map(|(from, to, _)| format!("src/{from}: no longer imports {to}; take the exception out")).collect();
    none(&complaints);
}

#[test]
fn the_checks_find_what_they_are_for() {
    let one = |check: fn(&Source) -> Vec<String>, path: &str, text: &str| check(&Source::new(path, text)).len();
    // Upwards and sideways, also inside a path in the middle of a line.
    assert_eq!(one(wrong_imports, "src/audio/frame.rs", "use crate::api::router;"), 1);
    assert_eq!(one(wrong_imports, "src/store/calls.rs", "let x = crate::pipeline::Hub::new();"), 1);
    assert_eq!(one(wrong_imports, "src/event/body.rs", "use crate::access::Scope;"), 1);
    assert_eq!(one(wrong_imports, "src/asr/session.rs", "use crate::{api::router, vad};"), 1);
    assert_eq!(one(out_of_place, "src/quality/mod.rs", "println!();\neprint!();\naxum::serve();"), 3);
    assert_eq!(one(out_of_place, "src/asr/engine.rs", "use whisper_rs::WhisperContext;"), 1);
    assert_eq!(one(out_of_place, "src/app/service.rs", "let x = std::env::var(\"X\");"), 1);
    assert_eq!(
        one(unfinished, "src/vad/mod.rs", &format!("// {}: later\n{}!()", ["TO", "DO"].concat(), ["to", "do"].concat())),
        2
    );
    assert_eq!(one(misshapen, "src/vad/mod.rs", "mod x;"), 1);
    assert_eq!(one(misshapen, "src/vad/utils.rs", ""), 1);
    assert_eq!(one(misshapen, "src/vad/x.rs", &"\n".repeat(MAX_LINES + 1)), 1);
    assert_eq!(unknown_rooms(&[Source::new("src/cellar/mod.rs", "")]).len(), 1);
}

#[test]
fn the_checks_let_pass_what_is_right() {
    let none_in = |check: fn(&Source) -> Vec<String>, path: &str, text: &str| none(&check(&Source::new(path, text)));
    none_in(wrong_imports, "src/event/body.rs", "use crate::assist::Suggestion;\nuse crate::event::Draft;");
    none_in(wrong_imports, "src/audio/mod.rs", "use crate::telemetry::METRICS;\n/// [`x`](crate::api::x)");
    none_in(wrong_imports, "src/app/service.rs", "use crate::cli::Arguments;");
    none_in(wrong_imports, "src/audio/tests.rs", "use crate::api::router;");
    none_in(out_of_place, "src/cli/demo.rs", "println!();");
    none_in(out_of_place, "src/nlu/mod.rs", "//! println!();\nuse utoipa_axum::x;\n#[cfg(test)]\nmod tests {\n println!();");
    none_in(out_of_place, "src/config/home.rs", "std::env::var(\"X\")");
}
