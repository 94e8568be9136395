//! The sweep as OpenMetrics text: of each combination the figures and the changes, what each flag is worth, and
//! the law along those of which there is more and more.

use std::fmt;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::DescriptorEncoder;
use prometheus_client::registry::Unit;

use crate::report::formats::openmetrics::parts::{Labels, bounds, exposition, gauges};
use crate::report::formats::openmetrics::{law, tls};
use crate::report::sweep::{Sweep, words};

/// The sweep as one exposition.
pub fn render(sweep: &Sweep) -> String {
    exposition("fathom_sweep", Exposition(sweep.clone()))
}

#[derive(Debug)]
struct Exposition(Sweep);

impl Collector for Exposition {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let Self(sweep) = self;
        let (mut figures, mut changes) = (Vec::new(), Vec::new());
        for arm in &sweep.arms {
            let labels = |more: &[(&'static str, String)]| -> Labels {
                [("combination", words::settings(arm))].into_iter().chain(more.iter().cloned()).collect()
            };
            for (metric, figure) in arm.figures.keys().filter_map(|metric| Some((metric, arm.told(*metric)?))) {
                let unit = metric.unit().in_words().to_owned();
                figures.push((labels(&[("metric", metric.older_name()), ("unit", unit)]), figure));
            }
            for (metric, estimate) in &arm.change {
                let of_metric = labels(&[("metric", metric.older_name())]);
                changes.extend(bounds(&of_metric, estimate));
            }
        }
        let effects = sweep.effects.iter().flat_map(|effect| {
            let labels = vec![("effect", words::steps(effect)), ("metric", effect.metric.older_name())];
            bounds(&labels, &effect.estimate)
        });
        let valid = vec![(Labels::new(), f64::from(u8::from(sweep.trust.is_valid())))];
        let ratios = || Some(Unit::Ratios);
        gauges(&mut encoder, "figure", "Of the combination, in the unit of its label", None, figures)?;
        gauges(&mut encoder, "change", "From the reference, with its 95% interval", ratios(), changes)?;
        gauges(&mut encoder, "effect", "What a flag is worth, with its 95% interval", ratios(), effects.collect())?;
        law::encode(&mut encoder, sweep.scaling.iter().map(|along| (&*along.name, along.of, &along.scalability)))?;
        let arms = sweep.arms.iter();
        let settled = arms.map(|arm| (vec![("combination", words::settings(arm))], arm.tls.as_ref()));
        tls::encode(&mut encoder, settled)?;
        gauges(&mut encoder, "valid", "Whether the figures are to be trusted", None, valid)
    }
}
