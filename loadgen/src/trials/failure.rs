//! Why trials could not go on, and what a server did wrong in one.

use crate::host::running::StartError;
use crate::judge::outcome::OutOfSight;
use crate::load::error::RunError;
use crate::measure::counts::Messages;
use crate::measure::measured::Measured;
use crate::measure::metric::Metric;
use crate::report::words;
use crate::units;

/// Why trials could not go on.
#[derive(Debug, thiserror::Error)]
pub enum TrialError {
    /// A server was not up.
    #[error(transparent)]
    Start(#[from] StartError),
    /// Nothing could be measured.
    #[error(transparent)]
    Run(#[from] RunError),
    /// A server did not do what it is measured at.
    #[error("{server}: {why}; a server that fails is not measured")]
    Failed {
        /// The server.
        server: String,
        /// What went wrong.
        why: String,
    },
    /// The capacity of one of two servers lies where no rate is tried.
    #[error(
        "{server} {}{}", said(.end, *.rate), .why.as_ref().map(|why| format!(" ({why})")).unwrap_or_default()
    )]
    OutOfSight {
        /// Which server.
        server: String,
        /// The rate that was tried last, messages per second.
        rate: f64,
        /// Where it lies.
        end: OutOfSight,
        /// What the last probe broke.
        why: Option<String>,
    },
}

impl TrialError {
    /// Whether the user did not want to wait for it.
    pub fn is_interruption(&self) -> bool {
        match self {
            Self::Start(error) => error.is_interruption(),
            Self::Run(error) => matches!(error, RunError::Interrupted),
            Self::Failed { .. } | Self::OutOfSight { .. } => false,
        }
    }
}

/// Where a capacity lies, in words.
fn said(end: &OutOfSight, rate: f64) -> String {
    let rate = units::number(rate);
    match end {
        OutOfSight::AboveRange => format!(
            "is above the range: it keeps the limits at {rate}/s, the highest rate that was to be tried; see --max-rate"
        ),
        OutOfSight::BelowRange => format!(
            "is below the range: it keeps the limits at no rate that was tried, down to {rate}/s; see --min-rate"
        ),
        OutOfSight::GeneratorLimited => format!(
            "is generator-limited: at no rate that was tried, down to {rate}/s, was the generator on time itself"
        ),
    }
}

/// What went wrong, in words.
pub(super) fn failure(measured: &Measured) -> Option<String> {
    let Messages { lost, corrupted, reordered, unexpected, .. } = measured.counts.messages;
    let connections = measured.counts.connections;
    // What UDP loses is a result.
    let lost = lost - measured.counts.datagrams.unwrap_or_default().lost.min(lost);
    let counts = [
        (connections.failed, "connection could not be opened", "connections could not be opened"),
        (connections.dropped, "connection was lost", "connections were lost"),
        (lost, "message was lost", "messages were lost"),
        (corrupted, "reply was corrupted", "replies were corrupted"),
        (reordered, "reply came out of order", "replies came out of order"),
        (unexpected, "reply came that nothing had asked for", "replies came that nothing had asked for"),
    ];
    let said = |(count, one, several): (u64, &str, &str)| match count {
        0 => None,
        1 => Some(format!("1 {one}")),
        count => Some(format!("{count} {several}")),
    };
    let mut why: Vec<String> = counts.into_iter().filter_map(said).collect();
    why.extend(words::warmup_errors(&measured.counts.warmup_errors));
    if why.is_empty() {
        return None;
    }
    why.extend(measured.counts.mismatches.sentences());
    why.extend(measured.server_ended.iter().map(|status| format!("its process ended: {status}")));
    why.extend(measured.failures.iter().map(|(why, times)| format!("{}: {why}", units::often(*times))));
    Some(why.join(", "))
}

/// The replies that a trial must have for a figure of this metric, in words.
pub(super) fn replies_for(metric: Metric) -> String {
    match metric.needed_values() {
        0 | 1 => "a reply".to_owned(),
        needed => format!("{} replies", units::count(needed)),
    }
}
