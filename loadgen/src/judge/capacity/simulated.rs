//! Simulated servers of known capacity, and how long searches take and how often they err there.
//!
//! `FATHOM_REPETITIONS=20 cargo test --release -p loadgen --lib capacity::simulated -- --nocapture` makes each
//! test repeat 20 times as often and prints what it counted.

use std::collections::BTreeMap;

use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};

use super::search::{Next, Range, Search};
use super::verdict::{Bracket, Found, Probe};

const START: f64 = 1_000.0;
pub(super) const RANGE: Range =
    Range { start: START, min: START / 2.0, max: START * 256.0, precision: 0.03, error: 0.05 };

/// After so many probes without an answer a search counts as unfinished.
const PATIENCE: usize = 300;

/// How a server fails around its capacity.
#[derive(Clone, Copy, Debug)]
pub(super) enum Knee {
    /// At every rate from its capacity on, never below.
    Sharp,
    /// The probability of passing falls linearly from 1 to 0 while the rate grows by this share of the capacity.
    Soft(f64),
    /// Sharp, but every tenth probe fails whatever the rate.
    Stalls,
    /// Sharp, but this share of the probes goes the other way.
    Astray(f64),
    /// Sharp, while the capacity goes up and down by a fifth of its middle, with this period in probes.
    Drifting(f64),
    /// Sharp, but above this share of the capacity the generator is late.
    Late(f64),
    /// Sharp, but the generator is late, so that the limit is broken, in this share of the probes at the capacity, and in a share
    /// that grows with the square of the rate elsewhere.
    LateMore(f64),
    /// As soft as `Soft(0.2)`, and late in this share of the probes that would pass, but in none that would fail.
    LateWherePassing(f64),
}

/// A server, after some probes.
pub(super) struct Server {
    knee: Knee,
    /// In the middle, if it drifts.
    pub capacity: f64,
    phase: f64,
    probes: u32,
    /// Those at each rate.
    asked: BTreeMap<u64, u32>,
    chance: SmallRng,
    /// The lowest and the highest capacity there was at any probe, and their sum.
    lowest: f64,
    highest: f64,
    sum: f64,
}

impl Server {
    /// Its capacity lies 10 to 100 times above where searches start.
    pub fn new(knee: Knee, seed: u64) -> Self {
        let mut chance = SmallRng::seed_from_u64(seed);
        let capacity = START * 10f64.powf(1.0 + chance.random::<f64>());
        let phase = chance.random();
        let asked = BTreeMap::new();
        Self { knee, capacity, phase, probes: 0, asked, chance, lowest: f64::INFINITY, highest: 0.0, sum: 0.0 }
    }

    pub fn probe(&mut self, rate: f64) -> Probe {
        let capacity = match self.knee {
            Knee::Drifting(period) => {
                let turn = f64::from(self.probes) / period + self.phase;
                self.capacity * (1.0 + 0.2 * (std::f64::consts::TAU * turn).sin())
            }
            _ => self.capacity,
        };
        self.lowest = self.lowest.min(capacity);
        self.highest = self.highest.max(capacity);
        self.sum += capacity;
        self.probes += 1;
        *self.asked.entry(rate as u64).or_default() += 1;
        let sharp = if rate < capacity { 1.0 } else { 0.0 };
        let passes = match self.knee {
            Knee::LateWherePassing(_) => (0.5 + (1.0 - rate / capacity) / 0.2).clamp(0.0, 1.0),
            Knee::Soft(width) => (0.5 + (1.0 - rate / capacity) / width).clamp(0.0, 1.0),
            Knee::Stalls if self.probes % 10 == (10.0 * self.phase) as u32 => 0.0,
            Knee::Astray(share) => share + (1.0 - 2.0 * share) * sharp,
            _ => sharp,
        };
        let passed = self.chance.random::<f64>() < passes;
        let late = match self.knee {
            Knee::LateMore(share) => self.chance.random::<f64>() < share * (rate / capacity).powi(2),
            Knee::LateWherePassing(share) => passed && self.chance.random::<f64>() < share,
            Knee::Late(above) => !passed && rate > above * self.capacity,
            _ => false,
        };
        match passed {
            _ if late => Probe::CannotTell,
            true => Probe::Passed,
            false => Probe::Failed,
        }
    }

    /// The capacity on average over the probes so far.
    fn mean(&self) -> f64 {
        self.sum / f64::from(self.probes)
    }
}

/// How a way of searching went, over many servers.
#[derive(Default)]
pub(super) struct Counted {
    searches: usize,
    unfinished: usize,
    limited: usize,
    /// The lower end above the capacity, the upper one below it.
    low_wrong: usize,
    high_wrong: usize,
    /// The bracket holds the capacity's average over the search.
    holds_mean: usize,
    probes: Vec<f64>,
    /// The most at one rate.
    most_at_one: Vec<f64>,
    /// (upper - lower end) / lower end.
    widths: Vec<f64>,
}

impl Counted {
    /// An end is wrong where the capacity was on its wrong side at every probe.
    pub fn add(&mut self, server: &Server, found: Option<Found>) {
        self.searches += 1;
        self.probes.push(f64::from(server.probes));
        self.most_at_one.push(f64::from(server.asked.values().copied().max().unwrap_or(0)));
        match found {
            Some(Found::Bracket { sustains, breaks }) => {
                self.widths.push(breaks / sustains - 1.0);
                self.low_wrong += usize::from(sustains > server.highest);
                self.high_wrong += usize::from(breaks < server.lowest);
                self.holds_mean += usize::from(sustains <= server.mean() && server.mean() <= breaks);
            }
            Some(Found::GeneratorLimited { sustains, .. }) => {
                self.limited += 1;
                self.low_wrong += usize::from(sustains > server.highest);
            }
            _ => self.unfinished += 1,
        }
    }

    /// The share of the searches of which an end is wrong.
    pub fn wrong(&self) -> f64 {
        (self.low_wrong + self.high_wrong) as f64 / self.searches as f64
    }

    #[expect(clippy::print_stderr, reason = "the counts are what is wanted, with --nocapture")]
    pub fn print(&self, way: &str, knee: Knee) {
        let of = |count: usize| 100.0 * count as f64 / self.searches as f64;
        let (probes, widths) = (&self.probes, &self.widths);
        eprintln!(
            "| {knee:?} | {way} | {:.0} ({:.0}) | {:.0} ({:.0}) | {:.1}% ({:.1}%) | {:.1}% | {:.1}% | {:.1}% | {:.1}% | {:.1}% |",
            quantile(probes, 0.5),
            quantile(probes, 0.9),
            quantile(&self.most_at_one, 0.5),
            quantile(&self.most_at_one, 1.0),
            100.0 * quantile(widths, 0.5),
            100.0 * quantile(widths, 0.9),
            of(self.low_wrong),
            of(self.high_wrong),
            of(self.holds_mean),
            of(self.limited),
            of(self.unfinished),
        );
    }

    /// Each end is wrong in at most the share that was promised, give or take what so many searches may show by chance (three
    /// standard deviations).
    fn keeps_its_promise(&self) {
        let searches = self.searches as f64;
        let most = searches * RANGE.error + 3.0 * (searches * RANGE.error * (1.0 - RANGE.error)).sqrt();
        assert!(self.low_wrong as f64 <= most, "{} of {searches} lower ends wrong", self.low_wrong);
        assert!(self.high_wrong as f64 <= most, "{} of {searches} upper ends wrong", self.high_wrong);
    }
}

/// One of the values, so that this share of them is no greater.
fn quantile(values: &[f64], share: f64) -> f64 {
    let mut values = values.to_vec();
    values.sort_by(f64::total_cmp);
    values.get(((values.len().max(1) - 1) as f64 * share) as usize).copied().unwrap_or(f64::NAN)
}

/// How often to repeat what a test repeats `times` times.
pub(super) fn repetitions(times: usize) -> u64 {
    let more = std::env::var("FATHOM_REPETITIONS").ok().and_then(|more| more.parse().ok()).unwrap_or(1);
    (times * more) as u64
}

fn search(server: &mut Server) -> Option<Found> {
    let mut search = Search::new(RANGE);
    for _ in 0..PATIENCE {
        match search.next() {
            Next::Done(found) => return Some(found),
            Next::Probe(rate) => search.add(rate, server.probe(rate)),
        }
    }
    None
}

fn count(knee: Knee, times: usize) -> Counted {
    let mut counted = Counted::default();
    for seed in 0..repetitions(times) {
        let mut server = Server::new(knee, seed);
        let found = search(&mut server);
        counted.add(&server, found);
    }
    counted.print("search", knee);
    counted
}

#[test]
fn a_sharp_knee_is_found_to_the_precision_in_about_25_probes() {
    let counted = count(Knee::Sharp, 60);
    counted.keeps_its_promise();
    assert_eq!((counted.low_wrong, counted.high_wrong, counted.unfinished), (0, 0, 0));
    assert!(quantile(&counted.probes, 0.5) <= 28.0 && quantile(&counted.probes, 1.0) <= 45.0);
    assert!(quantile(&counted.widths, 0.5) <= 0.0301);
}

#[test]
fn a_soft_knee_gets_a_bracket_as_wide_as_it_is_soft() {
    let counted = count(Knee::Soft(0.2), 20);
    counted.keeps_its_promise();
    assert!(quantile(&counted.widths, 0.5) <= 0.25);
    assert!(counted.unfinished as f64 <= 0.03 * counted.searches as f64);
}

#[test]
fn stalls_every_tenth_probe_do_not_hide_the_capacity() {
    let counted = count(Knee::Stalls, 30);
    counted.keeps_its_promise();
    assert_eq!(counted.unfinished, 0);
    assert!(quantile(&counted.widths, 0.5) <= 0.06 && quantile(&counted.probes, 0.5) <= 45.0);
}

#[test]
fn of_a_drifting_capacity_the_bracket_meets_where_it_was() {
    for period in [60.0, 30.0] {
        let counted = count(Knee::Drifting(period), 10);
        counted.keeps_its_promise();
        assert!(counted.unfinished as f64 <= 0.1 * counted.searches as f64);
    }
}

#[test]
fn a_late_generator_is_told_from_the_servers_capacity() {
    let counted = count(Knee::Late(0.7), 30);
    counted.keeps_its_promise();
    assert_eq!(counted.limited, counted.searches);
    // Late only where the server has failed already: no reason not to tell.
    let counted = count(Knee::Late(1.3), 30);
    counted.keeps_its_promise();
    assert_eq!(counted.limited, 0);
}

#[test]
fn a_generator_that_is_late_more_often_the_higher_the_rate_widens_the_bracket() {
    for (share, widest) in [(0.15, 0.12), (0.3, 0.3), (0.45, 0.9)] {
        let counted = count(Knee::LateMore(share), 20);
        counted.keeps_its_promise();
        // Where as many probes are late as can pass, it may be the generator that ends it.
        assert!(share > 0.4 || counted.limited as f64 <= 0.2 * counted.searches as f64, "{}", counted.limited);
        assert!(counted.unfinished as f64 <= 0.1 * counted.searches as f64, "{}", counted.unfinished);
        assert!(quantile(&counted.widths, 0.5) <= widest, "{}", quantile(&counted.widths, 0.5));
        // No rate takes all of the time, though it could be proven neither way.
        assert!(quantile(&counted.most_at_one, 0.9) <= 48.0, "{}", quantile(&counted.most_at_one, 0.9));
    }
}

/// What fails is told more often than what passes then, so that a rate at which as many would pass as fail looks as if it broke.
#[test]
fn a_generator_that_is_late_only_where_the_server_passes_does_not_make_the_upper_end_wrong() {
    count(Knee::LateWherePassing(0.3), 12).keeps_its_promise();
}

/// Probes whose results are coins fall for any rate: whatever is claimed is wrong, since every rate is the capacity or none is.
#[test]
fn coins_are_taken_for_a_capacity_no_more_often_than_the_error_allows() {
    let times = repetitions(20);
    let (mut low, mut high) = (0, 0);
    for seed in 0..times {
        let mut chance = SmallRng::seed_from_u64(seed);
        let mut search = Search::new(Range { max: START * 8.0, ..RANGE });
        for _ in 0..60 {
            let Next::Probe(rate) = search.next() else { break };
            search.add(rate, if chance.random() { Probe::Passed } else { Probe::Failed });
        }
        let Bracket { sustains, breaks } = search.so_far();
        low += usize::from(sustains.is_some());
        high += usize::from(breaks.is_some());
    }
    let searches = times as f64;
    let most = searches * RANGE.error + 3.0 * (searches * RANGE.error * (1.0 - RANGE.error)).sqrt();
    assert!((low as f64) <= most && (high as f64) <= most, "{low} and {high} of {times}");
}
