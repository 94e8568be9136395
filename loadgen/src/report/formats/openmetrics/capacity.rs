//! The report of a capacity as OpenMetrics text: the figures of the answer, and which kind of answer it is.

use std::fmt;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::DescriptorEncoder;

use crate::report::TlsReport;
use crate::report::capacity::{CapacityReport, Figure, words};
use crate::report::formats::openmetrics::parts::{Labels, exposition, gauges};
use crate::report::formats::openmetrics::tls;

/// Reports as one exposition, those along an axis with a label for their value of it.
pub fn render<'a>(reports: impl IntoIterator<Item = (Option<String>, &'a CapacityReport)>) -> String {
    let answer = |(over, report): (Option<String>, &CapacityReport)| Answer {
        over,
        figures: report.figures(),
        verdict: words::verdict(report),
        tls: report.tls.clone(),
    };
    exposition("fathom_capacity", Exposition(reports.into_iter().map(answer).collect()))
}

#[derive(Debug)]
struct Exposition(Vec<Answer>);

#[derive(Debug)]
struct Answer {
    over: Option<String>,
    figures: Vec<Figure>,
    verdict: &'static str,
    tls: Option<TlsReport>,
}

impl Answer {
    fn labels(&self, labels: &[(&'static str, &str)]) -> Labels {
        let own = labels.iter().map(|&(name, value)| (name, value.to_owned()));
        own.chain(self.over.iter().map(|value| ("over", value.clone()))).collect()
    }
}

impl Collector for Exposition {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let values = self.0.iter().flat_map(|answer| {
            let of = |figure: &Figure| {
                (answer.labels(&[("metric", figure.name), ("unit", figure.unit.in_words())]), figure.value)
            };
            answer.figures.iter().map(of).collect::<Vec<_>>()
        });
        let verdicts = self.0.iter().map(|answer| (answer.labels(&[("verdict", answer.verdict)]), 1.0));
        gauges(&mut encoder, "figure", "A figure of the answer, in the unit of its label", None, values.collect())?;
        gauges(&mut encoder, "verdict", "1 for the kind of answer", None, verdicts.collect())?;
        tls::encode(&mut encoder, self.0.iter().map(|answer| (answer.labels(&[]), answer.tls.as_ref())))
    }
}
