//! The report to read, as it looks.

use loadgen::measure::histogram::histogram;
use loadgen::report::Stats;

use crate::fixture::{few, gated, how_fast, how_late, rendered};

/// Compares with a file beside this one; UPDATE_SNAPSHOTS=1 writes it anew, for a person to look at.
#[track_caller]
fn assert_looks_like(name: &str, text: &str) {
    let path = format!("{}/tests/report/{name}", env!("CARGO_MANIFEST_DIR"));
    if std::env::var_os("UPDATE_SNAPSHOTS").is_some() {
        std::fs::write(&path, text).unwrap();
    }
    assert_eq!(text, std::fs::read_to_string(path).unwrap(), "\n{text}");
}

#[test]
fn a_closed_loop_that_went_well() {
    assert_looks_like("how_fast.txt", &rendered(&how_fast(), "text"));
}

#[test]
fn an_open_loop_that_did_not() {
    assert_looks_like("how_late.txt", &rendered(&how_late(), "text"));
}

#[test]
fn limits_and_a_baseline() {
    assert_looks_like("gated.txt", &rendered(&gated(), "text"));
}

#[test]
fn what_it_took_to_connect_is_told_in_parts() {
    for format in ["text", "markdown", "html"] {
        let said = rendered(&how_fast(), format);
        assert!(said.contains("of that, by medians: TCP 200 us, the WebSocket handshake 800 us"), "{format}: {said}");
    }
    // One connection has no median.
    assert!(!rendered(&few(&[]), "text").contains("by medians"));
}

#[test]
fn it_fits_a_terminal_of_80_columns() {
    for report in [how_fast(), how_late(), gated(), few(&["latency.p99.99<1s", "connect.p50<1s"])] {
        for line in rendered(&report, "text").lines() {
            assert!(line.chars().count() <= 80 && line.trim_end() == line, "{line:?}");
        }
    }
}

#[test]
fn without_a_reply_there_is_nothing_to_draw() {
    let mut report = how_fast();
    report.latency = Stats::from(&histogram());
    let text = rendered(&report, "text");
    assert!(!text.contains("p99") && text.contains("messages    200,000 sent"), "{text}");
}
