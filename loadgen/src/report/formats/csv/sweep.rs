//! The sweep's combinations as a table (RFC 4180): a line for each metric of each combination.

use crate::report::sweep::{Of, Sweep};

/// All combinations, the reference first. The flags' columns say whose flag each is: server and load share some names.
pub fn render(sweep: &Sweep) -> Vec<u8> {
    let mut table = ::csv::Writer::from_writer(Vec::new());
    let flag = |of: Of, name: &str| match of {
        Of::Server => format!("server {name}"),
        Of::Load => format!("load {name}"),
    };
    let flags = sweep.factors.iter().map(|factor| flag(factor.of, &factor.name));
    let figures = ["metric", "unit", "value", "change", "low", "high"].map(str::to_owned);
    table.write_record(flags.chain(figures)).expect(NO_ERROR);
    for arm in &sweep.arms {
        for metric in arm.figures.keys() {
            // By their order, and empty where a file has fewer.
            let value = |i: usize| arm.settings.get(i).map(|setting| setting.value.clone()).unwrap_or_default();
            let settings = (0..sweep.factors.len()).map(value);
            let change = arm.change.get(metric);
            // Empty for the reference, and where there is no interval.
            let known = |figure: Option<f64>| figure.map(|figure| figure.to_string()).unwrap_or_default();
            let figures = [
                metric.older_name(),
                metric.unit().in_words().to_owned(),
                known(arm.told(*metric)),
                known(change.and_then(|change| change.change)),
                known(change.and_then(|change| change.low)),
                known(change.and_then(|change| change.high)),
            ];
            table.write_record(settings.chain(figures)).expect(NO_ERROR);
        }
    }
    table.into_inner().expect(NO_ERROR)
}

const NO_ERROR: &str = "every line has the same columns, and a Vec takes every write";
