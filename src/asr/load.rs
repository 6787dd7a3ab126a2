//! How much the recogniser has to carry: what admission of new calls goes by.

use std::time::{Duration, Instant};

/// Audio that must have been heard before its cost is told: 20 s of one channel.
const MIN_HEARD_US: f64 = 20e6;
/// Audio after which the past counts half: an hour of one channel.
const HALF_LIFE_US: f64 = 3_600e6;
/// How long the longest wait of a final is remembered.
const WAIT_MEMORY: Duration = Duration::from_secs(5);

/// The load of an engine as of now.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct EngineLoad {
    /// Decoder threads.
    pub decoders: usize,
    /// Seconds of a decoder that a second of one channel costs in finals alone, silence included; `None` until enough was
    /// heard.
    pub cost_per_channel: Option<f64>,
    /// The longest that a final waits now, or waited for a decoder within the last five seconds, in milliseconds.
    pub final_wait_ms: u64,
}

/// Counts audio heard against decoder time spent on finals.
#[derive(Debug, Default)]
pub(super) struct LoadMeter {
    heard_us: f64,
    busy_us: f64,
    worst_wait: Option<(Duration, Instant)>,
}

impl LoadMeter {
    /// Audio of one channel came in, silent or not.
    pub(super) fn heard(&mut self, us: u64) {
        self.heard_us += us as f64;
        if self.heard_us > 2.0 * HALF_LIFE_US {
            self.heard_us /= 2.0;
            self.busy_us /= 2.0;
        }
    }

    /// A decoder worked on a final, or on what was expected to become one.
    pub(super) fn decoded(&mut self, time: Duration) {
        self.busy_us += time.as_micros() as f64;
    }

    /// A final left the queue after this wait.
    pub(super) fn waited(&mut self, wait: Duration, now: Instant) {
        let longest = self.worst_wait.filter(|(_, at)| now.duration_since(*at) < WAIT_MEMORY).map(|(wait, _)| wait);
        if longest.is_none_or(|longest| wait >= longest) {
            self.worst_wait = Some((wait, now));
        }
    }

    /// The load, given the decoders and how long the oldest waiting final has waited.
    pub(super) fn load(&self, decoders: usize, oldest: Duration, now: Instant) -> EngineLoad {
        let past = self.worst_wait.filter(|(_, at)| now.duration_since(*at) < WAIT_MEMORY).map_or(Duration::ZERO, |(w, _)| w);
        EngineLoad {
            decoders,
            cost_per_channel: (self.heard_us >= MIN_HEARD_US).then(|| self.busy_us / self.heard_us),
            final_wait_ms: past.max(oldest).as_millis() as u64,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cost_is_decoder_time_over_audio_and_unknown_at_first() {
        let (mut meter, now) = (LoadMeter::default(), Instant::now());
        meter.heard(10_000_000);
        meter.decoded(Duration::from_secs(1));
        assert_eq!(meter.load(2, Duration::ZERO, now).cost_per_channel, None);
        meter.heard(10_000_000);
        let cost = meter.load(2, Duration::ZERO, now).cost_per_channel.unwrap();
        assert!((cost - 0.05).abs() < 1e-9, "{cost}");
    }

    #[test]
    fn an_hour_later_the_past_counts_half() {
        let mut meter = LoadMeter::default();
        meter.heard(3_600_000_000);
        meter.decoded(Duration::from_secs(360));
        // The machine got quicker: from a tenth to nothing.
        meter.heard(3_600_000_001);
        let cost = meter.load(2, Duration::ZERO, Instant::now()).cost_per_channel.unwrap();
        assert!((cost - 0.05).abs() < 1e-6, "{cost}");
        assert!(meter.heard_us < 3_700e6);
    }

    #[test]
    fn the_longest_wait_is_remembered_for_a_while() {
        let (mut meter, now) = (LoadMeter::default(), Instant::now());
        meter.waited(Duration::from_millis(900), now);
        meter.waited(Duration::from_millis(100), now + Duration::from_secs(1));
        let later = |s| meter.load(2, Duration::from_millis(50), now + Duration::from_secs(s)).final_wait_ms;
        assert_eq!((later(2), later(6)), (900, 50));
    }
}
