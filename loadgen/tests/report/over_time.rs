//! `loadgen report --to csv --over-time`: a line for each second of each run.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::{fs, process};

use loadgen::program::cli::{Invocation, parse};
use loadgen::report::Report;
use serde_json::{Value, json};

use crate::fixture::{few, how_late};

fn invoke(arguments: &[&str]) -> Result<Invocation, clap::Error> {
    parse(["loadgen", "report"].iter().chain(arguments).map(OsString::from), NonZeroUsize::MIN)
}

/// The lines of the table of these runs, as the program writes it.
fn table(runs: &[Report]) -> Vec<BTreeMap<String, String>> {
    let scratch =
        |name: String| PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("over-time-{}-{name}", process::id()));
    let files: Vec<PathBuf> = (0..runs.len()).map(|i| scratch(format!("{i}.json"))).collect();
    files.iter().zip(runs).for_each(|(file, run)| fs::write(file, json!(run).to_string()).unwrap());
    let out = scratch("out.csv".to_owned());
    let names: Vec<&str> = files.iter().chain([&out]).map(|file| file.to_str().unwrap()).collect();
    let (out_name, inputs) = names.split_last().unwrap();
    let flags = ["--to", "csv", "--over-time", "-o", out_name];
    let Ok(Invocation::Report(conversion)) = invoke(&[inputs, &flags[..]].concat()) else { panic!("no report") };
    conversion.run().unwrap();
    let table = fs::read(&out).unwrap();
    files.iter().chain([&out]).for_each(|file| fs::remove_file(file).unwrap());
    csv::Reader::from_reader(&table[..]).deserialize().collect::<Result<_, _>>().unwrap()
}

#[test]
fn a_line_for_each_second_says_what_the_json_says() {
    let mut late = how_late();
    // What came after the end came in no time.
    late.intervals[9].length = std::time::Duration::ZERO;
    let runs = [late, few(&[])];
    let lines = table(&runs);
    let intervals: Vec<Value> = runs.iter().flat_map(|run| &run.intervals).map(|interval| json!(interval)).collect();
    assert_eq!((lines.len(), intervals.len()), (12, 12));
    for (line, interval) in lines.iter().zip(&intervals) {
        for (cell, field) in [
            ("start_s", "start"),
            ("length_s", "length"),
            ("messages", "messages"),
            ("latency_p50_ns", "p50"),
            ("latency_p99_ns", "p99"),
            ("latency_max_ns", "max"),
        ] {
            assert_eq!(line[cell].parse::<f64>().ok(), interval[field].as_f64(), "{cell}: {line:?}, {interval}");
        }
    }
    assert_eq!((lines[0]["name"].as_str(), lines[11]["name"].as_str()), ("how late", "few"));
    assert_eq!(lines[0]["began_at"], "2023-11-14T22:13:20.000Z");
    assert_eq!((lines[0]["messages_per_second"].as_str(), lines[9]["messages_per_second"].as_str()), ("20000", ""));
    assert!(lines[0]["latency_p95_ns"].parse::<u64>().is_ok() && lines[0]["latency_p99_99_ns"].parse::<u64>().is_ok());
    // Two replies, then a second without one.
    assert_eq!((lines[10]["messages"].as_str(), lines[10]["latency_p95_ns"].as_str()), ("2", ""));
    assert_eq!((lines[11]["messages_per_second"].as_str(), lines[11]["latency_mean_ns"].as_str()), ("0", ""));
}

#[test]
fn runs_of_one_name_are_told_apart() {
    let lines = table(&[few(&[]), few(&[])]);
    let names: Vec<&str> = lines.iter().map(|line| line["name"].as_str()).collect();
    assert_eq!(names, ["few", "few", "few 2", "few 2"]);
}

#[test]
fn it_is_a_table_and_nothing_else() {
    for arguments in [&["a.json", "--over-time"][..], &["a.json", "--over-time", "--to", "json"]] {
        let error = invoke(arguments).unwrap_err();
        assert_eq!(error.exit_code(), 2);
        assert!(
            error.to_string().contains("--over-time") && error.to_string().contains("expected --to csv"),
            "{error}"
        );
    }
}
