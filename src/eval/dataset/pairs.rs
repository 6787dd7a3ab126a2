//! Lines `spoken => written`; a line that begins with `#` is a remark, `## name` names the slice of what follows.

use std::collections::BTreeMap;

use super::expect_kind;
use super::records::numbered_lines;
use super::source::Source;
use crate::conversation::{Language, Role};
use crate::eval::example::{Dataset, Example, Gold, Input};
use crate::eval::task::{Kind, Task};
use crate::eval::{EvalError, Result};

/// `dataset.path` is a file, or a folder whose `.txt` files are all read (their names are slices).
pub(super) fn load(task: &Task, source: &Source) -> Result<Dataset> {
    expect_kind(task, &[Kind::Text])?;
    let files = match task.dataset.path.ends_with(".txt") {
        true => vec![task.dataset.path.clone()],
        false => source.list(&task.dataset.path)?.into_iter().filter(|f| f.ends_with(".txt")).collect(),
    };
    let language = match &task.languages[..] {
        [only] => Language::from_tag(only),
        _ => None,
    };
    let mut examples = Vec::new();
    for path in &files {
        let file = source.name(path);
        let name = path.rsplit('/').next().unwrap_or(path).trim_end_matches(".txt").to_owned();
        let mut slice = name.clone();
        for (line, words) in numbered_lines(&source.text(path)?) {
            if let Some(heading) = words.strip_prefix("## ") {
                heading.trim().clone_into(&mut slice);
                continue;
            }
            if words.starts_with('#') {
                continue;
            }
            let (spoken, written) = words
                .split_once("=>")
                .ok_or_else(|| EvalError::line(&file, line, "no \"=>\" between the spoken and the written form"))?;
            let spoken = spoken.trim().to_owned();
            // Public lists hold a case "nothing is nothing".
            if spoken.is_empty() {
                continue;
            }
            let language = language.unwrap_or_else(|| Language::of_text(&spoken));
            let slices =
                BTreeMap::from([("language".to_owned(), language.name().to_owned()), ("noise".to_owned(), slice.clone())]);
            examples.push(Example {
                id: format!("{name}:{line}"),
                input: Input::Text(spoken),
                gold: Gold::Text(written.trim().to_owned()),
                language,
                role: Role::Unknown,
                situation: slice.clone(),
                slices,
            });
        }
    }
    Ok(Dataset { examples, sha256: String::new(), corpus: Vec::new() })
}
