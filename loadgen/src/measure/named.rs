//! Figures of an experiment by name: numbers that have a name of their own, and statistics of distributions of times.

use std::fmt;
use std::str::FromStr;

use crate::measure::metric::Statistic;
use crate::measure::percentile::RANKS;

/// One figure of an experiment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Named<P, S> {
    /// A number or a size that has a name of its own.
    Plain(P),
    /// A statistic of a distribution of times, `latency.p99`.
    Time(S, Statistic),
}

/// What has names.
pub trait Names: Copy + PartialEq + 'static {
    /// All of them, each under its name, in the order that formats for programs list them.
    const NAMES: &'static [(&'static str, Self)];
}

impl<P: Names, S: Names> Named<P, S> {
    /// The figures that formats for programs list.
    pub fn catalogue() -> impl Iterator<Item = Self> {
        let statistics = RANKS.map(Statistic::percentile).into_iter().chain([Statistic::Max, Statistic::Mean]);
        let times = S::NAMES.iter().flat_map(move |(_, span)| statistics.clone().map(|of| Self::Time(*span, of)));
        P::NAMES.iter().map(|(_, plain)| Self::Plain(*plain)).chain(times)
    }
}

impl<P: Names, S: Names> fmt::Display for Named<P, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Plain(plain) => f.pad(name_of(plain)),
            Self::Time(span, statistic) => f.pad(&format!("{}.{statistic}", name_of(span))),
        }
    }
}

impl<P: Names, S: Names> FromStr for Named<P, S> {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Some((_, plain)) = P::NAMES.iter().find(|(name, _)| *name == text) {
            return Ok(Self::Plain(*plain));
        }
        let of_span = |&(name, span): &(&str, S)| Some((span, text.strip_prefix(name)?.strip_prefix('.')?));
        match S::NAMES.iter().find_map(of_span) {
            Some((span, statistic)) => statistic.parse().map(|statistic| Self::Time(span, statistic)),
            None => {
                let (plain, spans) = (listed::<P>(), listed::<S>());
                Err(format!("'{text}' is no metric; expected {plain}, or a statistic (p99, max, mean) of {spans}"))
            }
        }
    }
}

fn name_of<T: Names>(value: &T) -> &'static str {
    T::NAMES.iter().find(|(_, named)| named == value).expect("every one is listed").0
}

fn listed<T: Names>() -> String {
    T::NAMES.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ")
}
