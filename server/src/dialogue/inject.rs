//! A server of known behaviour: what `--inject-cost`, `--inject-jitter` and `--inject-stall` add to the answering of
//! messages, so that what a measurement finds can be held against what theory says. Without them this is one comparison
//! for each read.

mod burn;
mod stall;

use std::cell::RefCell;
use std::sync::atomic::{AtomicU64, Ordering};

use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};

use crate::config::{EchoOptions, Stall};

/// What is added to the answering of messages, where anything is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Injected {
    /// CPU time burnt for every message, ns.
    cost: u32,
    /// Mean of the CPU time burnt for every message beyond that, ns; exponentially distributed.
    jitter: u32,
    stall: Option<Stall>,
}

impl Injected {
    /// What these options add; `None` where it is nothing.
    pub(crate) fn new(echo: &EchoOptions) -> Option<Self> {
        let jitter = u32::try_from(echo.inject_jitter.as_nanos()).unwrap_or(u32::MAX);
        let injected = Self { cost: echo.inject_cost, jitter, stall: echo.inject_stall };
        (injected.cost > 0 || injected.jitter > 0 || injected.stall.is_some()).then_some(injected)
    }

    #[cold]
    fn hold_up(&self, messages: usize) -> u64 {
        if messages > 0 {
            if let Some(stall) = &self.stall {
                stall::sleep_through(stall);
            }
            let fixed = i64::from(self.cost).saturating_mul(i64::try_from(messages).unwrap_or(i64::MAX));
            burn::owe(fixed.saturating_add(jitter(self.jitter, messages)));
        }
        u64::from(self.cost) + u64::from(self.jitter)
    }
}

/// Holds this thread up for what is added to the answering of so many messages; returns its mean CPU time per message, ns.
#[inline]
pub(crate) fn hold_up(injected: Option<&Injected>, messages: usize) -> u64 {
    injected.map_or(0, |injected| injected.hold_up(messages))
}

/// The sum of so many service times from an exponential distribution with this mean, ns.
fn jitter(mean: u32, messages: usize) -> i64 {
    if mean == 0 {
        return 0;
    }
    RANDOM.with_borrow_mut(|random| {
        // The inverse of the distribution function; 1 - u is never 0, as u is less than 1.
        (0..messages).map(|_| (-f64::from(mean) * (1.0 - random.random::<f64>()).ln()) as i64).sum()
    })
}

/// How many threads have drawn a service time so far.
static DRAWING: AtomicU64 = AtomicU64::new(0);

thread_local! {
    /// Seeded by when the thread first draws, so that a server with one worker draws the same service times at every start.
    static RANDOM: RefCell<SmallRng> = RefCell::new(SmallRng::seed_from_u64(DRAWING.fetch_add(1, Ordering::Relaxed)));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jitter_has_the_mean_and_the_spread_of_an_exponential() {
        let drawn: Vec<f64> = (0..100_000).map(|_| jitter(2_000_000, 1) as f64 / 2e6).collect();
        let mean = drawn.iter().sum::<f64>() / drawn.len() as f64;
        let variance = drawn.iter().map(|time| (time - mean).powi(2)).sum::<f64>() / drawn.len() as f64;
        let above = drawn.iter().filter(|&&time| time > 3.0).count() as f64 / drawn.len() as f64;
        // 5 standard deviations of each: 1, sqrt(8) and sqrt(p (1 - p)) over the root of 100,000.
        assert!((mean - 1.0).abs() < 0.016, "{mean}");
        assert!((variance - 1.0).abs() < 0.045, "{variance}");
        assert!((above - (-3.0f64).exp()).abs() < 0.0035, "{above}");
        let sum = jitter(1_000, 100_000) as f64;
        assert!((sum / 1e8 - 1.0).abs() < 0.017, "{sum}");
        assert_eq!(jitter(0, 10), 0);
    }
}
