//! A histogram drawn with characters: the bulk in ten rows of equal ratio, and a row for what lies beyond on each side.

use std::fmt::Write as _;

use hdrhistogram::Histogram;

use crate::units;

/// Draws `histogram`, each line beginning with `indent`; nothing where it is empty.
pub(in crate::report) fn draw(histogram: &Histogram<u64>, indent: &str) -> String {
    let rows = rows(histogram);
    let most = rows.iter().map(|row| row.count).max().unwrap_or(0);
    if rows.is_empty() {
        return String::new();
    }
    let mut drawing = format!("{indent}{:>18} {:>13} {:>6}\n", "latency", "replies", "share");
    for row in rows {
        let share = row.count as f64 / histogram.len() as f64;
        let [from, to] = [row.from, row.to].map(|ns| units::time(ns as f64));
        let (count, share) = (units::count(row.count), units::percent(share));
        let bar = bar(row.count, most);
        writeln!(drawing, "{indent}{from:>7} .. {to:>7} {count:>13} {share:>6}  {bar}")
            .expect("a String takes every write");
    }
    // Rows without a bar end in the space before it.
    drawing.lines().map(|line| format!("{}\n", line.trim_end())).collect()
}

/// Values above `from` (in the first row: from it on) up to `to`, ns.
struct Row {
    from: u64,
    to: u64,
    count: u64,
}

fn rows(histogram: &Histogram<u64>) -> Vec<Row> {
    if histogram.is_empty() {
        return Vec::new();
    }
    let (low, high) = (histogram.value_at_quantile(BULK.0), histogram.value_at_quantile(BULK.1));
    let ratio = high as f64 / low.max(1) as f64;
    let mut edges: Vec<u64> = (0..=BULK_ROWS)
        .map(|i| (low.max(1) as f64 * ratio.powf(f64::from(i) / f64::from(BULK_ROWS))).round() as u64)
        .map(|edge| histogram.highest_equivalent(edge))
        .chain([histogram.max()])
        .collect();
    edges.dedup();
    let mut from = histogram.min();
    let mut rows: Vec<Row> =
        edges.into_iter().map(|to| Row { from: std::mem::replace(&mut from, to), to, count: 0 }).collect();
    let mut row = 0;
    for bucket in histogram.iter_recorded() {
        while bucket.value_iterated_to() > rows[row].to {
            row += 1;
        }
        rows[row].count += bucket.count_since_last_iteration();
    }
    rows
}

/// A bar as long as its share of the longest, to an eighth of a character; what is not nothing shows.
fn bar(count: u64, most: u64) -> String {
    let eighths = (count as f64 / most as f64 * (8 * BAR_WIDTH) as f64).round() as usize;
    let eighths = if count > 0 { eighths.max(1) } else { 0 };
    let mut bar = "\u{2588}".repeat(eighths / 8);
    if !eighths.is_multiple_of(8) {
        bar.push(['\u{258f}', '\u{258e}', '\u{258d}', '\u{258c}', '\u{258b}', '\u{258a}', '\u{2589}'][eighths % 8 - 1]);
    }
    bar
}

/// Rows of the bulk: with one on each side a histogram of twelve lines.
const BULK_ROWS: i32 = 10;

/// The quantiles between which the bulk lies: the tail beyond may be a thousand times longer than the rest, and would
/// squeeze it into a row or two.
const BULK: (f64, f64) = (0.01, 0.99);

/// The longest bar, in characters: with the columns before it a line fits into 80.
const BAR_WIDTH: usize = 30;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measure::histogram::histogram;

    #[test]
    fn every_value_is_in_one_row_and_rows_join() {
        let mut spread = histogram();
        (0..100_000u64).for_each(|i| spread.saturating_record(50_000 + i * i % 1_000_003));
        spread.saturating_record(9_000_000_000);
        let rows = rows(&spread);
        assert_eq!(rows.iter().map(|row| row.count).sum::<u64>(), spread.len());
        assert!(rows.len() <= 12, "{}", rows.len());
        assert!(rows.windows(2).all(|pair| pair[0].to == pair[1].from && pair[0].to < pair[1].to));
        assert_eq!((rows[0].from, rows[rows.len() - 1].to), (spread.min(), spread.max()));
    }

    #[test]
    fn one_value_is_one_row_and_none_is_none() {
        let mut one = histogram();
        assert_eq!(draw(&one, ""), "");
        one.saturating_record_n(70, 3);
        assert_eq!(rows(&one).len(), 1);
        assert!(draw(&one, "").ends_with(&format!("100.0%  {}\n", "\u{2588}".repeat(BAR_WIDTH))));
        one.saturating_record(0);
        assert_eq!(rows(&one).iter().map(|row| row.count).sum::<u64>(), 4);
    }

    #[test]
    fn a_bar_never_hides_something_and_never_shows_nothing() {
        assert_eq!(bar(0, 100), "");
        assert_eq!(bar(1, 1_000_000), "\u{258f}");
        assert_eq!(bar(100, 100).chars().count(), BAR_WIDTH);
    }
}
