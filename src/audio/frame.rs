//! Frames off the wire: bytes of interleaved samples, cut anywhere.

use super::{AudioError, alaw_decode, mulaw_decode};

/// Sample rates of live audio in hertz.
pub const LIVE_RATES_HZ: [u32; 4] = [8_000, 16_000, 24_000, 48_000];

/// How one sample is written on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    /// Signed 16 bit, little endian.
    PcmS16le,
    /// G.711 µ-law, one byte.
    Mulaw,
    /// G.711 A-law, one byte.
    Alaw,
}

impl Encoding {
    /// All encodings, in the order of the documentation.
    pub const ALL: [Self; 3] = [Self::PcmS16le, Self::Mulaw, Self::Alaw];

    /// The wire name.
    pub fn name(self) -> &'static str {
        match self {
            Self::PcmS16le => "pcm_s16le",
            Self::Mulaw => "mulaw",
            Self::Alaw => "alaw",
        }
    }

    /// Reads a wire name.
    ///
    /// # Errors
    /// [`AudioError::UnknownEncoding`] for any other name.
    pub fn from_name(name: &str) -> Result<Self, AudioError> {
        Self::ALL
            .into_iter()
            .find(|encoding| encoding.name() == name)
            .ok_or_else(|| AudioError::UnknownEncoding { name: name.chars().take(32).collect() })
    }

    /// Bytes of one sample of one channel.
    pub fn bytes_per_sample(self) -> usize {
        match self {
            Self::PcmS16le => 2,
            Self::Mulaw | Self::Alaw => 1,
        }
    }

    fn sample(self, bytes: &[u8]) -> f32 {
        let linear = match (self, bytes) {
            (Self::PcmS16le, [low, high]) => i16::from_le_bytes([*low, *high]),
            (Self::Mulaw, [code]) => mulaw_decode(*code),
            (Self::Alaw, [code]) => alaw_decode(*code),
            _ => 0,
        };
        f32::from(linear) / 32_768.0
    }
}

/// Turns bytes into samples per channel; what is left of a sample (or of a pair) waits for the next frame.
///
/// The result does not depend on where the bytes were cut.
#[derive(Clone, Debug)]
pub struct FrameDecoder {
    encoding: Encoding,
    channels: usize,
    rest: Vec<u8>,
}

impl FrameDecoder {
    /// A decoder of `channels` interleaved channels.
    ///
    /// # Errors
    /// [`AudioError::UnsupportedChannels`] unless there are one or two.
    pub fn new(encoding: Encoding, channels: usize) -> Result<Self, AudioError> {
        if !(1..=2).contains(&channels) {
            return Err(AudioError::UnsupportedChannels { channels, max: 2 });
        }
        Ok(Self { encoding, channels, rest: Vec::new() })
    }

    /// Samples in [-1, 1], one `Vec` per channel, all of the same length.
    pub fn push(&mut self, bytes: &[u8]) -> Vec<Vec<f32>> {
        let width = self.encoding.bytes_per_sample();
        let block = width * self.channels;
        self.rest.extend_from_slice(bytes);
        let whole = self.rest.len() / block * block;
        let mut channels = vec![Vec::with_capacity(whole / block); self.channels];
        for frame in self.rest[..whole].chunks_exact(block) {
            for (channel, sample) in channels.iter_mut().zip(frame.chunks_exact(width)) {
                channel.push(self.encoding.sample(sample));
            }
        }
        self.rest.drain(..whole);
        channels
    }

    /// Bytes of an unfinished sample; not 0 at the end of a stream means that it was cut inside a sample.
    pub fn pending_bytes(&self) -> usize {
        self.rest.len()
    }
}
