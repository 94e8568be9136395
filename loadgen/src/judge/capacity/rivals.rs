//! Two other ways of searching on the same simulated servers, to compare with: plain bisection, which probes each rate once
//! (the rules of Nighthawk's adaptive load controller, revision 2a047ec9), and MLRsearch (the rules of its library, 1.2.1; RFC
//! 9971) with one goal, an exceed ratio of one half and probes of equal length. Neither states an error.

use super::counted::Counted;
use super::simulated::{Knee, RANGE, Server, repetitions};
use super::verdict::{Found, Probe};

/// Doubles until a probe fails, then halves the interval arithmetically, until the next rate is within the precision of the last.
fn bisection(server: &mut Server) -> Option<Found> {
    let (mut bottom, mut top, mut rate) = (RANGE.start, None, RANGE.start);
    loop {
        let last = rate;
        match (server.probe(rate), top) {
            (Probe::Passed, None) => {
                bottom = rate;
                rate *= 2.0;
                continue;
            }
            (Probe::Passed, Some(_)) => bottom = rate,
            // A first probe that fails is an error there: no answer.
            _ if rate == RANGE.start => return None,
            _ => top = Some(rate),
        }
        let top = top?;
        rate = f64::midpoint(bottom, top);
        if (rate / last - 1.0).abs() < RANGE.precision {
            return Some(Found::Bracket { sustains: bottom, breaks: top });
        }
    }
}

/// A load of MLRsearch: the logarithm of its rate, and the probes there.
struct Load {
    at: f64,
    good: u32,
    bad: u32,
}

#[derive(PartialEq)]
enum Bound {
    Lower,
    Upper,
    Undecided,
}

struct MlrSearch<'a> {
    server: &'a mut Server,
    loads: Vec<Load>,
    probes: usize,
}

impl MlrSearch<'_> {
    /// Measures a load until it is a bound or the search takes too long: it is a lower one if at most half of `sum` probes can
    /// still be bad, an upper one if more than half are.
    fn measure(&mut self, at: f64, sum: u32) -> Option<Bound> {
        let index = match self.loads.iter().position(|load| (load.at - at).abs() < 1e-9) {
            Some(index) => index,
            None => {
                self.loads.push(Load { at, good: 0, bad: 0 });
                self.loads.len() - 1
            }
        };
        loop {
            let bound = bound(&self.loads[index], sum);
            if bound != Bound::Undecided {
                return Some(bound);
            }
            self.probes += 1;
            if self.probes > 1_000 {
                return None;
            }
            match self.server.probe(at.exp()) {
                Probe::Passed => self.loads[index].good += 1,
                _ => self.loads[index].bad += 1,
            }
        }
    }

    /// The relevant bounds: the lowest upper bound, and the highest lower bound below it.
    fn bounds(&self, sum: u32) -> (Option<f64>, Option<f64>) {
        let of = |wanted: Bound| self.loads.iter().filter(move |load| bound(load, sum) == wanted).map(|load| load.at);
        let upper = of(Bound::Upper).reduce(f64::min);
        let lower = of(Bound::Lower).filter(|&at| upper.is_none_or(|upper| at < upper)).reduce(f64::max);
        (lower, upper)
    }

    /// The last target's bounds, after the coarser ones: widths of 4, 2 and 1 times the precision, and sums from 1 to `sum`.
    fn search(&mut self, sum: u32) -> Option<Found> {
        let (lowest, highest) = (RANGE.min.ln(), RANGE.max.ln());
        let width = RANGE.precision.ln_1p();
        // Its first loads follow from the loss at the highest rate; without a loss, from the start of the range.
        let mut initial = (RANGE.start.ln(), RANGE.start.ln() + 4.0 * width);
        for (coarser, sum) in [(4.0, 1), (2.0, f64::from(sum).sqrt().round() as u32), (1.0, sum)] {
            let width = width * coarser;
            let mut step = (initial.1 - initial.0).max(width) * 2.0;
            for at in [initial.0, initial.1] {
                let (lower, upper) = self.bounds(sum);
                if lower.is_none_or(|lower| at > lower) && upper.is_none_or(|upper| at < upper) {
                    self.measure(at, sum)?;
                }
            }
            initial = loop {
                let at = match self.bounds(sum) {
                    (Some(lower), Some(upper)) if upper - lower <= width * 1.000_001 => break (lower, upper),
                    (Some(lower), Some(upper)) => f64::midpoint(lower, upper),
                    (Some(lower), None) => (lower + step).min(highest),
                    (None, Some(upper)) => (upper - step).max(lowest),
                    (None, None) => initial.0,
                };
                step *= 2.0;
                self.measure(at, sum)?;
                // No bound where there must be one: an end of the range.
                match self.bounds(sum) {
                    (None, Some(upper)) if upper <= lowest => return None,
                    (Some(lower), None) if lower >= highest => return None,
                    _ => {}
                }
            };
        }
        Some(Found::Bracket { sustains: initial.0.exp(), breaks: initial.1.exp() })
    }
}

fn bound(load: &Load, sum: u32) -> Bound {
    let all = (load.good + load.bad).max(sum);
    // If all that is missing were bad; if all of it were good.
    if 2 * (all - load.good) <= all {
        Bound::Lower
    } else if 2 * load.bad > all {
        Bound::Upper
    } else {
        Bound::Undecided
    }
}

fn mlr_search(server: &mut Server, sum: u32) -> Option<Found> {
    MlrSearch { server, loads: Vec::new(), probes: 0 }.search(sum)
}

fn count(knee: Knee, way: &str, search: impl Fn(&mut Server) -> Option<Found>) -> Counted {
    let mut counted = Counted::default();
    for seed in 0..repetitions(400) {
        let mut server = Server::new(knee, seed);
        let found = search(&mut server);
        counted.add(&server, found);
    }
    counted.print(way, knee);
    counted
}

#[test]
fn the_others_find_a_sharp_knee_and_err_where_probes_do() {
    for knee in
        [Knee::Sharp, Knee::Soft(0.2), Knee::Stalls, Knee::Astray(0.05), Knee::Drifting(60.0), Knee::Drifting(30.0)]
    {
        let plain = count(knee, "bisection, one probe per rate", bisection);
        let short = count(knee, "MLRsearch, 5 probes", |server| mlr_search(server, 5));
        let long = count(knee, "MLRsearch, 21 probes", |server| mlr_search(server, 21));
        match knee {
            Knee::Sharp => [plain, short, long].iter().for_each(|counted| assert_eq!(counted.wrong(), 0.0)),
            Knee::Stalls => assert!(plain.wrong() > 0.1, "a single stall misleads bisection"),
            _ => {}
        }
    }
}
