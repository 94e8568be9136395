//! The figures of held connections or of a fan-out as OpenMetrics text: every one as a gauge, with the ends of its interval.

use std::fmt;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::DescriptorEncoder;

use crate::report::TlsReport;
use crate::report::figure::Figure;
use crate::report::formats::openmetrics::parts::{Labels, exposition, gauges};
use crate::report::formats::openmetrics::tls;

/// The figures as one exposition, each name after this prefix; `ends` says what the ends of an interval are.
pub fn render(prefix: &str, figures: Vec<Figure>, ends: &'static str, valid: bool, tls: Option<&TlsReport>) -> String {
    exposition(prefix, Exposition { figures, ends, valid, tls: tls.cloned() })
}

#[derive(Debug)]
struct Exposition {
    figures: Vec<Figure>,
    ends: &'static str,
    valid: bool,
    tls: Option<TlsReport>,
}

impl Collector for Exposition {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let of = |figure: &Figure| -> Labels {
            vec![("metric", figure.name.clone()), ("unit", figure.unit.in_words().to_owned())]
        };
        let values = self.figures.iter().map(|figure| (of(figure), figure.value)).collect();
        let ends = self.figures.iter().flat_map(|figure| {
            let ends = figure.interval.map(|(low, high)| [("low", low), ("high", high)]);
            ends.into_iter()
                .flatten()
                .map(|(bound, value)| ([of(figure), vec![("bound", bound.to_owned())]].concat(), value))
        });
        let trusted = vec![(Labels::new(), f64::from(u8::from(self.valid)))];
        gauges(&mut encoder, "figure", "A figure, in the unit of its label", None, values)?;
        gauges(&mut encoder, "interval", self.ends, None, ends.collect())?;
        tls::encode(&mut encoder, [(Labels::new(), self.tls.as_ref())])?;
        gauges(&mut encoder, "valid", "Whether the figures are to be trusted", None, trusted)
    }
}
