//! Ogg/Opus in (RFC 7845), by libopus: mono and stereo.

use std::io::Cursor;

use ogg::reading::{OggReadError, PacketReader};

use super::AudioError;
use super::decode::{DecodeOptions, Recording};

const CONTAINER: &str = "ogg/opus";
/// The clock of granule positions in hertz.
const CLOCK_HZ: u64 = 48_000;
/// Longest packet in milliseconds (RFC 6716).
const MAX_PACKET_MS: usize = 120;

/// What the identification header says.
struct Head {
    channels: usize,
    pre_skip: u64,
    gain: f32,
    rate_hz: u32,
}

pub(super) fn decode_ogg_opus(bytes: &[u8], options: DecodeOptions, max_samples: usize) -> Result<Recording, AudioError> {
    let mut packets = PacketReader::new(Cursor::new(bytes));
    let first = packets.read_packet().map_err(|error| damaged(&error, bytes.len()))?;
    let first = first.ok_or(AudioError::Empty { bytes: bytes.len() })?;
    let head = read_head(&first.data)?;
    let layout = if head.channels == 2 { opus::Channels::Stereo } else { opus::Channels::Mono };
    let corrupt = |error: opus::Error| AudioError::Corrupt { container: CONTAINER, detail: error.to_string() };
    let mut decoder = opus::Decoder::new(head.rate_hz, layout).map_err(corrupt)?;

    let mut channels: Vec<Vec<f32>> = vec![Vec::new(); head.channels];
    let mut buffer = vec![0.0f32; head.rate_hz as usize / 1_000 * MAX_PACKET_MS * head.channels];
    let mut last_granule = 0u64;
    let mut ended = false;
    let mut index = 0usize;
    let mut broken = None;
    loop {
        let packet = match packets.read_packet() {
            Ok(Some(packet)) => packet,
            Ok(None) => break,
            Err(error) => {
                broken = Some(damaged(&error, bytes.len()));
                break;
            }
        };
        if packet.stream_serial() != first.stream_serial() {
            continue;
        }
        index += 1;
        if index == 1 {
            continue; // the comment header
        }
        // A damaged packet is played as a gap of its length (packet loss concealment), so that time stays true.
        let frames = decoder
            .decode_float(&packet.data, &mut buffer, false)
            .or_else(|_| decoder.decode_float(&[], &mut buffer[..head.rate_hz as usize / 50 * head.channels], false))
            .map_err(corrupt)?;
        if (channels[0].len() + frames) * head.channels > max_samples {
            return Err(AudioError::TooLong { container: CONTAINER, max_samples });
        }
        for (at, channel) in channels.iter_mut().enumerate() {
            channel.extend(buffer[..frames * head.channels].iter().skip(at).step_by(head.channels));
        }
        if packet.last_in_page() && packet.absgp_page() != u64::MAX {
            last_granule = packet.absgp_page();
        }
        ended |= packet.last_in_stream();
    }
    if let Some(error) = broken.filter(|_| !options.allow_truncated || channels[0].is_empty()) {
        return Err(error);
    }
    if !ended && !options.allow_truncated {
        let pages = bytes.windows(4).filter(|window| window == b"OggS").count() as u64;
        return Err(AudioError::Truncated { container: CONTAINER, expected: pages + 1, got: pages, unit: "pages" });
    }
    channels.iter_mut().for_each(|channel| trim(channel, &head, last_granule));
    if channels.iter().any(Vec::is_empty) {
        return Err(AudioError::Empty { bytes: bytes.len() });
    }
    Ok(Recording { sample_rate_hz: head.rate_hz, channels, container: CONTAINER, truncated: !ended })
}

/// Drops the encoder's delay and what the last granule position trims, applies the output gain.
fn trim(channel: &mut Vec<f32>, head: &Head, last_granule: u64) {
    let scale = |clock: u64| (clock * u64::from(head.rate_hz) / CLOCK_HZ) as usize;
    channel.drain(..scale(head.pre_skip).min(channel.len()));
    if last_granule > 0 {
        let played = last_granule.saturating_sub(head.pre_skip).min(u64::from(u32::MAX) * 10);
        channel.truncate(scale(played));
    }
    channel.iter_mut().for_each(|sample| *sample *= head.gain);
}

/// RFC 7845, section 5.1.
fn read_head(packet: &[u8]) -> Result<Head, AudioError> {
    let [b'O', b'p', b'u', b's', b'H', b'e', b'a', b'd', _version, channels, s0, s1, r0, r1, r2, r3, g0, g1, family, ..] = packet
    else {
        return Err(AudioError::Corrupt { container: CONTAINER, detail: "the OpusHead packet is too short".into() });
    };
    let channels = usize::from(*channels);
    if *family != 0 || !(1..=2).contains(&channels) {
        return Err(AudioError::UnsupportedChannels { channels, max: 2 });
    }
    let gain_q8 = i16::from_le_bytes([*g0, *g1]);
    let wanted_hz = u32::from_le_bytes([*r0, *r1, *r2, *r3]);
    // libopus decodes to five rates; the lowest that holds the original band saves work behind it.
    let rate_hz = match wanted_hz {
        1..=8_000 => 8_000,
        8_001..=16_000 => 16_000,
        16_001..=24_000 => 24_000,
        _ => 48_000,
    };
    Ok(Head {
        channels,
        pre_skip: u64::from(u16::from_le_bytes([*s0, *s1])),
        gain: 10f32.powf(f32::from(gain_q8) / (256.0 * 20.0)),
        rate_hz,
    })
}

fn damaged(error: &OggReadError, len: usize) -> AudioError {
    match error {
        OggReadError::ReadError(_) => {
            AudioError::Truncated { container: CONTAINER, expected: len as u64 + 1, got: len as u64, unit: "bytes" }
        }
        other => AudioError::Corrupt { container: CONTAINER, detail: other.to_string() },
    }
}
