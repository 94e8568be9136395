//! How searches on simulated servers went: how long they took, how far their ends lay apart, how often one was wrong.

use super::disturbance::disturbance;
use super::simulated::{Knee, RANGE, Server};
use super::verdict::{Bracket, Found};

/// How a way of searching went, over many servers.
#[derive(Default)]
pub(super) struct Counted {
    pub searches: usize,
    pub unfinished: usize,
    pub limited: usize,
    /// Where it was told that something else than the rate broke the limits, of all and of those without an answer.
    pub disturbed: usize,
    pub disturbed_unfinished: usize,
    /// The lower end above the capacity, the upper one below it.
    pub low_wrong: usize,
    pub high_wrong: usize,
    /// Either of them.
    any_wrong: usize,
    /// Without an answer, but a lower end is proven that is at least half of the capacity; it counts as unfinished too.
    halves: usize,
    /// The bracket holds the capacity's average over the search.
    pub holds_mean: usize,
    pub probes: Vec<f64>,
    /// The most at one rate.
    pub most_at_one: Vec<f64>,
    /// (upper - lower end) / lower end.
    pub widths: Vec<f64>,
}

impl Counted {
    /// An end is wrong where the capacity was on its wrong side at every probe.
    pub fn add(&mut self, server: &Server, found: Option<Found>) {
        self.add_so_far(server, found, Bracket::default());
    }

    /// The same; what is proven of a search that has found nothing is held against the capacity too.
    pub fn add_so_far(&mut self, server: &Server, found: Option<Found>, so_far: Bracket) {
        self.searches += 1;
        let (mut low, mut high) = (so_far.sustains, so_far.breaks);
        let disturbed = usize::from(disturbance(&server.made).is_some());
        self.disturbed += disturbed;
        self.probes.push(f64::from(server.probes));
        self.most_at_one.push(server.most_at_one() as f64);
        match found {
            Some(Found::Bracket { sustains, breaks }) => {
                (low, high) = (Some(sustains), Some(breaks));
                self.widths.push(breaks / sustains - 1.0);
                self.holds_mean += usize::from(sustains <= server.mean() && server.mean() <= breaks);
            }
            Some(Found::GeneratorLimited { sustains, .. }) => {
                self.limited += 1;
                low = Some(sustains);
            }
            _ => {
                self.unfinished += 1;
                self.disturbed_unfinished += disturbed;
                self.halves += usize::from(low.is_some_and(|low| low >= server.capacity / 2.0));
            }
        }
        let wrong = [low.is_some_and(|low| low > server.highest), high.is_some_and(|high| high < server.lowest)];
        self.low_wrong += usize::from(wrong[0]);
        self.high_wrong += usize::from(wrong[1]);
        self.any_wrong += usize::from(wrong[0] || wrong[1]);
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
            "| {knee:?} | {way} | {:.0} ({:.0}) | {:.0} ({:.0}) | {:.1}% ({:.1}%) | {:.1}% | {:.1}% | {:.1}% | {:.1}% | {:.1}% ({:.1}%) | {:.1}% ({:.1}%) |",
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
            of(self.halves),
            of(self.disturbed),
            of(self.disturbed_unfinished),
        );
    }

    /// Each end is wrong in at most the share that was promised, give or take what so many searches may show by chance (three
    /// standard deviations).
    pub fn keeps_its_promise(&self) {
        self.keeps(RANGE.error);
    }

    /// The same of this error; both ends of an answer are right in all but twice that share.
    pub fn keeps(&self, error: f64) {
        let most = |error| at_most(self.searches as f64, error);
        assert!(self.low_wrong as f64 <= most(error), "{} of {} lower ends wrong", self.low_wrong, self.searches);
        assert!(self.high_wrong as f64 <= most(error), "{} of {} upper ends wrong", self.high_wrong, self.searches);
        assert!(self.any_wrong as f64 <= most(2.0 * error), "{} of {} wrong", self.any_wrong, self.searches);
    }
}

/// How many of so many may be wrong where this share is, give or take three standard deviations.
pub(super) fn at_most(searches: f64, error: f64) -> f64 {
    searches * error + 3.0 * (searches * error * (1.0 - error)).sqrt()
}

/// One of the values, so that this share of them is no greater.
pub(super) fn quantile(values: &[f64], share: f64) -> f64 {
    let mut values = values.to_vec();
    values.sort_by(f64::total_cmp);
    values.get(((values.len().max(1) - 1) as f64 * share) as usize).copied().unwrap_or(f64::NAN)
}
