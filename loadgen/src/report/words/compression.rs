//! What a run says of compression and verification, in words.

use crate::plan::Verify;
use crate::plan::messages::Volume;
use crate::report::compression::{Agreement, DeflateReport, Verification};
use crate::report::run::Report;
use crate::units;

/// What of it a person is told, each under its name: nothing where nothing was compressed and all was compared.
pub(in crate::report) fn facts(report: &Report) -> Vec<(&'static str, String)> {
    let mut facts = report.permessage_deflate.as_ref().map_or_else(Vec::new, |deflate| deflate_facts(report, deflate));
    if report.permessage_deflate.is_some() || report.verification.mode != Verify::Full || report.verification.order > 0
    {
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
        let connections = units::counted(*connections, "connection");
        facts.push(("compressed", format!("permessage-deflate on {connections}: {takeover}{windows}")));
    }
    if deflate.declined > 0 {
        let declined = units::counted(deflate.declined, "connection");
        facts.push(("", format!("declined by the server on {declined}, which went uncompressed")));
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
    let Verification { compared, inflated, identical, length, frame, order, .. } = *verification;
    let ways: Vec<String> = [
        (compared, "compared"),
        (inflated, "inflated and compared"),
        (identical, "identical to one that was"),
        (length, "checked by length only"),
        (frame, "not inflated, checked by their frame only"),
        (order, "taken as they came, not checked"),
    ]
    .into_iter()
    .filter(|(count, _)| *count > 0)
    .map(|(count, way)| format!("{} {way}", units::count(count)))
    .collect();
    if ways.is_empty() { "none".to_owned() } else { ways.join(", ") }
}
