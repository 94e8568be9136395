//! What the figures of a fan-out are worth.

use super::bounds::{TOLERANCE_NS, remedy};
use super::{BUSY_SHARE, Findings, MIN_ACHIEVED, STILL_NS, Trust, withheld};
use crate::measure::arrivals::EndsAt;
use crate::measure::fanout::{Measured, Sent};
use crate::measure::percentile;
use crate::plan::fanout::Fanout;
use crate::plan::{Pacing, Plan};
use crate::units;

/// Judges what was measured by what was planned.
pub fn judge(fanout: &Fanout, plan: &Plan, measured: &Measured) -> Trust {
    let mut findings = Findings::default();
    members(measured, &mut findings);
    if measured.tally.deliveries.received == 0 {
        findings.reasons.push(nothing(&measured.messages, measured.tally.deliveries.unexpected));
    } else {
        lateness(plan, measured, &mut findings);
        queue(measured, &mut findings);
    }
    if measured.messages.unsent > 0 {
        findings.reasons.push(format!(
            "{} of {} due messages were not sent, since the server took no more or their sender's connection was lost: the rate \
             was not the one asked for",
            units::count(measured.messages.unsent),
            units::count(measured.messages.due)
        ));
    }
    withheld::judge(&measured.withheld, withheld::OF_A_RUN, &mut findings.reasons, &mut findings.notes);
    remarks(fanout, measured, &mut findings);
    findings.trust()
}

fn members(measured: &Measured, findings: &mut Findings) {
    for (who, counts) in [("sender", measured.senders), ("receiver", measured.receivers)] {
        let of = |count: u64| format!("{} of {}", units::count(count), units::counted(counts.requested, who));
        if counts.failed > 0 {
            findings
                .reasons
                .push(format!("{} could not connect: the load was not the one asked for", of(counts.failed)));
        }
        if counts.dropped > 0 {
            findings.reasons.push(format!("{} lost their connection on the way", of(counts.dropped)));
        }
    }
}

/// Why nothing may have come, of what was sent, where so many messages came that were not expected.
fn nothing(messages: &Sent, unexpected: u64) -> String {
    if messages.due == 0 {
        "no message was due in the time that was measured".to_owned()
    } else if messages.sent == 0 {
        "no message could be sent".to_owned()
    } else if messages.returned > 0 {
        format!(
            "no message reached any receiver, and {} came back to their own senders: the server echoes and does not relay; \
             echo-server relays with --relay others",
            units::count(messages.returned)
        )
    } else if unexpected > 0 {
        "no message reached any receiver whose number could be read: does the server rewrite messages (--mark), or join rooms?"
            .to_owned()
    } else {
        "no message reached any receiver: does the server relay, and to this path?".to_owned()
    }
}

fn lateness(plan: &Plan, measured: &Measured, findings: &mut Findings) {
    let lag = measured.send_lag.value_at_quantile(0.99);
    if lag > TOLERANCE_NS {
        // Of fewer values both are the highest.
        let name = if measured.send_lag.len() < percentile::needed(99.0) { "max" } else { "p99" };
        findings.bounding.push(format!(
            "send lag {name} is {} (up to {} is believed): the generator was late itself, and latencies would have been lower by \
             up to {} without; {}",
            units::time(lag as f64),
            units::time(TOLERANCE_NS as f64),
            units::time(measured.send_lag.max() as f64),
            remedy(plan)
        ));
    }
    let spun = measured.paced.iter().map(|paced| paced.spun);
    let busiest = measured.worker_busy.iter().zip(spun).map(|(busy, spun)| busy - spun).fold(0.0, f64::max);
    if plan.pacing != Pacing::Spin && busiest >= BUSY_SHARE {
        findings.bounding.push(format!(
            "the generator was CPU-bound: a thread of it was on the CPU for {} of the time, so that deliveries may have waited in \
             full buffers; a lower rate, fewer receivers or a machine of its own with more threads (--threads)",
            units::percent(busiest)
        ));
    }
}

/// Whether deliveries fell further and further behind.
fn queue(measured: &Measured, findings: &mut Findings) {
    let received = measured.tally.deliveries.received;
    let seconds = measured.window.as_secs_f64();
    // What was under way as the time ended.
    let under_way = received as f64 / seconds * measured.tally.latency.min() as f64 / 1e9;
    let allowance = under_way.max(measured.receivers.established as f64);
    if !measured.interrupted && measured.in_window as f64 + allowance < MIN_ACHIEVED * received as f64 {
        findings.reasons.push(format!(
            "{} of {} deliveries came after the measured {}, over {:.0}%: the queue grows, and latency with the length of the \
             run; a lower rate or fewer receivers",
            units::count(received - measured.in_window),
            units::count(received),
            units::seconds(seconds),
            (1.0 - MIN_ACHIEVED) * 100.0,
        ));
    }
}

fn remarks(fanout: &Fanout, measured: &Measured, findings: &mut Findings) {
    let notes = &mut findings.notes;
    if fanout.mark.is_some() {
        notes.push("the content of deliveries was not compared, only their numbers (--mark)".to_owned());
    }
    let lost = measured.tally.deliveries.lost;
    if lost > 0 {
        notes.push(format!(
            "the latency tells nothing of deliveries that did not come ({}); reach does",
            units::count(lost)
        ));
    }
    if measured.arrivals.ends_at() == EndsAt::Read && !measured.tally.latency.is_empty() {
        notes.push(
            "latency ends where the generator read a delivery: with many receivers the last ones wait for the others to be read"
                .to_owned(),
        );
    } else if measured.read_lag.max() >= STILL_NS {
        notes.push(format!(
            "deliveries waited up to {} to be read; the kernel stamped them as they came, so that the latency does not contain it",
            units::time(measured.read_lag.max() as f64)
        ));
    }
    if measured.interrupted {
        notes.push(format!("interrupted after {}", units::seconds(measured.window.as_secs_f64())));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn why_nothing_came_follows_from_what_was_due_sent_and_came_elsewhere() {
        let told = |due, sent, returned, unexpected| {
            nothing(&Sent { due, sent, unsent: due - sent, returned, to_senders: 0 }, unexpected)
        };
        assert_eq!(told(0, 0, 5, 5), "no message was due in the time that was measured");
        assert_eq!(told(3, 0, 5, 5), "no message could be sent");
        assert!(told(3, 1, 5, 5).contains("5 came back to their own senders: the server echoes"));
        assert!(told(3, 1, 0, 5).contains("whose number could be read: does the server rewrite messages (--mark)"));
        assert!(told(3, 1, 0, 0).ends_with("does the server relay, and to this path?"));
    }
}
