//! What TLS has settled as OpenMetrics text, in every kind of document: connections by version, cipher suite, and whether they
//! resumed a session.

use std::fmt;

use prometheus_client::encoding::DescriptorEncoder;

use crate::report::TlsReport;
use crate::report::formats::openmetrics::parts::{Labels, gauges};

/// The name of the metric behind the document's prefix, and what it is.
pub(super) const NAME: &str = "tls_connections";
pub(super) const HELP: &str = "Connections over TLS by what their handshakes settled on";

/// How many connections have settled on what, by their labels.
pub(super) fn counts(tls: Option<&TlsReport>) -> Vec<(Labels, f64)> {
    let settled = tls.into_iter().flat_map(|tls| &tls.settled);
    let counts = settled.flat_map(|settled| {
        let of = |resumed: bool, count: u64| {
            let labels = [
                ("version", settled.version.clone()),
                ("cipher_suite", settled.cipher_suite.clone()),
                ("resumed", resumed.to_string()),
            ];
            (labels.to_vec(), count as f64)
        };
        [of(false, settled.connections.saturating_sub(settled.resumed)), of(true, settled.resumed)]
    });
    counts.collect()
}

/// The metric with what several parts of a document have settled, each behind its own labels; left out where none spoke TLS.
pub(super) fn encode<'a>(
    encoder: &mut DescriptorEncoder<'_>,
    parts: impl IntoIterator<Item = (Labels, Option<&'a TlsReport>)>,
) -> fmt::Result {
    let behind = |(own, tls): (Labels, Option<&TlsReport>)| {
        let counts = counts(tls).into_iter();
        counts.map(|(labels, count)| ([own.clone(), labels].concat(), count)).collect::<Vec<_>>()
    };
    let samples: Vec<_> = parts.into_iter().flat_map(behind).collect();
    if samples.is_empty() { Ok(()) } else { gauges(encoder, NAME, HELP, None, samples) }
}
