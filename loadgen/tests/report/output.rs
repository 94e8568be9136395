//! Reports get to where they were asked to go, or the error says where they did not.

use std::error::Error as _;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use loadgen::output::{Format, Output, OutputError, Sinks};
use loadgen::report::{Report, Runs};

use crate::fixture::{how_fast, how_late};

const TEXT: Output = Output { format: Format::Text, json_file: None, hgrm: None, hlog: None, quiet: true };

/// A file of this test binary's own.
fn scratch(name: &str) -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join(name)
}

#[test]
fn one_run_goes_everywhere_at_once() {
    let [json, hgrm, hlog] = ["one.json", "one.hgrm", "one.hlog"].map(scratch);
    fs::write(&json, "x".repeat(1 << 20)).unwrap();
    let output = Output { json_file: Some(json.clone()), hgrm: Some(hgrm.clone()), hlog: Some(hlog.clone()), ..TEXT };
    let mut stdout = Vec::new();
    let mut sinks = Sinks::open(&output, &mut stdout).unwrap();
    assert_eq!(fs::metadata(&json).unwrap().len(), 1 << 20, "the last report stays until there is a new one");
    sinks.run(&how_fast()).unwrap();
    assert!(stdout.starts_with(b"how fast: closed loop"));
    let saved: Report = serde_json::from_slice(&fs::read(&json).unwrap()).unwrap();
    assert_eq!(saved, how_fast());
    assert!(fs::read_to_string(hgrm).unwrap().contains("TotalCount"));
    assert!(fs::read_to_string(hlog).unwrap().contains("BaseTime"));
}

#[test]
fn json_has_stdout_for_itself() {
    let mut stdout = Vec::new();
    Sinks::open(&Output { format: Format::Json, ..TEXT }, &mut stdout).unwrap().run(&how_fast()).unwrap();
    assert_eq!(serde_json::from_slice::<Report>(&stdout).unwrap(), how_fast());

    let (mut stdout, both) = (Vec::new(), [how_fast(), how_late()]);
    let mut sinks = Sinks::open(&Output { format: Format::Json, ..TEXT }, &mut stdout).unwrap();
    both.iter().for_each(|report| sinks.text(report).unwrap());
    sinks.runs(&Runs::from(both.to_vec())).unwrap();
    assert_eq!(serde_json::from_slice::<Runs>(&stdout).unwrap().runs, both);
}

#[test]
fn a_wrong_path_fails_before_the_run_and_names_itself() {
    for wrong in [scratch("no such directory/x.json"), PathBuf::from(env!("CARGO_TARGET_TMPDIR"))] {
        let error = Sinks::open(&Output { json_file: Some(wrong.clone()), ..TEXT }, io::sink()).unwrap_err();
        assert!(matches!(error, OutputError::Open { .. }));
        assert!(error.to_string().contains(&wrong.display().to_string()), "{error}");
    }
}

#[test]
fn a_full_disk_is_an_error_that_names_the_file() {
    let output = Output { hgrm: Some("/dev/full".into()), ..TEXT };
    let error = Sinks::open(&output, io::sink()).unwrap().run(&how_fast()).unwrap_err();
    assert_eq!(error.to_string(), "cannot write the report to /dev/full");
    let cause = error.source().expect("the cause is kept").to_string();
    assert!(cause.starts_with("No space left"), "{cause}");
    let full = fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let error = Sinks::open(&TEXT, full).unwrap().run(&how_fast()).unwrap_err();
    assert_eq!(error.to_string(), "cannot write the report to stdout");
}

#[test]
fn a_reader_that_had_enough_is_no_error_and_files_are_written_all_the_same() {
    struct Closed;
    impl Write for Closed {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::ErrorKind::BrokenPipe.into())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let json = scratch("closed.json");
    let output = Output { json_file: Some(json.clone()), ..TEXT };
    Sinks::open(&output, Closed).unwrap().run(&how_fast()).unwrap();
    assert!(fs::metadata(json).unwrap().len() > 1_000);
}
