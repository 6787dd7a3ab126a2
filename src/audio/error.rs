//! What can be wrong with sound, and how to mend it.

use std::path::PathBuf;

/// Why audio could not be used.
#[derive(Debug, thiserror::Error)]
pub enum AudioError {
    /// The file could not be read.
    #[error("cannot read {path}: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// There is nothing in it.
    #[error("the recording is empty ({bytes} bytes, no sample): send a file that holds audio")]
    Empty {
        /// Bytes received.
        bytes: usize,
    },
    /// It ends early.
    #[error("the {container} recording is cut off after {got} of {expected} {unit}: send the whole file")]
    Truncated {
        /// Container name.
        container: &'static str,
        /// What its header promised.
        expected: u64,
        /// What was there.
        got: u64,
        /// `bytes`, `samples` or `pages`.
        unit: &'static str,
    },
    /// It has more samples than are kept in memory.
    #[error("the {container} recording is too long: all channels together may have {max_samples} samples; send it in parts")]
    TooLong {
        /// Container name.
        container: &'static str,
        /// Most samples, all channels together.
        max_samples: usize,
    },
    /// Not a container that is known here.
    #[error("not a recording that can be read (first bytes {magic:02x?}): send wav, mp3, flac, m4a, ogg/opus or ogg/vorbis")]
    UnknownFormat {
        /// The first bytes, at most four.
        magic: Vec<u8>,
    },
    /// A known container with a codec that is not known here.
    #[error("codec {codec} in a {container} file cannot be read: convert it to PCM, G.711, mp3, flac, aac or opus")]
    UnsupportedCodec {
        /// Container name.
        container: &'static str,
        /// The codec as the container names it.
        codec: String,
    },
    /// A wire encoding that is not known.
    #[error("encoding {name:?} is not known: use pcm_s16le, mulaw or alaw")]
    UnknownEncoding {
        /// What was asked for.
        name: String,
    },
    /// The rate is outside what is supported.
    #[error("sample rate {sample_rate_hz} Hz is not supported: use {min_hz} to {max_hz} Hz")]
    UnsupportedRate {
        /// The rate.
        sample_rate_hz: u32,
        /// Lowest supported.
        min_hz: u32,
        /// Highest supported.
        max_hz: u32,
    },
    /// Too many or no channels.
    #[error("{channels} channels are not supported: send 1 to {max}")]
    UnsupportedChannels {
        /// Number of channels.
        channels: usize,
        /// Highest supported number.
        max: usize,
    },
    /// The container is recognised, its content is damaged.
    #[error("the {container} recording is damaged: {detail}")]
    Corrupt {
        /// Container name.
        container: &'static str,
        /// What the decoder said.
        detail: String,
    },
    /// An encoder refused.
    #[error("cannot encode audio: {detail}")]
    Encode {
        /// What the encoder said.
        detail: String,
    },
}
