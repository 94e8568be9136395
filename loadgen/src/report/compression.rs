//! What the wire carried and what that was worth: bytes in both directions, the compression that was agreed, and how
//! replies were verified.

use std::ops::AddAssign;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use wire::deflate::{Agreed, Direction};

use crate::measure::counts::Traffic;
use crate::measure::measured::Measured;
use crate::plan::messages::Volume;
use crate::plan::{Plan, Verify};

/// Bytes in both directions within the measured phase.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Wire {
    /// Messages, from the generator to the server.
    pub sent: Carried,
    /// Replies, from the server to the generator; control frames do not count.
    pub received: Carried,
}

/// Bytes in one direction.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Carried {
    /// Messages and their bytes.
    #[serde(flatten)]
    pub volume: Volume,
    /// Bytes of payload on the wire per byte of message: below 1 where compression saves anything; null without bytes.
    #[schemars(range(min = 0))]
    pub ratio: Option<f64>,
}

/// What became of permessage-deflate (RFC 7692).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DeflateReport {
    /// Connections that agreed on it.
    pub connections: u64,
    /// Connections whose server declined, and that went on uncompressed.
    pub declined: u64,
    /// What was agreed, and on how many connections.
    pub agreed: Vec<Agreement>,
}

/// What some connections agreed on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Agreement {
    /// How many.
    pub connections: u64,
    /// How the server compresses.
    pub server: Side,
    /// How the generator compresses.
    pub client: Side,
}

/// How one side compresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Side {
    /// Whether a message may refer to the ones before it.
    pub context_takeover: bool,
    /// How far back at the most, as a power of two in bytes.
    #[schemars(range(min = 8, max = 15))]
    pub window_bits: u8,
}

/// How the replies to the measured messages were verified.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Verification {
    /// What was asked for.
    pub mode: Verify,
    /// Replies that came uncompressed and were compared.
    pub compared: u64,
    /// Replies that were inflated and compared.
    pub inflated: u64,
    /// Replies that were byte for byte a compressed reply that had been inflated and compared.
    pub identical: u64,
    /// Replies that had the right length; nothing is known of their content.
    pub length: u64,
    /// Replies that came compressed and were not inflated: they may have the right length.
    pub frame: u64,
    /// Replies of which nothing was checked: each came next (`--expect order`).
    #[serde(default)]
    pub order: u64,
}

impl Wire {
    /// From what was measured.
    pub(super) fn of(measured: &Measured) -> Self {
        Self {
            sent: Carried::of(measured.counts.traffic.sent),
            received: Carried::of(measured.counts.traffic.received),
        }
    }
}

impl From<Wire> for Traffic {
    fn from(Wire { sent, received }: Wire) -> Self {
        Self { sent: sent.volume, received: received.volume }
    }
}

impl Carried {
    fn of(volume: Volume) -> Self {
        let ratio = (volume.message_bytes > 0).then(|| volume.payload_bytes as f64 / volume.message_bytes as f64);
        Self { volume, ratio }
    }
}

impl DeflateReport {
    /// From what was measured; `None` where it was not offered.
    pub(super) fn of(plan: &Plan, measured: &Measured) -> Option<Self> {
        plan.connect.permessage_deflate?;
        let agreed: Vec<Agreement> = measured
            .agreements
            .iter()
            .filter_map(|(agreed, connections)| agreed.map(|agreed| Agreement::of(agreed, connections)))
            .collect();
        let declined = measured.agreements.declined();
        Some(Self { connections: agreed.iter().map(|agreement| agreement.connections).sum(), declined, agreed })
    }
}

impl Agreement {
    fn of(agreed: Agreed, connections: u64) -> Self {
        let side = |direction: Direction| Side {
            context_takeover: direction.context_takeover,
            window_bits: direction.window.get(),
        };
        Self { connections, server: side(agreed.server), client: side(agreed.client) }
    }
}

impl Verification {
    /// From what was measured.
    pub(super) fn of(plan: &Plan, measured: &Measured) -> Self {
        let checks = measured.counts.checks;
        let others = checks.inflated + checks.identical + checks.length + checks.frame + checks.order;
        Self {
            mode: plan.verify,
            compared: measured.counts.messages.received.saturating_sub(others),
            inflated: checks.inflated,
            identical: checks.identical,
            length: checks.length,
            frame: checks.frame,
            order: checks.order,
        }
    }
}

/// Adds what a later run carried.
impl AddAssign for Wire {
    fn add_assign(&mut self, part: Self) {
        for (sum, part) in [(&mut self.sent, part.sent), (&mut self.received, part.received)] {
            let mut volume = sum.volume;
            volume += part.volume;
            *sum = Carried::of(volume);
        }
    }
}

/// Adds what a later run of the same plan agreed on.
impl AddAssign<&DeflateReport> for DeflateReport {
    fn add_assign(&mut self, part: &DeflateReport) {
        self.connections += part.connections;
        self.declined += part.declined;
        for agreement in &part.agreed {
            let same = |known: &&mut Agreement| (known.server, known.client) == (agreement.server, agreement.client);
            match self.agreed.iter_mut().find(same) {
                Some(known) => known.connections += agreement.connections,
                None => self.agreed.push(*agreement),
            }
        }
    }
}

/// Adds how a later run of the same plan was verified.
impl AddAssign for Verification {
    fn add_assign(&mut self, part: Self) {
        self.compared += part.compared;
        self.inflated += part.inflated;
        self.identical += part.identical;
        self.length += part.length;
        self.frame += part.frame;
        self.order += part.order;
    }
}
