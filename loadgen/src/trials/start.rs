//! What one start of several servers has come to: its rounds, and what became of each server.

use crate::measure::counts::Messages;
use crate::measure::datagrams::Datagrams;
use crate::measure::metric::Metric;
use crate::measure::trial::{Figures, Trial};
use crate::report::comparison::Side;

/// How many lives the servers have had.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lives {
    /// One for each start.
    Many,
    /// The same one all along: a start is a stretch of it, or connections made anew.
    One,
}

/// What was measured from one start to the next.
#[derive(Debug)]
pub struct Start {
    /// When it began, in seconds since the beginning of the course.
    pub at_seconds: f64,
    /// Its rounds, one at least unless the user interrupted it.
    pub rounds: Vec<Round>,
    /// What became of each server.
    pub lives: Vec<Life>,
}

impl Start {
    /// The metric's figures of one server: one for each round, or one for the start where trials have none of it.
    pub fn figures(&self, metric: Metric, server: usize) -> Vec<f64> {
        if metric.is_of_trials() {
            self.rounds.iter().filter_map(|round| round.trials[server].figures.get(&metric).copied()).collect()
        } else {
            self.lives[server].figures.get(&metric).copied().into_iter().collect()
        }
    }
}

/// One trial of every server.
#[derive(Debug)]
pub struct Round {
    /// When its first trial began to settle, in seconds since the beginning of the course.
    pub at_seconds: f64,
    /// The servers by number, in the order they were measured.
    pub order: Vec<usize>,
    /// The trials by server.
    pub trials: Vec<Trial>,
    /// How long it took but for what servers were waited for, in seconds; `None` where that is not known.
    pub seconds: Option<f64>,
}

impl Round {
    /// One that began and ended at these times, in seconds since the beginning of the course.
    pub fn between(began: f64, ended: f64, order: Vec<usize>, trials: Vec<Trial>) -> Self {
        let waited: f64 = trials.iter().map(|trial| trial.waited.as_secs_f64()).sum();
        Self { at_seconds: began, order, trials, seconds: Some((ended - began - waited).max(0.0)) }
    }
}

/// A server from its start to its end.
#[derive(Debug)]
pub struct Life {
    /// A URL, or how it was started.
    pub target: String,
    /// What it says of its configuration; asked for at the first start only.
    pub config: Option<serde_json::Value>,
    /// Its memory.
    pub figures: Figures,
    /// What became of its messages.
    pub messages: Messages,
    /// What UDP did to them; `None` where another protocol is spoken.
    pub datagrams: Option<Datagrams>,
}

impl Life {
    /// One that has these figures and of which nothing else was kept.
    pub fn with(target: String, figures: Figures) -> Self {
        Self { target, config: None, figures, messages: Messages::default(), datagrams: None }
    }

    /// One that has these figures and all that was saved of the server.
    pub fn saved(side: Side, figures: Figures) -> Self {
        let Side { target, server_config: config, messages, datagrams, .. } = side;
        Self { target, config, figures, messages, datagrams: datagrams.map(|report| report.counts) }
    }
}

/// The part of the time of these starts' rounds in which this server was waited for.
pub fn stood_still(starts: &[Start], server: usize) -> f64 {
    let rounds = || starts.iter().flat_map(|start| &start.rounds);
    let waited: f64 = rounds().map(|round| round.trials[server].waited.as_secs_f64()).sum();
    let all = waited + rounds().filter_map(|round| round.seconds).sum::<f64>();
    if all > 0.0 { waited / all } else { 0.0 }
}

/// Servers that were waited for in more than this part of the time stand still at times.
pub const STANDS_STILL: f64 = 0.05;

/// What UDP did in all these lives; `None` where it was spoken in none of them.
pub fn datagrams<'l>(lives: impl Iterator<Item = &'l Life>) -> Option<Datagrams> {
    lives.filter_map(|life| life.datagrams).reduce(|mut sum, more| {
        sum += more;
        sum
    })
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A start with one pair of trials with these figures, A's and B's, whose lives had those.
    pub fn start(trials: [Figures; 2], lives: [Figures; 2]) -> Start {
        let trials = trials.map(|figures| Trial { figures, ..Trial::default() }).to_vec();
        let life = |figures| Life::with(String::new(), figures);
        let round = Round { at_seconds: 0.0, order: vec![0, 1], trials, seconds: None };
        Start { at_seconds: 0.0, rounds: vec![round], lives: lives.map(life).into() }
    }
}
