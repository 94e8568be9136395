//! The report of a capacity as OpenMetrics text: the figures of the answer, which kind of answer it is, and along threads the law.

use std::fmt;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::DescriptorEncoder;

use crate::report::TlsReport;
use crate::report::capacities::Axis;
use crate::report::capacity::{CapacityReport, Figure, words};
use crate::report::formats::openmetrics::parts::{Labels, exposition, gauges};
use crate::report::formats::openmetrics::{law, tls};
use crate::report::scaling::{Scalability, Scaled};

/// Reports as one exposition, those along an axis with a label for their value of it, and the law that holds along threads.
pub fn render<'a>(
    reports: impl IntoIterator<Item = (Option<String>, &'a CapacityReport)>,
    law: Option<&Scalability>,
) -> String {
    let answer = |(over, report): (Option<String>, &CapacityReport)| Answer {
        over,
        figures: report.figures(),
        verdict: words::verdict(report),
        tls: report.tls.clone(),
    };
    exposition("fathom_capacity", Exposition { answers: reports.into_iter().map(answer).collect(), law: law.cloned() })
}

#[derive(Debug)]
struct Exposition {
    answers: Vec<Answer>,
    law: Option<Scalability>,
}

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
        let Self { answers, law } = self;
        let values = answers.iter().flat_map(|answer| {
            let of = |figure: &Figure| {
                (answer.labels(&[("metric", figure.name), ("unit", figure.unit.in_words())]), figure.value)
            };
            answer.figures.iter().map(of).collect::<Vec<_>>()
        });
        let verdicts = answers.iter().map(|answer| (answer.labels(&[("verdict", answer.verdict)]), 1.0));
        gauges(&mut encoder, "figure", "A figure of the answer, in the unit of its label", None, values.collect())?;
        gauges(&mut encoder, "verdict", "1 for the kind of answer", None, verdicts.collect())?;
        let along = law.iter().map(|law| (Axis::Threads.name(), Scaled::Threads, law));
        law::encode(&mut encoder, along)?;
        tls::encode(&mut encoder, answers.iter().map(|answer| (answer.labels(&[]), answer.tls.as_ref())))
    }
}
