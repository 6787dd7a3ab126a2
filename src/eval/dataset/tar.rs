//! Files of a tar archive (POSIX ustar, with GNU and pax long names) that lies in memory.

/// Length of a header and of a block.
const BLOCK: usize = 512;

/// Regular files of an archive: name and content. Links, folders and devices are passed over.
pub struct TarEntries<'a> {
    bytes: &'a [u8],
    at: usize,
    long_name: Option<String>,
}

impl<'a> TarEntries<'a> {
    /// The files of an archive.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0, long_name: None }
    }

    fn next_file(&mut self) -> Result<Option<(String, &'a [u8])>, String> {
        loop {
            let Some(header) = self.bytes.get(self.at..self.at + BLOCK) else {
                let rest = self.bytes.len().saturating_sub(self.at);
                return if rest == 0 { Ok(None) } else { Err(format!("the archive ends within a header ({rest} bytes)")) };
            };
            if header.iter().all(|b| *b == 0) {
                return Ok(None);
            }
            let sum: u64 = header.iter().enumerate().map(|(i, b)| if (148..156).contains(&i) { 32 } else { u64::from(*b) }).sum();
            if octal(&header[148..156]) != Some(sum) {
                return Err(format!("no tar header at byte {}", self.at));
            }
            let length = octal(&header[124..136]).ok_or_else(|| format!("no length in the header at byte {}", self.at))?;
            let start = self.at + BLOCK;
            let end = usize::try_from(length).ok().and_then(|l| start.checked_add(l)).unwrap_or(usize::MAX);
            let content =
                self.bytes.get(start..end).ok_or_else(|| format!("the archive ends within a file, at byte {}", self.at))?;
            self.at = end.div_ceil(BLOCK) * BLOCK;
            match header[156] {
                b'L' => self.long_name = Some(until_zero(content)),
                b'x' => self.long_name = pax_path(content).or_else(|| self.long_name.take()),
                b'0' | 0 => {
                    let name = self.long_name.take().unwrap_or_else(|| short_name(header));
                    return Ok(Some((name.trim_start_matches("./").to_owned(), content)));
                }
                // Global pax headers, folders, links: their long names are not those of the next file.
                _ => self.long_name = None,
            }
        }
    }
}

impl<'a> Iterator for TarEntries<'a> {
    type Item = Result<(String, &'a [u8]), String>;

    fn next(&mut self) -> Option<Self::Item> {
        match self.next_file() {
            Ok(found) => found.map(Ok),
            Err(problem) => {
                self.at = self.bytes.len();
                Some(Err(problem))
            }
        }
    }
}

fn until_zero(bytes: &[u8]) -> String {
    let end = bytes.iter().position(|b| *b == 0).unwrap_or(bytes.len());
    String::from_utf8_lossy(&bytes[..end]).into_owned()
}

fn short_name(header: &[u8]) -> String {
    let (name, prefix) = (until_zero(&header[..100]), until_zero(&header[345..500]));
    if &header[257..262] == b"ustar" && header[262] == 0 && !prefix.is_empty() { format!("{prefix}/{name}") } else { name }
}

fn octal(field: &[u8]) -> Option<u64> {
    let text = std::str::from_utf8(field).ok()?.trim_matches(|c: char| c == '\0' || c == ' ');
    if text.is_empty() { Some(0) } else { u64::from_str_radix(text, 8).ok() }
}

/// `path` of pax records `length key=value`.
fn pax_path(mut content: &[u8]) -> Option<String> {
    while !content.is_empty() {
        let blank = content.iter().position(|b| *b == b' ')?;
        let length: usize = std::str::from_utf8(&content[..blank]).ok()?.parse().ok()?;
        let record = std::str::from_utf8(content.get(blank + 1..length)?).ok()?;
        if let Some(path) = record.trim_end_matches('\n').strip_prefix("path=") {
            return Some(path.to_owned());
        }
        content = &content[length..];
    }
    None
}
