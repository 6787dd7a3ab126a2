//! A walk through a ggml Whisper file before whisper.cpp sees it: a damaged one makes it abort or read garbage.

use std::fs::File;
use std::io::{BufReader, Read, Seek, SeekFrom};
use std::path::Path;

use super::AsrError;

/// 'ggml' as a little-endian number.
const MAGIC: u32 = 0x6767_6d6c;
/// Longest name of a tensor in bytes.
const MAX_NAME: u32 = 256;
/// Longest token in bytes.
const MAX_TOKEN: u32 = 4_096;

/// The header of a model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ModelHeader {
    /// Size of the vocabulary; 51 865 or more is multilingual.
    pub n_vocab: u32,
    /// Positions of the encoder, 20 ms each.
    pub n_audio_ctx: u32,
    /// Width of the encoder.
    pub n_audio_state: u32,
    /// Layers of the encoder.
    pub n_audio_layer: u32,
    /// Longest text in tokens.
    pub n_text_ctx: u32,
    /// Layers of the decoder; with 2 whisper.cpp gives no timestamps.
    pub n_text_layer: u32,
    /// Mel bands.
    pub n_mels: u32,
    /// Type of the weights as ggml counts them.
    pub ftype: u32,
}

/// Bytes per block and values per block of a ggml tensor type, `None` for one that Whisper files do not use.
fn block_of(kind: u32) -> Option<(u64, u64)> {
    match kind {
        0 => Some((4, 1)),      // f32
        1 => Some((2, 1)),      // f16
        2 => Some((18, 32)),    // q4_0
        3 => Some((20, 32)),    // q4_1
        6 => Some((22, 32)),    // q5_0
        7 => Some((24, 32)),    // q5_1
        8 => Some((34, 32)),    // q8_0
        10 => Some((84, 256)),  // q2_k
        11 => Some((110, 256)), // q3_k
        12 => Some((144, 256)), // q4_k
        13 => Some((176, 256)), // q5_k
        14 => Some((210, 256)), // q6_k
        _ => None,
    }
}

/// Why a walk stopped; the path is added outside.
enum Fault {
    Io(std::io::Error),
    Corrupt(String),
}

impl From<std::io::Error> for Fault {
    fn from(error: std::io::Error) -> Self {
        Self::Io(error)
    }
}

/// Reads the header and checks that every part of the file is there.
///
/// # Errors
/// [`AsrError::ModelUnreadable`], [`AsrError::ModelCorrupt`], [`AsrError::ModelTruncated`].
pub fn check_model_file(path: &Path) -> Result<ModelHeader, AsrError> {
    let unreadable = |source| AsrError::ModelUnreadable { path: path.to_owned(), source };
    let file = File::open(path).map_err(unreadable)?;
    let bytes = file.metadata().map_err(unreadable)?.len();
    let mut walk = Walk { reader: BufReader::new(file), bytes, at: 0, part: "the header".into() };
    walk.run().map_err(|fault| match fault {
        Fault::Io(source) if source.kind() == std::io::ErrorKind::UnexpectedEof => {
            AsrError::ModelTruncated { path: path.to_owned(), bytes, detail: format!("it ends inside {}", walk.part) }
        }
        Fault::Io(source) => unreadable(source),
        Fault::Corrupt(detail) => AsrError::ModelCorrupt { path: path.to_owned(), detail },
    })
}

struct Walk {
    reader: BufReader<File>,
    bytes: u64,
    at: u64,
    part: String,
}

impl Walk {
    fn run(&mut self) -> Result<ModelHeader, Fault> {
        let magic = self.number()?;
        if magic != MAGIC {
            return Err(Fault::Corrupt(format!("it begins with {magic:#010x}, not with {MAGIC:#010x}")));
        }
        let mut fields = [0u32; 11];
        for field in &mut fields {
            *field = self.number()?;
        }
        let header = read_header(fields)?;
        self.part = "the mel filters".into();
        let (n_mel, n_fft) = (self.number()?, self.number()?);
        if n_mel != header.n_mels || !(1..=4_096).contains(&n_fft) {
            return Err(Fault::Corrupt(format!(
                "its mel filters are {n_mel} x {n_fft}, its header says {} bands",
                header.n_mels
            )));
        }
        self.skip(u64::from(n_mel) * u64::from(n_fft) * 4)?;
        self.part = "the vocabulary".into();
        let n_tokens = self.number()?;
        if n_tokens > header.n_vocab {
            return Err(Fault::Corrupt(format!("it lists {n_tokens} tokens, its header says {}", header.n_vocab)));
        }
        for _ in 0..n_tokens {
            let len = self.number()?;
            if len > MAX_TOKEN {
                return Err(Fault::Corrupt(format!("a token of {len} bytes at offset {}", self.at)));
            }
            self.skip(len.into())?;
        }
        let n_tensors = self.tensors()?;
        // 10 of the trunk, 15 per encoder layer, 24 per decoder layer
        let expected = 10 + 15 * header.n_audio_layer + 24 * header.n_text_layer;
        if n_tensors < expected - 5 {
            self.part = format!("the tensors ({n_tensors} of about {expected})");
            return Err(Fault::Io(std::io::ErrorKind::UnexpectedEof.into()));
        }
        Ok(header)
    }

    fn tensors(&mut self) -> Result<u32, Fault> {
        let mut count = 0;
        while self.at < self.bytes {
            self.part = format!("tensor {}", count + 1);
            let (n_dims, name_len, kind) = (self.number()?, self.number()?, self.number()?);
            let block = block_of(kind).filter(|_| (1..=4).contains(&n_dims) && name_len <= MAX_NAME);
            let Some((block_bytes, block_values)) = block else {
                return Err(Fault::Corrupt(format!(
                    "tensor {} at offset {} has {n_dims} dimensions, a name of {name_len} bytes and type {kind}",
                    count + 1,
                    self.at - 12
                )));
            };
            let mut values = 1u64;
            for _ in 0..n_dims {
                values = values.saturating_mul(self.number()?.into());
            }
            self.skip(name_len.into())?;
            self.skip((values / block_values).saturating_mul(block_bytes))?;
            count += 1;
        }
        Ok(count)
    }

    fn number(&mut self) -> Result<u32, Fault> {
        let mut bytes = [0u8; 4];
        self.reader.read_exact(&mut bytes)?;
        self.at += 4;
        Ok(u32::from_le_bytes(bytes))
    }

    fn skip(&mut self, bytes: u64) -> Result<(), Fault> {
        let to = self.at.saturating_add(bytes);
        if to > self.bytes {
            return Err(Fault::Io(std::io::ErrorKind::UnexpectedEof.into()));
        }
        let distance = i64::try_from(bytes).map_err(|_| Fault::Corrupt("a part is too large".into()))?;
        self.reader.seek_relative(distance).or_else(|_| self.reader.seek(SeekFrom::Start(to)).map(|_| ()))?;
        self.at = to;
        Ok(())
    }
}

fn read_header(fields: [u32; 11]) -> Result<ModelHeader, Fault> {
    let [
        n_vocab,
        n_audio_ctx,
        n_audio_state,
        n_audio_head,
        n_audio_layer,
        n_text_ctx,
        n_text_state,
        n_text_head,
        n_text_layer,
        n_mels,
        ftype,
    ] = fields;
    let ranges = [
        ("n_vocab", n_vocab, 1_000..=200_000),
        ("n_audio_ctx", n_audio_ctx, 32..=1_500),
        ("n_audio_state", n_audio_state, 32..=4_096),
        ("n_audio_head", n_audio_head, 1..=64),
        ("n_audio_layer", n_audio_layer, 1..=64),
        ("n_text_ctx", n_text_ctx, 16..=4_096),
        ("n_text_state", n_text_state, n_audio_state..=n_audio_state),
        ("n_text_head", n_text_head, 1..=64),
        ("n_text_layer", n_text_layer, 1..=64),
        ("n_mels", n_mels, 16..=256),
        ("ftype", ftype % 1_000, 0..=30), // thousands count the quantisation version
    ];
    for (name, value, range) in ranges {
        if !range.contains(&value) {
            return Err(Fault::Corrupt(format!("its header says {name} = {value}, not {} to {}", range.start(), range.end())));
        }
    }
    Ok(ModelHeader { n_vocab, n_audio_ctx, n_audio_state, n_audio_layer, n_text_ctx, n_text_layer, n_mels, ftype })
}
