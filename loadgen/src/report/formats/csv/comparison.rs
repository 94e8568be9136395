//! The comparison's pairs as a table (RFC 4180): a line for each metric of each pair, to be judged again elsewhere.

use crate::report::comparison::{Comparison, Which};

/// All pairs, in their order.
pub fn render(comparison: &Comparison) -> Vec<u8> {
    let mut table = ::csv::Writer::from_writer(Vec::new());
    table.write_record(["start", "pair", "at_s", "first", "metric", "unit", "a", "b", "ratio"]).expect(NO_ERROR);
    for (s, start) in comparison.starts.iter().enumerate() {
        for (p, pair) in start.pairs.iter().enumerate() {
            let first = match pair.first {
                Which::A => "a",
                Which::B => "b",
            };
            for (metric, a) in &pair.a {
                let Some(b) = pair.b.get(metric) else { continue };
                let (start, number) = ((s + 1).to_string(), (p + 1).to_string());
                let (at, name) = (pair.at_seconds.to_string(), metric.older_name());
                let [a, b, ratio] = [*a, *b, b / a].map(|figure| figure.to_string());
                table
                    .write_record([&start, &number, &at, first, &name, metric.unit().in_words(), &a, &b, &ratio])
                    .expect(NO_ERROR);
            }
        }
    }
    table.into_inner().expect(NO_ERROR)
}

const NO_ERROR: &str = "every line has the same columns, and a Vec takes every write";
