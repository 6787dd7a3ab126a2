use std::f32::consts::TAU;

use proptest::prelude::*;

use super::*;
use crate::conversation::TimeSpan;

fn sine(hz: f32, rate_hz: u32, seconds: f32, amplitude: f32) -> Vec<f32> {
    (0..(seconds * rate_hz as f32) as usize).map(|n| amplitude * (TAU * hz * n as f32 / rate_hz as f32).sin()).collect()
}

/// Correlation coefficient of two signals of about one length.
fn likeness(a: &[f32], b: &[f32]) -> f32 {
    let dot: f32 = a.iter().zip(b).map(|(x, y)| x * y).sum();
    let norm = |x: &[f32]| x.iter().map(|v| v * v).sum::<f32>().sqrt();
    dot / (norm(a) * norm(b)).max(1e-9)
}

// --- G.711 ---

/// The curves of the standard: F(x) = sgn(x) ln(1 + µ|x|) / ln(1 + µ), µ = 255, and A-law with A = 87.6.
fn mulaw_curve(x: f64) -> f64 {
    (1.0 + 255.0 * x.abs()).ln() / 256f64.ln() * x.signum()
}

fn alaw_curve(x: f64) -> f64 {
    let a = 87.6f64;
    let magnitude = if x.abs() < 1.0 / a { a * x.abs() } else { 1.0 + (a * x.abs()).ln() };
    magnitude / (1.0 + a.ln()) * x.signum()
}

#[test]
fn g711_follows_the_curves_of_the_standard() {
    for code in 0..=255u8 {
        // the compressed value of a code is its seven bits, 0 to 127, as a share of full scale
        let compressed = |bits: u8| f64::from(bits & 0x7f) / 128.0 + 1.0 / 256.0;
        let mu = f64::from(mulaw_decode(code)) / 32_635.0;
        assert!((mulaw_curve(mu).abs() - compressed(!code)).abs() < 0.015, "µ-law {code:#04x}");
        let a = f64::from(alaw_decode(code)) / 32_768.0;
        assert!((alaw_curve(a).abs() - compressed(code ^ 0x55)).abs() < 0.015, "A-law {code:#04x}");
    }
}

#[test]
fn g711_known_codes() {
    for (code, linear) in [(0xff, 0), (0x7f, 0), (0x80, 32_124), (0x00, -32_124), (0xfe, 8), (0x7e, -8)] {
        assert_eq!(mulaw_decode(code), linear, "µ-law {code:#04x}");
    }
    for (code, linear) in [(0xd5, 8), (0x55, -8), (0xaa, 32_256), (0x2a, -32_256)] {
        assert_eq!(alaw_decode(code), linear, "A-law {code:#04x}");
    }
}

#[test]
fn g711_round_trips_every_code_and_every_sample() {
    for code in 0..=255u8 {
        // negative zero of µ-law is heard as zero and written as positive zero
        let expected = if code == 0x7f { 0xff } else { code };
        assert_eq!(mulaw_encode(mulaw_decode(code)), expected);
        assert_eq!(alaw_encode(alaw_decode(code)), code);
    }
    for sample in i16::MIN..=i16::MAX {
        let size = f64::from(sample).abs();
        let mu = (f64::from(mulaw_decode(mulaw_encode(sample))) - f64::from(sample)).abs();
        let a = (f64::from(alaw_decode(alaw_encode(sample))) - f64::from(sample)).abs();
        // half a step: steps double with each segment, a 32nd of the value at most
        assert!(mu <= (size + 132.0) / 32.0 || size > 32_124.0, "µ-law {sample}: off by {mu}");
        assert!(a <= size / 32.0 + 8.0 || size > 32_256.0, "A-law {sample}: off by {a}");
    }
}

// --- frames ---

#[test]
fn unknown_encoding_and_channels_are_refused() {
    let error = Encoding::from_name("opus").unwrap_err();
    assert_eq!(error.to_string(), "encoding \"opus\" is not known: use pcm_s16le, mulaw or alaw");
    assert!(matches!(FrameDecoder::new(Encoding::Alaw, 3), Err(AudioError::UnsupportedChannels { channels: 3, max: 2 })));
}

proptest! {
    #[test]
    fn frames_may_be_cut_anywhere(bytes in prop::collection::vec(any::<u8>(), 0..400), cuts in prop::collection::vec(1usize..50, 1..10), channels in 1usize..=2, kind in 0usize..3) {
        let encoding = Encoding::ALL[kind];
        let whole = FrameDecoder::new(encoding, channels).unwrap().push(&bytes);
        let mut decoder = FrameDecoder::new(encoding, channels).unwrap();
        let mut parts = vec![Vec::new(); channels];
        let mut rest = bytes.as_slice();
        for cut in cuts.iter().cycle() {
            let (now, later) = rest.split_at((*cut).min(rest.len()));
            for (part, new) in parts.iter_mut().zip(decoder.push(now)) {
                part.extend(new);
            }
            rest = later;
            if rest.is_empty() { break; }
        }
        prop_assert_eq!(&parts, &whole);
        prop_assert_eq!(decoder.pending_bytes(), bytes.len() % (encoding.bytes_per_sample() * channels));
    }
}

// --- resampling ---

#[test]
fn resampling_keeps_time_and_tone() {
    for rate in [8_000, 11_025, 16_000, 22_050, 24_000, 44_100, 48_000] {
        let out = resample(&sine(440.0, rate, 2.0, 0.5), rate).unwrap();
        assert_eq!(out.len(), 32_000, "{rate} Hz");
        let expected = sine(440.0, 16_000, 2.0, 0.5);
        let middle = 1_600..30_400;
        let like = likeness(&out[middle.clone()], &expected[middle]);
        assert!(like > 0.999, "{rate} Hz: {like} (a shift of one sample costs 0.015)");
    }
}

#[test]
fn rates_outside_the_range_are_refused() {
    for rate in [0, 1, 7_999, 48_001, u32::MAX] {
        assert!(matches!(Resampler::new(rate), Err(AudioError::UnsupportedRate { .. })), "{rate}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn resampling_does_not_depend_on_chunks(len in 0usize..9_000, chunk in 1usize..700, rate in prop::sample::select(vec![8_000u32, 24_000, 44_100, 48_000, 9_973])) {
        let audio: Vec<f32> = sine(300.0, rate, 1.0, 0.5).into_iter().cycle().take(len).collect();
        let whole = resample(&audio, rate).unwrap();
        let mut resampler = Resampler::new(rate).unwrap();
        let mut parts: Vec<f32> = audio.chunks(chunk).flat_map(|part| resampler.push(part)).collect();
        parts.extend(resampler.finish());
        prop_assert_eq!(parts.len() as u64, (len as u64 * 16_000 + u64::from(rate) / 2) / u64::from(rate));
        prop_assert_eq!(parts, whole);
    }
}

#[test]
fn values_that_are_not_numbers_become_silence() {
    let out = resample(&[f32::NAN, f32::INFINITY, -2.0, 0.5], 16_000).unwrap();
    assert_eq!(out, [0.0, 0.0, -1.0, 0.5]);
}

// --- recordings ---

fn wav(format: u16, bits: u16, channels: u16, rate: u32, data: &[u8]) -> Vec<u8> {
    let block = channels * bits / 8;
    let mut out = b"RIFF\0\0\0\0WAVEfmt \x10\0\0\0".to_vec();
    out.extend_from_slice(&format.to_le_bytes());
    out.extend_from_slice(&channels.to_le_bytes());
    out.extend_from_slice(&rate.to_le_bytes());
    out.extend_from_slice(&(rate * u32::from(block)).to_le_bytes());
    out.extend_from_slice(&block.to_le_bytes());
    out.extend_from_slice(&bits.to_le_bytes());
    out.extend_from_slice(b"data");
    out.extend_from_slice(&(data.len() as u32).to_le_bytes());
    out.extend_from_slice(data);
    let size = (out.len() - 8) as u32;
    out[4..8].copy_from_slice(&size.to_le_bytes());
    out
}

#[test]
fn wav_in_every_sample_format() {
    let tone = sine(500.0, 8_000, 0.5, 0.5);
    let to16 = |s: f32| (s * 32_767.0) as i16;
    let cases: [(&str, Vec<u8>); 4] = [
        ("pcm16", wav(1, 16, 1, 8_000, &tone.iter().flat_map(|s| to16(*s).to_le_bytes()).collect::<Vec<_>>())),
        ("float", wav(3, 32, 1, 8_000, &tone.iter().flat_map(|s| s.to_le_bytes()).collect::<Vec<_>>())),
        ("mulaw", wav(7, 8, 1, 8_000, &tone.iter().map(|s| mulaw_encode(to16(*s))).collect::<Vec<_>>())),
        ("alaw", wav(6, 8, 1, 8_000, &tone.iter().map(|s| alaw_encode(to16(*s))).collect::<Vec<_>>())),
    ];
    for (name, bytes) in cases {
        let recording = decode(bytes, DecodeOptions::default()).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!((recording.sample_rate_hz, recording.channels.len()), (8_000, 1), "{name}");
        assert_eq!(recording.duration_ms(), 500, "{name}");
        assert!(likeness(&recording.channels[0], &tone) > 0.999, "{name}");
    }
}

#[test]
fn wav_writer_round_trips_two_channels() {
    let channels = vec![sine(300.0, 16_000, 0.25, 0.7), sine(700.0, 16_000, 0.25, 0.2)];
    let recording = decode(encode_wav(&channels, 16_000).unwrap(), DecodeOptions::default()).unwrap();
    assert_eq!(recording.channels.len(), 2);
    for (got, put) in recording.channels.iter().zip(&channels) {
        assert!(got.iter().zip(put).all(|(a, b)| (a - b).abs() < 1e-4));
    }
}

#[test]
fn opus_round_trips_mono_and_stereo() {
    for rate in [8_000, 16_000, 48_000] {
        let both = vec![sine(440.0, rate, 1.0, 0.4), sine(900.0, rate, 1.0, 0.4)];
        for channels in [&both[..1], &both[..]] {
            let bytes = encode_ogg_opus(channels, rate, 64_000).unwrap();
            let recording = decode(bytes, DecodeOptions::default()).unwrap();
            assert_eq!((recording.sample_rate_hz, recording.container), (rate, "ogg/opus"));
            assert_eq!(recording.channels.len(), channels.len());
            for (got, put) in recording.channels.iter().zip(channels) {
                assert_eq!(got.len(), put.len(), "{rate} Hz: the encoder's delay and the last page are trimmed");
                let like = likeness(&got[rate as usize / 10..], &put[rate as usize / 10..]);
                assert!(like > 0.97, "{rate} Hz: {like}");
            }
        }
    }
}

#[test]
fn broken_recordings_say_what_is_wrong() {
    let good = encode_wav(&[sine(440.0, 8_000, 1.0, 0.3)], 8_000).unwrap();
    let opus = encode_ogg_opus(&[sine(440.0, 8_000, 4.0, 0.3)], 8_000, 16_000).unwrap();
    let strict = |bytes: &[u8]| decode(bytes.to_vec(), DecodeOptions::default()).unwrap_err();
    assert!(matches!(strict(b""), AudioError::Empty { bytes: 0 }));
    assert!(matches!(strict(b"%PDF-1.7 nothing to hear"), AudioError::UnknownFormat { .. }));
    assert!(matches!(strict(&good[..good.len() / 2]), AudioError::Truncated { container: "wav", unit: "bytes", .. }));
    assert!(matches!(strict(&good[..44]), AudioError::Truncated { .. }));
    assert!(matches!(strict(&encode_wav(&[vec![]], 8_000).unwrap()), AudioError::Empty { .. }));
    assert!(matches!(strict(&opus[..opus.len() / 2]), AudioError::Truncated { container: "ogg/opus", .. }));
    assert!(matches!(strict(&wav(1, 16, 1, 4_000, &[0; 400])), AudioError::UnsupportedRate { sample_rate_hz: 4_000, .. }));
    let lenient = decode(opus[..opus.len() / 2].to_vec(), DecodeOptions { allow_truncated: true }).unwrap();
    assert!(lenient.truncated && (900..3_000).contains(&lenient.duration_ms()), "{} ms", lenient.duration_ms());
    let missing = decode_file(std::path::Path::new("/nonexistent/call.wav")).unwrap_err();
    assert!(missing.to_string().starts_with("cannot read /nonexistent/call.wav: "));
}

#[test]
fn a_recording_of_more_samples_than_allowed_is_refused_before_it_is_decoded_to_its_end() {
    let side = sine(440.0, 8_000, 2.0, 0.3);
    let stereo = [side.clone(), side];
    for (container, bytes) in
        [("ogg/opus", encode_ogg_opus(&stereo, 8_000, 16_000).unwrap()), ("wav", encode_wav(&stereo, 8_000).unwrap())]
    {
        let within = |max| super::decode::decode_within(bytes.clone(), DecodeOptions::default(), max);
        // The encoder of Opus adds its delay and fills the last packet.
        assert_eq!(within(40_000).unwrap().duration_ms(), 2_000, "{container}");
        let error = within(30_000).unwrap_err();
        assert!(matches!(error, AudioError::TooLong { container: c, max_samples: 30_000 } if c == container), "{error}");
    }
}

#[test]
fn packets_of_two_bytes_that_hold_silence_count_as_what_they_decode_to() {
    use ogg::writing::{PacketWriteEndInfo, PacketWriter};
    let mut bytes = Vec::new();
    let mut writer = PacketWriter::new(&mut bytes);
    // Stereo at 48 kHz; then packets of two empty frames of 60 ms each.
    let head = b"OpusHead\x01\x02\0\0\x80\xbb\0\0\0\0\0".to_vec();
    writer.write_packet(head, 1, PacketWriteEndInfo::EndPage, 0).unwrap();
    writer.write_packet(b"OpusTags\0\0\0\0\0\0\0\0".to_vec(), 1, PacketWriteEndInfo::EndPage, 0).unwrap();
    for n in 1..=100u64 {
        let end = if n == 100 { PacketWriteEndInfo::EndStream } else { PacketWriteEndInfo::NormalPacket };
        writer.write_packet(vec![0x1f, 0x02], 1, end, n * 5_760).unwrap();
    }
    drop(writer);
    let within = |max| super::decode::decode_within(bytes.clone(), DecodeOptions::default(), max);
    assert_eq!(within(100 * 5_760 * 2).unwrap().duration_ms(), 12_000, "{} bytes", bytes.len());
    assert!(matches!(within(50 * 5_760 * 2), Err(AudioError::TooLong { .. })));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    #[test]
    fn no_bytes_make_decoding_panic(mut bytes in prop::collection::vec(any::<u8>(), 0..3_000), magic in prop::sample::select(vec![&b"RIFF\x20\0\0\0WAVEfmt "[..], b"OggS\0\x02", b"fLaC\0\0\0\x22", b"ID3\x04", b"\xff\xfb\x90\x64", b"\0\0\0\x20ftypM4A ", b""])) {
        bytes.splice(0..0, magic.iter().copied());
        let _ = decode(bytes, DecodeOptions { allow_truncated: true });
    }

    #[test]
    fn a_damaged_recording_is_decoded_or_refused(at in 0usize..1_400, value in any::<u8>(), stereo in any::<bool>()) {
        let tone = sine(440.0, 8_000, 0.4, 0.3);
        let channels = if stereo { vec![tone.clone(), tone] } else { vec![tone] };
        for mut bytes in [encode_ogg_opus(&channels, 8_000, 16_000).unwrap(), encode_wav(&channels, 8_000).unwrap()] {
            let len = bytes.len();
            bytes[at % len] = value;
            if let Ok(recording) = decode(bytes, DecodeOptions::default()) {
                prop_assert!(recording.channels.iter().flatten().all(|s| s.is_finite() && s.abs() <= 1.0));
            }
        }
    }
}

// --- voice, redaction ---

#[test]
fn pitch_level_and_jitter_of_a_buzz() {
    for hz in [90.0, 140.0, 220.0, 330.0] {
        let buzz: Vec<f32> = (1..=10)
            .map(|k| sine(hz * k as f32, 16_000, 1.0, 0.05 / k as f32))
            .fold(vec![0.0; 16_000], |sum, part| sum.iter().zip(part).map(|(a, b)| a + b).collect());
        let voice = voice_features(&buzz);
        let pitch = voice.pitch_hz.unwrap();
        assert!((pitch / f64::from(hz) - 1.0).abs() < 0.02, "{hz} Hz heard as {pitch}");
        assert!(voice.jitter.unwrap() < 0.01 && voice.voiced_share.unwrap() > 0.95);
    }
    assert_eq!(voice_features(&[0.0; 16_000]), VoiceFeatures::default());
    assert_eq!(voice_features(&[]), VoiceFeatures::default());
}

#[test]
fn level_is_decibels_above_the_floor() {
    let level = level_db(&sine(440.0, 16_000, 1.0, 1.0));
    assert!((level - 87.0).abs() < 0.1, "a full-scale sine is 3 dB below full scale: {level}");
    let softer = level_db(&sine(440.0, 16_000, 1.0, 0.1));
    assert!((level - softer - 20.0).abs() < 0.1);
    assert_eq!((level_db(&[]), level_db(&[0.0; 10])), (0.0, 0.0));
}

#[test]
fn redaction_silences_exactly_its_spans() {
    let audio = vec![0.5; 8_000];
    let spans = [TimeSpan::new(100, 200), TimeSpan::new(-50, 1), TimeSpan::new(990, 5_000), TimeSpan::new(300, 300)];
    let out = silence_spans(&audio, 8_000, &spans);
    let silent: Vec<usize> = (0..out.len()).filter(|&n| out[n] == 0.0).collect();
    let expected: Vec<usize> = (0..8).chain(800..1_600).chain(7_920..8_000).collect();
    assert_eq!(silent, expected);
    assert_eq!(silence_spans(&[], 8_000, &spans), Vec::<f32>::new());
}
