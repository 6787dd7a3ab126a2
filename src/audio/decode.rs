//! Recordings in: any usual container to channels of samples.

use std::io::Cursor;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use symphonia::core::audio::SampleBuffer;
use symphonia::core::codecs::{CODEC_TYPE_NULL, DecoderOptions};
use symphonia::core::errors::Error as Symphonia;
use symphonia::core::formats::{FormatOptions, FormatReader, Track};
use symphonia::core::io::MediaSourceStream;
use symphonia::core::meta::MetadataOptions;
use symphonia::core::probe::Hint;

use super::resample::{MODEL_RATE_HZ, RATE_RANGE_HZ, resample};
use super::{AudioError, ogg_opus};

/// Most channels of a recording.
const MAX_CHANNELS: usize = 8;
/// Damaged packets in a row after which a recording is given up.
const MAX_DAMAGED_PACKETS: usize = 16;
/// Samples that a header may promise beyond what was decoded before it counts as cut off: encoders pad.
const SLACK_S: f64 = 0.5;

/// Most samples of a recording, all channels together: 4 hours of two channels at 48 kHz. A file of a megabyte can hold days of
/// silence, so that only a limit on what comes out keeps the memory bounded.
const MAX_SAMPLES: usize = 4 * 3_600 * 48_000 * 2;

/// How to read a recording.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DecodeOptions {
    /// Take what is there of a recording that is cut off, instead of refusing it.
    pub allow_truncated: bool,
}

/// A decoded recording.
#[derive(Clone, Debug, PartialEq)]
pub struct Recording {
    /// Rate of the samples in hertz, 8 000 to 48 000.
    pub sample_rate_hz: u32,
    /// Samples in [-1, 1], one `Vec` per channel, all of one length that is not 0.
    pub channels: Vec<Vec<f32>>,
    /// Container, for example `wav`.
    pub container: &'static str,
    /// Whether the end is missing (only with [`DecodeOptions::allow_truncated`]).
    pub truncated: bool,
}

impl Recording {
    /// Length in milliseconds.
    pub fn duration_ms(&self) -> i64 {
        let samples = self.channels.first().map_or(0, Vec::len) as i64;
        samples * 1_000 / i64::from(self.sample_rate_hz)
    }

    /// The channels at 16 kHz.
    ///
    /// # Errors
    /// None for a recording made by [`decode`]; [`AudioError::UnsupportedRate`] for a rate set by hand.
    pub fn to_model_rate(&self) -> Result<Vec<Vec<f32>>, AudioError> {
        if self.sample_rate_hz == MODEL_RATE_HZ {
            return Ok(self.channels.clone());
        }
        self.channels.iter().map(|channel| resample(channel, self.sample_rate_hz)).collect()
    }
}

/// Reads and decodes a file, refusing one that is cut off.
///
/// # Errors
/// Every [`AudioError`] that a recording can have.
pub fn decode_file(path: &Path) -> Result<Recording, AudioError> {
    let bytes = std::fs::read(path).map_err(|source| AudioError::Io { path: path.to_owned(), source })?;
    decode(bytes, DecodeOptions::default())
}

/// Decodes a recording in memory: wav (PCM, float, µ-law, A-law), mp3, flac, m4a/aac, ogg with Opus or Vorbis.
///
/// # Errors
/// Every [`AudioError`] that a recording can have; no input makes it panic.
pub fn decode(bytes: Vec<u8>, options: DecodeOptions) -> Result<Recording, AudioError> {
    decode_within(bytes, options, MAX_SAMPLES)
}

/// Decodes a recording of at most `max_samples`, all channels together.
pub(super) fn decode_within(bytes: Vec<u8>, options: DecodeOptions, max_samples: usize) -> Result<Recording, AudioError> {
    if bytes.is_empty() {
        return Err(AudioError::Empty { bytes: 0 });
    }
    let container = container_of(&bytes);
    // The decoders are third-party parsers of hostile input: a panic of theirs is a damaged file, not our end.
    let decoded = catch_unwind(AssertUnwindSafe(|| {
        if container == Some("ogg/opus") {
            ogg_opus::decode_ogg_opus(&bytes, options, max_samples)
        } else {
            decode_with_symphonia(bytes, container, options, max_samples)
        }
    }));
    let recording = decoded.unwrap_or_else(|_| {
        Err(AudioError::Corrupt { container: container.unwrap_or("audio"), detail: "its structure is inconsistent".into() })
    })?;
    check(recording)
}

/// What holds for every recording that leaves this file.
fn check(mut recording: Recording) -> Result<Recording, AudioError> {
    let (min_hz, max_hz) = RATE_RANGE_HZ;
    if !(min_hz..=max_hz).contains(&recording.sample_rate_hz) {
        return Err(AudioError::UnsupportedRate { sample_rate_hz: recording.sample_rate_hz, min_hz, max_hz });
    }
    for sample in recording.channels.iter_mut().flatten() {
        *sample = if sample.is_finite() { sample.clamp(-1.0, 1.0) } else { 0.0 };
    }
    Ok(recording)
}

/// The container by its first bytes.
fn container_of(bytes: &[u8]) -> Option<&'static str> {
    let at = |offset: usize, magic: &[u8]| bytes.get(offset..offset + magic.len()) == Some(magic);
    if at(0, b"RIFF") && at(8, b"WAVE") {
        Some("wav")
    } else if at(0, b"OggS") {
        let head = &bytes[..bytes.len().min(512)];
        let is_opus = head.windows(8).any(|window| window == b"OpusHead");
        Some(if is_opus { "ogg/opus" } else { "ogg" })
    } else if at(0, b"fLaC") {
        Some("flac")
    } else if at(4, b"ftyp") {
        Some("m4a")
    } else if at(0, b"ID3") || matches!(bytes, [0xff, second, ..] if second & 0xe0 == 0xe0) {
        Some("mp3")
    } else if at(0, b"\x1a\x45\xdf\xa3") {
        Some("matroska")
    } else {
        None
    }
}

fn decode_with_symphonia(
    bytes: Vec<u8>,
    container: Option<&'static str>,
    options: DecodeOptions,
    max_samples: usize,
) -> Result<Recording, AudioError> {
    let len = bytes.len();
    let magic = bytes[..len.min(4)].to_vec();
    let container = container.ok_or(AudioError::UnknownFormat { magic })?;
    if container == "wav" && !options.allow_truncated {
        refuse_short_wav(&bytes)?;
    }
    let bytes = if container == "wav" { with_extension_size(bytes) } else { bytes };
    let damaged = |error: Symphonia| match error {
        Symphonia::IoError(_) => AudioError::Truncated { container, expected: len as u64 + 1, got: len as u64, unit: "bytes" },
        Symphonia::Unsupported(what) => AudioError::UnsupportedCodec { container, codec: what.to_owned() },
        other => AudioError::Corrupt { container, detail: other.to_string() },
    };
    let stream = MediaSourceStream::new(Box::new(Cursor::new(bytes)), Default::default());
    let mut hint = Hint::new();
    hint.with_extension(container);
    let probed = symphonia::default::get_probe()
        .format(&hint, stream, &FormatOptions::default(), &MetadataOptions::default())
        .map_err(damaged)?;
    let mut reader = probed.format;
    let track = audio_track(reader.as_ref(), container)?;
    let expected = track.codec_params.n_frames;
    let (mut channels, rate) = read_track(reader.as_mut(), &track, container, max_samples)?;
    let got = channels.first().map_or(0, Vec::len);
    if got == 0 {
        return Err(AudioError::Empty { bytes: len });
    }
    channels.iter_mut().for_each(|channel| channel.truncate(got));
    let slack = f64::from(rate) * SLACK_S;
    let short = expected.filter(|expected| container != "wav" && *expected as f64 > got as f64 + slack);
    match short {
        Some(expected) if !options.allow_truncated => {
            Err(AudioError::Truncated { container, expected, got: got as u64, unit: "samples" })
        }
        _ => Ok(Recording { sample_rate_hz: rate, channels, container, truncated: short.is_some() }),
    }
}

fn audio_track(reader: &dyn FormatReader, container: &'static str) -> Result<Track, AudioError> {
    let track = reader.tracks().iter().find(|track| track.codec_params.codec != CODEC_TYPE_NULL);
    track.cloned().ok_or_else(|| AudioError::UnsupportedCodec { container, codec: "none".into() })
}

/// All samples of one track, de-interleaved, with their rate.
fn read_track(
    reader: &mut dyn FormatReader,
    track: &Track,
    container: &'static str,
    max_samples: usize,
) -> Result<(Vec<Vec<f32>>, u32), AudioError> {
    let codec = track.codec_params.codec;
    let mut decoder = symphonia::default::get_codecs()
        .make(&track.codec_params, &DecoderOptions::default())
        .map_err(|_| AudioError::UnsupportedCodec { container, codec: codec.to_string() })?;
    let mut channels: Vec<Vec<f32>> = Vec::new();
    let mut rate = track.codec_params.sample_rate.unwrap_or(0);
    let mut damaged_in_a_row = 0;
    loop {
        let packet = match reader.next_packet() {
            Ok(packet) => packet,
            // The end of the file, expected or not: the caller compares the length with the header.
            Err(Symphonia::IoError(_) | Symphonia::ResetRequired) => break,
            Err(error) if channels.is_empty() => return Err(AudioError::Corrupt { container, detail: error.to_string() }),
            Err(_) => break,
        };
        if packet.track_id() != track.id {
            continue;
        }
        match decoder.decode(&packet) {
            Ok(decoded) if decoded.frames() > 0 => {
                let spec = *decoded.spec();
                let count = spec.channels.count();
                if count == 0 || count > MAX_CHANNELS || (!channels.is_empty() && count != channels.len()) {
                    return Err(AudioError::UnsupportedChannels { channels: count, max: MAX_CHANNELS });
                }
                rate = spec.rate;
                channels.resize_with(count, Vec::new);
                let mut buffer = SampleBuffer::<f32>::new(decoded.capacity() as u64, spec);
                buffer.copy_planar_ref(decoded);
                let frames = buffer.len() / count;
                if (channels[0].len() + frames) * count > max_samples {
                    return Err(AudioError::TooLong { container, max_samples });
                }
                for (channel, plane) in channels.iter_mut().zip(buffer.samples().chunks_exact(frames)) {
                    channel.extend_from_slice(plane);
                }
                damaged_in_a_row = 0;
            }
            Ok(_) => {}
            Err(error) => {
                damaged_in_a_row += 1;
                if damaged_in_a_row > MAX_DAMAGED_PACKETS {
                    return Err(AudioError::Corrupt { container, detail: error.to_string() });
                }
            }
        }
    }
    Ok((channels, rate))
}

/// Telephone systems write G.711 with the short format chunk of PCM; the decoder wants the one with an extension size.
fn with_extension_size(mut bytes: Vec<u8>) -> Vec<u8> {
    const FORMAT: usize = 12;
    let short = bytes.get(FORMAT..FORMAT + 8) == Some(b"fmt \x10\0\0\0");
    let g711 = matches!(bytes.get(FORMAT + 8..FORMAT + 10), Some([6 | 7, 0]));
    if short && g711 && bytes.len() >= FORMAT + 24 {
        bytes[FORMAT + 4] = 18;
        bytes.splice(FORMAT + 24..FORMAT + 24, [0, 0]);
        let size = u32::from_le_bytes([bytes[4], bytes[5], bytes[6], bytes[7]]).saturating_add(2);
        bytes[4..8].copy_from_slice(&size.to_le_bytes());
    }
    bytes
}

/// Refuses a WAV whose data chunk promises more bytes than there are. 0 and the largest value mean 'until the end'.
fn refuse_short_wav(bytes: &[u8]) -> Result<(), AudioError> {
    let word = |offset: usize| bytes.get(offset..offset + 4).and_then(|b| <[u8; 4]>::try_from(b).ok()).map(u32::from_le_bytes);
    let mut offset = 12usize;
    while let (Some(id), Some(size)) = (bytes.get(offset..offset + 4), word(offset + 4)) {
        let content = offset + 8;
        let here = (bytes.len() - content) as u64;
        if id == b"data" {
            let open_ended = size == 0 || size >= u32::MAX - 8_192;
            if !open_ended && u64::from(size) > here {
                return Err(AudioError::Truncated { container: "wav", expected: u64::from(size), got: here, unit: "bytes" });
            }
            if here == 0 {
                return Err(AudioError::Empty { bytes: bytes.len() });
            }
            return Ok(());
        }
        offset = content.saturating_add(size as usize).saturating_add(size as usize & 1);
    }
    Err(AudioError::Truncated { container: "wav", expected: bytes.len() as u64 + 8, got: bytes.len() as u64, unit: "bytes" })
}
