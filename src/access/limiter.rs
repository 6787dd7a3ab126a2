//! Token buckets per token and rate class.

use std::collections::HashMap;
use std::time::Instant;

use parking_lot::Mutex;

/// What a route counts against.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RateClass {
    /// Small requests.
    Control,
    /// Searches.
    Search,
    /// Model runs.
    Infer,
    /// Opened sockets and streams.
    Stream,
    /// Jobs.
    Bulk,
}

/// The answer of the limiter.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RateDecision {
    /// Whether the request may go on.
    pub admitted: bool,
    /// Requests left at once.
    pub remaining: u64,
    /// Seconds until one more is free; 0 if admitted.
    pub retry_after_s: f64,
}

/// Buckets that fill at a rate and hold twice as many requests as a second brings.
pub struct RateLimiter {
    rates: HashMap<RateClass, f64>,
    buckets: Mutex<HashMap<(String, RateClass), (f64, Instant)>>,
}

impl RateLimiter {
    /// A limiter with requests a second for each class; a class without a rate is not limited.
    pub fn new(rates: impl IntoIterator<Item = (RateClass, f64)>) -> Self {
        Self { rates: rates.into_iter().collect(), buckets: Mutex::default() }
    }

    /// Takes one request of `token_id` from the bucket of `class`.
    pub fn take(&self, token_id: &str, class: RateClass) -> RateDecision {
        let Some(&rate) = self.rates.get(&class) else {
            return RateDecision { admitted: true, remaining: u64::MAX, retry_after_s: 0.0 };
        };
        let capacity = rate * 2.0;
        let now = Instant::now();
        let mut buckets = self.buckets.lock();
        let (level, since) = buckets.entry((token_id.to_owned(), class)).or_insert((capacity, now));
        *level = (*level + now.duration_since(*since).as_secs_f64() * rate).min(capacity);
        *since = now;
        if *level >= 1.0 {
            *level -= 1.0;
            RateDecision { admitted: true, remaining: *level as u64, retry_after_s: 0.0 }
        } else {
            RateDecision { admitted: false, remaining: 0, retry_after_s: (1.0 - *level) / rate }
        }
    }
}
