//! What the wire carried and what that was worth: bytes in both directions, the compression that was agreed, and how
//! replies were verified.

use std::ops::AddAssign;

use serde::{Deserialize, Serialize};
use wire::deflate::{Agreed, Direction};

use super::Report;
use crate::measure::measured::Measured;
use crate::plan::messages::Volume;
use crate::plan::{Plan, Verify};
use crate::units;

/// Bytes in both directions within the measured phase.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Wire {
    /// Messages, from the generator to the server.
    pub sent: Carried,
    /// Replies, from the server to the generator; control frames do not count.
    pub received: Carried,
}

/// Bytes in one direction.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Carried {
    /// Messages and their bytes.
    #[serde(flatten)]
    pub volume: Volume,
    /// Bytes of payload on the wire per byte of message: below 1 where compression saves anything; absent without bytes.
    pub ratio: Option<f64>,
}

/// What became of permessage-deflate (RFC 7692).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeflateReport {
    /// Connections that agreed on it.
    pub connections: u64,
    /// Connections whose server declined, and that went on uncompressed.
    pub declined: u64,
    /// What was agreed, and on how many connections.
    pub agreed: Vec<Agreement>,
}

/// What some connections agreed on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Agreement {
    /// How many.
    pub connections: u64,
    /// How the server compresses.
    pub server: Side,
    /// How the generator compresses.
    pub client: Side,
}

/// How one side compresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Side {
    /// Whether a message may refer to the ones before it.
    pub context_takeover: bool,
    /// How far back at the most, as a power of two in bytes.
    pub window_bits: u8,
}

/// How the replies to the measured messages were verified.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verification {
    /// What was asked for.
    pub mode: Verify,
    /// Came uncompressed and were compared.
    pub compared: u64,
    /// Were inflated and compared.
    pub inflated: u64,
    /// Were byte for byte a compressed reply that had been inflated and compared.
    pub identical: u64,
    /// Had the right length; nothing is known of their content.
    pub length: u64,
    /// Came compressed and were not inflated: they may have the right length.
    pub frame: u64,
}

impl Wire {
    /// From what was measured.
    pub(super) fn of(measured: &Measured) -> Self {
        Self { sent: Carried::of(measured.traffic.sent), received: Carried::of(measured.traffic.received) }
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
            .filter_map(|&(agreed, connections)| agreed.map(|agreed| Agreement::of(agreed, connections)))
            .collect();
        let declined = measured.declined();
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
        let checks = measured.checks;
        let others = checks.inflated + checks.identical + checks.length + checks.frame;
        Self {
            mode: plan.verify,
            compared: measured.messages.received.saturating_sub(others),
            inflated: checks.inflated,
            identical: checks.identical,
            length: checks.length,
            frame: checks.frame,
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
    }
}

/// What of it a person is told, each under its name: nothing where nothing was compressed and all was compared.
pub(super) fn facts(report: &Report) -> Vec<(&'static str, String)> {
    let mut facts = report.permessage_deflate.as_ref().map_or_else(Vec::new, |deflate| deflate_facts(report, deflate));
    if report.permessage_deflate.is_some() || report.verification.mode != Verify::Full {
        facts.push(("replies", verification(&report.verification)));
    }
    facts
}

/// What was agreed, and what it saved.
fn deflate_facts(report: &Report, deflate: &DeflateReport) -> Vec<(&'static str, String)> {
    let mut facts = Vec::new();
    for Agreement { connections, server, client } in &deflate.agreed {
        let takeover = match (server.context_takeover, client.context_takeover) {
            (false, false) => "no context takeover",
            (true, false) => "the server takes context over",
            (false, true) => "the generator takes context over",
            (true, true) => "both sides take context over",
        };
        let windows = match (server.window_bits, client.window_bits) {
            (15, 15) => String::new(),
            (server, client) => format!(", windows of {server} (server) and {client} bits"),
        };
        let count = units::count(*connections);
        facts.push(("compressed", format!("permessage-deflate on {count} connections: {takeover}{windows}")));
    }
    if deflate.declined > 0 {
        let declined = units::count(deflate.declined);
        facts.push(("", format!("declined by the server on {declined} connections, which went uncompressed")));
    }
    for (label, carried) in [("bytes out", &report.wire.sent), ("bytes in", &report.wire.received)] {
        let Volume { message_bytes, payload_bytes, frame_bytes, .. } = carried.volume;
        let [messages, payload, frames] = [message_bytes, payload_bytes, frame_bytes].map(units::bytes);
        let ratio = carried.ratio.map_or_else(String::new, |ratio| format!(" ({})", units::percent(ratio)));
        facts.push((label, format!("{messages} of messages in {payload} of payload{ratio}, {frames} of frames")));
    }
    facts
}

/// How replies were checked.
fn verification(verification: &Verification) -> String {
    let Verification { compared, inflated, identical, length, frame, .. } = *verification;
    let ways: Vec<String> = [
        (compared, "compared"),
        (inflated, "inflated and compared"),
        (identical, "identical to one that was"),
        (length, "checked by length only"),
        (frame, "not inflated, checked by their frame only"),
    ]
    .into_iter()
    .filter(|(count, _)| *count > 0)
    .map(|(count, way)| format!("{} {way}", units::count(count)))
    .collect();
    if ways.is_empty() { "none".to_owned() } else { ways.join(", ") }
}
