//! Reading PDF: text by `pdf-extract`. Broken files can make it panic or run for very long, so it runs on a thread of its own
//! with a limit; a file that runs over the limit is refused, and its thread ends when it has run out.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc;
use std::time::Duration;

/// Longest time for one file.
const LIMIT: Duration = Duration::from_secs(60);
/// Stack of the thread: deeply nested objects are read by recursion.
const STACK_BYTES: usize = 64 * 1024 * 1024;
/// Fewer letters and digits than this are no text.
const LEAST_CHARS: usize = 20;

/// The text, paragraphs parted by an empty line.
pub(super) fn read(bytes: &[u8]) -> Result<String, String> {
    if !bytes.starts_with(b"%PDF-") {
        return Err("is no PDF file".to_owned());
    }
    let owned = bytes.to_vec();
    let (sender, receiver) = mpsc::sync_channel(1);
    let work = move || {
        let read = catch_unwind(AssertUnwindSafe(|| pdf_extract::extract_text_from_mem(&owned)));
        // nobody waits any more after the limit
        let _ = sender.send(read);
    };
    std::thread::Builder::new()
        .name("pdf".to_owned())
        .stack_size(STACK_BYTES)
        .spawn(work)
        .map_err(|error| format!("no thread to read it: {error}"))?;
    let text = match receiver.recv_timeout(LIMIT) {
        Ok(Ok(Ok(text))) => text,
        Ok(Ok(Err(error))) => return Err(format!("cannot be read ({error}); print it to PDF again, or save it as DOCX or HTML")),
        Ok(Err(_)) | Err(mpsc::RecvTimeoutError::Disconnected) => {
            return Err(
                "is damaged or uses a form that is not read; print it to PDF again, or save it as DOCX or HTML".to_owned()
            );
        }
        Err(mpsc::RecvTimeoutError::Timeout) => {
            return Err(format!("took longer than {} s to read; split it or save it as DOCX or HTML", LIMIT.as_secs()));
        }
    };
    if text.chars().filter(|c| c.is_alphanumeric()).count() < LEAST_CHARS {
        return Err("has no text (a scan?); run text recognition on it first and save it with its text".to_owned());
    }
    Ok(paragraphs(&text))
}

/// Lines joined to paragraphs: a paragraph ends at an empty line.
fn paragraphs(text: &str) -> String {
    let mut paragraphs: Vec<String> = vec![String::new()];
    for line in text.lines() {
        let line = line.trim();
        let open = paragraphs.last_mut();
        match open {
            _ if line.is_empty() => paragraphs.push(String::new()),
            Some(open) => {
                let latin = |c: Option<char>| c.is_some_and(|c| c.is_ascii_graphic());
                if latin(open.chars().next_back()) && latin(line.chars().next()) {
                    open.push(' ');
                }
                open.push_str(line);
            }
            None => {}
        }
    }
    paragraphs.retain(|paragraph| !paragraph.is_empty());
    paragraphs.join("\n\n")
}
