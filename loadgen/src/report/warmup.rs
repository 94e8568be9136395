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
    /// What bounded that; null where a time was given, and in documents of earlier versions.
    #[serde(default)]
    pub limit: Option<WarmupLimit>,
    /// What the first starts showed: whether each server had settled. Empty where a time was given, and for Fathom's own
    /// server, which is compiled beforehand and does not warm up.
    pub studies: Vec<Study>,
}

/// What bounds how long it is looked whether a server has settled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum WarmupLimit {
    /// `--max-warmup`.
    MaxWarmup,
    /// The share of `--max-time` that there is for it.
    MaxTime,
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
    /// Of which figure; null in documents of earlier versions.
    #[serde(default)]
    pub figure: Option<SliceFigure>,
    /// By how much, as a share: 0.04 is 4% more.
    pub change: f64,
    /// Of `noise`: when it had come to the level of the last half of its slices, as far as the noise tells, in seconds; null
    /// otherwise, and in documents of earlier versions.
    #[serde(default)]
    pub level_after_seconds: Option<f64>,
}

/// A figure of a slice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum SliceFigure {
    /// `cost`.
    Cost,
    /// `rate`.
    Rate,
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

/// How a server is warmed up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ran {
    /// After each start.
    InEachStart,
    /// Once: it is not started anew, or goes on running between connections.
    Once,
    /// Not at all: it was compiled beforehand.
    Not,
}

/// The warm-up of servers that had so many starts in sentences, each server by its name and by how it `ran`; none where there is
/// nothing to say. Of several starts in which a server was looked at, what is said is what they come to together.
pub(crate) fn sentences(warmup: &Warmup, ran: &[Ran], starts: usize, name: impl Fn(usize) -> String) -> Vec<String> {
    let is_given = warmup.max_seconds.is_none() && warmup.studies.is_empty();
    let mut said = match is_given {
        true if warmup.seconds == 0.0 => none(ran, &name),
        true => given(warmup, ran, starts, &name),
        false => learned(warmup, ran, starts, &name),
    };
    said.extend((0..ran.len()).filter_map(|server| not_steady(warmup, server, &name(server))));
    said
}

/// Which servers were to have no warm-up.
fn none(ran: &[Ran], name: impl Fn(usize) -> String) -> Vec<String> {
    let cold: Vec<String> = (0..ran.len()).filter(|server| ran[*server] == Ran::InEachStart).map(name).collect();
    let said = match cold.len() {
        0 => return Vec::new(),
        1 => format!("{} was", cold[0]),
        _ => format!("{} were", listed(&cold)),
    };
    vec![format!("no warm-up, as asked for: {said} measured as soon as the connections were open")]
}

/// How long servers ran for a time that was given.
fn given(warmup: &Warmup, ran: &[Ran], starts: usize, name: impl Fn(usize) -> String) -> Vec<String> {
    let time = units::seconds(warmup.seconds);
    let of = |kind: Ran| (0..ran.len()).filter(move |server| ran[*server] == kind).map(&name).collect::<Vec<_>>();
    let said = |names: Vec<String>, times: &str| {
        let (names, were) = match names.len() {
            0 => return None,
            all if all == ran.len() => ("each server".to_owned(), "it was"),
            1 => (listed(&names), "it was"),
            _ => (listed(&names), "they were"),
        };
        Some(format!("warm-up: {names} ran under the load for {time}{times} before {were} measured"))
    };
    let in_each = if starts > 1 { " in each start" } else { "" };
    [said(of(Ran::InEachStart), in_each), said(of(Ran::Once), ", once,")].into_iter().flatten().collect()
}

/// How long servers ran until it was known that they have settled, and after that.
fn learned(warmup: &Warmup, ran: &[Ran], starts: usize, name: impl Fn(usize) -> String) -> Vec<String> {
    let times = |server: usize| {
        let own = warmup.studies.iter().filter(|study| study.server == server);
        own.map(|study| units::seconds(study.slice_seconds * study.cost.len() as f64)).collect::<Vec<_>>()
    };
    let of = |kind: Ran| (0..ran.len()).filter(move |server| ran[*server] == kind);
    let mut said = Vec::new();
    let most = of(Ran::InEachStart).map(|server| times(server).len()).max().unwrap_or(0);
    if most > 0 && starts > most && warmup.seconds > 0.0 {
        let names: Vec<String> = of(Ran::InEachStart).map(&name).collect();
        let longest =
            warmup.studies.iter().map(|study| study.slice_seconds * study.cost.len() as f64).fold(0.0, f64::max);
        let (first, longest) = (units::counted(most as u64, "start"), units::seconds(longest));
        let is_known = |server: usize| has_settled(warmup, server) && !has_jumped(warmup, server);
        let why = if of(Ran::InEachStart).all(is_known) {
            format!("as the first {first} have shown, in which they were looked at for up to {longest}")
        } else {
            format!("and for up to {longest} in the first {first}: it is not known whether that is enough")
        };
        said.push(format!(
            "warm-up: {} ran under the load for {} in each start before {} measured, {why}",
            listed(&names),
            units::seconds(warmup.seconds),
            if names.len() == 1 { "it was" } else { "they were" }
        ));
    } else {
        said.extend(of(Ran::InEachStart).filter(|server| !times(*server).is_empty()).map(|server| {
            let times = listed(&times(server));
            format!(
                "warm-up: {} ran under the load for {times} before it was measured, while it was looked at",
                name(server)
            )
        }));
    }
    said.extend(of(Ran::Once).filter(|server| !times(*server).is_empty()).map(|server| {
        let time = listed(&times(server));
        format!("warm-up: {} ran under the load for {time}, once, before it was measured", name(server))
    }));
    said
}

/// Whether a server has settled in one of the starts in which it was looked at.
fn has_settled(warmup: &Warmup, server: usize) -> bool {
    warmup.studies.iter().any(|study| study.server == server && study.settled_after_seconds.is_some())
}

/// Whether one has jumped in one of them.
fn has_jumped(warmup: &Warmup, server: usize) -> bool {
    let jumped = |study: &Study| study.unsteady.is_some_and(|unsteady| unsteady.kind == UnsteadyKind::Jumps);
    warmup.studies.iter().any(|study| study.server == server && jumped(study))
}

/// What a server did that has not settled, in a sentence; nothing where it settled in some start, unless it jumped in another.
/// And that nothing is known where there was no time for slices enough.
fn not_steady(warmup: &Warmup, server: usize, name: &str) -> Option<String> {
    let own = || warmup.studies.iter().filter(|study| study.server == server);
    let has_settled = has_settled(warmup, server);
    let order = |kind: UnsteadyKind| match kind {
        UnsteadyKind::Jumps => 0,
        UnsteadyKind::Trends => 1,
        UnsteadyKind::Noise => 2,
    };
    let by_size = |a: &Unsteady, b: &Unsteady| b.change.abs().total_cmp(&a.change.abs());
    let told = own()
        .filter_map(|study| Some((study, study.unsteady?)))
        .filter(|(_, unsteady)| !has_settled || unsteady.kind == UnsteadyKind::Jumps)
        .min_by(|(_, a), (_, b)| order(a.kind).cmp(&order(b.kind)).then(by_size(a, b)));
    let ran = |study: &Study| units::seconds(study.slice_seconds * study.cost.len() as f64);
    let Some((study, Unsteady { kind, figure, change, .. })) = told else {
        return own().next_back().filter(|_| !has_settled).map(|study| {
            format!(
                "whether {name} has settled after {} of warm-up cannot be told: there was no time for as much of it as that \
                 takes",
                ran(study)
            )
        });
    };
    let time = ran(study);
    let percent = units::percent(change.abs());
    let direction = if change > 0.0 { "rose" } else { "fell" };
    let what = match figure {
        Some(SliceFigure::Cost) => "what a message costs it",
        Some(SliceFigure::Rate) => "its rate",
        None => "its cost or rate",
    };
    let longer = match warmup.limit {
        Some(WarmupLimit::MaxWarmup) => "a longer --max-warmup",
        Some(WarmupLimit::MaxTime) => "a longer --max-time, of which that is the share for it,",
        None => "a longer --max-warmup, or --max-time,",
    };
    Some(match kind {
        UnsteadyKind::Trends => format!(
            "{name} is NOT STEADY: {what} still {direction} by {percent} when the warm-up ended after {time}; {longer} may help"
        ),
        UnsteadyKind::Jumps => format!(
            "{name} is NOT STEADY: {what} jumped ({direction} by {percent}) within the {time} of its warm-up; {longer} may help"
        ),
        UnsteadyKind::Noise if change.abs() >= 1.0 => {
            format!(
                "whether {name} has settled after {time} of warm-up cannot be told: noise would hide that {what} doubled"
            )
        }
        UnsteadyKind::Noise => {
            format!(
                "whether {name} has settled after {time} of warm-up cannot be told: less than {percent} is lost in the noise"
            )
        }
    })
}

/// `A`, `A and B`, `A, B and C`.
fn listed(names: &[String]) -> String {
    match names {
        [all @ .., last] if !all.is_empty() => format!("{} and {last}", all.join(", ")),
        names => names.concat(),
    }
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

    fn unsteady(kind: UnsteadyKind, change: f64) -> Unsteady {
        Unsteady { kind, figure: Some(SliceFigure::Rate), change, level_after_seconds: None }
    }

    fn warmup(limit: WarmupLimit, studies: Vec<Study>) -> Warmup {
        Warmup { seconds: 1.2, max_seconds: Some(5.0), limit: Some(limit), studies }
    }

    fn said(warmup: &Warmup, ran: [Ran; 2], starts: usize) -> Vec<String> {
        sentences(warmup, &ran, starts, |server| ["A", "B"][server].to_owned())
    }

    #[test]
    fn a_server_that_has_not_settled_is_said_so() {
        let (falls, jumps) = (unsteady(UnsteadyKind::Trends, -0.041), unsteady(UnsteadyKind::Jumps, 0.3));
        let studies = vec![study(0, None), study(1, Some(falls)), study(0, Some(jumps))];
        let both = [Ran::InEachStart; 2];
        let told = said(&warmup(WarmupLimit::MaxWarmup, studies.clone()), both, 9);
        assert_eq!(told.len(), 3, "{told:?}");
        assert!(told[0].contains("A and B ran under the load for 1.20 s in each start before they were"), "{told:?}");
        assert!(told[1].contains("A is NOT STEADY: its rate jumped (rose by 30.0%)"), "{told:?}");
        assert!(told[1].ends_with("; a longer --max-warmup may help"), "{told:?}");
        assert!(told[2].starts_with("B is NOT STEADY: its rate still fell by 4.1% when"), "{told:?}");
        assert!(told[2].contains("a longer --max-warmup may help"), "{told:?}");
        let by_time = said(&warmup(WarmupLimit::MaxTime, studies), both, 9);
        for told in &by_time[1..] {
            assert!(told.contains("a longer --max-time") && !told.contains("--max-warmup"), "{by_time:?}");
        }
        let none = Warmup { seconds: 0.0, max_seconds: None, limit: None, studies: Vec::new() };
        let cold = "no warm-up, as asked for: A and B were measured as soon as the connections were open";
        assert_eq!(said(&none, both, 9), [cold]);
        assert_eq!(said(&none, [Ran::Once; 2], 9), Vec::<String>::new());
    }

    #[test]
    fn two_starts_of_one_server_are_one_sentence_that_does_not_contradict_itself() {
        let noise = |change| unsteady(UnsteadyKind::Noise, change);
        let both = [Ran::InEachStart; 2];
        let twice = vec![study(0, Some(noise(0.04))), study(0, Some(noise(30.775))), study(1, None)];
        let told = said(&warmup(WarmupLimit::MaxWarmup, twice), both, 9);
        assert_eq!(told.len(), 2, "{told:?}");
        assert!(told[1].ends_with("noise would hide that its rate doubled"), "{told:?}");
        let settled_once = vec![study(0, Some(noise(0.04))), study(0, None), study(1, None)];
        assert_eq!(said(&warmup(WarmupLimit::MaxWarmup, settled_once), both, 9).len(), 1);
    }

    #[test]
    fn a_warm_up_that_had_no_time_to_tell_anything_is_said_so() {
        let untold = |server| Study { settled_after_seconds: None, ..study(server, None) };
        let told = said(&warmup(WarmupLimit::MaxTime, vec![untold(0), study(1, None)]), [Ran::InEachStart; 2], 9);
        assert!(told.len() == 2 && told[1].starts_with("whether A has settled after 5.00 s of warm-up"), "{told:?}");
    }

    #[test]
    fn what_is_said_of_a_warm_up_is_what_was() {
        let studies = vec![study(0, None), study(1, None)];
        let of_kinds = |ran, starts| said(&warmup(WarmupLimit::MaxWarmup, studies.clone()), ran, starts).join("; ");
        let ended_soon = of_kinds([Ran::InEachStart; 2], 1);
        assert!(ended_soon.contains("A ran under the load for 5.00 s before it was measured"), "{ended_soon}");
        assert!(!ended_soon.contains("each start"), "{ended_soon}");
        let urls = of_kinds([Ran::Once, Ran::Not], 20);
        assert_eq!(urls, "warm-up: A ran under the load for 5.00 s, once, before it was measured");
        let mixed = of_kinds([Ran::Once, Ran::InEachStart], 20);
        assert!(mixed.starts_with("warm-up: B ran under the load for 1.20 s in each start before it was"), "{mixed}");
        let given = Warmup { seconds: 2.0, max_seconds: None, limit: None, studies: Vec::new() };
        let one = said(&given, [Ran::InEachStart; 2], 1);
        assert_eq!(one, ["warm-up: each server ran under the load for 2.00 s before it was measured"]);
        assert!(said(&given, [Ran::InEachStart; 2], 2)[0].contains("for 2.00 s in each start"));
        let url = said(&given, [Ran::Once, Ran::InEachStart], 2);
        assert_eq!(url[0], "warm-up: B ran under the load for 2.00 s in each start before it was measured");
        assert_eq!(url[1], "warm-up: A ran under the load for 2.00 s, once, before it was measured");
    }
}
