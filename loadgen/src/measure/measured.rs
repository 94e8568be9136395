//! What a run measured, merged over its workers and before any judgement: all that a report is made of. It is plain data:
//! written as JSON and read back it is the same, so that a run can be measured in several processes, whose parts
//! [`Measured::merge`] puts together.

mod merge;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::{Duration, SystemTime};

use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};

use crate::host::resources::Usage;
use crate::host::withheld::Withheld;
use crate::measure::agreements::Agreements;
use crate::measure::arrivals::{Arrivals, EndsAt};
use crate::measure::counts::{Connections, Counts};
use crate::measure::encoded::{self, Encoded};
use crate::measure::failures::Failures;
use crate::measure::growth::Growth;
use crate::measure::histogram::histogram;
use crate::measure::paced::Paced;
use crate::measure::recorder::{INTERVAL_NS, SLICES, Slice};
use crate::measure::times::Times;
use crate::measure::tls::Secured;
use crate::serde_time::{Rfc3339Exact, Seconds};

/// What a run measured.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Measured {
    /// When the measured phase began.
    #[serde(with = "Rfc3339Exact")]
    pub began_at: SystemTime,
    /// How long it lasted: until its planned end, its last message, or the interruption.
    #[serde(with = "Seconds")]
    pub window: Duration,
    /// From its beginning to the last reply within it.
    #[serde(with = "Seconds")]
    pub last_reply_after: Duration,
    /// From its beginning to the last reply of all, also of those that were waited for behind its end.
    #[serde(with = "Seconds", default)]
    pub answered_after: Duration,
    /// Whether it ended early on request.
    pub interrupted: bool,
    /// Whether it ended early because a threshold was crossed.
    pub aborted: bool,
    /// The times of the messages.
    pub times: Times,
    /// What says when the replies arrived whose times these are.
    pub arrivals: Arrivals,
    /// From the start of connecting to the end of the WebSocket handshake, ns.
    #[serde(with = "encoded::as_text")]
    pub connect: Histogram<u64>,
    /// Of that, until TCP was connected, ns.
    #[serde(with = "encoded::as_text", default = "histogram")]
    pub tcp: Histogram<u64>,
    /// Of that, the WebSocket handshake, behind that of TLS where it is spoken, ns.
    #[serde(with = "encoded::as_text", default = "histogram")]
    pub upgrade: Histogram<u64>,
    /// Latency by interval, in order.
    pub intervals: Vec<IntervalLatency>,
    /// Its intervals in slices of a tenth, in order.
    pub slices: Vec<Slice>,
    /// What was counted.
    pub counts: Counts,
    /// The loss of the last connection, where none was left at the end.
    pub all_lost: Option<AllLost>,
    /// How the server's process ended during the run, where it was started here and some connection failed.
    pub server_ended: Option<String>,
    /// What was agreed on permessage-deflate.
    pub agreements: Agreements,
    /// What the handshakes of TLS have settled.
    #[serde(default)]
    pub tls: Secured,
    /// The server's addresses, and how many connections each took.
    pub addresses: BTreeMap<SocketAddr, u64>,
    /// What went wrong, and how often.
    pub failures: Failures,
    /// Each worker's CPU time over the window, as a share of it (1.0: it never slept).
    pub worker_busy: Vec<f64>,
    /// How each worker waited for what was due.
    pub paced: Vec<Paced>,
    /// The generator's own use of the machine over the window.
    pub loadgen: Usage,
    /// The server's, where it runs on this machine.
    pub server: Option<Usage>,
    /// How the server's memory grew while the connections were opened.
    #[serde(default)]
    pub growth: Growth,
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
            tcp: histogram(),
            upgrade: histogram(),
            intervals: Vec::new(),
            slices: Vec::new(),
            counts: Counts { connections, ..Counts::default() },
            all_lost: None,
            server_ended: None,
            last_reply_after: Duration::ZERO,
            answered_after: Duration::ZERO,
            agreements: Agreements::default(),
            tls: Secured::default(),
            addresses: BTreeMap::new(),
            failures: Failures::new(),
            worker_busy: Vec::new(),
            paced: Vec::new(),
            loadgen,
            server: None,
            growth: Growth::default(),
            is_fathom: false,
            withheld: Withheld::default(),
        }
    }

    /// The slices that lie in the window whole.
    pub fn whole_slices(&self) -> &[Slice] {
        let whole = (self.window.as_nanos() * SLICES as u128 / u128::from(INTERVAL_NS)) as usize;
        &self.slices[..whole.min(self.slices.len())]
    }

    /// Where its latencies end.
    pub fn ends_at(&self) -> EndsAt {
        self.arrivals.ends_at()
    }
}

/// The loss of the last connection.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AllLost {
    /// Since the load began, the warm-up included.
    #[serde(with = "Seconds")]
    pub after: Duration,
    /// Why connections were lost, and how often.
    pub why: Failures,
}

/// The latency of one interval.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IntervalLatency {
    /// Its beginning, from the beginning of the measured phase.
    #[serde(with = "Seconds")]
    pub start: Duration,
    /// Its length.
    #[serde(with = "Seconds")]
    pub length: Duration,
    /// The latencies of the replies that came in it, ns; encoded, since an hour has 3,600 of them and each would hold
    /// a quarter of a megabyte otherwise.
    #[serde(deserialize_with = "encoded::checked")]
    pub latency: Encoded,
}
