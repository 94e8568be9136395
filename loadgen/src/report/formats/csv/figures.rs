//! The figures of held connections or of a fan-out as a table: a line for each.

use crate::report::figure::Figure;

/// The figures, each with its interval where it has one.
pub fn render(figures: &[Figure]) -> Vec<u8> {
    let mut table = ::csv::Writer::from_writer(Vec::new());
    table.write_record(["metric", "unit", "value", "low", "high"]).expect(NO_ERROR);
    for figure in figures {
        let end = |of: fn((f64, f64)) -> f64| figure.interval.map(|ends| of(ends).to_string()).unwrap_or_default();
        let cells = [
            figure.name.clone(),
            figure.unit.in_words().to_owned(),
            figure.value.to_string(),
            end(|ends| ends.0),
            end(|ends| ends.1),
        ];
        table.write_record(cells).expect(NO_ERROR);
    }
    table.into_inner().expect(NO_ERROR)
}

const NO_ERROR: &str = "every line has the same columns, and a Vec takes every write";
