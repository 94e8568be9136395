//! What is counted of a run beside its times. A worker counts in it, reports it when a phase ends, and what workers or whole
//! processes counted is added up with `+=`.

use std::ops::AddAssign;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::measure::datagrams::Datagrams;
use crate::measure::mismatch::Mismatches;
use crate::measure::tally::{Errors, Tally};
use crate::plan::messages::Volume;

/// What was counted of a measured phase.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// What became of the connections.
    pub connections: Connections,
    /// What became of the messages.
    pub messages: Messages,
    /// What UDP did to them; `None` where another protocol is spoken.
    #[serde(default)]
    pub datagrams: Option<Datagrams>,
    /// What went wrong in the warm-up.
    #[serde(default)]
    pub warmup_errors: WarmupErrors,
    /// Messages that an open loop's backlog bound refused.
    pub over_backlog: u64,
    /// Times that a socket took less than was to be sent: what was due then waited for the server to read.
    #[serde(default)]
    pub full_sockets: u64,
    /// Replies that came within the window, whenever their message was due: what throughput counts.
    pub replies_in_window: u64,
    /// Bytes received within the window, frame headers included.
    pub reply_bytes_in_window: u64,
    /// Messages and replies that were sent and that came within the window.
    pub traffic: Traffic,
    /// How replies were checked, as far as they were not compared as they came.
    pub checks: Checks,
    /// What was wrong with messages that were not the replies they should be.
    pub mismatches: Mismatches,
}

/// What became of the connections.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Connections {
    /// Asked for by the plan.
    pub requested: u64,
    /// Opened, handshake done.
    pub established: u64,
    /// Not opened.
    pub failed: u64,
    /// Lost after they were opened.
    pub dropped: u64,
}

/// Messages of the measured phase, by what became of them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Messages {
    /// Sent whole.
    pub sent: u64,
    /// Replies received for them, verified or not.
    pub received: u64,
    /// Replies that were what had been sent: length, content, opcode and order.
    pub verified: u64,
    /// Replies that were not what had been sent: a wrong message came, and no right one after it.
    pub corrupted: u64,
    /// Replies to a later message than the one whose turn it was.
    pub reordered: u64,
    /// Messages due that never got a reply.
    pub lost: u64,
    /// Messages that came in addition to the replies.
    pub unexpected: u64,
}

/// What went wrong with messages that were due in the warm-up: part of no count, rate or limit of the measured phase.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct WarmupErrors {
    /// Messages sent that never got a reply.
    pub lost: u64,
    /// Replies that were not what had been sent.
    pub corrupted: u64,
    /// Replies to a later message than the one whose turn it was.
    pub reordered: u64,
    /// Messages that came in addition to the replies before the measured phase began.
    pub unexpected: u64,
    /// Due messages that the backlog's bound refused.
    pub over_backlog: u64,
}

/// What went over the wire in both directions.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Traffic {
    /// Messages sent whole.
    pub sent: Volume,
    /// Replies received whole.
    pub received: Volume,
}

/// Replies of the measured phase that were checked in another way than by comparing them as they came.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checks {
    /// Inflated and compared.
    pub inflated: u64,
    /// Compared with a compressed reply that had been inflated and compared.
    pub identical: u64,
    /// By their length alone.
    pub length: u64,
    /// Compressed, by their frame alone.
    pub frame: u64,
    /// Not at all: each came next.
    pub order: u64,
}

impl Counts {
    /// What was an error in it.
    pub fn errors(&self) -> Errors {
        errors(self.messages, self.datagrams.unwrap_or_default(), self.over_backlog, self.connections)
    }

    /// The part that limits are held against while the run goes on.
    pub fn tally(&self) -> Tally {
        Tally {
            verified: self.messages.verified,
            errors: self.errors(),
            datagrams: self.datagrams.unwrap_or_default(),
            bytes: self.reply_bytes_in_window,
        }
    }
}

/// What is an error among these.
pub fn errors(messages: Messages, datagrams: Datagrams, over_backlog: u64, connections: Connections) -> Errors {
    let wrong = messages.wrong().saturating_sub(datagrams.lost);
    Errors { wrong, over_backlog, failed: connections.failed, dropped: connections.dropped }
}

impl AddAssign for Counts {
    fn add_assign(&mut self, part: Self) {
        // Taken apart by name, so that a count that is not added does not compile.
        let Self {
            connections,
            messages,
            datagrams,
            warmup_errors,
            over_backlog,
            full_sockets,
            replies_in_window,
            reply_bytes_in_window,
            traffic,
            checks,
            mismatches,
        } = part;
        self.connections += connections;
        self.messages += messages;
        if let Some(part) = datagrams {
            *self.datagrams.get_or_insert_default() += part;
        }
        self.warmup_errors += warmup_errors;
        self.over_backlog += over_backlog;
        self.full_sockets += full_sockets;
        self.replies_in_window += replies_in_window;
        self.reply_bytes_in_window += reply_bytes_in_window;
        self.traffic += traffic;
        self.checks += checks;
        self.mismatches.merge(mismatches);
    }
}

impl AddAssign for Connections {
    fn add_assign(&mut self, part: Self) {
        self.requested += part.requested;
        self.established += part.established;
        self.failed += part.failed;
        self.dropped += part.dropped;
    }
}

impl Messages {
    /// Those that brought no right reply, and replies that nothing had asked for.
    pub fn wrong(&self) -> u64 {
        let Self { lost, corrupted, reordered, unexpected, .. } = self;
        lost + corrupted + reordered + unexpected
    }
}

impl AddAssign for Messages {
    fn add_assign(&mut self, part: Self) {
        self.sent += part.sent;
        self.received += part.received;
        self.verified += part.verified;
        self.corrupted += part.corrupted;
        self.reordered += part.reordered;
        self.lost += part.lost;
        self.unexpected += part.unexpected;
    }
}

impl WarmupErrors {
    /// Messages that brought no right reply, and replies that nothing had asked for.
    pub fn wrong(&self) -> u64 {
        let Self { lost, corrupted, reordered, unexpected, over_backlog: _ } = self;
        lost + corrupted + reordered + unexpected
    }

    /// Each count under what it counts.
    pub fn named(&self) -> [(&'static str, u64); 5] {
        let Self { lost, corrupted, reordered, unexpected, over_backlog } = *self;
        [
            ("lost", lost),
            ("corrupted", corrupted),
            ("reordered", reordered),
            ("unexpected", unexpected),
            ("over_backlog", over_backlog),
        ]
    }
}

impl AddAssign for WarmupErrors {
    fn add_assign(&mut self, part: Self) {
        self.lost += part.lost;
        self.corrupted += part.corrupted;
        self.reordered += part.reordered;
        self.unexpected += part.unexpected;
        self.over_backlog += part.over_backlog;
    }
}

impl Traffic {
    /// Bytes that a message and its reply took on the wire, frame headers included; `None` where nothing came.
    pub fn bytes_per_message(&self) -> Option<f64> {
        self.of_a_message(|volume| volume.frame_bytes)
    }

    /// Bytes of payload on the wire per byte of message, of a message and its reply together; `None` where it is not known of one
    /// of them.
    pub fn ratio(&self) -> Option<f64> {
        let Self { sent, received } = self;
        let known = sent.message_bytes > 0 && received.message_bytes > 0;
        let [payload, message] = [|volume: &Volume| volume.payload_bytes, |volume: &Volume| volume.message_bytes];
        known.then(|| Some(self.of_a_message(payload)? / self.of_a_message(message)?))?
    }

    /// How many of these bytes a message has and its reply, on average. Messages that were still unanswered when the window ended
    /// count in the average of those sent, and in nothing else.
    fn of_a_message(&self, bytes: impl Fn(&Volume) -> u64) -> Option<f64> {
        let one = |volume: &Volume| (volume.messages > 0).then(|| bytes(volume) as f64 / volume.messages as f64);
        Some(one(&self.sent)? + one(&self.received)?)
    }
}

impl AddAssign for Traffic {
    fn add_assign(&mut self, part: Self) {
        self.sent += part.sent;
        self.received += part.received;
    }
}

impl AddAssign for Checks {
    fn add_assign(&mut self, part: Self) {
        // Taken apart by name, so that a check that is not added does not compile.
        let Self { inflated, identical, length, frame, order } = part;
        self.inflated += inflated;
        self.identical += identical;
        self.length += length;
        self.frame += frame;
        self.order += order;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn traffic_tells_bytes_for_each_message_and_the_ratio() {
        let sent = Volume { messages: 2, message_bytes: 200, payload_bytes: 100, frame_bytes: 112 };
        let received = Volume { messages: 1, message_bytes: 100, payload_bytes: 20, frame_bytes: 22 };
        let traffic = Traffic { sent, received };
        assert_eq!((traffic.bytes_per_message(), traffic.ratio()), (Some(78.0), Some(0.35)));
        let uninflated = Traffic { sent, received: Volume { message_bytes: 0, ..received } };
        assert_eq!((uninflated.bytes_per_message(), uninflated.ratio()), (Some(78.0), None));
        assert_eq!(Traffic { sent, ..Traffic::default() }.bytes_per_message(), None);
    }

    #[test]
    fn what_is_unanswered_at_the_end_of_a_trial_changes_no_ratio() {
        let volume = |messages: u64, payload: u64| Volume {
            messages,
            message_bytes: 1024 * messages,
            payload_bytes: payload * messages,
            frame_bytes: (payload + 4) * messages,
        };
        let ratio = |in_flight: u64, reply: u64| {
            let traffic = Traffic { sent: volume(10 + in_flight, 300), received: volume(10, reply) };
            traffic.ratio().unwrap()
        };
        // Replies of a server that compresses better.
        let [of_one, of_eight] = [1, 8].map(|in_flight| ratio(in_flight, 240) / ratio(in_flight, 256) - 1.0);
        assert!((of_one - (540.0 / 556.0 - 1.0)).abs() < 1e-4, "{of_one}");
        assert!((of_one - of_eight).abs() < 1e-4, "{of_one} with one in flight, {of_eight} with eight");
    }
}
