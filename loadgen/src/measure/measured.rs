//! What a run measured, merged over its workers and before any judgement: the one input of [`crate::report`].

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::{Duration, SystemTime};

use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};

use wire::deflate::Agreed;

use crate::measure::arrivals::{Arrivals, EndsAt};
use crate::measure::encoded::Encoded;
use crate::measure::histogram::histogram;
use crate::measure::mismatch::Mismatches;
use crate::measure::recorder::{Checks, Messages, Slice, Traffic};
use crate::measure::times::Times;

use crate::host::resources::Usage;
use crate::host::withheld::Withheld;

/// What a run measured.
#[derive(Debug)]
pub struct Measured {
    /// When the measured phase began.
    pub began_at: SystemTime,
    /// How long it lasted: until its planned end, its last message, or the interruption.
    pub window: Duration,
    /// From its beginning to the last reply within it.
    pub last_reply_after: Duration,
    /// Whether it ended early on request.
    pub interrupted: bool,
    /// Whether it ended early because a threshold was crossed.
    pub aborted: bool,
    /// The times of the messages.
    pub times: Times,
    /// What says when the replies arrived whose times these are.
    pub arrivals: Arrivals,
    /// From the start of connecting to the end of the WebSocket handshake, ns.
    pub connect: Histogram<u64>,
    /// Latency by interval, in order.
    pub intervals: Vec<IntervalLatency>,
    /// The run in slices of a tenth of an interval, in order, whole ones only.
    pub slices: Vec<Slice>,
    /// What became of the connections.
    pub connections: Connections,
    /// The loss of the last connection, where none was left at the end.
    pub all_lost: Option<AllLost>,
    /// How the server's process ended during the run, where it was started here and some connection failed.
    pub server_ended: Option<String>,
    /// What became of the messages.
    pub messages: Messages,
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
    /// What was agreed on permessage-deflate.
    pub agreements: Agreements,
    /// The server's addresses, and how many connections each took.
    pub addresses: BTreeMap<SocketAddr, u64>,
    /// What went wrong, and how often.
    pub failures: BTreeMap<String, u64>,
    /// Messages that an open loop's backlog bound refused.
    pub over_backlog: u64,
    /// Each worker's CPU time over the window, as a share of it (1.0: it never slept).
    pub worker_busy: Vec<f64>,
    /// The generator's own use of the machine over the window.
    pub loadgen: Usage,
    /// The server's, where it runs on this machine.
    pub server: Option<Usage>,
    /// Whether the server has named itself as Fathom.
    pub is_fathom: bool,
    /// CPU time that both wanted and did not get.
    pub withheld: Withheld,
}

impl Measured {
    /// A measured phase of which only the frame is known: no messages, no latencies yet.
    pub fn new(began_at: SystemTime, window: Duration, connections: Connections, loadgen: Usage) -> Self {
        Self {
            began_at,
            window,
            interrupted: false,
            aborted: false,
            times: Times::new(),
            arrivals: Arrivals::default(),
            connect: histogram(),
            intervals: Vec::new(),
            slices: Vec::new(),
            connections,
            all_lost: None,
            server_ended: None,
            messages: Messages::default(),
            last_reply_after: Duration::ZERO,
            replies_in_window: 0,
            reply_bytes_in_window: 0,
            traffic: Traffic::default(),
            checks: Checks::default(),
            mismatches: Mismatches::default(),
            agreements: Agreements::new(),
            addresses: BTreeMap::new(),
            failures: BTreeMap::new(),
            over_backlog: 0,
            worker_busy: Vec::new(),
            loadgen,
            server: None,
            is_fathom: false,
            withheld: Withheld::default(),
        }
    }

    /// Where its latencies end.
    pub fn ends_at(&self) -> EndsAt {
        self.arrivals.ends_at()
    }

    /// Connections that permessage-deflate was not agreed on.
    pub fn declined(&self) -> u64 {
        self.agreements.iter().filter(|(agreed, _)| agreed.is_none()).map(|(_, connections)| connections).sum()
    }
}

/// What was agreed on permessage-deflate (`None`: it was declined or not offered), and on how many connections.
pub type Agreements = Vec<(Option<Agreed>, u64)>;

/// So many connections have agreed on this.
pub fn agree(agreements: &mut Agreements, agreed: Option<Agreed>, connections: u64) {
    match agreements.iter_mut().find(|(known, _)| *known == agreed) {
        Some((_, count)) => *count += connections,
        None => agreements.push((agreed, connections)),
    }
}

/// What became of the connections.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
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

/// The loss of the last connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AllLost {
    /// Since the load began, the warm-up included.
    pub after: Duration,
    /// Why connections were lost, and how often.
    pub why: BTreeMap<String, u64>,
}

/// The latency of one interval.
#[derive(Debug, Clone)]
pub struct IntervalLatency {
    /// Its beginning, from the beginning of the measured phase.
    pub start: Duration,
    /// Its length.
    pub length: Duration,
    /// The latencies of the replies that came in it, ns; encoded, since an hour has 3,600 of them and each would hold
    /// a quarter of a megabyte otherwise.
    pub latency: Encoded,
}
