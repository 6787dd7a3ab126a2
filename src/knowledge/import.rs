//! Reading knowledge from files: Markdown with front matter, HTML, CSV, JSON, DOCX and PDF.

use std::path::Path;

use chrono::{DateTime, NaiveDate, Utc};
use serde::Deserialize;

use crate::conversation::Language;

use super::document::{BodyFormat, DocumentContent, DocumentKind, document_id_of};
use super::markup::{Block, blocks, sanitise_html};
use super::{KnowledgeError, Result};

/// Greatest size of an import file of many documents (CSV, JSON) in bytes.
pub const MAX_IMPORT_BYTES: usize = 512 * 1024 * 1024;
/// Greatest size of a file that is one document, in bytes.
pub const MAX_SINGLE_BYTES: usize = 64 * 1024 * 1024;

/// A form of import file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ImportFormat {
    /// One article, TOML front matter between `+++` lines.
    Markdown,
    /// One article.
    Html,
    /// `question,answer[,tags]`, one entry per row.
    Csv,
    /// A list of documents, or one document.
    Json,
    /// One article, headings and tables kept.
    Docx,
    /// One article; it must hold text.
    Pdf,
}

impl ImportFormat {
    /// The format that a file name speaks of.
    pub fn from_file_name(name: &str) -> Option<Self> {
        match Path::new(name).extension()?.to_str()?.to_ascii_lowercase().as_str() {
            "md" | "markdown" => Some(Self::Markdown),
            "html" | "htm" => Some(Self::Html),
            "csv" => Some(Self::Csv),
            "json" => Some(Self::Json),
            "docx" => Some(Self::Docx),
            "pdf" => Some(Self::Pdf),
            _ => None,
        }
    }

    /// Greatest size of a file in bytes.
    pub fn max_bytes(self) -> usize {
        match self {
            Self::Csv | Self::Json => MAX_IMPORT_BYTES,
            Self::Markdown | Self::Html | Self::Docx | Self::Pdf => MAX_SINGLE_BYTES,
        }
    }
}

/// A document read from a file.
#[derive(Clone, Debug, PartialEq)]
pub struct ImportedDocument {
    /// Its id if the file names it; the same name gives the same id at every import.
    pub document_id: Option<String>,
    /// Its content, validated.
    pub content: DocumentContent,
}

/// Something in a file that could not be imported.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, Deserialize, utoipa::ToSchema)]
pub struct Rejected {
    /// File, and row or element in it.
    pub item: String,
    /// Why, and how to mend it.
    pub reason: String,
}

/// What came out of a file.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Imported {
    /// Documents, in the order of the file.
    pub documents: Vec<ImportedDocument>,
    /// What was left out.
    pub rejected: Vec<Rejected>,
}

/// Reads one file. Broken rows are rejected one by one; a file that is broken as a whole is an error.
///
/// # Errors
/// [`KnowledgeError::Import`]: too large, neither UTF-8 nor UTF-16 with a byte order mark, not the named format, a PDF
/// without text.
pub fn import(bytes: &[u8], file_name: &str, format: ImportFormat) -> Result<Imported> {
    let reader = Reader { file_name };
    check_size(bytes.len() as u64, format).map_err(|problem| reader.fail(problem))?;
    match format {
        ImportFormat::Docx => reader.docx(bytes),
        ImportFormat::Pdf => reader.pdf(bytes),
        ImportFormat::Markdown => reader.markdown(&reader.decode(bytes)?),
        ImportFormat::Html => reader.html(&reader.decode(bytes)?),
        ImportFormat::Csv => reader.csv(&reader.decode(bytes)?),
        ImportFormat::Json => reader.json(&reader.decode(bytes)?),
    }
}

/// Reads one file from the disk; one that is too large is refused before it is read.
///
/// # Errors
/// [`KnowledgeError::File`] if it cannot be read, and see [`import`].
pub fn import_file(path: &Path) -> Result<Imported> {
    let reader = Reader { file_name: &path.display().to_string() };
    let format = ImportFormat::from_file_name(reader.file_name)
        .ok_or_else(|| reader.fail("unknown kind of file; known are .md, .html, .csv, .json, .docx, .pdf"))?;
    let size = std::fs::metadata(path).map_err(|error| KnowledgeError::file(path, error))?.len();
    check_size(size, format).map_err(|problem| reader.fail(problem))?;
    import(&std::fs::read(path).map_err(|error| KnowledgeError::file(path, error))?, reader.file_name, format)
}

fn check_size(bytes: u64, format: ImportFormat) -> std::result::Result<(), String> {
    let most = format.max_bytes();
    let mib = 1024 * 1024;
    if bytes > most as u64 {
        return Err(format!(
            "has {} MiB; {} MiB are allowed for this kind of file; split it",
            bytes.div_ceil(mib),
            most as u64 / mib
        ));
    }
    Ok(())
}

/// Reads every importable file below a directory, sorted by path; names starting with a dot are passed over, and so are
/// `README.md` files. What cannot be read is rejected by name.
///
/// # Errors
/// [`KnowledgeError::File`] if a directory cannot be listed.
pub fn import_dir(dir: &Path) -> Result<Imported> {
    let mut imported = Imported::default();
    let entries = std::fs::read_dir(dir).map_err(|error| KnowledgeError::file(dir, error))?;
    let mut paths: Vec<_> = entries.filter_map(|entry| entry.ok().map(|entry| entry.path())).collect();
    paths.sort();
    for path in paths {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if name.starts_with('.') || name == "README.md" {
            continue;
        }
        if path.is_dir() {
            let below = import_dir(&path)?;
            imported.documents.extend(below.documents);
            imported.rejected.extend(below.rejected);
        } else if ImportFormat::from_file_name(name).is_some() {
            match import_file(&path) {
                Ok(file) => {
                    imported.documents.extend(file.documents);
                    imported.rejected.extend(file.rejected);
                }
                Err(error) => imported.rejected.push(Rejected { item: path.display().to_string(), reason: error.to_string() }),
            }
        }
    }
    Ok(imported)
}

/// Front matter of an article.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FrontMatter {
    id: Option<String>,
    title: Option<String>,
    #[serde(default)]
    kind: DocumentKind,
    language: Option<String>,
    #[serde(default)]
    questions: Vec<String>,
    #[serde(default)]
    intents: Vec<String>,
    #[serde(default)]
    queues: Vec<String>,
    category: Option<String>,
    #[serde(default)]
    tags: Vec<String>,
    owner: Option<String>,
    #[serde(default)]
    audience: Vec<String>,
    effective_from: Option<toml::Value>,
    review_at: Option<toml::Value>,
    expires_at: Option<toml::Value>,
}

/// A document in a JSON file.
#[derive(Deserialize)]
struct JsonDocument {
    #[serde(alias = "id")]
    document_id: Option<String>,
    #[serde(flatten)]
    content: serde_json::Map<String, serde_json::Value>,
}

struct Reader<'a> {
    file_name: &'a str,
}

impl Reader<'_> {
    fn fail(&self, problem: impl ToString) -> KnowledgeError {
        KnowledgeError::Import { file: self.file_name.to_owned(), problem: problem.to_string() }
    }

    fn one(&self, document_id: Option<String>, content: DocumentContent) -> Result<Imported> {
        content.validate().map_err(|error| self.fail(error))?;
        Ok(Imported { documents: vec![ImportedDocument { document_id, content }], rejected: Vec::new() })
    }

    fn markdown(&self, text: &str) -> Result<Imported> {
        let text = text.replace("\r\n", "\n");
        let (front, body) = match text.strip_prefix("+++\n") {
            Some(rest) => {
                let (front, body) =
                    rest.split_once("\n+++").ok_or_else(|| self.fail("the front matter is not closed by a line of +++"))?;
                let front: FrontMatter = toml::from_str(front).map_err(|error| self.fail(format!("front matter: {error}")))?;
                (front, body.trim_start_matches('+').trim().to_owned())
            }
            None => (toml::from_str("").map_err(|error| self.fail(error))?, text.trim().to_owned()),
        };
        let title = front.title.or_else(|| first_heading(&body, BodyFormat::Markdown)).unwrap_or_else(|| self.stem());
        let content = DocumentContent {
            language: self.language(front.language.as_deref(), &body)?,
            title,
            kind: front.kind,
            body,
            format: BodyFormat::Markdown,
            questions: front.questions,
            intents: front.intents,
            queues: front.queues,
            category: front.category,
            tags: front.tags,
            owner: front.owner,
            audience: front.audience,
            effective_from: self.moment("effective_from", front.effective_from.as_ref())?,
            review_at: self.moment("review_at", front.review_at.as_ref())?,
            expires_at: self.moment("expires_at", front.expires_at.as_ref())?,
        };
        self.one(front.id.as_deref().map(document_id_of), content)
    }

    /// The text of a file: UTF-8, or UTF-16 if it begins with a byte order mark.
    fn decode(&self, bytes: &[u8]) -> Result<String> {
        let wide = |read: fn([u8; 2]) -> u16, rest: &[u8]| {
            let units = rest.as_chunks::<2>().0.iter().map(|pair| read(*pair));
            char::decode_utf16(units)
                .collect::<std::result::Result<String, _>>()
                .map_err(|_| self.fail("is broken UTF-16; save it as UTF-8"))
        };
        match bytes {
            [0xFF, 0xFE, rest @ ..] => wide(u16::from_le_bytes, rest),
            [0xFE, 0xFF, rest @ ..] => wide(u16::from_be_bytes, rest),
            _ => {
                let text = std::str::from_utf8(bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(bytes));
                text.map(str::to_owned).map_err(|error| self.fail(not_utf8(bytes, error.valid_up_to())))
            }
        }
    }

    fn docx(&self, bytes: &[u8]) -> Result<Imported> {
        let (title, body) = super::docx::read(bytes).map_err(|problem| self.fail(problem))?;
        if body.trim().is_empty() {
            return Err(self.fail("has no text"));
        }
        let title = first_heading(&body, BodyFormat::Markdown).or(title).unwrap_or_else(|| self.stem());
        let language = Language::of_text(&body);
        self.one(None, DocumentContent { title: short(&title), language, body, ..DocumentContent::default() })
    }

    fn pdf(&self, bytes: &[u8]) -> Result<Imported> {
        let body = super::pdf::read(bytes).map_err(|problem| self.fail(problem))?;
        let first = body.lines().next().unwrap_or_default();
        let title = if (1..=60).contains(&first.chars().count()) { first.to_owned() } else { self.stem() };
        let language = Language::of_text(&body);
        self.one(None, DocumentContent { title, language, body, format: BodyFormat::Text, ..DocumentContent::default() })
    }

    fn html(&self, text: &str) -> Result<Imported> {
        let body = sanitise_html(text);
        let title = first_heading(&body, BodyFormat::Html).unwrap_or_else(|| self.stem());
        let language = Language::of_text(&body);
        self.one(None, DocumentContent { title, language, body, format: BodyFormat::Html, ..DocumentContent::default() })
    }

    fn csv(&self, text: &str) -> Result<Imported> {
        let mut reader = csv::ReaderBuilder::new().flexible(true).trim(csv::Trim::All).from_reader(text.as_bytes());
        let headers = reader.headers().map_err(|error| self.fail(error))?.clone();
        let column = |name: &str| headers.iter().position(|header| header.eq_ignore_ascii_case(name));
        let (Some(question), Some(answer)) = (column("question"), column("answer")) else {
            return Err(self.fail("the first row must be question,answer[,tags]"));
        };
        let tags = column("tags");
        let mut imported = Imported::default();
        for (position, row) in reader.records().enumerate() {
            let item = format!("{} row {}", self.file_name, position + 2);
            let read = row.map_err(|error| self.fail(error)).and_then(|row| {
                let cell = |index: usize| row.get(index).unwrap_or_default().to_owned();
                let title = cell(question);
                let content = DocumentContent {
                    language: Language::of_text(&title),
                    kind: DocumentKind::Faq,
                    questions: vec![title.clone()],
                    title,
                    body: cell(answer),
                    format: BodyFormat::Text,
                    tags: tags
                        .map(cell)
                        .unwrap_or_default()
                        .split([';', '|', '；'])
                        .map(str::trim)
                        .filter(|tag| !tag.is_empty())
                        .map(str::to_owned)
                        .collect(),
                    ..DocumentContent::default()
                };
                content.validate().map(|()| content)
            });
            match read {
                Ok(content) => imported.documents.push(ImportedDocument { document_id: None, content }),
                Err(error) => imported.rejected.push(Rejected { item, reason: error.to_string() }),
            }
        }
        Ok(imported)
    }

    fn json(&self, text: &str) -> Result<Imported> {
        let value: serde_json::Value = serde_json::from_str(text).map_err(|error| self.fail(error))?;
        let items = match value {
            serde_json::Value::Array(items) => items,
            serde_json::Value::Object(mut object) => match object.remove("documents") {
                Some(serde_json::Value::Array(items)) => items,
                Some(_) => return Err(self.fail("`documents` must be a list")),
                None => vec![serde_json::Value::Object(object)],
            },
            _ => return Err(self.fail("must hold a list of documents or one document")),
        };
        let mut imported = Imported::default();
        for (position, item) in items.into_iter().enumerate() {
            match json_document(item) {
                Ok(document) => imported.documents.push(document),
                Err(reason) => {
                    imported.rejected.push(Rejected { item: format!("{} element {position}", self.file_name), reason })
                }
            }
        }
        Ok(imported)
    }

    fn language(&self, named: Option<&str>, body: &str) -> Result<Language> {
        match named {
            Some(tag) => {
                Language::from_tag(tag).ok_or_else(|| self.fail(format!("language `{tag}` is not supported; use zh or en")))
            }
            None => Ok(Language::of_text(body)),
        }
    }

    fn moment(&self, field: &str, value: Option<&toml::Value>) -> Result<Option<DateTime<Utc>>> {
        let Some(value) = value else { return Ok(None) };
        let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        let day = || text.parse::<NaiveDate>().ok().and_then(|day| day.and_hms_opt(0, 0, 0)).map(|moment| moment.and_utc());
        let moment = text.parse::<DateTime<Utc>>().ok().or_else(day);
        moment
            .map(Some)
            .ok_or_else(|| self.fail(format!("{field}: `{text}` is no date; write 2026-01-31 or 2026-01-31T08:00:00Z")))
    }

    fn stem(&self) -> String {
        Path::new(self.file_name).file_stem().and_then(|stem| stem.to_str()).unwrap_or(self.file_name).to_owned()
    }
}

fn json_document(item: serde_json::Value) -> std::result::Result<ImportedDocument, String> {
    let document: JsonDocument = serde_json::from_value(item).map_err(|error| error.to_string())?;
    let content: DocumentContent =
        serde_json::from_value(serde_json::Value::Object(document.content)).map_err(|error| error.to_string())?;
    let content = match content.format {
        BodyFormat::Html => DocumentContent { body: sanitise_html(&content.body), ..content },
        BodyFormat::Markdown | BodyFormat::Text => content,
    };
    content.validate().map_err(|error| error.to_string())?;
    let document_id = document.document_id.map(|id| if id.starts_with("doc_") { id } else { document_id_of(&id) });
    Ok(ImportedDocument { document_id, content })
}

fn first_heading(body: &str, format: BodyFormat) -> Option<String> {
    blocks(body, format).into_iter().find_map(|block| match block {
        Block::Heading { text, .. } => Some(text),
        _ => None,
    })
}

fn short(title: &str) -> String {
    title.chars().take(super::document::MAX_TITLE_CHARS).collect()
}

/// Names the place, and the encoding that it probably is.
fn not_utf8(bytes: &[u8], at: usize) -> String {
    // in GB 18030 a Chinese character is a lead byte of 0x81 to 0xFE and a trail byte from 0x40 on
    let chinese = bytes[at..].iter().take(2).all(|byte| *byte >= 0x40) && bytes.get(at).is_some_and(|byte| *byte >= 0x81);
    let guess =
        if chinese { ", it looks like GBK; save it as UTF-8, or run `iconv -f GB18030 -t UTF-8`" } else { "; save it as UTF-8" };
    format!("is not UTF-8 at byte {at}{guess}")
}
