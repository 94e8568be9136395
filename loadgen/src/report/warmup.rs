//! How servers were warmed up after each start, as comparisons and sweeps report it, and in words.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::units;

/// The warm-up of the servers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Warmup {
    /// How long each server ran under the load after a start, uncounted, in seconds; of `auto`, after those starts that it
    /// was learned from.
    #[schemars(range(min = 0))]
    pub seconds: f64,
    /// The longest that it was looked whether a server has settled, in seconds; null where a time was given.
    pub max_seconds: Option<f64>,
    /// What the first starts showed: whether each server had settled. Empty where a time was given, and for Fathom's own
    /// server, which is compiled beforehand and does not warm up.
    pub studies: Vec<Study>,
}

/// A server's load from its start on, slice by slice.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Study {
    /// The server: 0 is A or a sweep's reference, 1 is B or the next combination, and so on.
    pub server: usize,
    /// The length of a slice, in seconds.
    #[schemars(extend("exclusiveMinimum" = 0))]
    pub slice_seconds: f64,
    /// When it had come to the level that it stayed at, in seconds; null where it did not.
    pub settled_after_seconds: Option<f64>,
    /// What it did instead; null where it settled.
    pub unsteady: Option<Unsteady>,
    /// CPU time of the server for a message, in ns, by slice; where its process cannot be seen, the median latency. 0 where a
    /// slice has none.
    pub cost: Vec<f64>,
    /// Replies per second, by slice.
    pub rate: Vec<f64>,
}

/// What a server did that has not settled.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Unsteady {
    /// What.
    pub kind: UnsteadyKind,
    /// By how much, as a share: 0.04 is 4% more.
    pub change: f64,
    /// Of `noise`: when it had come to the level of the last half of its slices, as far as the noise tells, in seconds; null
    /// otherwise, and in documents of earlier versions.
    #[serde(default)]
    pub level_after_seconds: Option<f64>,
}

/// Why it cannot be said that a server has settled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum UnsteadyKind {
    /// Its cost or rate was still rising or falling, from one quarter of the time to the next by this.
    Trends,
    /// It jumped from one level to another, the last time by this.
    Jumps,
    /// The machine is so noisy that a change of this size would not have been seen.
    Noise,
}

/// The servers' warm-up in sentences, each server by its name; none where there is nothing to say.
pub(crate) fn sentences(warmup: &Warmup, name: impl Fn(usize) -> String) -> Vec<String> {
    let mut said = Vec::new();
    if warmup.seconds > 0.0 {
        let learned = if warmup.studies.is_empty() { "" } else { ", as the first starts have shown" };
        said.push(format!(
            "warm-up: each server ran under the load for {} after each start before it was measured{learned}",
            units::seconds(warmup.seconds)
        ));
    }
    let unsteady = warmup.studies.iter().filter_map(|study| Some((study, study.unsteady?)));
    for (study, Unsteady { kind, change, .. }) in unsteady {
        let name = name(study.server);
        let time = units::seconds(study.slice_seconds * study.cost.len() as f64);
        let percent = units::percent(change.abs());
        let direction = if change > 0.0 { "rose" } else { "fell" };
        said.push(match kind {
            UnsteadyKind::Trends => format!(
                "{name} is NOT STEADY: its cost or rate still {direction} by {percent} when the warm-up ended after {time}; a \
                 longer --max-warmup may help"
            ),
            UnsteadyKind::Jumps => format!(
                "{name} is NOT STEADY: its cost or rate jumped ({direction} by {percent}) within the {time} of its warm-up"
            ),
            UnsteadyKind::Noise => format!(
                "whether {name} has settled after {time} of warm-up cannot be told: less than {percent} is lost in the noise"
            ),
        });
    }
    said.dedup();
    said
}

#[cfg(test)]
mod tests {
    use super::*;

    fn study(server: usize, unsteady: Option<Unsteady>) -> Study {
        Study {
            server,
            slice_seconds: 0.1,
            settled_after_seconds: unsteady.is_none().then_some(1.2),
            unsteady,
            cost: vec![1.0; 50],
            rate: vec![1.0; 50],
        }
    }

    #[test]
    fn a_server_that_has_not_settled_is_said_so() {
        let falls = Unsteady { kind: UnsteadyKind::Trends, change: -0.041, level_after_seconds: None };
        let jumps = Unsteady { kind: UnsteadyKind::Jumps, change: 0.3, level_after_seconds: None };
        let studies = vec![study(0, None), study(1, Some(falls)), study(0, Some(jumps))];
        let warmup = Warmup { seconds: 1.2, max_seconds: Some(5.0), studies };
        let said = sentences(&warmup, |server| ["A", "B"][server].to_owned());
        assert_eq!(said.len(), 3, "{said:?}");
        assert!(said[0].contains("for 1.20 s after each start"), "{said:?}");
        assert!(said[1].starts_with("B is NOT STEADY: its cost or rate still fell by 4.1% when"), "{said:?}");
        assert!(said[2].contains("A is NOT STEADY: its cost or rate jumped (rose by 30.0%)"), "{said:?}");
        let none = Warmup { seconds: 0.0, max_seconds: None, studies: Vec::new() };
        assert_eq!(sentences(&none, |_| String::new()), Vec::<String>::new());
    }
}
