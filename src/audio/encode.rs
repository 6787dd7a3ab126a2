//! Recordings out: WAV (PCM16) and Ogg/Opus.

use ogg::writing::{PacketWriteEndInfo, PacketWriter};

use super::AudioError;

/// Frame of Opus in milliseconds.
const OPUS_FRAME_MS: u32 = 20;
/// Packets of one page: a second.
const PACKETS_PER_PAGE: usize = 50;
/// The clock of Opus granule positions in hertz (RFC 7845).
const OPUS_CLOCK_HZ: u32 = 48_000;
/// Largest packet that we let the encoder make, in bytes.
const OPUS_PACKET_BYTES: usize = 1_500;

/// A WAV file with 16-bit samples. Channels of unequal length are filled up with silence.
///
/// # Errors
/// [`AudioError::UnsupportedChannels`] for none or more than eight; [`AudioError::Encode`] beyond 4 GiB.
pub fn encode_wav(channels: &[Vec<f32>], rate_hz: u32) -> Result<Vec<u8>, AudioError> {
    if channels.is_empty() || channels.len() > 8 {
        return Err(AudioError::UnsupportedChannels { channels: channels.len(), max: 8 });
    }
    let frames = channels.iter().map(Vec::len).max().unwrap_or(0);
    let block = channels.len() * 2;
    let data_bytes = u32::try_from(frames * block)
        .ok()
        .filter(|bytes| *bytes < u32::MAX - 36)
        .ok_or_else(|| AudioError::Encode { detail: "a WAV file holds at most 4 GiB".into() })?;
    let mut out = Vec::with_capacity(44 + data_bytes as usize);
    out.extend_from_slice(b"RIFF");
    out.extend_from_slice(&(36 + data_bytes).to_le_bytes());
    out.extend_from_slice(b"WAVEfmt \x10\0\0\0\x01\0");
    out.extend_from_slice(&(channels.len() as u16).to_le_bytes());
    out.extend_from_slice(&rate_hz.to_le_bytes());
    out.extend_from_slice(&rate_hz.saturating_mul(block as u32).to_le_bytes());
    out.extend_from_slice(&(block as u16).to_le_bytes());
    out.extend_from_slice(&16u16.to_le_bytes());
    out.extend_from_slice(b"data");
    out.extend_from_slice(&data_bytes.to_le_bytes());
    for frame in 0..frames {
        for channel in channels {
            out.extend_from_slice(&to_i16(channel.get(frame).copied().unwrap_or(0.0)).to_le_bytes());
        }
    }
    Ok(out)
}

/// The nearest 16-bit sample; not a number becomes 0.
pub(super) fn to_i16(sample: f32) -> i16 {
    (sample * 32_768.0).round() as i16
}

/// An Ogg/Opus file of one or two channels, `bitrate_bps` in all.
///
/// # Errors
/// [`AudioError::UnsupportedRate`] unless 8, 12, 16, 24 or 48 kHz; [`AudioError::UnsupportedChannels`];
/// [`AudioError::Encode`] if the encoder refuses.
pub fn encode_ogg_opus(channels: &[Vec<f32>], rate_hz: u32, bitrate_bps: u32) -> Result<Vec<u8>, AudioError> {
    if ![8_000, 12_000, 16_000, 24_000, 48_000].contains(&rate_hz) {
        return Err(AudioError::UnsupportedRate { sample_rate_hz: rate_hz, min_hz: 8_000, max_hz: 48_000 });
    }
    let layout = match channels.len() {
        1 => opus::Channels::Mono,
        2 => opus::Channels::Stereo,
        n => return Err(AudioError::UnsupportedChannels { channels: n, max: 2 }),
    };
    let refuse = |error: opus::Error| AudioError::Encode { detail: error.to_string() };
    let mut encoder = opus::Encoder::new(rate_hz, layout, opus::Application::Voip).map_err(refuse)?;
    encoder.set_bitrate(opus::Bitrate::Bits(bitrate_bps.clamp(6_000, 256_000) as i32)).map_err(refuse)?;
    let scale = OPUS_CLOCK_HZ / rate_hz;
    let pre_skip = encoder.get_lookahead().map_err(refuse)?.max(0) as u32 * scale;

    let mut bytes = Vec::new();
    let mut writer = PacketWriter::new(&mut bytes);
    let serial = 1;
    let write = |writer: &mut PacketWriter<'_, &mut Vec<u8>>, packet: Vec<u8>, end, granule| {
        writer.write_packet(packet, serial, end, granule).map_err(|error| AudioError::Encode { detail: error.to_string() })
    };
    write(&mut writer, opus_head(channels.len() as u8, pre_skip as u16, rate_hz), PacketWriteEndInfo::EndPage, 0)?;
    write(&mut writer, opus_tags(), PacketWriteEndInfo::EndPage, 0)?;

    let frames = channels.iter().map(Vec::len).max().unwrap_or(0);
    let per_packet = (rate_hz / 1_000 * OPUS_FRAME_MS) as usize;
    let n_packets = (frames + (pre_skip / scale) as usize).div_ceil(per_packet).max(1);
    let mut interleaved = vec![0.0f32; per_packet * channels.len()];
    for index in 0..n_packets {
        for (slot, value) in interleaved.iter_mut().enumerate() {
            let frame = index * per_packet + slot / channels.len();
            *value = channels[slot % channels.len()].get(frame).copied().unwrap_or(0.0);
        }
        let packet = encoder.encode_vec_float(&interleaved, OPUS_PACKET_BYTES).map_err(refuse)?;
        let last = index + 1 == n_packets;
        let end_of_packet = ((index + 1) * per_packet) as u64 * u64::from(scale);
        let end_of_audio = frames as u64 * u64::from(scale) + u64::from(pre_skip);
        let end = match index {
            _ if last => PacketWriteEndInfo::EndStream,
            // a page a second, so that little is lost with the end of a file
            _ if (index + 1) % PACKETS_PER_PAGE == 0 => PacketWriteEndInfo::EndPage,
            _ => PacketWriteEndInfo::NormalPacket,
        };
        write(&mut writer, packet, end, if last { end_of_audio } else { end_of_packet })?;
    }
    drop(writer);
    Ok(bytes)
}

/// The identification header of RFC 7845, section 5.1: version 1, no gain, mapping family 0.
fn opus_head(channels: u8, pre_skip: u16, rate_hz: u32) -> Vec<u8> {
    let mut head = b"OpusHead\x01".to_vec();
    head.push(channels);
    head.extend_from_slice(&pre_skip.to_le_bytes());
    head.extend_from_slice(&rate_hz.to_le_bytes());
    head.extend_from_slice(&[0, 0, 0]);
    head
}

/// The comment header of RFC 7845, section 5.2, without comments.
fn opus_tags() -> Vec<u8> {
    let vendor = b"zhiyin";
    let mut tags = b"OpusTags".to_vec();
    tags.extend_from_slice(&(vendor.len() as u32).to_le_bytes());
    tags.extend_from_slice(vendor);
    tags.extend_from_slice(&0u32.to_le_bytes());
    tags
}
