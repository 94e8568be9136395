//! How often servers are started, and what a verdict takes, as comparisons report it, and in words.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::units;

/// How trials were shared out among starts, and what comes of it: one estimate, that of the last start.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Repetition {
    /// When the servers are started anew.
    pub restarts: RestartKind,
    /// Pairs of trials in a start, as chosen last.
    pub pairs: u32,
    /// What a start of both servers costs beside its pairs, its warm-up included, in seconds.
    #[schemars(range(min = 0))]
    pub start_seconds: f64,
    /// What a pair costs, in seconds.
    #[schemars(range(min = 0))]
    pub pair_seconds: f64,
    /// The standard deviation of a start's true log ratio; null where there are too few starts to tell. Of several gated
    /// metrics that with the greatest.
    pub between_starts: Option<f64>,
    /// The standard deviation of a pair's log ratio about that of its start, likewise.
    pub within_starts: Option<f64>,
    /// The fewest starts that can bring a verdict at this alpha.
    pub fewest_starts: u64,
    /// The time that those take from the beginning, in seconds.
    #[schemars(range(min = 0))]
    pub fewest_seconds: f64,
    /// The shortest `--max-time` that holds those, in seconds: of a longer one servers may take more to settle, where they have not,
    /// and trials of slow servers to have replies. Null in documents of earlier versions.
    #[serde(default)]
    pub enough_seconds: Option<f64>,
    /// The time in which all that is judged would be decided, in seconds, if the estimates stay where they are; null where all is,
    /// or the longest `--max-time` would not do. Before anything was judged, that in which servers that are alike are found to be so
    /// in 4 of 5 cases; null where it is not known, or without a tolerance.
    pub needs_seconds: Option<f64>,
    /// The smallest change beyond the tolerance, as a share, that is found in the maximal time in 4 of 5 cases; null where it
    /// is not known, and where a server is compared with itself, whose metrics have it each (`resolution`).
    pub resolves: Option<f64>,
}

/// When servers are started anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum RestartKind {
    /// After as many pairs as tell most in the time there is.
    Auto,
    /// After as many pairs as were asked for.
    Fixed,
    /// Never, or they are not started by the comparison at all: trials of one start are all there is.
    Never,
}

impl RestartKind {
    /// What an observation is called: a start of the servers, or a stretch of the only one.
    pub(crate) fn observation(self) -> &'static str {
        match self {
            Self::Auto | Self::Fixed => "start",
            Self::Never => "block",
        }
    }
}

/// What a verdict takes, in a sentence.
pub(crate) fn forecast(repetition: &Repetition, max_seconds: f64) -> String {
    let Repetition { restarts, fewest_starts, fewest_seconds, needs_seconds, resolves, .. } = *repetition;
    let least = format!(
        "a verdict takes {} at least, which end after {}",
        units::counted(fewest_starts, restarts.observation()),
        units::seconds(fewest_seconds)
    );
    let resolves = resolves.map(|share| {
        let time = units::seconds(max_seconds);
        format!("{time} resolve a change of {} beyond the tolerance in 4 of 5 cases", units::percent(share))
    });
    let needs = needs_seconds
        .filter(|needs| *needs > max_seconds && *needs <= LONGEST)
        .map(|needs| format!("that nothing changed, if so, is told after about {}", units::seconds(needs)));
    [Some(least), resolves, needs].into_iter().flatten().collect::<Vec<_>>().join("; ")
}

/// The --max-time to propose where the fewest starts that can tell anything end after `seconds`: starts do not all take the same
/// time.
pub(crate) fn enough(seconds: f64) -> String {
    format!("--max-time {}s", (seconds * 1.1).ceil())
}

/// What the fewest starts that can tell anything take by now, and which --max-time of each of so many attempts would do.
pub(crate) fn fewest_and_enough(starts: &str, fewest_seconds: f64, (enough_seconds, attempts): (f64, u32)) -> String {
    let is_longer = enough_seconds * f64::from(attempts) > fewest_seconds * MUCH;
    let why = if is_longer { ", as servers that have not settled take more of a longer time" } else { "" };
    let [fewest, enough] = [units::seconds(fewest_seconds), enough(enough_seconds)];
    format!("{starts} at least would end after {fewest}: expected {enough}{why}")
}

/// How many times as long as the fewest starts take now is much longer.
const MUCH: f64 = 1.2;

/// What `--max-time` takes at the most, in seconds.
pub(crate) const LONGEST: f64 = 3_600.0;

/// How trials were shared out among starts, and why so.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Choice {
    /// When the servers are started anew.
    pub restarts: RestartKind,
    /// What a trial of each server is called.
    pub round: &'static str,
    /// How many of those a start has.
    pub rounds: u32,
    /// The standard deviations of starts, and of rounds within one.
    pub deviations: Option<(f64, f64)>,
    /// What a start costs beside its rounds, and what a round does, in seconds.
    pub seconds: (f64, f64),
}

impl Choice {
    /// It in a sentence; nothing where it is not known how much starts vary, or where there are none.
    pub fn sentence(self) -> Option<String> {
        let Self { restarts, round, rounds, deviations, seconds: (start_seconds, round_seconds) } = self;
        let (between, within) = deviations?;
        let rounds = format!("{} in a start", units::counted(u64::from(rounds), round));
        let chosen = match restarts {
            RestartKind::Auto => format!("chosen last: {rounds}, as"),
            RestartKind::Fixed => format!("{rounds}, as asked for;"),
            RestartKind::Never => return None,
        };
        Some(format!(
            "{chosen} starts vary by {}, {round}s within one by {}, a start costs {} and a {round} {}",
            units::percent(between),
            units::percent(within),
            units::seconds(start_seconds),
            units::seconds(round_seconds)
        ))
    }
}

/// How trials of a comparison were shared out, in a sentence.
pub(crate) fn choice(repetition: &Repetition) -> Option<String> {
    let Repetition { restarts, pairs, start_seconds, pair_seconds, between_starts, within_starts, .. } = *repetition;
    let deviations = between_starts.zip(within_starts);
    let seconds = (start_seconds, pair_seconds);
    Choice { restarts, round: "pair", rounds: pairs, deviations, seconds }.sentence()
}

/// What intervals do not cover where servers were not started anew: these of them, or all of them where no names are given.
pub(crate) fn not_covered(names: &[String]) -> String {
    let (who, whose) = match names {
        [] => ("the servers were".to_owned(), "one server"),
        [one] => (format!("{one} was"), "it"),
        several => (format!("{} were", several.join(", ")), "one of them"),
    };
    format!("{who} not started anew: by how much two starts of {whose} differ is not covered by the intervals")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_estimate_is_said_in_one_sentence() {
        let repetition = Repetition {
            restarts: RestartKind::Auto,
            pairs: 12,
            start_seconds: 5.1,
            pair_seconds: 0.025,
            between_starts: Some(0.008),
            within_starts: Some(0.021),
            fewest_starts: 9,
            fewest_seconds: 55.0,
            enough_seconds: Some(55.0),
            needs_seconds: Some(140.0),
            resolves: Some(0.031),
        };
        let said = forecast(&repetition, 60.0);
        assert!(
            said.starts_with("a verdict takes 9 starts at least, which end after 55.0 s; 60.0 s resolve"),
            "{said}"
        );
        assert!(said.ends_with("that nothing changed, if so, is told after about 140 s"), "{said}");
        let said = choice(&repetition).unwrap();
        assert!(said.starts_with("chosen last: 12 pairs in a start, as starts vary by 0.8%"), "{said}");
        assert_eq!(choice(&Repetition { restarts: RestartKind::Never, ..repetition }), None);
        let unknown = Repetition { between_starts: None, needs_seconds: None, resolves: None, ..repetition };
        assert_eq!((choice(&unknown), forecast(&unknown, 60.0).contains(';')), (None, false));
    }
}
