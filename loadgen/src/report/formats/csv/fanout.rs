//! The report of a fan-out as a table: a line for each figure.

use crate::measure::encoded::DecodeError;
use crate::report::fanout::FanoutReport;

/// The figures, each with the least and the most that it can be, where it is bounded.
///
/// # Errors
/// When a histogram cannot be read.
pub fn render(report: &FanoutReport) -> Result<Vec<u8>, DecodeError> {
    let mut table = ::csv::Writer::from_writer(Vec::new());
    table.write_record(["metric", "unit", "value", "low", "high"]).expect(NO_ERROR);
    for figure in report.figures()? {
        let end = |of: fn((f64, f64)) -> f64| figure.interval.map(|ends| of(ends).to_string()).unwrap_or_default();
        let cells = [
            figure.metric.to_string(),
            figure.metric.unit().in_words().to_owned(),
            figure.value.to_string(),
            end(|ends| ends.0),
            end(|ends| ends.1),
        ];
        table.write_record(cells).expect(NO_ERROR);
    }
    Ok(table.into_inner().expect(NO_ERROR))
}

const NO_ERROR: &str = "every line has the same columns, and a Vec takes every write";
