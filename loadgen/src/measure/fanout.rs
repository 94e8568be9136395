//! What a fan-out measured: what became of the deliveries, and when they came.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::ops::AddAssign;
use std::time::Duration;

use hdrhistogram::Histogram;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::host::relay_losses::RelayLosses;
use crate::host::resources::Usage;
use crate::host::withheld::Withheld;
use crate::measure::arrivals::Arrivals;
use crate::measure::counts::Connections;
use crate::measure::delivery_mismatch::DeliveryMismatches;
use crate::measure::failures::Failures;
use crate::measure::histogram::{add, histogram};
use crate::measure::paced::Paced;
use crate::measure::tls::Secured;

/// What became of deliveries, each of one message to one receiver.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Deliveries {
    /// Messages that were sent, times the receivers of their rooms.
    pub expected: u64,
    /// That came, each counted once.
    pub received: u64,
    /// That did not.
    pub lost: u64,
    /// That came once more.
    pub duplicated: u64,
    /// That came after a later message of the same sender; so far after that it is not known whether they had come before
    /// are not among those received.
    pub out_of_order: u64,
    /// Of those received, messages that were not as they were sent; null where they were not compared.
    pub altered: Option<u64>,
    /// Messages that no delivery was expected of: from other rooms, from an earlier run, or not of this run at all.
    pub unexpected: u64,
}

/// What became of the messages that senders had to send in the measured part.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Sent {
    /// Due by the schedule.
    pub due: u64,
    /// Sent whole.
    pub sent: u64,
    /// Due and not sent, since the server took no more or the sender's connection was lost.
    pub unsent: u64,
    /// Messages that came back to their own senders, from the beginning on, warm-up included.
    pub returned: u64,
    /// Messages of others in their room that came to senders, from the beginning on, warm-up included.
    pub to_senders: u64,
}

/// Deliveries of one part of the run, and when they came.
#[derive(Debug, Clone)]
pub struct Tally {
    /// What became of them.
    pub deliveries: Deliveries,
    /// From due to arrived, ns.
    pub latency: Histogram<u64>,
}

/// Members that came and went.
#[derive(Debug)]
pub struct Visitors {
    /// That joined and left again.
    pub joined: u64,
    /// That could not join.
    pub failed: u64,
    /// Due to join and not begun, since too many were under way.
    pub skipped: u64,
    /// That the server dropped before they left.
    pub dropped: u64,
    /// Why they failed or were dropped, and how often.
    pub failures: Failures,
    /// How long joining took, ns.
    pub handshake: Histogram<u64>,
    /// What TLS has settled on their connections, and how long its handshakes took.
    pub tls: Secured,
    /// Their deliveries, from the first of each sender that came to the last: lost are those in between that did not.
    pub deliveries: Deliveries,
    /// What was wrong with any of these.
    pub mismatches: DeliveryMismatches,
}

/// All of it.
#[derive(Debug)]
pub struct Measured {
    /// Whether it was ended early on request.
    pub interrupted: bool,
    /// Connections of senders.
    pub senders: Connections,
    /// Connections of receivers.
    pub receivers: Connections,
    /// Receivers that stopped reading for the measured part, and of these the connections that were lost.
    pub stalled: (u64, u64),
    /// Why connections were not opened or were lost, and how often.
    pub failures: Failures,
    /// The server's addresses, and how many connections each took.
    pub addresses: BTreeMap<SocketAddr, u64>,
    /// What TLS has settled.
    pub tls: Secured,
    /// Whether the server has named itself as Fathom.
    pub is_fathom: bool,
    /// What the server says that it did not deliver, by cause, while they were connected; `None` where it does not say.
    pub relay_losses: Option<RelayLosses>,
    /// How long the measured part took.
    pub window: Duration,
    /// What was sent in it.
    pub messages: Sent,
    /// Its deliveries to receivers that read all the time.
    pub tally: Tally,
    /// What was wrong with deliveries to any receiver, from the end of the warm-up on.
    pub mismatches: DeliveryMismatches,
    /// Of those received, the ones that came before its end.
    pub in_window: u64,
    /// Its deliveries to receivers that did not read meanwhile.
    pub of_stalled: Tally,
    /// Deliveries of the part before it, to receivers that read all the time; `None` where nothing disturbs it.
    pub undisturbed: Option<(Duration, Tally)>,
    /// From due to sent, ns, as far as that was the generator's doing.
    pub send_lag: Histogram<u64>,
    /// From arrived to read, ns.
    pub read_lag: Histogram<u64>,
    /// What says when deliveries arrived.
    pub arrivals: Arrivals,
    /// Messages that reached all of their receivers.
    pub reached_all: u64,
    /// From due until a message had reached all of its receivers, ns; of those that did.
    pub everyone: Histogram<u64>,
    /// Between a message's first and its last receiver, ns.
    pub skew: Histogram<u64>,
    /// Members that came and went.
    pub visitors: Option<Visitors>,
    /// What this process used of the machine in the measured part.
    pub loadgen: Usage,
    /// What the server's processes did.
    pub server: Option<Usage>,
    /// CPU time that was withheld.
    pub withheld: Withheld,
    /// By worker, the share of the measured part that it was on the CPU.
    pub worker_busy: Vec<f64>,
    /// By worker, how it waited.
    pub paced: Vec<Paced>,
}

impl Tally {
    /// Nothing yet.
    pub fn new() -> Self {
        Self { deliveries: Deliveries::default(), latency: histogram() }
    }
}

impl Default for Tally {
    fn default() -> Self {
        Self::new()
    }
}

impl AddAssign<&Tally> for Tally {
    fn add_assign(&mut self, part: &Self) {
        self.deliveries += part.deliveries;
        add(&mut self.latency, &part.latency);
    }
}

impl Deliveries {
    /// The same, of which so many were expected: what has not come is lost.
    #[must_use]
    pub fn of(self, expected: u64) -> Self {
        Self { expected, lost: expected.saturating_sub(self.received), ..self }
    }

    /// The same, of which it is known whether they were compared with what was sent.
    #[must_use]
    pub fn compared(self, compared: bool) -> Self {
        Self { altered: compared.then_some(self.altered.unwrap_or_default()), ..self }
    }

    /// Those that went wrong.
    pub fn wrong(&self) -> u64 {
        let Self { lost, duplicated, out_of_order, altered, unexpected, .. } = *self;
        lost + duplicated + out_of_order + altered.unwrap_or_default() + unexpected
    }

    /// The share of those expected that came; `None` where none was expected.
    pub fn share(&self) -> Option<f64> {
        (self.expected > 0).then(|| self.received as f64 / self.expected as f64)
    }
}

impl AddAssign for Sent {
    fn add_assign(&mut self, part: Self) {
        self.due += part.due;
        self.sent += part.sent;
        self.unsent += part.unsent;
        self.returned += part.returned;
        self.to_senders += part.to_senders;
    }
}

impl AddAssign for Deliveries {
    fn add_assign(&mut self, part: Self) {
        self.expected += part.expected;
        self.received += part.received;
        self.lost += part.lost;
        self.duplicated += part.duplicated;
        self.out_of_order += part.out_of_order;
        self.altered = self.altered.into_iter().chain(part.altered).reduce(|altered, more| altered + more);
        self.unexpected += part.unexpected;
    }
}
