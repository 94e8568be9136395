//! What a run's figures are worth: how far they may be believed, and why not further, in words. Pure: the plan and what was
//! measured go in, and every limit is a constant that says why. No rule is easier on a run for being worse in another
//! respect.

pub mod bounds;
pub mod fanout;
mod level;
#[cfg(test)]
mod simulation;
mod steady;
mod trials;
mod withheld;

use std::time::Duration;

use crate::measure::counts::Connections;
use crate::measure::histogram::HIGHEST_NS;
use crate::measure::measured::{AllLost, Measured};
use crate::measure::times::Times;
use crate::plan::{Arrival, Load, Pacing, Payload, Plan, Stop};
use crate::units;
pub use level::{Level, Trust};
use steady::Steadiness;
pub use trials::of_paired_trials;

/// Judges what was measured by what was planned.
pub fn judge(plan: &Plan, measured: &Measured) -> Trust {
    let mut findings = Findings::default();
    findings.connections(plan, measured);
    match plan.load {
        // Without a single reply there is no rate, no latency and no lag to judge.
        _ if measured.times.latency.is_empty() => findings.no_latency(measured),
        Load::Open { rate, arrival } => {
            findings.offered_rate(plan, rate.get(), arrival, measured);
            bounds::judge(plan, measured, &mut findings);
            findings.pacing(plan.pacing, measured);
        }
        Load::Closed { .. } => findings.shared_figure(plan.pacing, measured),
    }
    findings.steadiness(plan, measured);
    findings.withheld(plan, measured);
    findings.stood_still(plan, measured);
    findings.remarks(plan, measured);
    findings.trust()
}

#[derive(Default)]
struct Findings {
    /// Why the run did not measure what it was asked to.
    reasons: Vec<String>,
    /// Why its latencies are bounds.
    bounding: Vec<String>,
    notes: Vec<String>,
}

/// What latencies do not tell where so many messages were lost; `None` where none was.
pub fn without_lost(lost: u64) -> Option<String> {
    (lost > 0).then(|| {
        format!(
            "the latency tells nothing of {} that {} lost: a highest value and high percentiles would be higher with them",
            units::counted(lost, "message"),
            if lost == 1 { "was" } else { "were" }
        )
    })
}

impl Findings {
    fn trust(self) -> Trust {
        let Self { mut reasons, bounding, notes } = self;
        let level = match (reasons.is_empty(), bounding.is_empty()) {
            (false, _) => Level::NotValid,
            (true, false) => Level::Bounded,
            (true, true) => Level::Valid,
        };
        reasons.extend(bounding);
        Trust { level, reasons, notes }
    }

    fn connections(&mut self, plan: &Plan, measured: &Measured) {
        let connections = measured.counts.connections;
        let of = |count: u64| format!("{} of {} connections", units::count(count), units::count(connections.requested));
        if connections.failed > 0 {
            self.reasons
                .push(format!("{} could not be opened: the load was not the one asked for", of(connections.failed)));
        }
        if let Some(lost) = &measured.all_lost {
            self.reasons.push(all_lost(lost, plan, measured));
        } else if connections.dropped > 0 {
            self.reasons
                .push(format!("{} were lost on the way: the rest carried another load", of(connections.dropped)));
        }
        if let Some(status) = &measured.server_ended {
            self.reasons.push(format!("the server's process ended during the run: {status}"));
        }
    }

    /// Without a right reply there is no latency.
    fn no_latency(&mut self, measured: &Measured) {
        self.reasons.push(match measured.counts.messages.received {
            0 => "no message was answered".to_owned(),
            received => format!("no reply was right: {} came, wrong or out of order", units::count(received)),
        });
    }

    fn offered_rate(&mut self, plan: &Plan, rate: f64, arrival: Arrival, measured: &Measured) {
        let seconds = measured.window.as_secs_f64();
        let offered = match arrival {
            Arrival::Uniform => rate * seconds,
            Arrival::Poisson => {
                // A Poisson schedule of finite length is not its rate: what was due is the yardstick, as far as chance
                // explains it, so that a generator that forgets to send is found out.
                let due = (measured.counts.messages.received + measured.counts.messages.lost) as f64;
                due.clamp((rate * seconds - POISSON_SIGMAS * (rate * seconds).sqrt()).max(0.0), rate * seconds)
            }
        };
        // The window closes on messages still on their way; after a warm-up as many arrive from before it opened.
        // A run that ends with its last reply has sent nothing for the time that this took.
        let counts_to_the_end = matches!(plan.stop, Stop::Messages(_)) && !measured.interrupted && !measured.aborted;
        let balanced = !plan.warmup.is_zero() && !counts_to_the_end;
        let under_way = if balanced { 0.0 } else { rate * measured.times.latency.min() as f64 / 1e9 };
        let achieved = measured.counts.replies_in_window as f64;
        let allowance = if counts_to_the_end { under_way } else { under_way.max(1.0) };
        let least = MIN_ACHIEVED * offered;
        // Without a connection there is no queue either; that none was left is a reason of its own.
        if measured.all_lost.is_none() && achieved + allowance < least {
            let figures = format!(
                "{} messages/s achieved of {} offered, under {:.0}%",
                units::number(achieved / seconds),
                units::number(rate),
                MIN_ACHIEVED * 100.0,
            );
            // What was lost is noted by itself.
            if achieved + lost_amid_replies(plan, rate, measured) + allowance < least {
                self.reasons
                    .push(format!("{figures}: the queue grows, and latency with the length of the run; a lower rate"));
            }
        }
        if measured.counts.over_backlog > 0 {
            self.reasons.push(format!(
                "{} due messages were refused by the backlog's bound, so their latency is not in the figures; a lower rate or \
                 more connections",
                units::count(measured.counts.over_backlog)
            ));
        }
    }

    fn pacing(&mut self, pacing: Pacing, measured: &Measured) {
        let busiest = busiest(measured);
        match pacing {
            Pacing::Auto | Pacing::Sleep if busiest >= BUSY_SHARE => self.bounding.push(format!(
                "the generator was CPU-bound: a worker that waits between messages was on the CPU for {} of the run; a lower \
                 rate or a machine of its own with more workers (--threads)",
                units::percent(busiest)
            )),
            Pacing::Auto | Pacing::Sleep => {}
            Pacing::Spin => self.notes.push(
                "spinning workers are always busy: whether the generator was the limit shows in the send lag alone"
                    .to_owned(),
            ),
        }
    }

    fn shared_figure(&mut self, pacing: Pacing, measured: &Measured) {
        const CONSEQUENCE: &str = "the figure is the pair's, not the server's alone";
        match &measured.server {
            _ if pacing == Pacing::Spin => self.notes.push(
                "spinning workers are always busy: whether the figure is the pair's or the server's alone is not known"
                    .to_owned(),
            ),
            Some(server) if measured.loadgen.cpu.as_secs_f64() >= PAIR_SHARE * server.cpu.as_secs_f64() => {
                self.notes.push(format!(
                    "the generator was as busy as the server ({} and {} of CPU): {CONSEQUENCE}",
                    units::seconds(measured.loadgen.cpu.as_secs_f64()),
                    units::seconds(server.cpu.as_secs_f64()),
                ));
            }
            _ if busiest(measured) >= BUSY_SHARE => self.notes.push(format!(
                "a worker of the generator was on the CPU for {} of the run: {CONSEQUENCE}",
                units::percent(busiest(measured)),
            )),
            _ => {}
        }
    }

    /// CPU time that was withheld. Where only the generator can have missed it, that made it late and nothing else.
    fn withheld(&mut self, plan: &Plan, measured: &Measured) {
        let open = matches!(plan.load, Load::Open { .. });
        let reasons = if open && server_is_elsewhere(measured) { &mut self.bounding } else { &mut self.reasons };
        withheld::judge(&measured.withheld, withheld::OF_A_RUN, reasons, &mut self.notes);
    }

    /// A generator that did nothing for a while: what came meanwhile was read late.
    fn stood_still(&mut self, plan: &Plan, measured: &Measured) {
        let open = matches!(plan.load, Load::Open { .. });
        let Times { read_lag, longest_turn, .. } = &measured.times;
        let waited = read_lag.max();
        let still = units::time(waited.max(*longest_turn) as f64);
        if waited >= STILL_NS {
            let consequence = if open {
                "that wait is in seen alone; but what was due meanwhile was sent late, which the latency does contain"
            } else {
                "latency does not contain it, seen does"
            };
            self.notes.push(format!(
                "the generator stood still for {still}: replies waited up to {} to be read. The kernel stamped them as they \
                 came: {consequence}",
                units::time(waited as f64)
            ));
        } else if *longest_turn >= LONGEST_TURN_NS {
            self.notes.push(if waited > 0 && open {
                format!(
                    "the generator stood still for {still}; no reply waited for it, but what was due meanwhile was sent late, \
                     which the latency contains"
                )
            } else if waited > 0 {
                format!("the generator stood still for {still}; no reply waited for it")
            } else {
                format!(
                    "the generator stood still for {still}: replies that came meanwhile count as later by as much, since they \
                     count from when they were read"
                )
            });
        }
    }

    fn steadiness(&mut self, plan: &Plan, measured: &Measured) {
        let slices = measured.whole_slices();
        let (what, series, least, shown): (_, Vec<f64>, _, fn(f64) -> String) = match plan.load {
            Load::Closed { .. } => (
                "replies per slice",
                slices.iter().map(|slice| slice.messages as f64).collect(),
                MIN_THROUGHPUT_DRIFT,
                units::number,
            ),
            Load::Open { .. } => (
                "mean latency",
                slices.iter().filter(|s| s.messages > 0).map(|s| s.latency_ns as f64 / s.messages as f64).collect(),
                MIN_LATENCY_DRIFT,
                units::time,
            ),
        };
        match steady::judge(&series, least) {
            Steadiness::Steady => {}
            Steadiness::Drifted { first, last } => self.reasons.push(format!(
                "not steady: {what} went from {} in the run's first third to {} in its last (medians of slices), more \
                 than their spread explains",
                shown(first),
                shown(last)
            )),
            Steadiness::TooShort => self.notes.push(format!(
                "too short to tell whether it was steady: {} slices with replies, {} are needed",
                series.len(),
                steady::MIN_SLICES
            )),
        }
    }

    fn remarks(&mut self, plan: &Plan, measured: &Measured) {
        self.notes.extend(without_lost(measured.counts.messages.lost));
        if measured.interrupted {
            self.notes.push(format!("interrupted after {}", units::seconds(measured.window.as_secs_f64())));
        }
        if measured.aborted {
            let seconds = units::seconds(measured.window.as_secs_f64());
            self.notes.push(format!("ended after {seconds}, since a threshold was crossed"));
        }
        if measured.times.saturated > 0 {
            self.notes.push(format!(
                "{} latencies above {} are recorded as that",
                units::count(measured.times.saturated),
                units::time(HIGHEST_NS as f64)
            ));
        }
        if plan.connect.permessage_deflate.is_some() && measured.agreements.declined() > 0 {
            self.notes.push(format!(
                "permessage-deflate was declined on {}, whose messages went uncompressed",
                units::counted(measured.agreements.declined(), "connection")
            ));
        }
        let unread = measured.counts.checks.length + measured.counts.checks.frame;
        if unread > 0 {
            self.notes.push(format!("the content of {} replies was not compared", units::count(unread)));
        }
        let in_order = measured.counts.checks.order;
        if in_order > 0 {
            self.notes.push(format!(
                "the content of {} replies was not checked: each was taken for the answer to the oldest message (--expect order)",
                units::count(in_order)
            ));
        }
        if matches!(plan.message.payload, Payload::File(_)) || plan.message.size.max() == 0 {
            self.notes.push("all messages are alike: replies out of order could not be told apart".to_owned());
        }
    }
}

/// Whether the server is on another machine, as far as can be seen from here.
fn server_is_elsewhere(measured: &Measured) -> bool {
    let addresses = &measured.addresses;
    measured.server.is_none() && !addresses.is_empty() && addresses.keys().all(|address| !address.ip().is_loopback())
}

/// Messages that were lost while those due after them were answered: a server that loses messages falls behind no
/// schedule. Those due after the last reply are not among them, nor any where replies came so late that others may not
/// have been waited for.
fn lost_amid_replies(plan: &Plan, rate: f64, measured: &Measured) -> f64 {
    if u128::from(measured.times.latency.max()) >= plan.drain_timeout.as_nanos() {
        return 0.0;
    }
    let after_the_last = rate * measured.window.saturating_sub(measured.last_reply_after).as_secs_f64();
    (measured.counts.messages.lost as f64 - after_the_last).max(0.0)
}

/// When and why the last connection was lost.
fn all_lost(lost: &AllLost, plan: &Plan, measured: &Measured) -> String {
    let Connections { established, .. } = measured.counts.connections;
    let all =
        if established == 1 { "the only connection".to_owned() } else { format!("all {established} connections") };
    let seconds = |duration: Duration| units::seconds(duration.as_secs_f64());
    let when = match (lost.after.checked_sub(plan.warmup), plan.stop) {
        (None, _) => format!("{} into the {} of warm-up", seconds(lost.after), seconds(plan.warmup)),
        (Some(after), Stop::Messages(messages)) => format!(
            "{} into the measured phase, with {} of {} messages answered",
            seconds(after),
            units::count(measured.counts.messages.received),
            units::count(messages.get())
        ),
        (Some(after), Stop::After(planned)) if after > planned => {
            format!(
                "{} after the measured {}, before the last replies had come",
                seconds(after - planned),
                seconds(planned)
            )
        }
        (Some(after), Stop::After(planned)) => format!("{} into the {}", seconds(after), seconds(planned)),
    };
    let mut causes: Vec<(&String, &u64)> = lost.why.iter().collect();
    causes.sort_by_key(|(_, times)| std::cmp::Reverse(**times));
    let others = causes.len().saturating_sub(SHOWN_CAUSES);
    let mut why: Vec<String> =
        causes.iter().take(SHOWN_CAUSES).map(|(why, times)| format!("{why}, {}", units::often(**times))).collect();
    if others > 0 {
        why.push(format!("{} other causes", units::count(others as u64)));
    }
    format!("{all} had ended {when}: {}", why.join("; "))
}

/// The share of the run for which the busiest worker was on the CPU, but for what it spun by choice.
fn busiest(measured: &Measured) -> f64 {
    let spun = measured.paced.iter().map(|paced| paced.spun).chain(std::iter::repeat(0.0));
    measured.worker_busy.iter().zip(spun).map(|(busy, spun)| busy - spun).fold(0.0, f64::max)
}

/// Causes that a reason names; the report's errors list all of them.
const SHOWN_CAUSES: usize = 3;

/// The least share of the offered rate. At less, the latency of an open loop is that of a queue that grows while the
/// run lasts, and says more about the run's length than about the server.
const MIN_ACHIEVED: f64 = 0.99;

/// How far the count of a Poisson schedule may fall below its rate, in standard deviations: chance does that once in
/// thirty thousand runs.
const POISSON_SIGMAS: f64 = 4.0;

/// The share of the run on the CPU from which a worker counts as CPU-bound. One that had time to spare would sleep, and
/// a sleep with its two switches costs a few microseconds; 5% are left for what other processes took.
const BUSY_SHARE: f64 = 0.95;

/// The share of the server's CPU time from which the generator counts as busy as the server: within the noise of two
/// such figures.
const PAIR_SHARE: f64 = 0.9;

/// How long a reply waits to be read, in ns, until the generator is said to have stood still: many times what reading all
/// ready connections takes.
const STILL_NS: u64 = 50_000_000;

/// How long a turn of a worker's loop takes, in ns, until it is: it sleeps for up to 50 ms of it.
const LONGEST_TURN_NS: u64 = 50_000_000 + STILL_NS;

/// The least change of throughput between the first and the last third that counts as drift: the clocks and neighbours
/// of a shared machine make a few percent, and they last longer than slices, so significance alone would not do.
const MIN_THROUGHPUT_DRIFT: f64 = 0.10;

/// The same for latency. Waiting time goes with 1/(capacity - load): at half load a capacity that is 10% less makes 25%
/// more of it.
const MIN_LATENCY_DRIFT: f64 = 0.25;

#[cfg(test)]
#[path = "trust/tests.rs"]
mod tests;
